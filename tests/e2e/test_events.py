"""Events: the same rows and the same sample on every route, as planned and told beforehand."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tap_sentry.demo import DemoSentry, Served, World, serve
from tap_sentry.demo.events import Event
from tap_sentry.demo.exchange import Answer, Request
from tap_sentry.planning import Route
from tap_sentry.schemas.events import NOT_EXPLORED
from tap_sentry.streams.events import Events
from tap_sentry.tap import TapSentry
from tests.sync import NOW, FakeTime, Messages, sync

HOUR_S = 3600
ROUTES = (Route.PROJECT, Route.ISSUE, Route.EXPLORE)
SAMPLED_ROUTES = (Route.PROJECT, Route.ISSUE, Route.SAMPLE)


def small(scale: float = 0.3, **options: Any) -> World:
    """A world that stands still."""
    return World(clock=lambda: NOW, scale=scale, **options)


def calm(world: World, dialect: str = "sentry") -> DemoSentry:
    return DemoSentry(world, limits=None, dialect=dialect)


def events_of(tap: TapSentry) -> Events:
    stream = tap.streams["events"]
    assert isinstance(stream, Events)
    return stream


def on(route: Route, *, columns: str = "all") -> Callable[[TapSentry], None]:
    """Makes the tap read every project on one route."""

    def change(tap: TapSentry) -> None:
        events = events_of(tap)
        if columns == "explored":
            leave_out_what_explore_lacks(tap)
        events.prepare()
        steps = tuple(step._replace(route=route) for step in events.plan.steps)
        events.plan = replace(events.plan, steps=steps)

    return change


def leave_out_what_explore_lacks(tap: TapSentry) -> None:
    events = events_of(tap)
    for column in NOT_EXPLORED:
        events.metadata["properties", column].selected = False
    events.selected = True  # which reads the selection of columns anew


def paths(sentry: DemoSentry) -> Counter[str]:
    """How many requests were for each kind of listing."""
    kinds: Counter[str] = Counter()
    for request in sentry.requests:
        is_listing = ("field", "id") in request.query
        if "/projects/" in request.path and request.path.endswith("/events/"):
            kinds["project events"] += 1
        elif "/issues/" in request.path and request.path.endswith("/events/"):
            kinds["issue events"] += 1
        elif request.path.endswith("/events/"):
            kinds["explore table" if is_listing else "counts"] += 1
    return kinds


def of_issue(messages: Messages) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in messages.records["events"]:
        found[row["groupID"]].append(row)
    return found


def weighted(messages: Messages) -> float:
    return float(sum(row["sample_weight"] for row in messages.records["events"]))


@pytest.fixture(scope="module")
def world() -> World:
    return small()


@lru_cache
def by_project(scale: float, slug: str | None) -> tuple[World, Messages]:
    """A world and what the simplest route brings of it, without what Explore lacks."""
    world = small(scale)
    change = on(Route.PROJECT, columns="explored")
    return world, sync(calm(world), "events", change_tap=change, projects=[slug] if slug else None)


class TestRoutes:
    @pytest.mark.parametrize(
        ("scale", "slug"), [(0.3, None), (2, "batch-worker")], ids=["one window", "many windows"]
    )
    @pytest.mark.parametrize("route", ROUTES, ids=str)
    def test_give_the_very_same_rows(self, route: Route, scale: float, slug: str | None) -> None:
        world, expected = by_project(scale, slug)
        sentry = calm(world)
        change = on(route, columns="explored")
        found = sync(sentry, "events", change_tap=change, projects=[slug] if slug else None)
        assert paths(sentry)[str(route)] >= len(world.projects())
        assert len(found.records["events"]) == len(found.rows("events"))
        assert found.rows("events") == expected.rows("events")

    def test_give_all_rows_of_the_world(self) -> None:
        world, found = by_project(0.3, None)
        end = (NOW - timedelta(minutes=5)).timestamp()
        expected = {event.id for event in world.events() if int(event.timestamp) < end}
        assert {row["eventID"] for row in found.records["events"]} == expected

    def test_give_no_column_that_is_not_selected(self) -> None:
        _, found = by_project(0.3, None)
        assert not set(NOT_EXPLORED) & set(found.records["events"][0])

    @pytest.mark.parametrize("dialect", ["sentry", "older"])
    def test_give_the_same_whole_bodies(self, dialect: str) -> None:
        world = small(0.1)
        by_project, by_issue = (
            sync(
                calm(world, dialect),
                "events",
                change_tap=on(route),
                fetch_event_details=True,
            )
            for route in (Route.PROJECT, Route.ISSUE)
        )
        assert all(row["entries"] for row in by_project.records["events"])
        assert by_issue.rows("events") == by_project.rows("events")

    @pytest.mark.parametrize(("dialect", "rows"), [("sentry", 10), ("older", 100)])
    def test_ask_for_whole_bodies_in_the_servers_pages(
        self, dialect: str, rows: int, world: World
    ) -> None:
        sentry = calm(world, dialect)
        found = sync(sentry, "events", change_tap=on(Route.PROJECT), fetch_event_details=True)
        bodies = Counter(row["projectID"] for row in found.records["events"])
        fewest = sum(-(-count // rows) for count in bodies.values())
        # One more tells the size of a page, one whether the server heeds dates.
        assert fewest <= paths(sentry)["project events"] <= 1.3 * fewest + 2


class PlanAtWork(logging.Handler):
    """Notes what had been asked of Sentry when the plan was told."""

    def __init__(self, sentry: DemoSentry) -> None:
        super().__init__()
        self.table = ""
        self.asked_before: list[Served] = []
        self._sentry = sentry

    def emit(self, record: logging.LogRecord) -> None:
        if "events: the plan" in record.getMessage():
            self.table = record.getMessage()
            self.asked_before = list(self._sentry.requests)


@contextmanager
def listening(sentry: DemoSentry) -> Iterator[PlanAtWork]:
    handler, root = PlanAtWork(sentry), logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler
    finally:
        root.removeHandler(handler)


class TestPlan:
    def test_is_told_before_the_first_event_is_asked_for(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        sentry = calm(world)
        with listening(sentry) as told:
            sync(sentry, "events")
        assert told.asked_before
        assert not any("/projects/acme-shop/" in request.path for request in told.asked_before)
        for project in world.projects():
            assert project.slug in told.table
        assert f"{world.counts()['events']:,} events, about 17 requests" in told.table

    def test_is_compared_with_what_happened(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        sentry = calm(world)
        rows = len(sync(sentry, "events").records["events"])
        requests = sum(paths(sentry).values())
        result = f"events: {rows:,} rows, {requests} requests (planned: {rows:,} rows, 17 requests)"
        assert result in caplog.messages

    def test_takes_issues_where_project_events_would_take_minutes(self, world: World) -> None:
        slept = {}
        for name, change in {"planned": lambda _: None, "forced": on(Route.PROJECT)}.items():
            time = FakeTime()
            sentry = DemoSentry(world, limit_clock=time.clock, sleep=time.sleep)
            sync(sentry, "events", time=time, change_tap=change, fetch_event_details=True)
            slept[name] = time.slept_s
            assert ("issue events" in paths(sentry)) == (name == "planned")
        assert slept["planned"] <= 0.6 * slept["forced"]

    def test_takes_the_explore_table_where_its_columns_do(self) -> None:
        world = small(2.6)  # project events would take more than a minute
        asked = []
        for change in (lambda _: None, leave_out_what_explore_lacks):
            sentry = calm(world)
            found = sync(sentry, "events", change_tap=change)
            asked.append(paths(sentry)["explore table"])
            assert len(found.rows("events")) == len(found.records["events"])
        assert asked[0] == 0
        assert asked[1] > 30

    def test_without_events_has_no_table(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        found = sync(calm(small(0)), "events", start_date=(NOW - timedelta(hours=1)).isoformat())
        assert not found.records["events"]
        assert not any("the plan" in line for line in caplog.messages)


def plan_of(sentry: DemoSentry, **settings: str) -> subprocess.CompletedProcess[str]:
    with serve(sentry) as url:
        given = {"base_url": url, "api_token": "any", "rate_limit": "1000", **settings}
        return subprocess.run(
            [sys.executable, "-m", "tap_sentry", "--config=ENV", "--plan"],
            env={f"TAP_SENTRY_{name.upper()}": value for name, value in given.items()}
            | {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


class TestPlanOption:
    def test_prints_the_plan_and_only_counts(self) -> None:
        now = datetime.now(timezone.utc)
        world, end = World(clock=lambda: now, scale=0.3), now - timedelta(hours=1)
        sentry = calm(world)
        finished = plan_of(sentry, end_date=end.isoformat())
        assert finished.returncode == 0, finished.stderr
        before = int(end.timestamp())
        events = Counter(e.issue.project for e in world.events() if int(e.timestamp) < before)
        pages = 0
        for project, rows in events.items():
            assert re.search(rf"^{project.slug} +{rows:,} .*project events", finished.stdout, re.M)
            pages += -(-rows // 100)
        total = f"together {events.total():,} events, about {pages} requests"
        assert total in finished.stdout
        spans = sum(int(span.started) < before for span in world.spans())
        assert f"spans: {spans:,} in 6 projects" in finished.stdout
        assert '"type"' not in finished.stdout  # no message of Singer's
        # The organization, its projects, and a count each of events and of spans.
        assert len(sentry.requests) <= 5
        assert not any("/projects/acme-shop/" in request.path for request in sentry.requests)

    def test_tells_of_a_server_that_cannot_count(self) -> None:
        finished = plan_of(calm(small(0.1), "glitchtip"))
        assert finished.returncode == 0, finished.stderr
        assert "events: Sentry cannot count them" in finished.stdout


class Moving(DemoSentry):
    """A Sentry in which something happens to an issue while its events are being asked for."""

    def __init__(self, world: World, change: Callable[[World, str], None]) -> None:
        super().__init__(world, limits=None)
        self.moved = ""
        self._change = change

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        parts = request.path.split("/")
        if not self.moved and "issues" in parts and parts[-2] == "events":
            self.moved = parts[-3]
            self._change(self.world, self.moved)
        with super().answering(request) as answer:
            yield answer


def merge_away(world: World, issue: str) -> None:
    merged = world.issue(issue)
    assert merged is not None
    survivor = max(
        (
            seen
            for seen in world.issues()
            if seen.issue.project is merged.issue.project and seen.issue.id != issue
        ),
        key=lambda seen: seen.count,
    )
    world.merge(issue, survivor.issue.id)


class TestIssueGoneSinceItWasCounted:
    @pytest.mark.parametrize("change", [World.delete_issue, merge_away])
    @pytest.mark.parametrize("route", [Route.ISSUE, Route.SAMPLE], ids=str)
    def test_loses_no_other_event(self, route: Route, change: Callable[[World, str], None]) -> None:
        sentry = Moving(small(), change)
        sampling = {"max_events_per_issue": 100_000} if route is Route.ISSUE else {
            "sample_fraction": 0.01, "min_events_per_issue": 2, "max_events_per_issue": 100_000,
        }  # fmt: skip
        found = sync(sentry, "events", change_tap=on(route), **sampling)
        assert sentry.moved
        end = (NOW - timedelta(hours=1)).timestamp()
        left = [event for event in sentry.world.events() if int(event.timestamp) < end]
        if route is Route.ISSUE:
            assert {event.id for event in left} <= {row[1] for row in found.rows("events")}
        else:
            kept = {row["groupID"] for row in found.records["events"]}
            assert {event.issue.id for event in left} <= kept


class TestSample:
    @pytest.mark.parametrize(
        "config",
        [
            {"sample_fraction": 0.2},
            {"sample_fraction": 0.2, "min_events_per_issue": 0},
            {"sample_fraction": 0.05, "min_events_per_issue": 3, "max_events_per_issue": 9},
            {"max_events_per_issue": 7},
            {"sample_fraction": 0.3, "max_events_per_project": 20},
            {"max_events_per_project": 50},
        ],
        ids=str,
    )
    def test_is_the_same_on_every_route_and_in_every_run(
        self, config: dict[str, Any], world: World
    ) -> None:
        routes = [
            route
            for route in SAMPLED_ROUTES
            if route is not Route.ISSUE or "max_events_per_project" not in config
        ]
        found = [sync(calm(world), "events", change_tap=on(r), **config) for r in routes]
        found.append(sync(calm(world), "events", **config))
        for messages in found:
            assert len(messages.records["events"]) == len(messages.rows("events")) > 0
            assert messages.rows("events").keys() == found[0].rows("events").keys()
            for key, row in messages.rows("events").items():
                assert row == found[0].rows("events")[key]

    def test_of_a_smaller_fraction_is_part_of_a_larger_one(self, world: World) -> None:
        kept = [
            set(sync(calm(world), "events", sample_fraction=fraction).rows("events"))
            for fraction in (0.02, 0.1, 0.4)
        ]
        assert kept[0] < kept[1] < kept[2]

    def test_honours_floor_and_ceiling(self, world: World) -> None:
        every = of_issue(sync(calm(world), "events", max_events_per_issue=100_000))
        limits: dict[str, Any] = {"min_events_per_issue": 4, "max_events_per_issue": 11}
        kept = of_issue(sync(calm(world), "events", sample_fraction=0.1, **limits))
        assert any(len(rows) > 11 for rows in every.values())
        assert {len(rows) for rows in kept.values()} > {1, 4, 11}
        for issue, rows in every.items():
            assert min(4, len(rows)) <= len(kept[issue]) <= 11

    def test_honours_the_cap_of_a_project_before_the_floor(self, world: World) -> None:
        found = sync(calm(world), "events", max_events_per_project=30, min_events_per_issue=5)
        projects = Counter(row["projectID"] for row in found.records["events"])
        assert set(projects.values()) == {30}

    def test_weighs_as_much_as_each_issue_has_events(self, world: World) -> None:
        every = of_issue(sync(calm(world), "events", max_events_per_issue=100_000))
        kept = of_issue(sync(calm(world), "events", sample_fraction=0.1, min_events_per_issue=1))
        assert kept.keys() == every.keys()
        for issue, rows in every.items():
            assert sum(row["sample_weight"] for row in kept[issue]) == pytest.approx(len(rows))

    @pytest.mark.parametrize("cap", [None, 60])
    def test_without_a_floor_is_right_on_average(self, cap: int | None) -> None:
        surplus = variance = 0.0
        for seed in range(12):
            world = small(0.1, seed=seed)
            everything = sync(calm(world), "events", max_events_per_issue=100_000)
            kept = sync(
                calm(world),
                "events",
                sample_fraction=0.25,
                min_events_per_issue=0,
                max_events_per_project=cap,
            )
            surplus += weighted(kept) - len(everything.records["events"])
            weights = [row["sample_weight"] for row in kept.records["events"]]
            variance += sum(weight * (weight - 1) for weight in weights)
        assert abs(surplus) <= 3 * variance**0.5

    def test_takes_requests_in_proportion(self) -> None:
        world = small(8, project_count=2)
        asked = []
        configs: tuple[dict[str, Any], ...] = (
            {},
            {"sample_fraction": 0.1, "min_events_per_issue": 0},
        )
        for config in configs:
            sentry = calm(world)
            sync(sentry, "events", **config)
            asked.append(sum(paths(sentry).values()))
        full, sampled = asked
        assert full > 100
        assert sampled <= 0.15 * full


class Hourly(NamedTuple):
    """Runs of two days, one each hour, and the events that they were to judge."""

    runs: list[Messages]
    events: list[Event]


@pytest.fixture(scope="module")
def hourly() -> Hourly:
    begin = NOW - timedelta(days=2)
    time = FakeTime(begin)
    world = World(clock=time.now, scale=10)
    runs: list[Messages] = []
    state = None
    while time.now() <= NOW:
        time.now_s += HOUR_S + 7
        messages = sync(
            calm(world),
            "events",
            time=time,
            state=state,
            start_date=begin.isoformat(),
            projects=["mobile-app", "payments"],  # phones are offline for a while
            sample_fraction=0.1,
            min_events_per_issue=1,
            max_events_per_issue=3,
        )
        runs.append(messages)
        state = messages.states[-1]
    end_s = (time.now_s - HOUR_S) // HOUR_S * HOUR_S  # an hour for events that come late
    events = world.events_between(begin.timestamp(), end_s)
    chosen = {"mobile-app", "payments"}
    return Hourly(runs, [event for event in events if event.issue.project.slug in chosen])


class TestSampleOfManyRuns:
    def test_judges_no_event_twice(self, hourly: Hourly) -> None:
        keys = Counter(key for run in hourly.runs for key in run.rows("events"))
        assert max(keys.values()) == 1

    def test_weighs_as_much_as_all_events_late_ones_too(self, hourly: Hourly) -> None:
        assert any(event.received - event.timestamp > 5 * 60 for event in hourly.events)
        assert sum(map(weighted, hourly.runs)) == pytest.approx(len(hourly.events))

    def test_keeps_fewer_than_all(self, hourly: Hourly) -> None:
        assert sum(len(run.records["events"]) for run in hourly.runs) < 0.9 * len(hourly.events)

    def test_keeps_the_state_as_small_as_after_the_first(self, hourly: Hourly) -> None:
        first, last = (len(json.dumps(hourly.runs[n].states[-1])) for n in (0, -1))
        assert last <= first
