"""Requests that `sample_fraction` 0.1 saves on `events`, without a floor per issue.

Against a server without limits and latency: the number of requests does not hang on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.benchmark import figures, process
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.memory import EVENTS_AT_SCALE_1
from tests.benchmark.server import Server


def measure(quick: bool) -> Iterator[Figure]:
    """The same world read with and without sampling."""
    size = 5_000 if quick else 50_000
    with Server("--scale", str(size / EVENTS_AT_SCALE_1), "--limits", "off") as server:
        everything, rows = _read(server)
        sampled, kept = _read(server, sample_fraction=0.1, min_events_per_issue=0)
    name = f"sample_fraction 0.1: {sampled} requests / {everything}"
    yield Figure("sample_fraction 0.1: rows", f"{kept:,} of {rows:,}")
    yield at_most(name, sampled / everything, 0.15)


def _read(server: Server, **config: Any) -> tuple[int, int]:
    run = process.tap(server.base_url, ["events"], rate_limit=1_000_000, **config)
    return sum(server.ask("counts")["requests"].values()), run.records["events"]


if __name__ == "__main__":
    figures.main(measure, __doc__)
