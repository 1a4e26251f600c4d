"""Peak memory of the tap's process reading 50,000 and 200,000 error events.

Against a server without limits and latency; spans are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmark import figures, process
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.server import Server

EVENTS_AT_SCALE_1 = 4600
SIZES = (50_000, 200_000)
QUICK = (5_000, 20_000)


def measure(quick: bool) -> Iterator[Figure]:
    """Memory at two sizes, and whether it grows with them."""
    peaks = []
    for size in QUICK if quick else SIZES:
        options = ("--scale", str(size / EVENTS_AT_SCALE_1), "--limits", "off")
        with Server(*options) as server:
            run = process.tap(server.base_url, ["events"], with_keys=False, rate_limit=1_000_000)
            rows = run.records["events"]
        peaks.append(run.peak_mb)
        yield at_most(f"{rows:,} events: peak memory", run.peak_mb, 300, "{:.0f} MB")
    yield at_most("peak memory, the larger / the smaller", peaks[1] / peaks[0], 1.1)


if __name__ == "__main__":
    figures.main(measure, __doc__)
