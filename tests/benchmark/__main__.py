"""All figures in one table: `python -m tests.benchmark`. Compare within one table only.

Each benchmark also runs alone, as in `python -m tests.benchmark.sync --quick`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmark import (
    airbyte,
    bodies,
    emission,
    figures,
    ledger,
    loader,
    memory,
    metrics,
    pipeline,
    sampling,
    sync,
    traces,
    transform,
)
from tests.benchmark.figures import Figure


def measure(quick: bool) -> Iterator[Figure]:
    """Every benchmark. The pipeline first, see there; then memory, while this process is small."""
    for module in (
        pipeline,
        memory,
        ledger,
        sync,
        emission,
        sampling,
        bodies,
        airbyte,
        transform,
        traces,
        metrics,
    ):
        yield from module.measure(quick)
    yield from loader_figures(10_000 if quick else 100_000)


def loader_figures(rows: int) -> Iterator[Figure]:
    """The launcher against the released target, in turns."""
    speeds = loader.compare(rows=rows, repeat=2)
    released, ours = speeds.values()
    for name, speed in speeds.items():
        columns = len(loader.FIELDS)
        yield Figure(f"{name}, {rows:,} rows x {columns} columns", f"{speed.median:,.0f} rows/s")
    yield Figure("launcher / released target", f"{ours.median / released.median:.2f}")
    yield Figure("rows the released target lost", f"{rows - released.stored:,}")


if __name__ == "__main__":
    figures.main(measure, __doc__)
