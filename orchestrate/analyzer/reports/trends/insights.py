"""What the page on trends says in numbers and sentences; both rest on its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from orchestrate.analyzer import formats, statistics
from orchestrate.analyzer.classes import TEST_TYPES
from orchestrate.analyzer.goals import COVERAGE_GOAL, REUSE_GOAL
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Metric, Table, Tone, Unit
from orchestrate.analyzer.reports.trends import days as trends_days

# A change of level that is smaller stands in the table alone.
_WORTH_TELLING = 0.1
_LISTED = 2


def metrics(history: History, tables: dict[str, Table]) -> Iterator[Metric]:
    runs = tables["runs"].frame.iloc[::-1]
    rates = runs["reuse_rate"].dropna()
    success = trends_days.success(runs)
    covered = tables["coverage"].frame.tail(1).to_dict("records")
    part = f"{covered[0]['covered']:,} of {covered[0]['nodes']:,}" if covered else "None known of"
    ended = tables["days"].frame
    yield Metric(
        name="Success rate",
        value=success.share if success else None,
        unit=Unit.SHARE,
        low=success.low if success else None,
        high=success.high if success else None,
        help=f"{ended['succeeded'].sum():,} of {ended['ended'].sum():,} runs that ended.",
    )
    yield _reuse("Reuse rate", runs, goal=REUSE_GOAL)
    for name, value in (("Highest reuse", rates.max()), ("Lowest reuse", rates.min())):
        yield Metric(
            name=name,
            value=None if rates.empty else float(value),
            unit=Unit.SHARE,
            help=f"Of a run, among the {len(rates):,} that built or reused anything.",
        )
    yield Metric(
        name="Freshness coverage",
        value=_known(covered[0]["coverage"]) if covered else None,
        unit=Unit.SHARE,
        goal=COVERAGE_GOAL,
        help=f"{part} models and sources of the newest project say how fresh they should be.",
    )
    for name, half in zip(("first", "second"), trends_days.halves(runs), strict=True):
        yield _reuse(f"Reuse, {name} half", half)
    good = runs[runs["result"] == "success"]
    yield Metric(
        name="Median run",
        value=statistics.quantile(good["run_seconds"], 0.5),
        unit=Unit.SECONDS,
        help=f"Of the {len(good):,} runs that succeeded, of all jobs.",
    )
    tests = history.nodes[history.nodes["resource_type"].isin(TEST_TYPES)]
    yield Metric(
        name="Flaky tests",
        value=tables["flaky"].frame["unique_id"].nunique() if len(tests) else None,
        help=f"Of {tests['unique_id'].nunique():,} tests that ran: passed and failed by turns.",
    )
    idle = tables["idle"].frame.iloc[0]
    yield Metric(
        name="Idle threads",
        value=_known(idle["idle"]),
        unit=Unit.SHARE,
        help=f"In run {idle['run_id']}: the share of dbt's threads' time without a node.",
    )


def _known(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _place(row: Any) -> str:
    return ", ".join(filter(None, (row.environment, row.target))) or "anywhere"


def _reuse(name: str, runs: pd.DataFrame, goal: float | None = None) -> Metric:
    reused, decided = trends_days.reuse(runs)
    return Metric(
        name=name,
        value=reused / decided if decided else None,
        unit=Unit.SHARE,
        goal=goal,
        help=f"{reused:,} reused of {decided:,} models, seeds and snapshots reused or built, in "
        f"{len(runs):,} runs. What was skipped is neither.",
    )


def insights(tables: dict[str, Table]) -> Iterator[Insight]:
    for row in tables["trends"].frame.itertuples():
        if row.measure == "reuse rate" and row.verdict != statistics.Direction.UNCLEAR.value:
            tone = Tone.GOOD if row.verdict == "improving" else Tone.WARNING
            points = [f"{100 * slope:+.1f}" for slope in (row.change_per_day, row.low, row.high)]
            yield Insight(
                tone,
                f"The reuse rate is {row.verdict}: {points[0]} percentage points a day "
                f"({points[1]} to {points[2]}) over {row.days} days.",
            )
    changes = tables["changes"].frame
    times = changes[changes["measure"] == "run time"]
    # The newest change of a job comes first.
    for job, found in list(times.groupby("of", sort=False))[:_LISTED]:
        now, before = found.iloc[0], found.iloc[-1]["before"]
        change = now["after"] / before - 1 if before else 0.0
        if abs(change) < _WORTH_TELLING:
            continue
        steps = f" in {len(found)} steps" if len(found) > 1 else ""
        yield Insight(
            Tone.WARNING if change > 0 else Tone.GOOD,
            f"The run time of {job} is {formats.duration(now['after'])} since "
            f"{now['day']:%Y-%m-%d}, {formats.duration(before)} before: "
            f"{100 * change:+.0f} %{steps}.",
        )
    for row in tables["flaky"].frame.head(1).itertuples():
        others = tables["flaky"].frame["unique_id"].nunique() - 1
        more = f" Other tests that flake: {others}." if others else ""
        yield Insight(
            Tone.WARNING,
            f"{row.test} ({_place(row)}) flakes: it failed {row.failed} of {row.executions} times "
            f"({formats.share(row.share_failed)}; {formats.share(row.low)} to "
            f"{formats.share(row.high)}) and flipped {row.flips} times while the project stayed "
            f"the same.{more}",
        )
    for test, found in list(tables["failing"].frame.groupby("test", sort=False))[:_LISTED]:
        row = found.iloc[0]
        elsewhere = f"; so in {len(found) - 1} more places" if len(found) > 1 else ""
        yield Insight(
            Tone.WARNING if (found["status"] == "warn").all() else Tone.BAD,
            f"{test} ({_place(row)}{elsewhere}) does not pass since "
            f"{row.since:%Y-%m-%d %H:%M} UTC (results since: {row.executions_since:,}). "
            f"What changed: {row.change}.",
        )
    for row in tables["causes"].frame.head(1).itertuples():
        yield Insight(
            Tone.NOTE,
            f"The most frequent cause of failures ({row.kind}, {row.times} times in {row.runs} "
            f"runs, last {row.last_seen:%Y-%m-%d %H:%M} UTC): {row.cause}",
        )
    for row in tables["deciding"].frame.query("kind != 'other'").head(1).itertuples():
        yield Insight(
            Tone.NOTE,
            f"{row.name} ({row.kind}) decides {formats.share(row.share)} of the runs' time: "
            f"{formats.duration(row.seconds)} in {row.runs:,} runs.",
        )
