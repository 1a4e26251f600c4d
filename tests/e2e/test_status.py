"""Changes of status without a new event, issues merged and deleted: told by full passes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from requests import PreparedRequest, Response

from tap_sentry import demo as faults
from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.errors import AuthError
from tap_sentry.tap import TapSentry
from tests.sync import NOW, FakeTime, Messages, sync

HOUR_S = 3600
# As long as the demo keeps events: so no window is empty.
DAYS = 31

State = dict[str, Any]
Row = dict[str, Any]


class Crowded(DemoSentry):
    """Counts more issues than there are, so that the tap reads them day by day."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        response.headers["X-Hits"] = "1000"
        return response


def demo(time: FakeTime) -> DemoSentry:
    return DemoSentry(World(clock=time.now, scale=0.3), limits=None)


def issues(messages: Messages) -> dict[str, Row]:
    return {row["id"]: row for row in messages.records["issues"]}


def quiet(time: FakeTime, hours: float) -> list[str]:
    """Issues whose status changes within so many hours, without an event."""
    until = time.now() + timedelta(hours=hours)
    found = World(clock=time.now, scale=0.3).quiet_changes(until)
    # Those that were seen within the look-back are read again anyway.
    recent = {
        seen.issue.id
        for seen in World(clock=time.now, scale=0.3).issues()
        if seen.last_seen > time.now_s - 2 * HOUR_S
    }
    return [issue for issue in found if issue not in recent]


class TestChangeOfStatus:
    @pytest.fixture
    def time(self) -> FakeTime:
        return FakeTime()

    def test_comes_with_the_next_full_pass_and_not_before(self, time: FakeTime) -> None:
        sentry = demo(time)
        first = sync(sentry, "issues", time=time)
        changed = quiet(time, 24)
        assert changed
        began = time.now_s
        state = first.states[-1]
        for hours in (1, 12, 23.9):
            time.now_s = began + hours * HOUR_S
            between = sync(sentry, "issues", time=time, state=state)
            assert not set(changed) & set(issues(between))
            state = between.states[-1]
        time.now_s = began + 24 * HOUR_S
        passing = issues(sync(sentry, "issues", time=time, state=state))
        now = {seen.issue.id: seen for seen in sentry.world.issues()}
        assert set(passing) == {issue for issue in now if now[issue].issue.category == "error"}
        for issue in changed:
            assert passing[issue]["status"] == now[issue].status
            assert (passing[issue]["status"], passing[issue]["substatus"]) != (
                issues(first)[issue]["status"],
                issues(first)[issue]["substatus"],
            )

    def test_comes_as_often_as_the_setting_says(self, time: FakeTime) -> None:
        sentry = demo(time)
        first = sync(sentry, "issues", time=time)
        time.now_s += 2 * HOUR_S
        state = first.states[-1]
        seldom = sync(sentry, "issues", time=time, state=state, issues_full_pass_hours=3)
        often = sync(sentry, "issues", time=time, state=state, issues_full_pass_hours=1)
        assert len(issues(seldom)) < 0.7 * len(issues(first))
        assert len(issues(often)) >= len(issues(first))

    def test_of_an_issue_with_new_events_comes_with_them(self, time: FakeTime) -> None:
        sentry = demo(time)
        first = sync(sentry, "issues", time=time)
        time.now_s += 6 * HOUR_S
        second = issues(sync(sentry, "issues", time=time, state=first.states[-1]))
        since = NOW.timestamp()
        active = {seen.issue.id for seen in sentry.world.issues() if seen.last_seen > since}
        assert active
        assert active <= set(second)

    def test_costs_no_pass_when_nothing_is_due(self, time: FakeTime) -> None:
        sentry = demo(time)
        state = sync(sentry, "issues", time=time).states[-1]
        time.now_s += HOUR_S
        before = len(sentry.requests)
        sync(sentry, "issues", time=time, state=state)
        listings = [r for r in sentry.requests[before:] if r.path.endswith("/issues/")]
        assert len(listings) <= 2


def interrupted(sentry: DemoSentry, time: FakeTime, state: State | None) -> tuple[Messages, State]:
    """A run that Sentry breaks off, and the state that the tap then holds, as SIGTERM writes it."""
    taps: list[TapSentry] = []
    messages = sync(
        sentry,
        "issues",
        time=time,
        state=state,
        raises=[AuthError],
        change_tap=taps.append,
        retention_days=DAYS,
    )
    assert isinstance(messages.error, AuthError)
    return messages, dict(taps[0].state)


def oldest_asked(sentry: DemoSentry) -> datetime:
    """Where the oldest listing of issues begins."""
    starts = []
    for request in sentry.requests:
        query = dict(request.query).get("query", "")
        if query.startswith("lastSeen:>="):
            starts.append(timestamps.parse(query.split()[0].removeprefix("lastSeen:>=") + "Z"))
    return min(starts)


class TestInterruptedFullPass:
    def test_is_continued_where_it_was(self) -> None:
        time = FakeTime()
        state: State = sync(Crowded(time_world(time), limits=None), "issues", time=time).states[-1]
        assert "full_pass_reached" not in state["bookmarks"]["issues"]
        time.now_s += 25 * HOUR_S
        began = timestamps.text(time.now())
        fault = faults.Unauthorized(path="*/issues/", at=40, times=100_000)
        broken, state = interrupted(
            Crowded(time_world(time), limits=None, faults=[fault]), time, state
        )
        time.now_s += HOUR_S
        sentry = Crowded(time_world(time), limits=None)
        rest = sync(sentry, "issues", time=time, state=state, retention_days=DAYS)
        assert broken.records["issues"]
        both = {**issues(broken), **issues(rest)}
        assert set(both) >= {seen.issue.id for seen in sentry.world.issues()}
        assert {row["fullPassAt"] for row in both.values()} == {began}
        assert oldest_asked(sentry) > NOW - timedelta(days=DAYS - 5)
        assert len(issues(rest)) < len(both)
        assert "full_pass_reached" not in rest.states[-1]["bookmarks"]["issues"]

    def test_is_followed_by_the_next_one_in_time(self) -> None:
        time = FakeTime()
        fault = faults.Unauthorized(path="*/issues/", at=40, times=100_000)
        _, state = interrupted(Crowded(time_world(time), limits=None, faults=[fault]), time, None)
        time.now_s += HOUR_S
        rest = sync(Crowded(time_world(time), limits=None), "issues", time=time, state=state)
        time.now_s += 24 * HOUR_S
        sentry = demo(time)
        following = issues(sync(sentry, "issues", time=time, state=rest.states[-1]))
        assert set(following) == {seen.issue.id for seen in sentry.world.issues()}
        assert {row["fullPassAt"] for row in following.values()} == {timestamps.text(time.now())}


def time_world(time: FakeTime) -> World:
    return World(clock=time.now, scale=0.3)


class TestIssueThatIsNoMore:
    def test_is_told_by_a_full_pass_that_it_was_not_in(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        first = sync(sentry, "issues", time=time)
        deleted, merged, survivor = (seen.issue.id for seen in sentry.world.issues()[10:13])
        sentry.world.delete_issue(deleted)
        sentry.world.merge(merged, survivor)
        time.now_s += 3 * HOUR_S
        between = sync(sentry, "issues", time=time, state=first.states[-1])
        table = {**issues(first), **issues(between)}
        assert stale(table, forgotten=()) == set()  # no pass has missed them yet
        time.now_s += 22 * HOUR_S
        passing = sync(sentry, "issues", time=time, state=between.states[-1])
        table |= issues(passing)
        horizon = timestamps.text(time.now() - timedelta(days=30))
        forgotten = [key for key, row in table.items() if row["lastSeen"] < horizon]
        assert stale(table, forgotten) == {deleted, merged}


def stale(table: dict[str, Row], forgotten: Collection[str]) -> set[str]:
    """What the latest full pass did not bring, but for what Sentry keeps no longer."""
    latest = max(row["fullPassAt"] for row in table.values())
    return {key for key, row in table.items() if row["fullPassAt"] < latest} - set(forgotten)


def test_asks_by_last_seen_for_every_status() -> None:
    urls: list[str] = []

    class Listening(DemoSentry):
        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            urls.append(str(request.url))
            return super().send(request, *args, **kwargs)

    sync(Listening(World(clock=lambda: NOW, scale=0.1), limits=None), "issues")
    listings = [
        parse_qs(urlsplit(url).query) for url in urls if urlsplit(url).path.endswith("/issues/")
    ]
    assert listings
    for query in listings:
        assert query["query"][0].startswith("lastSeen:>=")
        assert "start" not in query
