"""Requests, wall time, refusals and STATE of whole runs, and of the run an hour later.

T* is the least time that Sentry's limits leave: the largest, over all buckets, of the requests
that the run made in a bucket / the bucket's rate. The tap's own rate_limit is a bucket too. The
wall time is that of the whole process, its start included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tap_sentry.demo import SENTRY_LIMITS
from tests.benchmark import figures, process
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.floor import Need
from tests.benchmark.process import Run
from tests.benchmark.server import END_LAG_S, Server

HOUR_S = 3600
LOOKBACK_S = 3600  # rows so long before its bookmark are what the tap has to read again


class Setup(NamedTuple):
    """A world and how it is read."""

    scale: float
    latency_ms: int
    rate_limit: float


SETUPS = (Setup(3, 50, 100), Setup(3, 200, 100), Setup(1, 50, 10))
QUICK = (Setup(0.3, 50, 100), Setup(0.3, 200, 100), Setup(0.1, 50, 10))


def least_s(requests: Mapping[str, int], rate_limit: float) -> tuple[float, str]:
    """T* in seconds of so many requests by bucket, and the bucket that decides it."""
    rates = {name: limit.requests / limit.window_s for name, limit in SENTRY_LIMITS.items()}
    by_bucket = [(number / rates[bucket], bucket) for bucket, number in requests.items()]
    return max(*by_bucket, (sum(requests.values()) / rate_limit, "rate_limit"))


def measure(quick: bool) -> Iterator[Figure]:
    for setup in QUICK if quick else SETUPS:
        yield from measure_setup(setup)


def measure_setup(setup: Setup) -> Iterator[Figure]:
    """The first run and the one an hour later, of the streams that are selected by default.

    Raises:
        RuntimeError: If no floor is known for one of them.
    """
    options = ("--scale", str(setup.scale), "--latency-ms", str(setup.latency_ms))
    name = f"{setup.latency_ms} ms, rate_limit {setup.rate_limit:g}"
    streams = process.default_streams()
    with Server(*options) as server:
        needs = server.ask("floor", streams=streams)
        first = process.tap(server.base_url, streams, rate_limit=setup.rate_limit)
        counts = server.ask("counts")
        least, bucket = least_s(counts["requests"], setup.rate_limit)
        cpu = f"{first.cpu_s:.1f} s, {counts['cpu_s']:.1f} s"
        wall = f"wall {first.wall_s:.1f} s / T* {least:.1f} s ({bucket})"
        percent = 100 * first.state_bytes / first.output_bytes
        yield from _counted(f"{name}, first run", counts, first.records.total(), needs, 1.1)
        yield Figure(f"{name}, first run: CPU of tap and server", cpu)
        yield at_most(f"{name}, first run: {wall}", first.wall_s / least, 1.15)
        yield at_most(f"{name}, first run: STATE / output bytes", percent, 1, "{:.3f} %")
        yield at_most(f"{name}, first run: rows lost", lost(server, streams, first), 0, "{}")

        since = server.ask("now") - END_LAG_S - LOOKBACK_S
        server.ask("move", seconds=HOUR_S)
        needs = server.ask("floor", streams=streams, since=since)
        quiet = process.tap(
            server.base_url,
            streams,
            state=first.state,
            later_s=HOUR_S,
            rate_limit=setup.rate_limit,
        )
        counts = server.ask("counts")
        yield from _counted(f"{name}, quiet run", counts, quiet.records.total(), needs, 1.2)
        missing = lost(server, streams, first, quiet)
        yield at_most(f"{name}, quiet run: rows lost", missing, 0, "{}")


def _counted(
    name: str, counts: dict[str, Any], written: int, needs: Mapping[str, Need], most: float
) -> Iterator[Figure]:
    """What the server has counted in a run, against what had to be asked."""
    by_bucket = ", ".join(f"{bucket} {n}" for bucket, n in sorted(counts["requests"].items()))
    asked = sum(counts["requests"].values())
    floor = sum(least for _, least in needs.values())
    late = counts["refused_late"]
    yield Figure(f"{name}: rows", f"{written:,} written, {counts['rows']:,} served")
    yield Figure(f"{name}: requests by bucket", by_bucket)
    yield at_most(f"{name}: {asked} requests / floor {floor}", asked / floor, most)
    yield at_most(f"{name}: 429s after a bucket's first headers", late, 0, "{}")


def lost(server: Server, streams: list[str], *runs: Run) -> int:
    """Rows that the world holds and none of the runs has written."""
    keys = {
        stream: sorted(set().union(*(run.keys.get(stream, set()) for run in runs)))
        for stream in streams
    }
    missing: int = server.ask("missing", keys=keys)
    return missing


if __name__ == "__main__":
    figures.main(measure, __doc__)
