"""The ledger's metrics of the past, as OpenMetrics from which promtool makes Prometheus's blocks.

https://prometheus.io/docs/prometheus/latest/storage/#backfilling-from-openmetrics-format. Marts
and schedules have no past: what is published now says nothing of last week.
"""

from __future__ import annotations

import math
import re
import shlex
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

from orchestrate.ledger.model import ForgottenTotal
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring import from_ledger
from orchestrate.monitoring.exposition import openmetrics_head, openmetrics_series
from orchestrate.monitoring.model import PRESENT_US, Family, Kind, Query, families

# Prometheus keeps 15 days, and looks back 5 minutes for a sample, unless told otherwise.
DAYS = 15.0
STEP_S = 240
_LONGEST_STEP_S = 300
# What Prometheus scraped so lately is not in blocks yet; with a block that ends later, it would
# forget all of it, of every target, at its next start.
HEAD_S = 3 * 3600
# promtool reads the whole file once for each block, and makes blocks of 2 hours by itself.
_BLOCK = "54h"

_END = b"# EOF\n"
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_SECOND_US = 1_000_000
_GONE = math.nan
_TELL_EVERY_S = 5.0


class Span(NamedTuple):
    """Instants of samples, in seconds since 1970: the multiples of `step_s`, and both ends.

    A change has one more, at the first full second after it: so a short run is seen too.
    """

    since_s: int
    until_s: int
    step_s: int = STEP_S


class Written(NamedTuple):
    """What came of it."""

    path: Path
    series: int
    samples: int

    @property
    def command(self) -> str:
        """What makes blocks of it; Prometheus's data folder is still to be named."""
        path = shlex.quote(str(self.path))
        return f"promtool tsdb create-blocks-from openmetrics --max-block-duration={_BLOCK} {path}"


class _Series(NamedTuple):
    """When a series changed, in seconds since 1970, and to what; NaN where it has no value."""

    at_s: array[int]
    values: array[float]

    def add(self, at_s: int, value: float) -> None:
        self.at_s.append(at_s)
        self.values.append(value)


def write(
    ledger: Ledger,
    path: Path,
    span: Span,
    labels: Mapping[str, str],
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Written:
    """Write what would have been scraped, had the ledger been asked at each instant.

    Memory grows with the runs, not with the samples.

    Args:
        ledger: Brought up to date before.
        path: Replaced when all is written; of files that are there, only what this wrote before.
        span: Which instants. For a Prometheus that has been running, up to HEAD_S ago at most;
            up to now only for one that begins with it.
        labels: Those that Prometheus gives what it scrapes now, `job` and `instance` for two: past
            and present are one series then.
        say: Takes a line now and then where it takes long.
        clock: Seconds that only grow.

    Raises:
        LedgerError: If arguments make no sense, the ledger knows nothing of that time or can't be
            read, or the file can't be written; the old one stays.
    """
    _check(span, labels)
    part = path.with_name(f"{path.name}.part")
    series = samples = 0
    told_at = clock()
    try:
        _check_is_ours(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                for number, query in enumerate(from_ledger.QUERIES, 1):
                    for family, found in zip(
                        families(query), _series(ledger, query, span), strict=True
                    ):
                        for count in _write_family(file, family, found, span, labels):
                            series, samples = series + 1, samples + count
                    if clock() - told_at >= _TELL_EVERY_S:
                        told_at = clock()
                        share = f"{number} of {len(from_ledger.QUERIES)}"
                        say(f"{share} groups of metrics, {samples:,} samples so far")
                file.write(_END.decode())
            if samples:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(
            f"Cannot write the history to {path}: {error.strerror}. Make room or make the folder "
            f"writable; fewer days or a longer step than {span.step_s} s take less room."
        ) from error
    if not samples:
        raise LedgerError("Cannot write the history: no run of that time is in the ledger.")
    return Written(path, series, samples)


def _check(span: Span, labels: Mapping[str, str]) -> None:
    if span.since_s >= span.until_s:
        raise LedgerError("Cannot write the history: it ends before it begins.")
    if not 1 <= span.step_s <= _LONGEST_STEP_S:
        raise LedgerError(
            f"Cannot write the history: the step is {span.step_s} s. Give 1 to {_LONGEST_STEP_S} "
            "s; for Prometheus, a series without a sample for 5 minutes is gone."
        )
    own = {name for query in from_ledger.QUERIES for name in query.labels}
    for name in labels:
        if name in own or not _LABEL.fullmatch(name):
            reason = "the metrics have one of that name" if name in own else "no such name may be"
            raise LedgerError(f"Cannot write the history with the label {name!r}: {reason}.")


def _check_is_ours(path: Path) -> None:
    """Of what is in the way, such as the ledger itself, nothing may be lost."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - len(_END), 0))
            if file.read() != _END:
                raise LedgerError(
                    f"Cannot write the history to {path}: another file is there, which is no "
                    "OpenMetrics. Name a new one."
                )


def _series(ledger: Ledger, query: Query, span: Span) -> list[dict[tuple[str, ...], _Series]]:
    """The series of each metric of the query, by their labels."""
    found: list[dict[tuple[str, ...], _Series]] = [{} for _ in query.metrics]
    is_counter = query.kind == Kind.COUNTER
    if is_counter:
        for metric, series in zip(query.metrics, found, strict=True):
            for row in ledger.rows(ForgottenTotal, "metric = ?", [metric.name]):
                _one(series, tuple(row.labels)).add(0, row.value)
    since_us = 0 if is_counter else span.since_s * _SECOND_US - PRESENT_US
    for at_us, changed in from_ledger.changes(ledger, query, since_us):
        at_s = -(-at_us // _SECOND_US)
        if at_s > span.until_s:
            break
        labels = next((family.samples[0].labels for family in changed if family.samples), None)
        if labels is None:
            continue
        for family, series in zip(changed, found, strict=True):
            if not is_counter:
                value = family.samples[0].value if family.samples else _GONE
            elif family.samples:
                before = series[labels].values[-1] if labels in series else 0.0
                value = before + family.samples[0].value
            else:
                continue
            _one(series, labels).add(at_s, value)
    return found


def _one(series: dict[tuple[str, ...], _Series], labels: tuple[str, ...]) -> _Series:
    return series.setdefault(labels, _Series(array("q"), array("d")))


def _write_family(
    file: TextIO,
    family: Family,
    found: Mapping[tuple[str, ...], _Series],
    span: Span,
    labels: Mapping[str, str],
) -> Iterator[int]:
    """How many samples each series has that has any."""
    head = openmetrics_head(family)
    for values in sorted(found):
        name = openmetrics_series(family, values, labels)
        samples = 0
        for value, instants in _held(found[values], span, family.kind):
            file.write(head)
            head = ""
            file.writelines(f"{name} {value!r} {at_s}\n" for at_s in instants)
            samples += len(instants)
        if samples:
            yield samples


def _held(series: _Series, span: Span, kind: Kind) -> Iterator[tuple[float, list[int]]]:
    """Values, in their order, and the instants at which a series has them."""
    holds_s = math.inf if kind == Kind.COUNTER else PRESENT_US // _SECOND_US
    ends = [*series.at_s[1:], span.until_s + 1]
    for at_s, end_s, value in zip(series.at_s, ends, series.values, strict=True):
        last_s = int(min(end_s - 1, at_s + holds_s))
        first_s = max(at_s, span.since_s)
        if first_s > last_s or math.isnan(value):
            continue
        after_s = first_s + span.step_s - first_s % span.step_s
        instants = [first_s, *range(after_s, last_s + 1, span.step_s)]
        if last_s == span.until_s and instants[-1] != last_s:
            instants.append(last_s)
        yield value, instants
