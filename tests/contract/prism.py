"""Prism, a mock server that answers from Sentry's document, and what the tap asks of it.

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

from tap_sentry.tap import TapSentry
from tests.contract.defects import refused_in_vain
from tests.contract.openapi import API, DOCUMENT, Endpoint, endpoint
from tests.sync import Messages, sync

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
            _violations(response),
        )
        self.exchanges.append(exchange)
        if known := exchange.refused_parameters & refused_in_vain(exchange.endpoint.path):
            response.close()
            repaired = request.copy()
            repaired.prepare_url(
                parts._replace(query="").geturl(),
                [
                    (name, value)
                    for at, (name, value) in enumerate(exchange.params)
                    if name not in known or name not in dict(exchange.params[:at])
                ],
            )
            response = super().send(repaired, *args, **kwargs)
        if response.status_code == 200:
            response = _answer(request, stand_in(exchange, response.json()))
        return response


@dataclass
class Prism:
    """The running mock server, and the syncs that were made from it."""

    url: str
    _synced: dict[str, tuple[list[Exchange], Messages]] = field(default_factory=dict)

    def synced(
        self, case: str, stream: str, settings: dict[str, Any]
    ) -> tuple[list[Exchange], Messages]:
        """The exchanges and the messages of one case's sync; each case is synced once."""
        if case not in self._synced:
            recorder = Recorder()
            messages = sync(recorder, stream, base_url=self.url, **SETTINGS, **settings)
            self._synced[case] = recorder.exchanges, messages
        return self._synced[case]

    def probed(self) -> tuple[list[Exchange], list[tuple[str, str]]]:
        """The exchanges and the findings of `tap-sentry --test`."""
        recorder = Recorder()
        tap = TapSentry(config={"base_url": self.url, **SETTINGS}, transport=recorder)
        return recorder.exchanges, tap.check()


def ask(prism: Prism, path: str, params: dict[str, str]) -> Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.get(f"{prism.url}{API}{path}", params=params, headers=headers, timeout=30)


def stand_in(exchange: Exchange, body: Any) -> Any:
    """What the tap gets where the document's example answers another question than it asked."""
    path = exchange.endpoint.path.removeprefix("/organizations/{organization_id_or_slug}")
    if path == "/releases/":
        # So that commits and deploys are asked for.
        return [{**row, "commitCount": 1, "deployCount": 1} for row in body]
    if path in {"/stats_v2/", "/sessions/"}:
        return {**body, **_one_group(exchange.params)}
    if path != "/events/":
        return body
    meta: dict[str, Any] = {"fields": {}, "dataScanned": "full"}
    if ("field", "count()") in exchange.params:
        # So many rows that the tap asks for the time series too.
        return {"data": [{"project.id": EXAMPLE_PROJECT, "count()": 100_000}], "meta": meta}
    return {"data": [], "meta": meta}


def _one_group(params: list[tuple[str, str]]) -> dict[str, Any]:
    """A single group and bucket of the fields that were asked for."""
    fields = [value for name, value in params if name == "field"]
    by = {value: f"of the {value}" for name, value in params if name == "groupBy"}
    if "project" in by:
        by["project"] = str(EXAMPLE_PROJECT)
    totals = dict.fromkeys(fields, 1)
    series = {field: [1] for field in fields}
    return {
        "intervals": [dict(params)["start"]],
        "groups": [{"by": by, "totals": totals, "series": series}],
    }


def _answer(request: PreparedRequest, body: Any) -> Response:
    response = Response()
    response.status_code = 200
    response.url = str(request.url)
    response.request = request
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(body).encode()
    return response


def _violations(response: Response) -> list[dict[str, Any]]:
    """What Prism says against a request: in a header, or in a 422 of its own making."""
    found: list[dict[str, Any]] = json.loads(response.headers.get("sl-violations", "[]"))
    if response.status_code == 422:
        found += response.json()["validation"]
    return found


@contextlib.contextmanager
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    """Prism, started from Sentry's document; skips the tests where it cannot be installed."""
    program = _installed(tmp_path_factory)
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
            _wait_for(server, port, log)
            yield Prism(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()


def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Prism did not start: {log.read_text()[-2000:]}")
