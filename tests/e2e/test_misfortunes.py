"""What faults, odd catalogs and full disks must not do to a sync; each of these once did it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_sentry import demo as faults
from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.demo.exchange import Answer, Request
from tap_sentry.planning import Route
from tap_sentry.streams.events import Events
from tap_sentry.streams.spans import Spans
from tap_sentry.tap import TapSentry
from tests.sync import DEMO_URL, NOW, FakeTime, Messages, _Collector, sync

ALWAYS = 10**6

Entry = dict[str, Any]


def calm(world: World, *fault: Any) -> DemoSentry:
    return DemoSentry(world, limits=None, faults=fault)


def on(route: Route) -> Callable[[TapSentry], None]:
    """Makes the tap read the events of every project on one route."""

    def change(tap: TapSentry) -> None:
        events = tap.streams["events"]
        assert isinstance(events, Events)
        events.prepare()
        steps = tuple(step._replace(route=route) for step in events.plan.steps)
        events.plan = replace(events.plan, steps=steps)

    return change


def asked(sentry: DemoSentry, pattern: str) -> int:
    """Requests whose path ends in a pattern."""
    return sum(bool(re.search(f"{pattern}$", request.path)) for request in sentry.requests)


def skips(caplog: pytest.LogCaptureFixture, stream: str) -> list[str]:
    """What was said at once of skipped parts of a stream."""
    return [line for line in caplog.messages if re.match(f"Skipped .+ of {stream}: ", line)]


@pytest.fixture(scope="module")
def world() -> World:
    return World(clock=lambda: NOW, scale=0.5)


class TestQueryTimeoutOnTheStartOfASample:
    """The listing in sample order has one start; its halves in time would have two."""

    @pytest.mark.parametrize("at", [1, 2, 4])
    @pytest.mark.parametrize(
        "sampling",
        [
            {"sample_fraction": 0.5, "min_events_per_issue": 0},
            {"sample_fraction": 0.2, "min_events_per_issue": 0},
            {"max_events_per_project": 150},
        ],
        ids=str,
    )
    def test_loses_no_event_and_no_weight(
        self, sampling: dict[str, Any], at: int, world: World
    ) -> None:
        config = {"start_date": "2026-11-01", "max_concurrency": 1, **sampling}
        change = on(Route.SAMPLE)
        expected = sync(calm(world), "events", change_tap=change, **config)
        sentry = calm(world, faults.QueryTimeout(path="*/projects/*/events/", at=at))
        found = sync(sentry, "events", change_tap=change, **config)
        listings = [
            dict(request.query) for request in sentry.requests if "/projects/a" in request.path
        ]
        assert len(found.records["events"]) == len(expected.records["events"]) > 0
        assert found.rows("events") == expected.rows("events")
        assert {"sample" in query for query in listings} == {True, False}


def no_other(stream: Entry) -> None:
    """Leaves the catalog as it is."""


def another_replication_key(stream: Entry) -> None:
    if "replication_key" not in stream:
        return
    columns = stream["schema"]["properties"]
    other = next(name for name in ("dateReceived", "firstSeen", "dateReleased") if name in columns)
    stream["replication_key"] = other
    root_of(stream)["valid-replication-keys"] = [other]


def no_replication_key(stream: Entry) -> None:
    stream.pop("replication_key", None)
    stream.pop("replication_method", None)
    for name in ("valid-replication-keys", "replication-key", "forced-replication-method"):
        root_of(stream).pop(name, None)


def no_key_properties(stream: Entry) -> None:
    stream.pop("key_properties", None)
    root_of(stream).pop("table-key-properties", None)


def another_key(stream: Entry) -> None:
    keys = {*stream["key_properties"], stream.get("replication_key")}
    other = next(name for name in stream["schema"]["properties"] if name not in keys)
    stream["key_properties"] = root_of(stream)["table-key-properties"] = [other]


def root_of(stream: Entry) -> Entry:
    root: Entry = next(one["metadata"] for one in stream["metadata"] if not one["breadcrumb"])
    return root


def with_catalog(world: World, change: Callable[[Entry], None], *streams: str) -> Messages:
    """A sync with the tap's own catalog, each selected stream of it changed."""
    transport, moment, messages = calm(world), FakeTime(), Messages()
    config = {"base_url": DEMO_URL, "rate_limit": 100_000}
    catalog = json.loads(json.dumps(TapSentry(config=config, transport=transport).catalog_dict))
    for stream in catalog["streams"]:
        root_of(stream)["selected"] = stream["stream"] in streams
        if stream["stream"] in streams:
            change(stream)
    tap = TapSentry(
        config=config,
        catalog=catalog,
        transport=transport,
        clock=moment.clock,
        sleep=moment.sleep,
        message_writer=_Collector(messages),
    )
    tap.sync_all()
    return messages


CATALOGUED = ("events", "issues", "release", "teams")


@pytest.fixture(scope="module")
def plain(world: World) -> Messages:
    return with_catalog(world, no_other, *CATALOGUED)


class TestKeysOfTheCatalog:
    @pytest.mark.parametrize(
        "change", [another_replication_key, no_replication_key, another_key, no_key_properties]
    )
    def test_change_no_row_and_no_bookmark(
        self, change: Callable[[Entry], None], plain: Messages, world: World
    ) -> None:
        found = with_catalog(world, change, *CATALOGUED)
        assert found.states[-1] == plain.states[-1]
        for stream in CATALOGUED:
            assert found.records[stream] == plain.records[stream] != []
            keys = [one.schemas[stream][-1].get("key_properties") for one in (found, plain)]
            assert keys[0] == keys[1] != []

    def test_changes_are_seen_by_the_tap(self, world: World) -> None:
        def without_names(stream: Entry) -> None:
            for entry in stream["metadata"]:
                if entry["breadcrumb"][-1:] == ["name"]:
                    entry["metadata"]["selected"] = False

        found = with_catalog(world, without_names, "teams")
        assert all("name" not in row for row in found.records["teams"])


LATER = NOW + timedelta(minutes=25)


@pytest.fixture(scope="module")
def late_world() -> World:
    return World(clock=lambda: LATER, scale=0.3)


class TestEndOfASample:
    """At 12:25 with a look-back of an hour, 11:00 is the last whole hour that is surely over."""

    def ends(self, world: World, **config: Any) -> tuple[set[datetime], Messages]:
        messages = sync(
            calm(world),
            "events",
            time=FakeTime(LATER),
            sample_fraction=0.5,
            lookback_minutes=60,
            **config,
        )
        parts = messages.states[-1]["bookmarks"]["events"]["partitions"]
        return {timestamps.parse(part["replication_key_value"]) for part in parts}, messages

    @pytest.mark.parametrize(
        "end_date", ["2027-01-01", "2026-11-20T12:26:00Z", "2026-11-20T12:10:00Z"]
    )
    def test_is_a_whole_hour_that_is_over_whatever_later_end_date_there_is(
        self, end_date: str, late_world: World
    ) -> None:
        ends, found = self.ends(late_world, end_date=end_date)
        ends_without, expected = self.ends(late_world)
        assert ends == ends_without == {NOW - timedelta(hours=1)}
        assert found.rows("events") == expected.rows("events")

    def test_is_an_end_date_that_is_past(self, late_world: World) -> None:
        end = datetime.fromisoformat("2026-11-18T07:30:00+00:00")
        ends, found = self.ends(late_world, end_date="2026-11-18T07:30:00Z")
        assert ends == {end}
        newest = max(row["dateCreated"] for row in found.records["events"])
        assert end - timedelta(hours=6) < timestamps.parse(newest) < end


class TestSpansWithoutASeriesOfCounts:
    def test_come_all_the_same(self, world: World) -> None:
        class Narrow(Spans):
            @property
            def most_rows(self) -> int:
                return 500  # so that a series is asked for

        def narrowed(tap: TapSentry) -> None:
            tap.streams["spans"] = Narrow(tap, lambda: tap.organization)
            tap.streams["spans"].selected = True

        expected = sync(calm(world), "spans")
        sentry = calm(world, faults.NotFound(path="*/events-timeseries/", times=ALWAYS))
        found = sync(sentry, "spans", change_tap=narrowed)
        assert asked(sentry, "/events-timeseries/") > 0
        assert len(found.records["spans"]) > 1000
        assert found.rows("spans") == expected.rows("spans")


class TestRefusedEventsOfTheLargestProject:
    def test_leave_the_whole_bodies_of_the_others(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        counted = Counter(event.issue.project.id for event in world.events())
        (largest, rows), *_ = counted.most_common()
        assert rows > 600  # so that the size of a page is tried out on it
        expected = sync(calm(world), "events", fetch_event_details=True).rows("events")
        refused = faults.Forbidden(path=f"*/projects/acme-shop/{largest}/events/", times=ALWAYS)
        sentry = calm(world, refused)
        found = sync(sentry, "events", "teams", fetch_event_details=True, change_tap=by_project)
        others = {key: row for key, row in expected.items() if row["projectID"] != largest}
        assert 0 < len(others) < len(expected)
        assert found.rows("events") == others
        assert found.records["teams"]
        assert any(largest in line for line in skips(caplog, "events"))


def by_project(tap: TapSentry) -> None:
    on(Route.PROJECT)(tap)


class CountsNoIssues(DemoSentry):
    """Runs out of time at every count by issue."""

    refused = 0

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        with super().answering(request) as answer:
            if ("field", "issue.id") not in request.query:
                yield answer
                return
            self.refused += 1
            yield faults.QueryTimeout().apply(request, lambda: answer, 0)


class TestCountsByIssueThatNeverCome:
    @pytest.mark.parametrize(
        ("route", "config"),
        [
            (Route.ISSUE, {}),
            (Route.ISSUE, {"fetch_event_details": True, "projects": ["checkout-api"]}),
            (Route.ISSUE, {"sample_fraction": 0.2}),
            (Route.SAMPLE, {"sample_fraction": 0.2}),
        ],
        ids=str,
    )
    def test_lose_no_event(self, route: Route, config: dict[str, Any], world: World) -> None:
        expected = sync(calm(world), "events", change_tap=on(route), **config)
        sentry = CountsNoIssues(world, limits=None)
        found = sync(sentry, "events", change_tap=on(route), **config)
        assert sentry.refused > 0
        assert len(found.records["events"]) == len(found.rows("events")) > 0
        assert found.rows("events") == expected.rows("events")


class TestRefusedChild:
    """All that comes after it would move the bookmark past it: so nothing does."""

    @pytest.mark.parametrize("stream", ["release", "issue_detail"])
    def test_ends_its_stream_early_and_comes_with_the_next_run(
        self, stream: str, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        children = r"/(releases|issues)/[^/]+/"
        undisturbed = calm(world)
        expected = sync(undisturbed, stream, max_concurrency=1)
        every = [one.path for one in undisturbed.requests if re.search(f"{children}$", one.path)]
        assert len(every) == len(expected.records[stream]) > 20
        third = expected.records[stream][2]

        # Of all the children only this one is refused, and whoever asks for it again, too.
        sentry = calm(world, faults.Forbidden(path=every[2], times=ALWAYS))
        found = sync(sentry, stream, "teams", max_concurrency=2)
        assert 3 <= asked(sentry, children) <= 6
        assert found.records[stream] == expected.records[stream][:2]
        key = expected.states[-1]["bookmarks"][stream]["replication_key"]
        reached = found.states[-1]["bookmarks"][stream]["replication_key_value"]
        assert timestamps.parse(reached) <= timestamps.parse(third[key])
        assert found.records["teams"]
        assert len(skips(caplog, stream)) == 1

        resumed = sync(calm(world), stream, state=found.states[-1])
        assert {**found.rows(stream), **resumed.rows(stream)} == expected.rows(stream)


class TestRefusedListOfProjects:
    def test_with_some_chosen_is_told_of_every_stream_that_needs_it_and_costs_no_other(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        sentry = calm(world, faults.Forbidden(path="*/organizations/*/projects/", times=ALWAYS))
        found = sync(sentry, "events", "issues", "spans", "teams", "users", projects=["payments"])
        assert {name for name, rows in found.records.items() if rows} == {"teams", "users"}
        for stream in ("events", "issues", "spans"):
            (line,) = skips(caplog, stream)
            assert "/organizations/acme-shop/projects/ answered 403" in line
        assert not [record for record in caplog.records if record.exc_info]


COMMAND = (sys.executable, "-m", "tap_sentry")
ENVIRONMENT = {"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings for the demo."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"base_url": DEMO_URL}))
    return path


def failed(config: Path, stdout: Any = subprocess.PIPE) -> str:
    """The only line of error of a command that must fail."""
    finished = subprocess.run(
        [*COMMAND, f"--config={config}"],
        env=ENVIRONMENT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    (line,) = [line for line in finished.stderr.splitlines() if "| ERROR" in line]
    return line


class TestCommand:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    def test_says_that_the_disk_is_full(self, config: Path) -> None:
        with Path("/dev/full").open("w") as full:
            line = failed(config, full)
        assert "cannot be written" in line
        assert "No space left" in line

    def test_says_which_file_is_missing(self, tmp_path: Path) -> None:
        assert "nowhere.json" in failed(tmp_path / "nowhere.json")

    @pytest.mark.parametrize("text", ["", "{", '{"base_url": ', "base_url: x"])
    def test_says_that_a_file_is_no_json(self, text: str, config: Path) -> None:
        config.write_text(text)
        assert "is no JSON" in failed(config)

    def test_does_not_call_it_success_to_be_terminated(self, config: Path) -> None:
        with started(config) as run:
            assert run.stderr is not None
            assert any("Beginning sync" in said for said in run.stderr)
            run.terminate()
            _, rest = run.communicate(timeout=20)
        assert run.returncode not in {0, -signal.SIGKILL}
        assert "Sync finished" not in rest
        assert "Traceback" not in rest

    def test_stops_when_it_is_terminated_while_it_writes_to_the_log(self, config: Path) -> None:
        with started(config, "-c", TERMINATED_IN_A_LINE) as run:
            _, said = run.communicate(timeout=20)
        assert "Beginning sync" in said
        assert run.returncode not in {0, -signal.SIGKILL}


# A stream refuses to be written to by a signal's handler that interrupts its `write`.
TERMINATED_IN_A_LINE = """
import os, runpy, signal, sys

class Log:
    is_writing = was_terminated = False

    def write(self, text):
        if self.is_writing:
            raise RuntimeError("reentrant call")
        self.is_writing = True
        try:
            sys.__stderr__.write(text)
            if "Beginning sync" in text and not self.was_terminated:
                self.was_terminated = True
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            self.is_writing = False

    def flush(self):
        sys.__stderr__.flush()

sys.stderr = Log()
runpy.run_module("tap_sentry", run_name="__main__", alter_sys=True)
"""


@contextmanager
def started(config: Path, *program: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work; killed if it has not ended by then."""
    run = subprocess.Popen(
        [sys.executable, *(program or COMMAND[1:]), f"--config={config}"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with run:
        try:
            yield run
        finally:
            run.kill()
