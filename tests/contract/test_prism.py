"""What the tap asks satisfies Sentry's document, as a mock server that nobody here wrote reads it.

Prism answers with the document's own examples and refuses requests that violate the document.
https://docs.stoplight.io/docs/prism/
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from tap_sentry.streams import STREAMS
from tap_sentry.tap import TapSentry
from tests.contract.captures import complaints
from tests.contract.openapi import API, DOCUMENT, Endpoint, endpoint, needs_document
from tests.sync import Messages, sync

pytestmark = [pytest.mark.slow, needs_document]

PACKAGE = "@stoplight/prism-cli@5.14.2"
START_S = 60
_NO_NETWORK = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH")

TOKEN = "token-of-the-tests"
ORGANIZATION = "the-interstellar-jurisdiction"
# The examples' rows are years old, so the tap has to look that far back.
SETTINGS: dict[str, Any] = {
    "api_token": TOKEN,
    "organization": ORGANIZATION,
    "start_date": "2015-01-01T00:00:00Z",
    "retention_days": 36500,
}
EXAMPLE_PROJECT = 3

# What is synced: a stream's name, and settings that make it ask otherwise.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{vars(stream)["name"]: (vars(stream)["name"], {}) for stream in STREAMS},
    "events, whole bodies": ("events", {"fetch_event_details": True}),
    "issues of one project": ("issues", {"projects": ["prime-mover"]}),
}


class Defect(NamedTuple):
    """Something the tap does against the document, since there the document is wrong."""

    path: str
    parameter: str
    reason: str


# Prism refuses these requests. They are asked again without the parameter; so the sync goes on.
VIOLATIONS = (
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "sort",
        "typed as one text; the server takes several, and spans need two for a total order",
    ),
)

# Prism lets unknown parameters pass; the document leaves these out, the server knows them.
UNDECLARED = (
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "disableAggregateExtrapolation",
        "declared for the time series only",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "sampling",
        "left out; the web interface sends it, and so full accuracy can be asked for",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/events-timeseries/",
        "sampling",
        "left out; counts have to be as accurate as the rows they plan for",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/members/",
        "per_page",
        "left out, although the list is paginated like the others",
    ),
    Defect(
        "/projects/{organization_id_or_slug}/{project_id_or_slug}/events/",
        "per_page",
        "left out, although the list is paginated like the others",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/releases/",
        "status",
        "left out; without it archived releases are missing",
    ),
)

# Streams without a RECORD from the document's example, and why.
NO_EXAMPLE = {"spans": "Explore's only example holds counts of transactions"}


class Exchange(NamedTuple):
    """A request of the tap and what Prism said to it."""

    endpoint: Endpoint
    params: list[tuple[str, str]]
    status: int
    violations: list[dict[str, Any]]

    @property
    def refused_parameters(self) -> set[str]:
        """Names of the query parameters that violate the document; `?` for any other violation."""
        places = [violation["location"] for violation in self.violations]
        return {place[-1] if place[-2:-1] == ["query"] else "?" for place in places}


class Recorder(HTTPAdapter):
    """Hands the tap's requests to Prism as they are, and keeps what was said.

    The tap gets Prism's answer, and another one only where no example can answer: `stand_in`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        parts = urlsplit(str(request.url))
        exchange = Exchange(
            endpoint(parts.path.removeprefix(API)),
            parse_qsl(parts.query, keep_blank_values=True),
            response.status_code,
            violations(response),
        )
        self.exchanges.append(exchange)
        if known := exchange.refused_parameters & refused_in_vain(exchange.endpoint.path):
            response.close()
            repaired = request.copy()
            repaired.prepare_url(
                parts._replace(query="").geturl(),
                [(name, value) for name, value in exchange.params if name not in known],
            )
            response = super().send(repaired, *args, **kwargs)
        body = stand_in(exchange)
        if response.status_code == 200 and body is not None:
            response.close()
            response = answer(request, body)
        return response


@dataclass
class Prism:
    """The running mock server, and the syncs that were made from it."""

    url: str
    _synced: dict[str, tuple[list[Exchange], Messages]] = field(default_factory=dict)

    def synced(self, case: str) -> tuple[list[Exchange], Messages]:
        """The exchanges and the messages of one case's sync; each case is synced once."""
        if case not in self._synced:
            stream, settings = CASES[case]
            recorder = Recorder()
            messages = sync(recorder, stream, base_url=self.url, **SETTINGS, **settings)
            self._synced[case] = recorder.exchanges, messages
        return self._synced[case]

    def probed(self) -> tuple[list[Exchange], list[tuple[str, str]]]:
        """The exchanges and the findings of `tap-sentry --test`."""
        recorder = Recorder()
        tap = TapSentry(config={"base_url": self.url, **SETTINGS}, transport=recorder)
        return recorder.exchanges, tap.check()


def refused_in_vain(path: str) -> set[str]:
    """Parameters of an endpoint that the document forbids by mistake."""
    return {defect.parameter for defect in VIOLATIONS if defect.path == path}


def stand_in(exchange: Exchange) -> dict[str, Any] | None:
    """What the tap gets where the document's example answers another question than it asked."""
    if exchange.endpoint.path != "/organizations/{organization_id_or_slug}/events/":
        return None
    meta: dict[str, Any] = {"fields": {}, "dataScanned": "full"}
    if ("field", "count()") in exchange.params:
        # So many rows that the tap asks for the time series too.
        return {"data": [{"project.id": EXAMPLE_PROJECT, "count()": 100_000}], "meta": meta}
    return {"data": [], "meta": meta}


def answer(request: PreparedRequest, body: Any) -> Response:
    response = Response()
    response.status_code = 200
    response.url = str(request.url)
    response.request = request
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(body).encode()
    return response


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    program = installed(tmp_path_factory)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("prism") / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [program, "mock", "--errors", "--host", "127.0.0.1", "--port", str(port), DOCUMENT],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            wait_for(server, port, log)
            yield Prism(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()


def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prism's program, installed once below the folder of pytest's temporary ones."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("Prism needs node and npm, which are not installed here")
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    home = session.parent / re.sub(r"[@/]+", "-", PACKAGE.strip("@"))
    if not home.exists():
        fresh = tmp_path_factory.mktemp("npm")
        npm = subprocess.run(
            [
                "npm",
                "install",
                "--prefix",
                str(fresh),
                "--ignore-scripts",
                "--fetch-retries=1",
                "--no-fund",
                PACKAGE,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if npm.returncode and _NO_NETWORK.search(npm.stderr):
            pytest.skip(f"npm cannot reach its registry to install {PACKAGE}")
        assert npm.returncode == 0, npm.stderr
        # Whole or not at all, and the first one wins: sessions and workers need no lock.
        with contextlib.suppress(OSError):
            fresh.rename(home)
        home = home if home.exists() else fresh
    return home / "node_modules/.bin/prism"


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Prism did not start: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("case", CASES)
class TestRequests:
    def test_reach_the_streams_own_endpoint(self, prism: Prism, case: str) -> None:
        exchanges, _ = prism.synced(case)
        (stream,) = [stream for stream in STREAMS if vars(stream)["name"] == CASES[case][0]]
        assert endpoint(stream.path) in [exchange.endpoint for exchange in exchanges]

    def test_satisfy_the_document(self, prism: Prism, case: str) -> None:
        for exchange in prism.synced(case)[0]:
            unlisted = exchange.refused_parameters - refused_in_vain(exchange.endpoint.path)
            assert not unlisted, exchange.violations
            assert exchange.status == 200 or exchange.refused_parameters, exchange

    def test_use_declared_parameters_only(self, prism: Prism, case: str) -> None:
        assert undeclared(prism.synced(case)[0]) <= {defect[:2] for defect in UNDECLARED}


@pytest.mark.parametrize("case", [case for case in CASES if case not in NO_EXAMPLE])
class TestExamples:
    def test_become_valid_records(self, prism: Prism, case: str) -> None:
        stream = CASES[case][0]
        _, messages = prism.synced(case)
        records = messages.records[stream]
        assert records
        for record in records:
            assert complaints(messages.schemas[stream][-1]["schema"], record) == []


class TestCheckOfTheConnection:
    def test_satisfies_the_document(self, prism: Prism) -> None:
        exchanges, findings = prism.probed()
        for exchange in exchanges:
            unlisted = exchange.refused_parameters - refused_in_vain(exchange.endpoint.path)
            assert not unlisted, (exchange.endpoint.path, exchange.violations)
        assert [problem for _, problem in findings if problem] == []


class TestTheLists:
    def test_name_only_violations_that_still_happen(self, prism: Prism) -> None:
        happened = {
            (exchange.endpoint.path, parameter)
            for case in CASES
            for exchange in prism.synced(case)[0]
            for parameter in exchange.refused_parameters
        }
        assert happened == {defect[:2] for defect in VIOLATIONS}

    def test_name_only_parameters_that_are_still_sent_undeclared(self, prism: Prism) -> None:
        sent = {pair for case in CASES for pair in undeclared(prism.synced(case)[0])}
        assert sent == {defect[:2] for defect in UNDECLARED}

    def test_name_only_streams_whose_example_still_gives_nothing(self, prism: Prism) -> None:
        assert not any(prism.synced(name)[1].records[name] for name in NO_EXAMPLE)


class TestPrism:
    """It refuses what is wrong, so the tests above can fail."""

    @pytest.mark.parametrize(
        ("params", "place"),
        [
            ({"field": "id"}, ["request", "query"]),
            ({"field": "id", "dataset": "cheese"}, ["request", "query", "dataset"]),
            (
                {"field": "id", "dataset": "spans", "per_page": "x"},
                ["request", "query", "per_page"],
            ),
            ({"field": "id", "dataset": "spans", "start": "now"}, ["request", "query", "start"]),
        ],
    )
    def test_refuses_wrong_parameters(
        self, prism: Prism, params: dict[str, str], place: list[str]
    ) -> None:
        response = ask(prism, f"/organizations/{ORGANIZATION}/events/", params)
        assert response.status_code == 400
        assert [entry["location"] for entry in json.loads(response.headers["sl-violations"])] == [
            place
        ]

    def test_refuses_who_brings_no_token(self, prism: Prism) -> None:
        response = requests.get(f"{prism.url}{API}/organizations/", timeout=30)
        assert response.status_code == 401

    def test_refuses_paths_that_sentry_has_not(self, prism: Prism) -> None:
        assert ask(prism, f"/organizations/{ORGANIZATION}/cheeses/", {}).status_code == 404


def undeclared(exchanges: list[Exchange]) -> set[tuple[str, str]]:
    """Endpoint and name of the parameters that were sent and that the document does not know."""
    return {
        (exchange.endpoint.path, name)
        for exchange in exchanges
        for name, _ in exchange.params
        if name not in exchange.endpoint.parameters
    }


def violations(response: Response) -> list[dict[str, Any]]:
    """What Prism says against a request: in a header, or in a 422 of its own making."""
    found: list[dict[str, Any]] = json.loads(response.headers.get("sl-violations", "[]"))
    if response.status_code == 422:
        found += response.json()["validation"]
    return found


def ask(prism: Prism, path: str, params: dict[str, str]) -> Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.get(f"{prism.url}{API}{path}", params=params, headers=headers, timeout=30)
