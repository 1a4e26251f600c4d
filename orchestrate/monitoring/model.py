"""The nouns: a metric, a query that measures some of them, a family of samples.

Names and labels follow https://prometheus.io/docs/practices/naming/ and, for figures of the last
run of a batch job, https://prometheus.io/docs/practices/instrumentation/#batch-jobs. Instants are
seconds since 1970; shares are 0..1.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

# What has not run for so long is no part of the present; a monthly job still is.
PRESENT_US = 35 * 86_400_000_000


class Kind(str, enum.Enum):
    """A gauge may go up and down, a counter only grows."""

    GAUGE = "gauge"
    COUNTER = "counter"


class Metric(NamedTuple):
    """A metric without its prefix, and a sentence that says what it counts."""

    name: str
    help: str


class Query(NamedTuple):
    """SQL whose rows have a value for each label, then one for each metric; null is no sample.

    To the ledger's queries two more columns come first: the run's id, and the instant (microseconds
    since 1970) from which on the values hold. Of a gauge the newest row of the same labels counts,
    of a counter the sum of all. They may name `:since_us`, before which nothing is asked for, and
    `:invocations`, the number of the newest calls of each of dbt's commands that are.
    """

    kind: Kind
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]
    text: str


class Sample(NamedTuple):
    """One value; the labels are in the order of the family's."""

    labels: tuple[str, ...]
    value: float


class Family(NamedTuple):
    """A metric with its samples."""

    metric: Metric
    kind: Kind
    labels: tuple[str, ...]
    samples: tuple[Sample, ...] = ()


def families(query: Query, rows: Iterable[Sequence[Any]] = ()) -> list[Family]:
    """One per metric of the query, from rows that have its labels and then its values."""
    found: list[list[Sample]] = [[] for _ in query.metrics]
    width = len(query.labels)
    for row in rows:
        labels = tuple(str(label) for label in row[:width])
        for samples, value in zip(found, row[width:], strict=True):
            if value is not None:
                samples.append(Sample(labels, float(value)))
    return [
        Family(metric, query.kind, query.labels, tuple(samples))
        for metric, samples in zip(query.metrics, found, strict=True)
    ]
