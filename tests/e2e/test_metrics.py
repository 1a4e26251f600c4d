"""What the METRIC lines of a sync tell to machines."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest

from tap_sentry import demo as faults
from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.errors import AuthError
from tests.sync import NOW, FakeTime, Messages, sync

STREAMS = ("issues", "events", "releases", "teams")
COVERAGE = "acme-shop:-1"  # all projects of the demo


class Run(NamedTuple):
    """A sync and the points of its METRIC lines."""

    messages: Messages
    points: list[dict[str, Any]]

    def values(self, metric: str, tag: str = "stream") -> dict[str, Any]:
        """The values of a metric by one of its tags."""
        found = [point for point in self.points if point["metric"] == metric]
        return {point["tags"][tag]: point["value"] for point in found}

    def tags(self, metric: str) -> list[dict[str, Any]]:
        return [point["tags"] for point in self.points if point["metric"] == metric]

    def bookmarks(self, stream: str) -> list[float]:
        """Those of the last STATE, as epoch seconds."""
        found = self.messages.states[-1]["bookmarks"].get(stream, {})
        parts = [part.get("replication_key_value") for part in found.get("partitions", [found])]
        return [timestamps.parse(value).timestamp() for value in parts if value]


Running = Callable[..., Run]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Running:
    """Runs a sync from a demo with faults."""
    caplog.set_level(logging.INFO)

    def running(*fault: Any, streams: tuple[str, ...] = STREAMS, **options: Any) -> Run:
        caplog.clear()
        time = FakeTime()
        world = World(clock=lambda: NOW, scale=0.3)
        sentry = DemoSentry(world, limit_clock=time.clock, sleep=time.sleep, faults=fault)
        messages = sync(sentry, *streams, time=time, **options)
        lines = [text for text in caplog.messages if text.startswith("METRIC: ")]
        return Run(messages, [json.loads(line.removeprefix("METRIC: ")) for line in lines])

    return running


class TestStreamRequests:
    def test_are_told_once_for_each_selected_stream(self, run: Running) -> None:
        tags = run().tags("stream_request_count")
        assert sorted(each["stream"] for each in tags) == sorted(STREAMS)

    def test_add_up_to_those_of_the_endpoints(self, run: Running) -> None:
        told = run(organization="acme-shop", streams=("teams", "events", "issues"))
        beside = 2  # the organization and its projects, which all streams share
        endpoints = told.values("http_request_count", "endpoint")
        streams = told.values("stream_request_count")
        assert sum(streams.values()) + beside == sum(endpoints.values())
        assert min(streams.values()) > 0

    def test_stand_beside_what_was_planned(self, run: Running) -> None:
        told = run()
        tags = {each["stream"]: each for each in told.tags("stream_request_count")}
        assert tags["events"]["planned_rows"] == len(told.messages.records["events"])
        assert tags["events"]["planned_requests"] > 0
        assert tags["teams"]["planned_rows"] is tags["teams"]["planned_requests"] is None

    def test_are_told_of_a_run_that_fails(self, run: Running) -> None:
        told = run(faults.Unauthorized(at=20, times=1000), raises=[AuthError])
        assert isinstance(told.messages.error, AuthError)
        assert set(told.values("stream_request_count")) == set(STREAMS)


class TestBookmark:
    def test_is_the_earliest_of_all_partitions(self, run: Running) -> None:
        first = run()
        state = first.messages.states[-1]
        late = timestamps.text(NOW - timedelta(days=3))
        partitions = state["bookmarks"]["events"]["partitions"]
        partitions[1]["replication_key_value"] = late
        told = run(streams=("events",), state=state, end_date=late)  # the others are further
        assert told.values("bookmark") == {"events": timestamps.parse(late).timestamp()}
        assert told.tags("bookmark") == [{"stream": "events", "parts": len(partitions)}]

    def test_is_that_of_the_state(self, run: Running) -> None:
        told = run()
        bookmarks = told.values("bookmark")
        assert set(bookmarks) == {"issues", "events", "releases"}  # teams are read whole
        for stream, value in bookmarks.items():
            assert value == min(told.bookmarks(stream))
            reached = datetime.fromtimestamp(value, tz=timezone.utc)
            assert NOW - timedelta(minutes=6) < reached <= NOW

    def test_of_an_interrupted_stream_is_the_one_that_was_written(self, run: Running) -> None:
        # Its rows move the tap's own bookmark, but are too few for a STATE of their own.
        ago = timestamps.text(NOW - timedelta(days=20))
        bookmark = {"replication_key": "changedAt", "replication_key_value": ago}
        state = {"bookmarks": {"release": {**bookmark, "coverage": COVERAGE}}}
        told = run(
            faults.Unauthorized(path="*/releases/*/", at=5, times=1000),
            streams=("release",),
            state=state,
            raises=[AuthError],
            max_concurrency=1,
        )
        assert isinstance(told.messages.error, AuthError)
        assert len(told.messages.records["release"]) > 1
        assert told.bookmarks("release") == [timestamps.parse(ago).timestamp()]
        assert told.values("bookmark") == {"release": timestamps.parse(ago).timestamp()}

    def test_is_silent_while_a_partition_has_none(self, run: Running) -> None:
        told = run(
            faults.Unauthorized(at=50, times=1000),
            streams=("spans",),
            raises=[AuthError],
            max_concurrency=1,
        )
        assert len(told.messages.records["spans"]) > 0
        assert told.values("bookmark") == {}

    def test_heeds_no_partition_that_is_no_longer_read(self, run: Running) -> None:
        state = run(streams=("events",)).messages.states[-1]
        partitions = state["bookmarks"]["events"]["partitions"]
        gone = {"context": {"projectID": "1"}, "replication_key_value": "2020-01-01T00:00:00Z"}
        told = run(
            streams=("events",),
            state={"bookmarks": {"events": {"partitions": [gone, *partitions]}}},
        )
        assert told.tags("bookmark") == [{"stream": "events", "parts": len(partitions)}]
        assert told.values("bookmark")["events"] > (NOW - timedelta(hours=1)).timestamp()


class TestWaitsAndRetries:
    def test_of_refusals_are_told(self, run: Running) -> None:
        told = run(faults.TooManyRequests(path="*/issues/", at=1, times=2, reset_after_s=60))
        retries = [tags for tags in told.tags("http_retry") if tags["endpoint"] == "issues"]
        assert [tags["reason"] for tags in retries] == ["429", "429"]
        assert told.values("rate_limit_wait", "endpoint")["issues"] > 30
        counted = {tags["endpoint"]: tags["retries"] for tags in told.tags("http_request_count")}
        assert sum(counted.values()) == len(told.tags("http_retry"))


class TestTraceContext:
    TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def test_comes_first(self, run: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRACEPARENT", self.TRACEPARENT)
        told = run(faults.ServerError(at=1), streams=("teams",))
        assert told.points[0]["metric"] == "trace_context"
        assert told.points[0]["tags"] == {"traceparent": self.TRACEPARENT}
        assert len(told.tags("trace_context")) == 1
        assert len(told.tags("http_retry")) == 1

    def test_is_silent_without_one(self, run: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRACEPARENT", raising=False)
        assert run(streams=("teams",)).tags("trace_context") == []
