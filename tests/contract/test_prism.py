"""What the tap asks satisfies Sentry's document, as somebody else's mock server reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tap_sentry.streams import STREAMS
from tests.contract.captures import complaints
from tests.contract.defects import UNDECLARED, VIOLATIONS, refused_in_vain
from tests.contract.openapi import API, endpoint, needs_document
from tests.contract.prism import ORGANIZATION, Exchange, Prism, ask, running
from tests.sync import Messages

pytestmark = [pytest.mark.slow, needs_document]

# What is synced: a stream's name, and settings that make it ask otherwise.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{vars(stream)["name"]: (vars(stream)["name"], {}) for stream in STREAMS},
    "events, whole bodies": ("events", {"fetch_event_details": True}),
    "issues of one project": ("issues", {"projects": ["prime-mover"]}),
}

# Streams without a RECORD from the document's example, and why.
NO_EXAMPLE = {
    "spans": "Explore's only example holds counts of transactions",
    "project_keys": "the example's key is of a project that the example of projects lacks",
}


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with running(tmp_path_factory) as server:
        yield server


def synced(prism: Prism, case: str) -> tuple[list[Exchange], Messages]:
    """The exchanges and the messages of one case's sync."""
    return prism.synced(case, *CASES[case])


def undeclared(exchanges: list[Exchange]) -> set[tuple[str, str]]:
    """Endpoint and name of the parameters that were sent and that the document does not know."""
    return {
        (exchange.endpoint.path, name)
        for exchange in exchanges
        for name, _ in exchange.params
        if name not in exchange.endpoint.parameters
    }


@pytest.mark.parametrize("case", CASES)
class TestRequests:
    def test_reach_the_streams_own_endpoint(self, prism: Prism, case: str) -> None:
        exchanges, _ = synced(prism, case)
        (stream,) = [stream for stream in STREAMS if vars(stream)["name"] == CASES[case][0]]
        assert endpoint(stream.path) in [exchange.endpoint for exchange in exchanges]

    def test_satisfy_the_document(self, prism: Prism, case: str) -> None:
        for exchange in synced(prism, case)[0]:
            unlisted = exchange.refused_parameters - refused_in_vain(exchange.endpoint.path)
            assert not unlisted, exchange.violations
            assert exchange.status == 200 or exchange.refused_parameters, exchange

    def test_use_declared_parameters_only(self, prism: Prism, case: str) -> None:
        assert undeclared(synced(prism, case)[0]) <= {defect[:2] for defect in UNDECLARED}


@pytest.mark.parametrize("case", [case for case in CASES if case not in NO_EXAMPLE])
class TestExamples:
    def test_become_valid_records(self, prism: Prism, case: str) -> None:
        stream = CASES[case][0]
        _, messages = synced(prism, case)
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
            for exchange in synced(prism, case)[0]
            for parameter in exchange.refused_parameters
        }
        assert happened == {defect[:2] for defect in VIOLATIONS}

    def test_name_only_parameters_that_are_still_sent_undeclared(self, prism: Prism) -> None:
        sent = {pair for case in CASES for pair in undeclared(synced(prism, case)[0])}
        assert sent == {defect[:2] for defect in UNDECLARED}

    def test_name_only_streams_whose_example_still_gives_nothing(self, prism: Prism) -> None:
        assert not any(synced(prism, name)[1].records[name] for name in NO_EXAMPLE)


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
