from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tap_sentry import demo as faults
from tap_sentry.demo import DemoSentry
from tap_sentry.demo.fault_script import FAULTS, Script, parsed
from tap_sentry.demo.faults import Fault
from tests.unit.demo.client import ORGANIZATION, PROJECT, Client, frozen_world

TEAMS = f"{ORGANIZATION}teams/"
SPANS: dict[str, Any] = {
    "dataset": "spans",
    "project": -1,
    "sampling": "HIGHEST_ACCURACY",
    "start": "2026-11-18T00:00:00Z",
    "end": "2026-11-19T00:00:00Z",
}


def client(*fault: Fault, **options: Any) -> Client:
    return Client(DemoSentry(frozen_world(), limits=None, faults=fault, **options))


class TestScript:
    @pytest.mark.parametrize(
        ("settings", "spoilt"),
        [
            ({}, [1]),
            ({"at": 3}, [3]),
            ({"at": 2, "times": 3}, [2, 3, 4]),
            ({"every": 3}, [3, 6, 9]),
            ({"every": 4, "times": 2}, [4, 5, 8, 9]),
            ({"times": 2}, [1, 2]),
        ],
    )
    def test_spoils_the_requests_it_names(
        self, settings: dict[str, Any], spoilt: list[int]
    ) -> None:
        script = Script([faults.NotFound(**settings)])
        assert [n for n in range(1, 10) if script.due("/a/")] == spoilt

    def test_counts_only_paths_that_match(self) -> None:
        script = Script([faults.NotFound(path="*/issues/*", at=2)])
        paths = ["/x/issues/1/", "/x/teams/", "/x/issues/2/"]
        assert [script.due(path) is not None for path in paths] == [False, False, True]

    def test_takes_the_first_of_two_that_are_due(self) -> None:
        script = Script([faults.Gone(at=1), faults.NotFound(at=1, times=2)])
        assert [type(script.due("/")) for _ in range(3)] == [
            faults.Gone,
            faults.NotFound,
            type(None),
        ]

    def test_begins_anew_with_each_demo(self) -> None:
        fault = faults.NotFound(at=1)
        for _ in range(2):
            assert client(fault).get(TEAMS).status_code == 404


class TestParsed:
    def test_reads_what_the_constructor_takes(self) -> None:
        text = "TooManyRequests path=*/issues/* at=3 reset_after_s=2"
        assert parsed(text) == faults.TooManyRequests(path="*/issues/*", at=3, reset_after_s=2)
        assert parsed("NotFound empty=true times=4") == faults.NotFound(empty=True, times=4)
        assert parsed("CutBody how=json") == faults.CutBody(how="json")

    @pytest.mark.parametrize("name", FAULTS)
    def test_knows_every_fault(self, name: str) -> None:
        assert type(parsed(name)) is getattr(faults, name)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no fault is called ''"),
            ("Meteor", "there are TooManyRequests"),
            ("Slow at", "Slow has no 'at'"),
            ("Slow colour=red", "it has path, at, every, times, seconds"),
            ("Slow at=soon", "'at=soon' is no int"),
            ("NotFound empty=perhaps", "is no bool"),
            ("CutBody how=never", "is no Literal"),
        ],
    )
    def test_refuses_the_rest_with_words(self, text: str, words: str) -> None:
        with pytest.raises(ValueError, match=r"\w") as caught:
            parsed(text)
        assert words in str(caught.value)


class TestAnswers:
    @pytest.mark.parametrize(
        ("fault", "status", "words"),
        [
            (faults.Unauthorized(), 401, "Invalid token"),
            (faults.Forbidden(), 403, "You do not have permission"),
            (faults.NotFound(), 404, "The requested resource does not exist"),
            (faults.Gone(), 410, "This API no longer exists."),
            (faults.ServerError(), 500, "Internal Error"),
            (faults.QueryTimeout(), 400, "Query timeout"),
            (faults.SnubaRateLimited(), 429, "Rate limit exceeded."),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
    )
    def test_are_those_of_sentry(self, fault: Fault, status: int, words: str) -> None:
        response = client(fault).get(TEAMS)
        assert response.status_code == status
        assert words in json.dumps(response.json())

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_of_a_proxy_are_html(self, status: int) -> None:
        response = client(faults.ServerError(status=status)).get(TEAMS)
        assert response.status_code == status
        assert response.text.startswith("<html>")

    def test_of_a_missing_feature_are_empty(self) -> None:
        response = client(faults.NotFound(empty=True)).get(TEAMS)
        assert (response.status_code, response.content) == (404, b"")

    def test_429_tells_when_the_window_ends(self) -> None:
        sentry = client(faults.TooManyRequests(reset_after_s=30), limit_clock=lambda: 1000.0)
        headers = sentry.get(TEAMS).headers
        assert headers["X-Sentry-Rate-Limit-Reset"] == "1030"
        assert headers["X-Sentry-Rate-Limit-Remaining"] == "0"
        assert "Retry-After" not in headers

    def test_429_of_the_query_engine_tells_nothing(self) -> None:
        headers = client(faults.SnubaRateLimited()).get(TEAMS).headers
        assert headers["X-Sentry-Rate-Limit-Reset"] == "None"

    def test_410_names_a_replacement(self) -> None:
        assert "X-Sentry-Replacement-Endpoint" in client(faults.Gone()).get(TEAMS).headers


class TestPages:
    PATH = f"{PROJECT}checkout-api/events/"

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            (PATH, {}),
            (f"{ORGANIZATION}members/", {"per_page": 10}),
            (f"{ORGANIZATION}issues/", {"query": "", "limit": 20}),
            (f"{ORGANIZATION}events/", {"dataset": "errors", "field": "id", "sort": "id"}),
        ],
    )
    def test_empty_ones_lose_no_row(self, path: str, query: dict[str, Any]) -> None:
        undisturbed = client().rows(path, **query)
        pages = client(faults.EmptyPage(every=2)).pages(path, **query)
        assert [] in pages
        assert [row for page in pages for row in page] == undisturbed

    def test_one_that_repeats_points_at_itself(self) -> None:
        sentry = client(faults.RepeatCursor(at=2))
        second = sentry.get(self.PATH).links["next"]["cursor"]
        link = sentry.get(self.PATH, cursor=second).links["next"]
        assert (link["cursor"], link["results"]) == (second, "true")

    def test_one_without_link_says_nothing_of_more(self) -> None:
        assert "Link" not in client(faults.MissingLink()).get(self.PATH).headers


class TestExplore:
    PATH = f"{ORGANIZATION}events/"

    def test_may_answer_from_a_part_whatever_was_asked(self) -> None:
        query = {**SPANS, "field": "id", "per_page": 10}
        whole = client().json(self.PATH, **query)
        part = client(faults.Partial()).json(self.PATH, **query)
        assert (whole["meta"]["dataScanned"], part["meta"]["dataScanned"]) == ("full", "partial")
        assert part["data"] == whole["data"][::2]

    def test_may_count_more_spans_than_there_are(self) -> None:
        query = {**SPANS, "field": ["project", "count()"]}
        whole = client().json(self.PATH, **query)["data"]
        torn = client(faults.TornCount(more=3)).json(self.PATH, **query)["data"]
        assert [row["count()"] - 3 for row in torn] == [row["count()"] for row in whole]

    def test_keeps_other_answers_as_they_are(self) -> None:
        query = {"dataset": "errors", "project": -1, "field": "count()"}
        for fault in (faults.TornCount(every=1), faults.Partial(every=1)):
            sentry = client(fault)
            assert sentry.json(TEAMS) == client().json(TEAMS)
        torn = client(faults.TornCount(every=1)).json(self.PATH, **query)
        assert torn == client().json(self.PATH, **query)


class TestTroubles:
    def test_a_reset_is_a_connection_error(self) -> None:
        with pytest.raises(requests.exceptions.ConnectionError, match="reset"):
            client(faults.ConnectionReset()).get(TEAMS)

    def test_a_cut_body_breaks_the_promised_length(self) -> None:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            client(faults.CutBody()).get(TEAMS)

    def test_a_cut_body_may_keep_it_and_be_no_json(self) -> None:
        response = client(faults.CutBody(how="json")).get(TEAMS)
        assert response.status_code == 200
        with pytest.raises(requests.exceptions.JSONDecodeError):
            response.json()

    def test_a_slow_answer_takes_its_time(self) -> None:
        slept: list[float] = []
        sentry = client(faults.Slow(seconds=3), sleep=slept.append, latency_s=0.5)
        assert sentry.get(TEAMS).status_code == 200
        assert slept == [3.5]

    @pytest.mark.parametrize("fault", [faults.Slow(seconds=60), faults.StallForever()])
    def test_patience_ends_with_a_timeout(self, fault: Fault) -> None:
        slept: list[float] = []
        with pytest.raises(requests.exceptions.ReadTimeout):
            client(fault, sleep=slept.append).get(TEAMS)
        assert slept == [5]

    def test_endless_waiting_is_said_to_be_a_mistake(self) -> None:
        sentry = client(faults.StallForever())
        with pytest.raises(RuntimeError, match="without timeout"):
            sentry.session.get(f"{sentry.host}/api/0/{TEAMS}")
