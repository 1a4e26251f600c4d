"""How fast the tap turns Sentry's answers into Singer records, in CPU seconds of one process.

Only spans are read, 20 columns, messages go nowhere. Once from rows that are ready in memory, which
measures emission alone: the SDK's steps, selection, messages. Once from answers that wait in memory
as bytes: asking, reading JSON, comparing with counts and cleaning rows are measured too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from tap_sentry.demo import DemoSentry, World
from tap_sentry.demo.world import utc_now
from tap_sentry.records import Row
from tap_sentry.streams.base import Units
from tap_sentry.streams.spans import Spans
from tap_sentry.streams.windowed import PartitionEnd
from tap_sentry.tap import TapSentry
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_least
from tests.project import ROOT


class Replay(BaseAdapter):
    """Answers each address as the demo did the first time, without the demo's own work."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.asked = 0
        self._inner = inner
        self._answers: dict[str, tuple[int, Any, bytes]] = {}

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        url = request.url or ""
        if url not in self._answers:
            self.asked += 1
            first = self._inner.send(request, *args, **kwargs)
            self._answers[url] = (first.status_code, first.headers, first.content)
        response = Response()
        response.status_code, response.headers, body = self._answers[url]
        response.raw, response.url, response.request = BytesIO(body), url, request
        return response

    def close(self) -> None:
        self._inner.close()


CONFIG = {"base_url": "https://demo.invalid", "rate_limit": 1_000_000}


def sync(transport: BaseAdapter, clock: Callable[[], float], spans: type[Spans] = Spans) -> float:
    """CPU seconds of a run that reads the spans."""
    tap = TapSentry(config=CONFIG, transport=transport, clock=clock)
    tap.streams["spans"] = spans(tap, lambda: tap.organization)
    for name, stream in tap.streams.items():
        stream.selected = name == "spans"
    began = time.process_time()
    tap.sync_all()
    return time.process_time() - began


class Ready(Spans):
    """Spans that were read before."""

    found: ClassVar[list[Row]] = []

    def units(self) -> Units:
        for number, (partition, whole) in enumerate(self.wholes):
            if number == 0:
                for at in range(0, len(self.found), 2000):
                    yield partial(list, self.found[at : at + 2000])
            yield partial(PartitionEnd, partition, whole)


def records_per_cpu_second(scale: float) -> tuple[int, float, float]:
    """Rows of a run, and the median speed of three from ready rows and from answers."""
    now = utc_now().replace(microsecond=0)
    world = World(clock=lambda: now, scale=scale)
    transport = Replay(DemoSentry(world, limits=None))

    def began_now() -> Callable[[], float]:
        """A clock that goes, but begins at the same second each time, for the same addresses."""
        began = time.monotonic()
        return lambda: now.timestamp() + time.monotonic() - began

    sync(transport, began_now())
    asked = transport.asked
    seconds = [sync(transport, began_now()) for _ in range(3)]
    if transport.asked > asked:
        raise RuntimeError("the tap asked something else in each run; nothing could be measured")
    rows = world.counts()["spans"]
    Ready.found = rows_of(transport, began_now())
    ready = [sync(transport, began_now(), Ready) for _ in range(3)]
    return rows, len(Ready.found) / statistics.median(ready), rows / statistics.median(seconds)


def rows_of(transport: BaseAdapter, clock: Callable[[], float]) -> list[Row]:
    """The clean rows of a run."""
    tap = TapSentry(config=CONFIG, transport=transport, clock=clock)
    spans = tap.streams["spans"]
    assert isinstance(spans, Spans)
    found: list[Row] = []
    for partition in spans.partitions:
        found.extend(spans.get_records(partition))
    return found


def measure(quick: bool) -> Iterator[Figure]:
    """In a process of its own, whose output goes nowhere."""
    printed = subprocess.run(
        [sys.executable, "-m", "tests.benchmark.emission", "--alone", "1" if quick else "5"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout  # fmt: skip
    rows, ready, speed = printed.split()
    name = f"{int(rows):,} spans of 20 columns, records per CPU second"
    yield at_least(f"{name}: emission of ready rows", float(ready), 40_000)
    yield at_least(f"{name}: with asking, decoding and cleaning", float(speed), 40_000)


if __name__ == "__main__":
    if "--alone" in sys.argv:
        result_to = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the records
        rows, ready, speed = records_per_cpu_second(float(sys.argv[-1]))
        os.write(result_to, f"{rows} {ready} {speed}\n".encode())
    else:
        figures.main(measure, __doc__)
