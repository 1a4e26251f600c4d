"""All metrics of a project, at one instant."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring import from_ledger, from_warehouse, schedules
from orchestrate.monitoring.model import Family, Kind, Metric, Sample, families

_SELF = Kind.GAUGE, ()
WRITTEN = Family(Metric("metrics_timestamp_seconds", "When these metrics were made."), *_SELF)
TOOK = Family(Metric("metrics_duration_seconds", "How long it took to make them."), *_SELF)
LEDGER_SIZE = Family(Metric("ledger_size_bytes", "Size of the ledger."), *_SELF)

# Every metric there is, without samples.
DECLARED: tuple[Family, ...] = (
    *(family for query in from_ledger.QUERIES for family in families(query)),
    *schedules.FAMILIES,
    *from_warehouse.FAMILIES,
    *(
        family
        for queries in from_warehouse.QUERIES.values()
        for query in queries
        for family in families(query)
    ),
    LEDGER_SIZE,
    WRITTEN,
    TOOK,
)


def gather(
    ledger: Ledger,
    output: Path,
    now_us: int,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Family]:
    """Every metric that has samples, in the order of DECLARED.

    Args:
        ledger: Brought up to date before.
        output: The project's folder `output`; meltano.yml lies beside it.
        now_us: This instant, microseconds since 1970.
        say: Takes a line where a part of them can't be made; the others are.
        clock: Seconds that only grow.

    Raises:
        LedgerError: If the ledger can't be read.
    """
    began = clock()
    samples: dict[str, dict[tuple[str, ...], Sample]] = {}

    def add(family: Family) -> None:
        # Of the same labels the last: a Pushgateway refuses everything if there are two.
        found = samples.setdefault(family.metric.name, {})
        found.update((sample.labels, sample) for sample in family.samples)

    for family in from_ledger.newest(ledger, now_us):
        add(family)
    try:
        for family in schedules.measure(ledger, output.parent, now_us, say):
            add(family)
    except LedgerError as error:
        say(f"WARN  No metrics of schedules: {error}")
    for family in from_warehouse.measure(ledger, output, say):
        add(family)
    for family, value in (
        (LEDGER_SIZE, ledger.path.stat().st_size),
        (WRITTEN, now_us / 1e6),
        (TOOK, clock() - began),
    ):
        add(family._replace(samples=(Sample((), value),)))
    return [
        family._replace(samples=tuple(samples[family.metric.name].values()))
        for family in DECLARED
        if samples.get(family.metric.name)
    ]
