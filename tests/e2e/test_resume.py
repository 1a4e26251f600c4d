"""A run that is killed, and the next one that goes on behind the last window read whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time as real_time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from singer_sdk.contrib.msgspec import MsgSpecWriter

from tap_sentry.demo import DemoSentry, World, serve
from tap_sentry.streams.spans import Spans
from tap_sentry.tap import TapSentry
from tests.sync import DEMO_URL, NOW, FakeTime, sync

STREAMS = ("events", "spans", "issues", "release", "teams")
# The key of each stream, and what tells its partitions apart.
KEYS = {
    "events": ("projectID", "eventID"),
    "spans": ("project.id", "trace", "id"),
    "issues": ("id",),
    "release": ("id",),
    "teams": ("id",),
}
PARTITIONED = ("events", "spans")
MOST_ROWS = 400
ROWS_OF_A_WINDOW = {"spans": MOST_ROWS, "events": 2000}

State = dict[str, Any]
Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


class Killed(Exception):
    """What stands for the end of the process."""


class Output(MsgSpecWriter):
    """Keeps messages as a loader would; the n-th and all later ones find nobody."""

    def __init__(self, most: float = float("inf")) -> None:
        self.rows: Rows = {stream: {} for stream in KEYS}
        self.counts: Counter[tuple[str, Any]] = Counter()
        self.size = 0
        self.state_size = 0
        self.state: State | None = None
        self.messages = 0
        self._most = most

    def write_message(self, message: Any) -> None:
        if self.messages >= self._most:
            raise Killed
        self.messages += 1
        self.take(bytes(self.serialize_message(message)))

    def take(self, line: bytes) -> None:
        """Keep one line."""
        message = json.loads(line)
        self.size += len(line)
        if message["type"] == "STATE":
            self.state_size += len(line)
            self.state = message["value"]
        elif message["type"] == "RECORD":
            stream, row = message["stream"], message["record"]
            keys = KEYS[stream]
            self.rows[stream][tuple(row[key] for key in keys)] = row
            self.counts[stream, row[keys[0]] if stream in PARTITIONED else None] += 1


class Narrow(Spans):
    """Spans in windows of few rows."""

    @property
    def most_rows(self) -> int:
        return MOST_ROWS


def run(world: World, *, most: float = float("inf"), state: State | None = None) -> Output:
    """A run that ends with its n-th message, or whole."""
    output, time = Output(most), FakeTime()
    tap = TapSentry(
        config={"base_url": DEMO_URL, "rate_limit": 100_000, "lookback_minutes": 0},
        state=state,
        transport=DemoSentry(world, limits=None),
        clock=time.clock,
        sleep=time.sleep,
        message_writer=output,
    )
    for name, stream in tap.streams.items():
        stream.selected = name in STREAMS
    tap.streams["spans"] = narrow = Narrow(tap, lambda: tap.organization)
    narrow.selected = True
    try:
        tap.sync_all()
    except Killed:
        assert output.messages == most
    return output


@pytest.fixture(scope="module")
def world() -> World:
    """Stands still: what a second run brings beside the rest was lost or is read twice."""
    return World(clock=lambda: NOW, scale=0.3)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Output:
    return run(world)


def assert_complete(first: Output, second: Output, undisturbed: Output) -> None:
    for stream, expected in undisturbed.rows.items():
        assert {**first.rows[stream], **second.rows[stream]} == expected, stream


class TestKilledAfterAnyMessage:
    @pytest.mark.parametrize("share", [0.0, 0.02, 0.13, 0.29, 0.46, 0.63, 0.8, 0.97, 0.9999])
    def test_loses_no_row_and_reads_few_twice(
        self, share: float, world: World, undisturbed: Output
    ) -> None:
        first = run(world, most=int(share * undisturbed.messages))
        second = run(world, state=first.state)
        assert_complete(first, second, undisturbed)
        for (stream, partition), count in second.counts.items():
            if stream in PARTITIONED:
                twice = first.counts[stream, partition] + count
                twice -= undisturbed.counts[stream, partition]
                assert twice <= ROWS_OF_A_WINDOW[stream], (stream, partition)

    def test_again_and_again_comes_to_an_end(self, world: World, undisturbed: Output) -> None:
        found: Rows = defaultdict(dict)
        state, runs = None, 0
        step = undisturbed.messages // 4
        while True:
            output = run(world, most=step, state=state)
            for stream, rows in output.rows.items():
                found[stream] |= rows
            runs += 1
            state = output.state or state
            if output.messages < step:
                break
            assert runs < 12
        assert {stream: found[stream] for stream in KEYS} == undisturbed.rows


class TestState:
    def test_is_small_beside_the_output(self, undisturbed: Output) -> None:
        assert undisturbed.state is not None
        assert undisturbed.state_size < 0.01 * undisturbed.size

    def test_of_a_whole_run_leaves_the_next_nothing_of_the_past(
        self, world: World, undisturbed: Output
    ) -> None:
        again = run(world, state=undisturbed.state)
        assert not again.rows["events"]
        assert not again.rows["spans"]

    def test_of_a_run_goes_no_further_than_its_rows(self) -> None:
        time = FakeTime()
        sentry = DemoSentry(World(clock=time.now, scale=0.1), limits=None)
        first = sync(sentry, "events", time=time)
        time.now_s += 6 * 3600
        second = sync(sentry, "events", time=time, state=first.states[-1], lookback_minutes=0)
        fresh = sync(sentry, "events", time=time)
        before = {row["dateCreated"] for row in first.records["events"]}
        assert min(row["dateCreated"] for row in second.records["events"]) > max(before)
        assert set(second.rows("events")) <= set(fresh.rows("events"))


class Process(NamedTuple):
    """A run in a process of its own, and what it wrote before its end."""

    output: Output
    code: int
    errors: str


def in_process(
    url: str, folder: Path, *, state: State | None = None, end: int | None = None, after: int = 0
) -> Process:
    """The command; sent a signal once it has written so many lines."""
    arguments = ["--config=ENV"]
    catalog, given = folder / "catalog.json", folder / "state.json"
    if state is not None:
        given.write_text(json.dumps(state))
        arguments.append(f"--state={given}")
    environment = {
        "TAP_SENTRY_BASE_URL": url,
        "TAP_SENTRY_API_TOKEN": "any",
        "TAP_SENTRY_RATE_LIMIT": "300",
        "TAP_SENTRY_LOOKBACK_MINUTES": "0",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": os.environ["PATH"],
    }
    arguments.append(f"--catalog={catalog}")
    if not catalog.exists():
        streams = TapSentry(config={"base_url": DEMO_URL}).catalog_dict["streams"]
        for stream in streams:
            root = next(entry for entry in stream["metadata"] if not entry["breadcrumb"])
            root["metadata"]["selected"] = stream["tap_stream_id"] in STREAMS
        catalog.write_text(json.dumps({"streams": streams}))
    output = Output()
    with (
        (folder / "errors").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tap_sentry", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as process,
    ):
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if line.endswith(b"\n"):  # the last one may be cut
                output.take(line)
            if number == after and end is not None:
                # It has filled the pipe meanwhile, and stands in the middle of a write.
                real_time.sleep(0.3)
                process.send_signal(end)
        process.wait(30)
        errors.seek(0)
        return Process(output, process.returncode, errors.read())


class Served(NamedTuple):
    """A demo over HTTP, and the keys of all that a run must bring from it."""

    url: str
    keys: dict[str, set[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Stands still at the machine's own time, by which the command goes."""
    now = datetime.now(timezone.utc)
    world = World(clock=lambda: now, scale=0.3)
    end = now.timestamp() - 5 * 60
    events = {(e.issue.project.id, e.id) for e in world.events() if int(e.timestamp) < end - 1}
    spans = {
        (int(span.transaction.project.id), span.transaction.trace.id, span.id)
        for span in world.spans()
        if int(span.started) < end - 1
    }
    with serve(DemoSentry(world, limits=None)) as url:
        yield Served(url, {"events": events, "spans": spans})


class TestProcessThatIsKilled:
    @pytest.mark.parametrize("after", [2500, 5000])
    @pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
    def test_loses_no_row(
        self, end: signal.Signals, after: int, served: Served, tmp_path: Path
    ) -> None:
        first = in_process(served.url, tmp_path, end=end, after=after)
        assert first.code == (143 if end is signal.SIGTERM else -end)
        assert "Traceback" not in first.errors
        assert first.output.state is not None
        assert not has_all(served, first)
        second = in_process(served.url, tmp_path, state=first.output.state)
        assert second.code == 0, second.errors
        assert has_all(served, first, second)
        assert sum(second.output.counts.values()) < sum(map(len, served.keys.values()))


def has_all(served: Served, *processes: Process) -> bool:
    """Whether all rows are there that were to be read."""
    found: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for process in processes:
        for stream in served.keys:
            found[stream] |= process.output.rows[stream].keys()
    return all(keys <= found[stream] for stream, keys in served.keys.items())
