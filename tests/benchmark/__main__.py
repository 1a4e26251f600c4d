"""All figures in one table: `python -m tests.benchmark`. Compare within one table only."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from tests import project
from tests.benchmark import loader

RUN = ("run", "tap-sentry", "target-duckdb", "dbt")


def main() -> None:
    # The pipeline first: the system tells the peak memory of all children so far.
    lines = [*pipeline_lines(), *tap_lines(), *loader_lines()]
    print(f"\n{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, Python", end=" ")
    print(f"{platform.python_version()}\n\n| figure | value |\n| --- | ---: |")
    for name, value in lines:
        print(f"| {name} | {value} |")


def tap_lines() -> list[tuple[str, str]]:
    """The tap alone, from answers kept in memory, at two sizes."""
    lines = []
    for scale in (1, 5):
        printed = subprocess.run(
            [sys.executable, "-m", "tests.benchmark.tap", str(scale)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout
        figures = json.loads(printed)
        name = f"tap, {figures['records']:,} records"
        lines += [
            (
                f"{name}: records per CPU second",
                f"{figures['records'] / figures['cpu_seconds']:,.0f}",
            ),
            (f"{name}: peak memory, answers included", f"{figures['peak_mb']:,.0f} MB"),
        ]
    return lines


def loader_lines() -> list[tuple[str, str]]:
    """The launcher against the released target, in turns."""
    speeds = loader.compare(rows=100_000, repeat=2)
    released, ours = speeds.values()
    lines = [
        (f"{name}, 100,000 rows x {len(loader.FIELDS)} columns", f"{speed.median:,.0f} rows/s")
        for name, speed in speeds.items()
    ]
    return [
        *lines,
        ("launcher / released target", f"{ours.median / released.median:.2f}"),
        ("rows the released target lost", f"{100_000 - released.stored:,}"),
    ]


def pipeline_lines() -> list[tuple[str, str]]:
    """The README's command in a new folder: first, again, and its peak memory."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        copied = project.copy(Path(folder))
        for name in ("first, plugins installed on the way", "again, warm", "again, warm"):
            started = time.perf_counter()
            finished = copied.meltano(*RUN)
            seconds = time.perf_counter() - started
            if finished.returncode:
                sys.exit(finished.stdout)
            lines.append((f"meltano run, {name}", f"{seconds:.1f} s"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [*lines, ("peak memory of its largest process", f"{peak:,.0f} MB")]


if __name__ == "__main__":
    main()
