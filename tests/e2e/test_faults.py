"""What Sentry and the network do wrong, and that no row is lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from tap_sentry import demo as faults
from tap_sentry.demo import DemoSentry, World
from tap_sentry.errors import AuthError, SentryUnavailable, UnexpectedAnswer
from tests.sync import NOW, FakeTime, Messages, sync

STREAMS = ("issues", "events", "releases", "teams")


def run(*fault: Any, streams: tuple[str, ...] = STREAMS, **options: Any) -> Messages:
    time = FakeTime()
    # The world stands still, so that runs that waited differ in nothing else.
    sentry = DemoSentry(
        World(clock=lambda: NOW, scale=0.3),
        limit_clock=time.clock,
        sleep=time.sleep,
        faults=fault,
    )
    return sync(sentry, *streams, time=time, **options)


@pytest.fixture(scope="module")
def undisturbed() -> Messages:
    return run()


def assert_same(found: Messages, expected: Messages) -> None:
    for stream in STREAMS:
        assert found.rows(stream) == expected.rows(stream), stream


class TestIsTriedAgain:
    @pytest.mark.parametrize(
        "fault",
        [
            faults.TooManyRequests(every=3, reset_after_s=60),
            faults.TooManyRequests(at=2, times=5, reset_after_s=60),
            faults.ServerError(every=4, status=500),
            faults.ServerError(every=4, status=502),
            faults.ConnectionReset(every=4),
            faults.CutBody(every=4),
            faults.SnubaRateLimited(path="*/events/", every=3),
            faults.EmptyPage(every=3),
            faults.Slow(every=4, seconds=30),
            faults.StallForever(every=5),
        ],
        ids=lambda fault: f"{type(fault).__name__}-{fault.every or fault.at}",
    )
    def test_and_the_rows_are_all_there(self, fault: Any, undisturbed: Messages) -> None:
        assert_same(run(fault), undisturbed)

    def test_a_query_timeout_is_asked_again_in_halves(self, undisturbed: Messages) -> None:
        fault = faults.QueryTimeout(path="*/issues/", at=1, times=2)
        assert_same(run(fault), undisturbed)


class TestStopsTheRun:
    def test_a_token_that_is_wrong_from_the_start(self) -> None:
        messages = run(faults.Unauthorized(at=1, times=1000), raises=[AuthError])
        assert isinstance(messages.error, AuthError)
        assert not messages.records

    def test_a_token_that_is_revoked_in_mid_run_leaves_the_bookmark_right(self) -> None:
        fault = faults.Unauthorized(at=50, times=1000)
        broken = run(fault, streams=("spans",), raises=[AuthError], max_concurrency=1)
        assert isinstance(broken.error, AuthError)
        assert len(broken.records["spans"]) > 0
        resumed = run(streams=("spans",), state=broken.states[-1])
        undisturbed = run(streams=("spans",))
        union = {**broken.rows("spans"), **resumed.rows("spans")}
        assert union == undisturbed.rows("spans")
        assert len(resumed.records["spans"]) < len(undisturbed.records["spans"])

    def test_sentry_that_stays_away(self) -> None:
        messages = run(faults.ServerError(at=5, times=1000), raises=[SentryUnavailable])
        assert isinstance(messages.error, SentryUnavailable)

    def test_a_cursor_that_repeats(self) -> None:
        messages = run(
            faults.RepeatCursor(path="*/issues/", at=2, times=3), raises=[UnexpectedAnswer]
        )
        assert "twice" in str(messages.error)


class TestIsSkippedAndReported:
    @pytest.mark.parametrize("fault", [faults.Forbidden, faults.Gone, faults.NotFound])
    def test_a_stream_that_sentry_refuses(
        self, fault: Any, undisturbed: Messages, caplog: pytest.LogCaptureFixture
    ) -> None:
        messages = run(fault(path="*/teams/", at=1, times=1000))
        assert not messages.records["teams"]
        assert messages.rows("events") == undisturbed.rows("events")
        assert any("Skipped" in line and "teams" in line for line in caplog.messages)

    def test_a_project_that_is_deleted_in_mid_run(
        self, undisturbed: Messages, caplog: pytest.LogCaptureFixture
    ) -> None:
        project = World(clock=FakeTime().now).projects()[1].id
        messages = run(faults.NotFound(path=f"*/{project}/events/", at=2, times=1000))
        expected = {
            key: row
            for key, row in undisturbed.rows("events").items()
            if row["projectID"] != project
        }
        assert messages.rows("events") == expected
        assert any("Skipped" in line and project in line for line in caplog.messages)
        bookmarks = messages.states[-1]["bookmarks"]["events"]["partitions"]
        gone = next(part for part in bookmarks if part["context"]["projectID"] == project)
        assert "replication_key_value" not in gone

    def test_a_release_whose_detail_is_refused_for_a_while_comes_with_the_next_run(self) -> None:
        fault = faults.Gone(path="*/releases/?*/", at=3, times=2)
        broken = run(fault, streams=("release",))
        resumed = run(streams=("release",), state=broken.states[-1])
        undisturbed = run(streams=("release",))
        union = {**broken.rows("release"), **resumed.rows("release")}
        assert union == undisturbed.rows("release")

    def test_a_release_that_was_deleted_holds_up_no_other(self) -> None:
        fault = faults.NotFound(path="*/releases/?*/", at=3)
        found = run(fault, streams=("release",)).rows("release")
        assert len(found) == len(run(streams=("release",)).rows("release")) - 1

    def test_a_refused_list_of_projects_costs_only_what_needs_it(self) -> None:
        messages = run(faults.Forbidden(path="*/projects/", at=1, times=1000))
        assert not messages.records["events"]
        assert messages.records["issues"]
        assert messages.records["teams"]

    def test_a_refused_stream_is_not_asked_for_again_and_again(self) -> None:
        fault = faults.Forbidden(path="*/organizations/*/events/", at=1, times=1000)
        time = FakeTime()
        sentry = DemoSentry(World(clock=lambda: NOW), limits=None, faults=[fault])
        messages = sync(sentry, "spans", time=time)
        assert not messages.records["spans"]
        assert len(sentry.requests) <= 3

    def test_a_missing_link_header_ends_the_listing(self) -> None:
        messages = run(faults.MissingLink(path="*/teams/", at=1), streams=("teams",))
        assert messages.records["teams"]


class TestOldServers:
    def test_that_cannot_count_are_read_in_windows_of_a_week(self, undisturbed: Messages) -> None:
        # 90 days are asked for, the demo keeps 30: the older windows are outside its retention.
        messages = run(
            faults.Forbidden(path="*/organizations/*/events/", at=1), streams=("events",)
        )
        assert messages.rows("events") == undisturbed.rows("events")


class TestWaits:
    def test_through_a_window_of_a_minute(self) -> None:
        time = FakeTime()
        fault = faults.TooManyRequests(path="*/teams/", at=1, reset_after_s=60)
        sentry = DemoSentry(
            World(clock=time.now), limit_clock=time.clock, sleep=time.sleep, faults=[fault]
        )
        messages = sync(sentry, "teams", time=time)
        assert messages.records["teams"]
        assert 55 <= time.slept_s <= 70
