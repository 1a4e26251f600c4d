"""Spans: all of them, in windows of bounded size, whatever the server says of its counts."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from requests import PreparedRequest, Response

from tap_sentry import demo as faults
from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.demo.explore_fields import SPAN_FIELDS as KNOWN_FIELDS
from tap_sentry.demo.explore_fields import value
from tap_sentry.streams.spans import Spans
from tap_sentry.tap import TapSentry
from tests.sync import NOW, FakeTime, Messages, sync

Query = dict[str, list[str]]


class Window(NamedTuple):
    """What one listing asked for."""

    project: str
    start: datetime
    end: datetime


def windows_of(most_rows: int) -> Callable[[TapSentry], None]:
    """Makes the tap read windows of so many rows."""

    class Narrow(Spans):
        @property
        def most_rows(self) -> int:
            return most_rows

    def change(tap: TapSentry) -> None:
        narrow = Narrow(tap, lambda: tap.organization)
        narrow.selected = True
        tap.streams["spans"] = narrow

    return change


def listings(sentry: DemoSentry) -> list[tuple[Window, Query]]:
    """The first page of each listing of spans, in the order asked."""
    found = []
    for request in sentry.requests:
        query: Query = defaultdict(list)
        for name, text in request.query:
            query[name].append(text)
        if "id" in query["field"] and "cursor" not in query:
            start, end = (timestamps.parse(query[name][0]) for name in ("start", "end"))
            found.append((Window(query["project"][0], start, end), query))
    return found


@pytest.fixture(scope="module")
def world() -> World:
    return World(clock=lambda: NOW, scale=0.3)


def calm(world: World, *fault: Any, **options: Any) -> DemoSentry:
    return DemoSentry(world, limits=None, faults=fault, **options)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Messages:
    return sync(calm(world), "spans")


class TestWindows:
    @pytest.fixture
    def sentry(self, world: World, undisturbed: Messages) -> DemoSentry:
        sentry = calm(world)
        found = sync(sentry, "spans", change_tap=windows_of(150))
        assert found.rows("spans") == undisturbed.rows("spans")
        return sentry

    def test_hold_no_more_rows_than_they_should(self, sentry: DemoSentry, world: World) -> None:
        spans = world.spans()
        asked = listings(sentry)
        assert len(asked) > 40
        for window, _ in asked:
            rows = sum(
                span.transaction.project.id == window.project
                and window.start.timestamp() <= int(span.started) < window.end.timestamp()
                for span in spans
            )
            assert rows <= 150 or window.end - window.start <= timedelta(minutes=1)

    def test_cover_the_whole_time_of_each_project_once(self, sentry: DemoSentry) -> None:
        by_project = defaultdict(list)
        for window, _ in listings(sentry):
            by_project[window.project].append(window)
        for windows in by_project.values():
            ordered = sorted(windows)
            assert ordered[0].start == NOW.replace(hour=0) - timedelta(days=90)
            assert ordered[-1].end == NOW - timedelta(minutes=5)
            for one, following in pairwise(ordered):
                assert one.end == following.start

    def test_are_asked_for_in_a_total_order_and_full_accuracy(self, sentry: DemoSentry) -> None:
        for _, query in listings(sentry):
            assert query["sort"] == ["-timestamp", "-id"]
            assert query["sampling"] == ["HIGHEST_ACCURACY"]
            assert len(query["field"]) <= 20


class TestAll:
    def test_are_those_of_the_world(self, world: World, undisturbed: Messages) -> None:
        end = (NOW - timedelta(minutes=5)).timestamp()
        expected = {
            (int(span.transaction.project.id), span.transaction.trace.id, span.id)
            for span in world.spans()
            if int(span.started) < end
        }
        assert set(undisturbed.rows("spans")) == expected
        assert len(undisturbed.records["spans"]) == len(expected)
        assert {row["dataScanned"] for row in undisturbed.records["spans"]} == {"full"}

    def test_come_with_the_next_run_when_they_come_late(self) -> None:
        time = FakeTime()
        world = World(clock=time.now, scale=150)
        sentry = calm(world)
        start = (NOW - timedelta(hours=2)).isoformat()
        first = sync(sentry, "spans", time=time, start_date=start)
        end = (NOW - timedelta(minutes=5)).timestamp()
        begin = (NOW - timedelta(hours=1)).timestamp()
        before = {span.id for span in world.spans_between(begin, end)}
        time.now_s += 3600
        late = {span.id for span in world.spans_between(begin, end)} - before
        assert late
        second = sync(sentry, "spans", time=time, start_date=start, state=first.states[-1])
        fresh = sync(sentry, "spans", time=time, start_date=start)
        assert late <= {row["id"] for row in second.records["spans"]}
        assert {**first.rows("spans"), **second.rows("spans")} == fresh.rows("spans")
        assert len(second.records["spans"]) < 0.7 * len(fresh.records["spans"])


class Hiding(DemoSentry):
    """A Sentry that leaves out a row of each listing the first time it is asked for."""

    def __init__(self, world: World) -> None:
        super().__init__(world, limits=None)
        self._seen: set[str] = set()

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        url = str(request.url)
        if "field=id&" in url and "cursor" not in url and url not in self._seen:
            self._seen.add(url)
            body = response.json()
            del body["data"][3:4]
            response._content = json.dumps(body).encode()
        return response


class TestCountHigherThanWhatCame:
    def test_makes_one_more_reading_and_a_warning(
        self, world: World, undisturbed: Messages, caplog: pytest.LogCaptureFixture
    ) -> None:
        sentry = calm(world, faults.TornCount(times=10_000))
        found = sync(sentry, "spans", change_tap=windows_of(100_000))
        assert found.rows("spans") == undisturbed.rows("spans")
        assert len(found.records["spans"]) == len(found.rows("spans"))
        readings = Counter(window for window, _ in listings(sentry))
        assert set(readings.values()) == {2}
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len([line for line in warnings if "but lists" in line]) == len(readings)

    def test_brings_the_row_that_the_first_reading_lacked(
        self, world: World, undisturbed: Messages, caplog: pytest.LogCaptureFixture
    ) -> None:
        # From and to whole hours: of half a bucket of time Sentry's count is no measure.
        start, end = "2026-10-25T00:00:00Z", "2026-11-20T00:00:00Z"
        found = sync(
            Hiding(world), "spans", change_tap=windows_of(300), start_date=start, end_date=end
        )
        expected = {
            key: row
            for key, row in undisturbed.rows("spans").items()
            if start <= row["timestamp"] < end
        }
        assert found.rows("spans") == expected
        assert not any("but lists" in line for line in caplog.messages)

    def test_that_is_right_makes_none(self, world: World) -> None:
        sentry = calm(world)
        sync(sentry, "spans", change_tap=windows_of(300))
        assert set(Counter(window for window, _ in listings(sentry)).values()) == {1}


class TestPartialAnswer:
    def test_is_asked_again_in_halves_until_it_is_full(
        self, world: World, undisturbed: Messages, caplog: pytest.LogCaptureFixture
    ) -> None:
        # Of today's project, where the first listing is: the second question of this path.
        sentry = calm(world, faults.Partial(path="*/organizations/*/events/", at=2))
        slug = world.projects()[0].slug
        found = sync(sentry, "spans", projects=[slug], start_date="2026-11-01")
        expected = {
            key: row
            for key, row in undisturbed.rows("spans").items()
            if row["project.id"] == int(world.projects()[0].id) and row["timestamp"] >= "2026-11-01"
        }
        assert found.rows("spans") == expected
        asked = [window for window, _ in listings(sentry)]
        assert len(asked) == 3
        whole, *halves = asked
        assert [halves[0].start, halves[0].end, halves[1].start, halves[1].end] == [
            whole.start,
            halves[1].start,
            halves[0].end,
            whole.end,
        ]
        assert not any("from a sample, whatever" in line for line in caplog.messages)

    def test_that_stays_so_is_marked_and_told_once(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        fault = faults.Partial(path="*/organizations/*/events/", at=2, times=10_000)
        sentry = calm(world, fault)
        found = sync(sentry, "spans", start_date="2026-11-01", max_concurrency=1)
        assert {row["dataScanned"] for row in found.records["spans"]} == {"partial"}
        assert len([x for x in caplog.messages if "from a sample, whatever" in x]) == 1
        # Three halvings of one window are 15 questions; each other window is one.
        assert len(listings(sentry)) < 15 + 3 * len(world.projects())


class RefusesSampling(DemoSentry):
    """A server of before 2025, which does not know `sampling` and lacks nothing else."""

    refused = 0

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        if "sampling=" in str(request.url):
            self.refused += 1
            response.status_code = 400
            detail = "sampling mode: HIGHEST_ACCURACY is not supported"
            response._content = json.dumps({"detail": detail}).encode()
        return response


class TestServerThatRefusesSampling:
    def test_gives_all_rows_and_is_soon_not_asked_for_it_any_more(
        self, world: World, undisturbed: Messages
    ) -> None:
        sentry = RefusesSampling(world, limits=None)
        found = sync(sentry, "spans", max_concurrency=4)
        assert found.rows("spans") == undisturbed.rows("spans")
        assert 1 <= sentry.refused <= 1 + 4


class TestFurtherAttributes:
    NAMES = (
        "tags[cart.items,number]",
        "tags[customer.tier]",
        "tags[server_name]",
        *sorted(set(KNOWN_FIELDS) - {"id", "span_id", "trace", "timestamp", "project.id"}),
    )

    @pytest.mark.parametrize("count", [1, 16, 40])
    def test_are_joined_to_their_spans(
        self, count: int, world: World, undisturbed: Messages
    ) -> None:
        names = self.NAMES[:count]
        assert len(names) == count
        sentry = calm(world)
        found = sync(sentry, "spans", change_tap=windows_of(500), span_attributes=list(names))
        rows, plain = found.rows("spans"), undisturbed.rows("spans")
        assert rows.keys() == plain.keys()
        checked = 0
        for span in world.spans():
            key = (int(span.transaction.project.id), span.transaction.trace.id, span.id)
            if key not in rows:
                continue
            checked += 1
            assert rows[key]["attributes"] == {name: value(span, name) for name in names}
            assert {**rows[key], "attributes": None} == plain[key]
        assert checked == len(rows)
        readings = Counter(window for window, _ in listings(sentry))
        assert set(readings.values()) == {1 + -(-count // 16)}
        assert max(len(query["field"]) for _, query in listings(sentry)) <= 20

    def test_named_twice_are_asked_for_once(self, world: World) -> None:
        sentry = calm(world)
        sync(sentry, "spans", span_attributes=["user.id", "user.id"], projects=["payments"])
        assert [query["field"].count("user.id") for _, query in listings(sentry)] == [1, 1]


class TestSample:
    def test_keeps_whole_traces_with_the_weight_of_all(self, undisturbed: Messages) -> None:
        world = World(clock=lambda: NOW, scale=0.3)
        found = sync(calm(world), "spans", sample_fraction=0.25, change_tap=windows_of(200))
        kept = {row["trace"] for row in found.records["spans"]}
        every = undisturbed.rows("spans")
        assert set(found.rows("spans")) == {
            key for key, row in every.items() if row["trace"] in kept
        }
        traces = {row["trace"] for row in every.values()}
        assert kept == {trace for trace in traces if int(trace[:12], 16) < 0.25 * 16**12}
        assert {row["sample_weight"] for row in found.records["spans"]} == {4.0}
        spread = (len(traces) * 0.25 * 0.75) ** 0.5
        assert abs(len(kept) - len(traces) / 4) < 4 * spread


class TestRetention:
    @pytest.mark.parametrize(("days", "told"), [(29, False), (60, True)])
    def test_is_told_where_more_is_asked_for(
        self, days: int, told: bool, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        sync(calm(world), "spans", start_date=(NOW - timedelta(days=days)).isoformat())
        assert any("keeps them whole for 30 days" in line for line in caplog.messages) == told


class TestPlan:
    def test_is_told_and_compared_with_what_happened(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        found = sync(calm(world), "spans", start_date="2026-11-01", span_attributes=["user.email"])
        rows, projects = len(found.records["spans"]), len(world.projects())
        planned = 2 * sum(
            -(-count // 100)
            for count in Counter(row["project.id"] for row in found.records["spans"]).values()
        )
        told = f"spans: {rows:,} in {projects} projects, about {planned} requests"
        assert any(line.startswith(f"{told} and ") for line in caplog.messages)
        result = next(line for line in caplog.messages if line.startswith(f"spans: {rows:,} rows"))
        assert f"(planned: {rows:,} rows, {planned} requests)" in result
