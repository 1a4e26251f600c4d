"""All streams are fetched side by side and written one after the other."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import pytest
from singer_sdk.contrib.msgspec import MsgSpecWriter

from tap_sentry import demo as faults
from tap_sentry.demo import SENTRY_LIMITS, DemoSentry, RateLimit, World
from tap_sentry.demo.exchange import Answer, Request
from tap_sentry.errors import AuthError
from tap_sentry.streams.spans import Spans
from tap_sentry.tap import TapSentry
from tests.sync import DEMO_URL, NOW, FakeTime, Messages, sync

# In the order in which the SDK writes them.
STREAMS = ("events", "issues", "releases", "spans", "teams")


@pytest.fixture(scope="module")
def world() -> World:
    return World(clock=lambda: NOW, scale=0.3)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Messages:
    return sync(DemoSentry(world, limits=None), *STREAMS)


def kind(request: Request) -> str:
    """The stream that a request is for, or what else it asks."""
    if "spans" in request.all("dataset"):
        return "spans"
    if "errors" in request.all("dataset") or "/events/" in request.path:
        return "events"
    return request.path.rstrip("/").rsplit("/", 1)[-1]


class Waiting(DemoSentry):
    """A Sentry whose project events come only once others were asked for."""

    def __init__(self, world: World, others: set[str]) -> None:
        super().__init__(world, limits=None)
        self.have_all_come = True
        self._others = set(others)
        self._is_free = threading.Event()
        self._guard = threading.Lock()

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        if "/projects/acme-shop/" in request.path:
            self.have_all_come &= self._is_free.wait(20)
        with self._guard:
            self._others.discard(kind(request))
            if not self._others:
                self._is_free.set()
        with super().answering(request) as answer:
            yield answer


class TestFetching:
    def test_of_later_streams_is_under_way_while_the_first_is_read(
        self, world: World, undisturbed: Messages
    ) -> None:
        sentry = Waiting(world, {"spans", "issues", "releases", "teams"})
        found = sync(sentry, *STREAMS)
        assert sentry.have_all_come
        for stream in STREAMS:
            assert found.rows(stream) == undisturbed.rows(stream)


class Order(MsgSpecWriter):
    """Notes the stream of each message."""

    def __init__(self) -> None:
        self.streams: list[str] = []

    def write_message(self, message: Any) -> None:
        line = json.loads(bytes(self.serialize_message(message)))
        if line["type"] != "STATE":
            self.streams.append(line["stream"])


class TestRows:
    def test_come_stream_by_stream(self, world: World) -> None:
        output, time = Order(), FakeTime()
        tap = TapSentry(
            config={"base_url": DEMO_URL, "rate_limit": 100_000},
            transport=DemoSentry(world, limits=None),
            clock=time.clock,
            sleep=time.sleep,
            message_writer=output,
        )
        for name, stream in tap.streams.items():
            stream.selected = name in STREAMS
        tap.sync_all()
        assert [name for name, _ in groupby(output.streams)] == list(STREAMS)

    def test_are_the_same_in_the_same_order_in_every_run(
        self, world: World, undisturbed: Messages
    ) -> None:
        again = sync(DemoSentry(world, limits=None), *STREAMS)
        assert again.records == undisturbed.records


class Narrow(Spans):
    """Spans in windows of a page."""

    @property
    def most_rows(self) -> int:
        return 100


class Measured(DemoSentry):
    """A Sentry that looks at what the tap holds in memory whenever it is asked."""

    def __init__(self, world: World, most_bytes: int) -> None:
        super().__init__(world, limits=None)
        self.most_ahead = self.largest = 0
        self.tap: TapSentry | None = None
        self._most_bytes = most_bytes
        self._guard = threading.Lock()

    def watch(self, tap: TapSentry) -> None:
        self.tap = tap
        tap.organization.feeds.most_bytes = self._most_bytes
        tap.streams["spans"] = narrow = Narrow(tap, lambda: tap.organization)
        narrow.selected = True

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        assert self.tap is not None
        feeds = self.tap.organization.feeds
        with feeds.changed:
            ahead = feeds.held_ahead()
        with super().answering(request) as answer:
            with self._guard:
                self.most_ahead = max(self.most_ahead, ahead)
                self.largest = max(self.largest, len(answer.content()))
            yield answer


class TestMemory:
    @pytest.mark.parametrize("most_bytes", [0, 300_000])
    def test_stays_within_its_bound_and_all_rows_come(
        self, most_bytes: int, world: World, undisturbed: Messages
    ) -> None:
        sentry = Measured(world, most_bytes)
        found = sync(sentry, *STREAMS, change_tap=sentry.watch, max_concurrency=4)
        for stream in STREAMS:
            assert found.rows(stream) == undisturbed.rows(stream)
        # Each thread of four may have received one body more than there was room for; as objects
        # a body takes six times its length.
        threads = 4 * (len(STREAMS) - 1)
        assert sentry.most_ahead <= most_bytes + threads * 6 * sentry.largest
        assert sentry.most_ahead > 0
        rows = [row for stream in STREAMS for row in undisturbed.records[stream]]
        assert sentry.most_ahead < 6 * len(json.dumps(rows))


def broken_off(world: World) -> Messages:
    """A run whose third stream has lost its right; all others are well."""
    fault = faults.Unauthorized(path="*/releases/", times=1000)
    return sync(DemoSentry(world, limits=None, faults=[fault]), *STREAMS, raises=[AuthError])


class TestError:
    def test_of_a_later_stream_surfaces_in_its_turn(
        self, world: World, undisturbed: Messages
    ) -> None:
        broken = broken_off(world)
        assert isinstance(broken.error, AuthError)
        for stream in ("events", "issues"):
            assert broken.records[stream] == undisturbed.records[stream]
        for stream in ("releases", "spans", "teams"):
            assert not broken.records[stream]

    def test_leaves_the_bookmarks_of_the_streams_before(
        self, world: World, undisturbed: Messages
    ) -> None:
        broken = broken_off(world)
        for stream in ("events", "issues"):
            expected = undisturbed.states[-1]["bookmarks"][stream]
            assert broken.states[-1]["bookmarks"][stream] == expected
        assert "replication_key_value" not in broken.states[-1]["bookmarks"].get("releases", {})

    def test_ends_in_a_summary(
        self, world: World, caplog: pytest.LogCaptureFixture, undisturbed: Messages
    ) -> None:
        caplog.set_level(logging.INFO)
        broken_off(world)
        assert any(line.startswith("Sync stopped") for line in caplog.messages)
        assert not any(line.startswith("Sync finished") for line in caplog.messages)
        for stream in ("events", "issues"):
            rows = len(undisturbed.records[stream])
            assert any(line.startswith(f"{stream}: {rows:,} rows, ") for line in caplog.messages)

    def test_leaves_no_thread_behind(self, world: World) -> None:
        before = set(threading.enumerate())
        broken_off(world)
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()


class TestProgress:
    def test_tells_rows_requests_and_the_share_of_what_is_planned(
        self, world: World, undisturbed: Messages
    ) -> None:
        told = progress_at(world, lambda request: kind(request) == "spans", 40)
        assert "rows written" in told
        assert "requests of about" in told
        assert "%)" in told

    def test_tells_what_requests_wait_for(self, world: World) -> None:
        time = FakeTime()
        told: list[str] = []
        taps: list[TapSentry] = []

        def sleep(seconds: float) -> None:
            told.append(taps[0].organization.report.so_far())
            time.sleep(seconds)

        limits = {**SENTRY_LIMITS, "issue": RateLimit(5, 10)}
        sentry = DemoSentry(world, limits=limits, limit_clock=time.clock, sleep=time.sleep)
        tap = TapSentry(
            config={"base_url": DEMO_URL, "rate_limit": 100_000},
            transport=sentry,
            clock=time.clock,
            sleep=sleep,
            message_writer=Order(),
        )
        taps.append(tap)
        for name, stream in tap.streams.items():
            stream.selected = name == "issue_detail"
        tap.sync_all()
        assert any(re.search(r"requests? waits? .* for Sentry's limit of issue", t) for t in told)

    def test_of_a_whole_run_ends_with_what_it_needed(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        sentry = DemoSentry(world, limits=None)
        sync(sentry, *STREAMS)
        line = next(line for line in caplog.messages if line.startswith("Sync finished"))
        assert f"{len(sentry.requests)} requests" in line
        assert "0 parts skipped" in line


def progress_at(world: World, is_counted: Callable[[Request], bool], number: int) -> str:
    """The line of progress at the n-th request of a kind."""
    told: list[str] = []
    taps: list[TapSentry] = []

    class Telling(DemoSentry):
        seen = 0

        @contextmanager
        def answering(self, request: Request) -> Iterator[Answer]:
            self.seen += is_counted(request)
            if self.seen == number and not told:
                told.append(taps[0].organization.report.so_far())
            with super().answering(request) as answer:
                yield answer

    sync(Telling(world, limits=None), *STREAMS, change_tap=taps.append)
    return told[0]
