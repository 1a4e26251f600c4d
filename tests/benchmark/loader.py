"""Rows per second of target-duckdb with and without the launcher, in turn on the same rows.

python -m tests.benchmark.loader            50,000 rows of 20 columns
python -m tests.benchmark.loader --rows 200000
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tests import plugins
from tests.plugins import Target, record, schema, state

TEXTS, COUNTS, SHARES, TIMES = range(9), range(4), range(2), range(2)
FIELDS: dict[str, Any] = {
    "id": {"type": "string"},
    "flag": {"type": ["boolean", "null"]},
    "payload": {"type": ["object", "null"]},
    **{f"text_{i}": {"type": ["string", "null"]} for i in TEXTS},
    **{f"count_{i}": {"type": ["integer", "null"], "maximum": 2**63 - 1} for i in COUNTS},
    **{f"share_{i}": {"type": ["number", "null"]} for i in SHARES},
    **{f"seen_{i}": {"type": ["string", "null"], "format": "date-time"} for i in TIMES},
}


def lines(rows: int) -> Iterator[bytes]:
    """One wide stream as a tap writes it."""
    yield json.dumps(schema("wide", FIELDS)).encode() + b"\n"
    for number in range(rows):
        message = record(
            "wide",
            id=f"{number:032x}",
            flag=number % 2 == 0,
            payload={
                "number": number,
                "tags": ["x", "y"],
                "deep": {"text": 'say "no"', "no": None},
            },
            **{f"text_{i}": f"some text, number {number} of column {i}" for i in TEXTS},
            **{f"count_{i}": number * i for i in COUNTS},
            **{f"share_{i}": number / 7 for i in SHARES},
            **{f"seen_{i}": "2026-11-20T12:00:00.123456Z" for i in TIMES},
        )
        yield json.dumps(message).encode() + b"\n"
    yield json.dumps(state(wide=rows)).encode() + b"\n"


def measure(command: Path, sent: bytes) -> tuple[float, int]:
    """Seconds of one load into an empty warehouse, and the rows it stored."""
    with tempfile.TemporaryDirectory() as folder:
        target = Target(command, Path(folder))
        target.warehouse.parent.mkdir()
        started = time.perf_counter()
        loaded = target.load_lines(sent)
        seconds = time.perf_counter() - started
        if loaded.exit_code:
            raise SystemExit(loaded.log)
        with duckdb.connect(str(target.warehouse), read_only=True) as connection:
            [(stored,)] = connection.execute("select count(*) from sentry.wide").fetchall()
    return seconds, stored


@dataclass(frozen=True)
class Speed:
    """Rows per second of several loads of the same rows, and how many rows the last one stored."""

    median: float
    best: float
    stored: int


def compare(rows: int, repeat: int) -> dict[str, Speed]:
    """The released target and the launcher, loading the same rows in turns."""
    sent = b"".join(lines(rows))
    speeds: dict[str, list[float]] = {"target-duckdb": [], "target-duckdb-launcher": []}
    stored: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = plugins.install("loader", Path(folder))
        for _ in range(repeat):
            for name, measured in speeds.items():
                seconds, stored[name] = measure(commands / name, sent)
                measured.append(rows / seconds)
    return {
        name: Speed(statistics.median(measured), max(measured), stored[name])
        for name, measured in speeds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    speeds = compare(arguments.rows, arguments.repeat)
    print(f"{arguments.rows:,} rows x {len(FIELDS)} columns")
    print(f"{'':<24}{'rows/s (median)':>16}{'best':>12}{'rows stored':>14}")
    for name, speed in speeds.items():
        print(f"{name:<24}{speed.median:>16,.0f}{speed.best:>12,.0f}{speed.stored:>14,}")
    released, ours = speeds.values()
    print(f"ratio {ours.median / released.median:.2f}")


if __name__ == "__main__":
    main()
