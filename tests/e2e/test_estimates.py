"""A sample says how sure it is, and is right about it: true values lie within the stated intervals.

Four demo worlds are read twice, whole and as a sample of traces and events. What the marts say of
the sample is held against the whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_sentry.demo import DemoSentry, World
from tests.sync import NOW, sync
from tests.warehouse import Row, Warehouse

pytestmark = pytest.mark.slow

SEEDS = range(11, 15)
FRACTION = 0.25
# Behind this instant a sampling run has read everything.
UNTIL = (NOW - timedelta(hours=1)).isoformat()
STREAMS_READ = {"spans": "timestamp", "events": "dateCreated"}

NO_TESTS = ("--exclude-resource-type", "test", "unit_test")
STATED = 0.95
# Some hundred cells share traces: their share scatters by about 0.02.
SCATTER = 0.04

Cell = tuple[Any, ...]


def rows_of_worlds(**sampling: Any) -> dict[str, list[Row]]:
    """Rows of all worlds, whose projects become different ones."""
    found: dict[str, list[Row]] = defaultdict(list)
    for seed in SEEDS:
        demo = DemoSentry(World(seed=seed, clock=lambda: NOW), limits=None)
        messages = sync(demo, *STREAMS_READ, **sampling)
        for stream, time in STREAMS_READ.items():
            found[stream] += [
                apart(row, seed) for row in messages.rows(stream).values() if row[time] < UNTIL
            ]
    return found


def apart(row: Row, seed: int) -> Row:
    """The row, in a project and a release of its own world.

    What Sentry kept of the traffic counts as all: the sample to be judged is the tap's.
    """
    if "project.id" in row:
        return {**row, "project.id": row["project.id"] * 100 + seed, "sampling_rate": None}
    return {**row, "projectID": f"{row['projectID']}{seed}", "groupID": f"{row['groupID']}{seed}"}


@dataclass(frozen=True)
class Sampled:
    """The marts of the sample, and the rows of the whole."""

    warehouse: Warehouse
    whole: dict[str, list[Row]]
    kept: dict[str, int]

    def truth(
        self, stream: str, cell: Callable[[Row], Cell], counts: Callable[[Row], bool]
    ) -> dict[Cell, int]:
        found: dict[Cell, int] = defaultdict(int)
        for row in self.whole[stream]:
            found[cell(row)] += counts(row)
        return found


@pytest.fixture(scope="module")
def sampled(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Sampled:
    folder = tmp_path_factory.mktemp("sampled")
    warehouse = Warehouse(transformer_bin / "dbt", folder / "warehouse.duckdb", {})
    rows = rows_of_worlds(
        sample_fraction=FRACTION, min_events_per_issue=0, max_events_per_issue=9_999
    )
    for stream, kept in rows.items():
        warehouse.store(stream, kept)
    warehouse.run("build", "--select", "+span_volume_weekly", "+int_issue_days", *NO_TESTS)
    return Sampled(warehouse, rows_of_worlds(), {name: len(kept) for name, kept in rows.items()})


def week(row: Row) -> date:
    day = datetime.fromisoformat(row["timestamp"]).date()
    return day - timedelta(days=day.weekday())


def span_cell(row: Row) -> Cell:
    return (week(row), str(row["project.id"]), row["span.op"], row["environment"] or "(none)")


def is_error(row: Row) -> bool:
    return (row["span.status"] or "unknown") not in {"ok", "cancelled", "unknown"}


def share_covered(cells: Iterator[bool], *, at_least: int) -> float:
    """The share of cells whose true value lies within the interval."""
    covered = list(cells)
    assert len(covered) >= at_least
    return sum(covered) / len(covered)


class TestSample:
    def test_holds_the_stated_part(self, sampled: Sampled) -> None:
        for stream, rows in sampled.whole.items():
            assert sampled.kept[stream] / len(rows) == pytest.approx(FRACTION, abs=0.02)


class TestSpanVolume:
    def test_intervals_hold_the_true_counts(self, sampled: Sampled) -> None:
        truth = sampled.truth("spans", span_cell, lambda _: True)
        weeks = sampled.warehouse.rows("from marts.span_volume_weekly where not is_low_sample")
        covered = (
            abs(row["estimated_span_count"] - truth[cell_of(row)])
            <= 1.96 * row["estimated_span_count_standard_error"]
            for row in weeks
        )
        assert share_covered(covered, at_least=200) == pytest.approx(STATED, abs=SCATTER)

    def test_intervals_hold_the_true_error_rates(self, sampled: Sampled) -> None:
        spans = sampled.truth("spans", span_cell, lambda _: True)
        errors = sampled.truth("spans", span_cell, is_error)
        weeks = sampled.warehouse.rows("from marts.span_volume_weekly where not is_low_sample")
        covered = (
            row["error_rate_low"] <= errors[cell] / spans[cell] <= row["error_rate_high"]
            for row in weeks
            for cell in [cell_of(row)]
        )
        # Most operations never fail, and the interval of 0 always holds 0: it may be too wide.
        assert share_covered(covered, at_least=200) >= STATED - SCATTER

    def test_estimates_are_not_biased(self, sampled: Sampled) -> None:
        (row,) = sampled.warehouse.rows(
            "select sum(estimated_span_count) as spans from marts.span_volume_weekly"
        )
        assert row["spans"] == pytest.approx(len(sampled.whole["spans"]), rel=0.03)


class TestIssueDays:
    def test_intervals_hold_the_true_counts(self, sampled: Sampled) -> None:
        truth = sampled.truth("events", issue_cell, lambda _: True)
        issues = sampled.warehouse.rows(
            "select issue_id, sum(estimated_error_count) as events,"
            " sqrt(sum(power(estimated_error_count_standard_error, 2))) as standard_error"
            " from intermediate.int_issue_days"
            " group by issue_id having sum(stored_error_count) >= 15"
        )
        covered = (
            abs(row["events"] - truth[(row["issue_id"],)]) <= 1.96 * row["standard_error"]
            for row in issues
        )
        assert share_covered(covered, at_least=30) >= STATED - 2 * SCATTER


def cell_of(row: Row) -> Cell:
    return (row["week_start_date"], row["service"], row["operation"], row["environment"])


def issue_cell(row: Row) -> Cell:
    return (row["groupID"],)
