from __future__ import annotations

import re
from typing import Any

import pytest

from tap_sentry.demo import DemoSentry, EmptyPage, RepeatCursor
from tests.unit.demo.client import HOST, ORGANIZATION, PROJECT, Client, frozen_world

EVENTS = f"{PROJECT}checkout-api/events/"
ISSUES = f"{ORGANIZATION}issues/"
EXPLORE = f"{ORGANIZATION}events/"
RECENT = ("detectors", "events-timeseries", "project-keys", "replays", "workflows")


def client(dialect: str, **options: Any) -> Client:
    return Client(DemoSentry(frozen_world(), dialect=dialect, **options))


class TestDialect:
    def test_is_sentrys_own_unless_told_otherwise(self) -> None:
        headers = Client(DemoSentry(frozen_world())).get(EVENTS).headers
        assert "X-Sentry-Rate-Limit-Limit" in headers

    @pytest.mark.parametrize("dialect", ["older", "glitchtip"])
    def test_of_others_knows_no_limits(self, dialect: str) -> None:
        sentry = client(dialect)
        answers = [sentry.get(EVENTS, per_page=1) for _ in range(70)]
        assert {answer.status_code for answer in answers} == {200}
        assert "X-Sentry-Rate-Limit-Limit" not in answers[0].headers

    def test_must_be_a_known_one(self) -> None:
        with pytest.raises(KeyError):
            client("klingon")

    @pytest.mark.parametrize("dialect", ["older", "glitchtip"])
    def test_of_others_still_asks_for_a_token(self, dialect: str) -> None:
        assert client(dialect, tokens={"a": ["org:read"]}).get(EVENTS).status_code == 401


class TestOlder:
    def test_ignores_dates_and_order_of_project_events(self) -> None:
        rows = Client().rows(EVENTS)
        window = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-13T00:00:00Z"}
        assert client("older").rows(EVENTS, sample="true", **window) == rows

    def test_sends_full_pages_of_a_hundred(self) -> None:
        assert len(client("older").json(EVENTS, full="true")) == 100

    def test_takes_only_numbers_for_projects(self) -> None:
        sentry = client("older")
        response = sentry.get(ISSUES, project="payments")
        assert response.status_code == 400
        assert response.json()["detail"] == "Invalid project parameter. Values must be numbers."
        assert sentry.get(ISSUES, project=["4507200000000104", "-1"]).ok

    @pytest.mark.parametrize("place", RECENT)
    def test_lacks_what_is_recent(self, place: str) -> None:
        assert client("older").get(f"{ORGANIZATION}{place}/").status_code == 404

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"dataset": "spans"}, "dataset must be one of"),
            ({"dataset": "errors", "sampling": "HIGHEST_ACCURACY"}, "sampling"),
        ],
    )
    def test_refuses_what_explore_learnt_since(self, query: dict[str, str], words: str) -> None:
        response = client("older").get(EXPLORE, field="id", project=-1, **query)
        assert response.status_code == 400
        assert words in response.json()["detail"]

    def test_counts_errors(self) -> None:
        query = {"dataset": "errors", "project": -1, "field": ["issue.id", "count()"]}
        assert client("older").rows(EXPLORE, **query) == Client().rows(EXPLORE, **query)


class TestGlitchTip:
    @pytest.mark.parametrize(
        "path",
        [
            *(f"{ORGANIZATION}{place}/" for place in RECENT),
            EXPLORE,
            f"{ORGANIZATION}monitors/",
            f"{ORGANIZATION}sessions/",
            f"{ORGANIZATION}stats_v2/",
            f"{ISSUES}1/events/latest/",
            "nothing/at/all/",
        ],
    )
    def test_shows_its_front_page_for_what_it_does_not_know(self, path: str) -> None:
        response = client("glitchtip").get(path)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert response.text.startswith("<!doctype html>")

    def test_lists_fifty_unless_the_limit_says_otherwise(self) -> None:
        sentry = client("glitchtip")
        assert len(sentry.json(EVENTS, per_page=100)) == 50
        assert len(sentry.json(EVENTS, limit=7)) == 7
        assert len(sentry.json(ISSUES, query="", project=-1)) == 50

    def test_writes_its_link_as_a_python_set(self) -> None:
        link = client("glitchtip").get(EVENTS, limit=5).headers["Link"]
        assert re.fullmatch(
            rf"\{{'<{HOST}/api/0/{EVENTS}\?limit=5>; rel=\"previous\"; results=\"false\", "
            rf"<{HOST}/api/0/{EVENTS}\?limit=5&cursor=[\w%]+>; rel=\"next\"; results=\"true\"; "
            rf"cursor=\"[\w/+]+=+\"'\}}",
            link,
        )

    @pytest.mark.parametrize("path", [EVENTS, ISSUES, f"{ORGANIZATION}projects/"])
    def test_pages_through_everything(self, path: str) -> None:
        found = pages(client("glitchtip"), path, limit=23, query="", project=-1)
        expected = Client().rows(path, query="", project=-1)
        assert [row["id"] for page in found for row in page] == [row["id"] for row in expected]
        assert len(found) > len(expected) // 24

    def test_refuses_a_cursor_that_it_did_not_write(self) -> None:
        for cursor in ("0:50:0", "bm90aGluZw=="):
            assert client("glitchtip").get(EVENTS, cursor=cursor).status_code == 400

    def test_can_be_spoilt_like_sentry(self) -> None:
        empty = pages(client("glitchtip", faults=[EmptyPage(at=2)]), EVENTS, limit=50)
        assert [len(page) for page in empty[:3]] == [50, 0, 50]
        repeating = client("glitchtip", faults=[RepeatCursor(every=1)])
        first, second = (repeating.get(EVENTS).headers["Link"] for _ in range(2))
        assert first == second


def pages(sentry: Client, path: str, **query: Any) -> list[list[Any]]:
    """The pages of a listing as a client reads them that looks for cursors in the header's text."""
    found = []
    while True:
        response = sentry.get(path, **query)
        found.append(response.json())
        following = re.search(
            r'rel="next"; results="true"; cursor="([^"]+)"', response.headers["Link"]
        )
        if following is None:
            return found
        query["cursor"] = following[1]
