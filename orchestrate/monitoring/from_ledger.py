"""Asking the ledger: what its metrics are now, what they were, what is kept of forgotten runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrate.ledger.model import ForgottenTotal
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import dbt, extraction, runs
from orchestrate.monitoring.model import PRESENT_US, Family, Kind, Query, Sample, families

QUERIES = (*runs.QUERIES, *extraction.QUERIES, *dbt.QUERIES)

_ALWAYS = 0
# In so many calls of each of dbt's commands every node should have been; all others cost time.
_PRESENT_INVOCATIONS, _ALL = 50, 2**62
# What is dated later comes from a clock that was wrong, and would be the newest for as long.
_SKEW_US = 3_600_000_000


def newest(ledger: Ledger, now_us: int) -> Iterator[Family]:
    """The metrics as they are now.

    Raises:
        LedgerError: If the ledger can't be read.
    """
    for query in QUERIES:
        labels = ", ".join(_labels(query))
        if query.kind == Kind.COUNTER:
            values = ", ".join(f"sum({name})" for name in _values(query))
            text = f"select {labels}, {values} from measured group by {labels}"
            for family in families(query, _select(ledger, query, text, _ALWAYS)):
                yield _with_forgotten(ledger, family)
            continue
        # SQLite takes the other columns from the row that has the maximum.
        text = f"""
            select {labels}, {", ".join(_values(query))}, max(at_us)
            from measured
            where at_us <= :until_us
            group by {labels}
        """
        rows = _select(
            ledger,
            query,
            text,
            now_us - PRESENT_US,
            invocations=_PRESENT_INVOCATIONS,
            until_us=now_us + _SKEW_US,
        )
        yield from families(query, (row[:-1] for row in rows))


def changes(ledger: Ledger, query: Query, since_us: int) -> Iterator[tuple[int, list[Family]]]:
    """Instants, in their order, and what was measured at each: of counters, what came to them."""
    columns = ", ".join([*_labels(query), *_values(query)])
    text = f"select at_us, {columns} from measured order by at_us"
    for at_us, *row in _select(ledger, query, text, since_us):
        yield at_us, families(query, [row])


def remember(ledger: Ledger, run_ids: str) -> None:
    """Keep what runs add to counters, which must not shrink when they leave the ledger.

    A counter that shrinks is one that began anew to Prometheus: it would count all the rest again.

    Args:
        ledger: In a transaction.
        run_ids: JSON list of the runs that are about to go.
    """
    for query in QUERIES:
        if query.kind == Kind.GAUGE:
            continue
        labels = ", ".join(_labels(query))
        sums = ", ".join(f"sum({name})" for name in _values(query))
        text = f"""
            select {labels}, {sums} from measured
            where run_id in (select value from json_each(:run_ids))
            group by {labels}
        """
        for family in families(query, _select(ledger, query, text, _ALWAYS, run_ids=run_ids)):
            ledger.save(
                ForgottenTotal(
                    metric=family.metric.name,
                    labels=list(sample.labels),
                    value=sample.value,
                )
                for sample in _with_forgotten(ledger, family).samples
            )


def _with_forgotten(ledger: Ledger, family: Family) -> Family:
    totals = {sample.labels: sample.value for sample in family.samples}
    for row in ledger.rows(ForgottenTotal, "metric = ?", [family.metric.name]):
        labels = tuple(row.labels)
        totals[labels] = totals.get(labels, 0.0) + row.value
    return family._replace(samples=tuple(Sample(*total) for total in totals.items()))


def _select(
    ledger: Ledger, query: Query, text: str, since_us: int, invocations: int = _ALL, **values: Any
) -> list[tuple[Any, ...]]:
    columns = ", ".join(["run_id", "at_us", *_labels(query), *_values(query)])
    return ledger.select(
        f"with measured({columns}) as ({query.text}) {text}",
        {"since_us": since_us, "invocations": invocations, **values},
    )


def _labels(query: Query) -> list[str]:
    return [f"label_{number}" for number, _ in enumerate(query.labels)]


def _values(query: Query) -> list[str]:
    return [f"value_{number}" for number, _ in enumerate(query.metrics)]
