"""What metrics cost beside many hourly runs: making them, and writing their past."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrate.ledger.collect import collect
from orchestrate.ledger.store import Ledger
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.ledger_files import NODES, STREAMS, Left, multiply
from tests.benchmark.process import timed_python

HOUR_US = 3_600_000_000

# Each in a process of its own, whose peak nothing else raises; they print seconds, then that peak.
BEGINNING = """
import sys, time
from pathlib import Path
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring.history import Span, write
from orchestrate.monitoring.exposition import write_textfile
from orchestrate.monitoring.gathering import gather
output, now_s, days = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Ledger(output / "ledger.db") as ledger:
    began = time.perf_counter()
"""
MAKING = """
    families = gather(ledger, output, now_s * 1_000_000, lambda _: None)
    write_textfile(families, output)
    found = sum(len(family.samples) for family in families)
"""
THE_PAST = """
    span = Span(now_s - days * 86_400, now_s)
    found = write(ledger, output / "history.txt", span, {"job": "node"}, lambda _: None).samples
"""
ENDING = """
print(time.perf_counter() - began, found)
print(open("/proc/self/status").read())
"""


def measure(quick: bool) -> Iterator[Figure]:
    """Beside so many runs; the past of as many days as Prometheus keeps."""
    for runs, most_s in ((100, 1), (1_000, 1)) if quick else ((1_000, 1), (10_000, 2)):
        with tempfile.TemporaryDirectory() as name:
            output = Path(name, "output")
            now_s = hourly(output, runs)
            beside = f"beside {runs:,} runs of {len(NODES)} nodes and {len(STREAMS)} streams"
            took_s, peak_mb, samples = _measured(MAKING, output, now_s, 0)
            yield at_most(f"{beside}: metrics made", took_s, most_s, "{:.2f} s")
            yield at_most(f"the same, {samples:,} samples, peak", peak_mb, 200, "{:.0f} MB")
            took_s, peak_mb, samples = _measured(THE_PAST, output, now_s, 15)
            size_mb = (output / "history.txt").stat().st_size / 1e6
            yield at_most(f"{beside}: past of 15 days", took_s, 60, "{:.1f} s")
            yield Figure("the same, on the disk", f"{samples:,} samples, {size_mb:,.0f} MB")
            yield at_most("the same, peak", peak_mb, 500, "{:.0f} MB")


def hourly(output: Path, runs: int) -> int:
    """Put so many runs into a ledger. Returns the second at which the last one is over."""
    left = Left(output.parent / "templates")
    left.leave(output, 0)
    with Ledger(output / "ledger.db") as ledger:
        collect(ledger, output)
        multiply(ledger, runs, HOUR_US)
        ((ended_us,),) = ledger.select("select max(ended_us) from pipeline_run")
    return int(ended_us // 1_000_000) + 1


def _measured(code: str, output: Path, now_s: int, days: int) -> tuple[float, float, int]:
    """Seconds, peak in MB, and how many samples came of it."""
    printed = output / "printed.txt"
    arguments = [str(output), str(now_s), str(days)]
    timed_python(["-c", BEGINNING + code + ENDING, *arguments], printed)
    text = printed.read_text()
    took_s, samples = text.split()[:2]
    peak_kb = int(text.rpartition("VmHWM:")[2].split()[0])
    return float(took_s), peak_kb / 1024, int(samples)


if __name__ == "__main__":
    figures.main(measure, __doc__)
