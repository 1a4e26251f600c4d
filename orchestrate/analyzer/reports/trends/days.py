"""How runs and days went: executions by class, reuse, durations, results, freshness coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from orchestrate.analyzer import change_points, statistics
from orchestrate.analyzer.classes import BUILT_TYPES, CLASSES, TEST_TYPES, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports import freshness
from orchestrate.analyzer.statistics import Rate

# What may become of a model, a seed or a snapshot that a run asked for.
EXECUTED = [name for name in CLASSES if name != NodeClass.NOT_SELECTED.value]
# Reused, and what might have been: built, or tried. What was skipped is neither.
_DECIDED = ["reused", "success", "no-op", "error"]
_ENDED_WELL = "success"
_MANIFESTS = 60  # the newest; older ones would have to be read one by one


class Job(NamedTuple):
    """A job in an environment: its runs do the same work."""

    environment: str
    name: str

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.name} ({self.environment})" if self.environment else self.name


class Measure(NamedTuple):
    """A column of `per_day` that may have a trend, and which way is the better one."""

    name: str
    column: str
    more_is_better: bool
    unit: str


MEASURES = (
    Measure("reuse rate", "reuse_rate", more_is_better=True, unit="share"),
    Measure("success rate", "success_rate", more_is_better=True, unit="share"),
    Measure("run time", "run_p50_seconds", more_is_better=False, unit="seconds"),
    Measure("dbt time", "dbt_p50_seconds", more_is_better=False, unit="seconds"),
)


def per_run(history: History) -> pd.DataFrame:
    """Each run, oldest first, with models, seeds and snapshots by class and tests in numbers.

    `dbt_seconds` is from begin to end of all its calls of dbt; None without any. `reuse_rate` is
    reused / (reused + success + no-op + error); None where that is none.
    """
    names = ["started_at", "run_id", "environment", "job", "result", "run_seconds"]
    runs = history.runs[names].astype({"run_id": "object"}).sort_values("started_at", kind="stable")
    calls = history.invocations.astype({"run_id": "object"})
    calls["dbt_seconds"] = (calls["ended_at"] - calls["started_at"]).dt.total_seconds()
    dbt = calls.groupby("run_id")["dbt_seconds"].sum(min_count=1)
    nodes = history.nodes
    built = nodes[nodes["resource_type"].isin(BUILT_TYPES)]
    tests = nodes[nodes["resource_type"].isin(TEST_TYPES)]
    failed = tests[tests["node_class"] == NodeClass.ERROR.value]
    classes = built.groupby(["run_id", "node_class"], observed=True).size().unstack(fill_value=0)
    frame = runs.assign(
        dbt_seconds=runs["run_id"].map(dbt).astype("float64"),
        **{name: _counted(runs, classes.get(name)) for name in EXECUTED},
        tests=_counted(runs, tests.groupby("run_id", observed=True).size()),
        tests_failed=_counted(runs, failed.groupby("run_id", observed=True).size()),
    )
    frame["reuse_rate"] = _reuse(frame)
    return frame.reset_index(drop=True)


def _counted(runs: pd.DataFrame, counts: pd.Series | None) -> pd.Series:
    if counts is None:
        return pd.Series(0, index=runs.index)
    by_id = pd.Series(counts.to_numpy(), index=counts.index.astype("object"))
    return runs["run_id"].map(by_id).fillna(0).astype("int64")


def _reuse(frame: pd.DataFrame) -> pd.Series:
    decided = frame[_DECIDED].sum(axis=1)
    return (frame["reused"] / decided.where(decided > 0)).astype("float64")


def main_job(runs: pd.DataFrame) -> Job | None:
    """The job with the most runs that succeeded; None where none did."""
    good = runs[runs["result"] == _ENDED_WELL]
    counts = good.groupby(["environment", "job"], observed=True).size()
    if counts.empty:
        return None
    environment, name = counts.idxmax()
    return Job(str(environment), str(name))


def per_day(runs: pd.DataFrame, job: Job | None) -> pd.DataFrame:
    """Each UTC day from the first run to the last, days without any run too.

    Args:
        runs: As `per_run` gives them.
        job: Whose runs tell the durations, those that succeeded: of jobs that do different work,
            or break off early, no median makes sense.
    """
    at = runs["started_at"].dt.floor("D")
    days = pd.date_range(at.min(), at.max(), freq="D", name="day") if len(runs) else at.unique()
    summed = [*EXECUTED, "tests", "tests_failed"]
    sums = runs.groupby(at)[summed].sum().reindex(days, fill_value=0)
    good = runs["result"] == _ENDED_WELL
    ended = runs["result"] != "running"
    timed = None
    if job:
        is_of_job = (runs["environment"] == job.environment) & (runs["job"] == job.name)
        timed = runs[good & is_of_job]
    frame = pd.DataFrame({"runs": _per_day(at, days), "ended": _per_day(at[ended], days)})
    frame["succeeded"] = _per_day(at[good], days)
    frame["success_rate"] = frame["succeeded"] / frame["ended"].where(frame["ended"] > 0)
    frame = frame.join(sums)
    frame["reuse_rate"] = _reuse(frame)
    for name in ("run", "dbt"):
        for percent in (50, 95):
            frame[f"{name}_p{percent}_seconds"] = (
                np.nan if timed is None else _quantile(timed, at, f"{name}_seconds", percent)
            )
    return frame.rename_axis("day").reset_index()


def _per_day(at: pd.Series, days: pd.Index) -> pd.Series:
    return at.groupby(at).size().reindex(days, fill_value=0)


def _quantile(runs: pd.DataFrame, at: pd.Series, column: str, percent: int) -> pd.Series:
    return runs.groupby(at[runs.index])[column].quantile(percent / 100)


def success(runs: pd.DataFrame) -> Rate | None:
    """The share of runs that ended well, of those that ended at all."""
    ended = runs[runs["result"] != "running"]
    return statistics.rate(int((ended["result"] == _ENDED_WELL).sum()), len(ended))


def reuse(runs: pd.DataFrame) -> tuple[int, int]:
    """How many models, seeds and snapshots were reused, of how many that were reused or built."""
    return int(runs["reused"].sum()), int(runs[_DECIDED].to_numpy().sum())


def halves(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The earlier and the later half of the runs that built or reused anything."""
    known = runs[runs["reuse_rate"].notna()]
    middle = len(known) // 2
    return known.iloc[:middle], known.iloc[middle:]


def whole(days: pd.DataFrame, now: pd.Timestamp, window: int) -> pd.DataFrame:
    """The days that are in the window from begin to end: half a day has other hours than a day.

    Args:
        days: As `per_day` gives them.
        now: The end of the window.
        window: How many days it is long; 0 for all.
    """
    # Nobody knows what was before the first run: the ledger may begin with it.
    is_whole = (days["day"] + pd.Timedelta(days=1) <= now) & (days["day"] > days["day"].min())
    if window:
        is_whole &= days["day"] >= now - pd.Timedelta(days=window)
    return days[is_whole].reset_index(drop=True)


def trends(days: pd.DataFrame) -> pd.DataFrame:
    """The slope per day of each measure that enough days tell, with interval and direction."""
    rows = []
    for measure in MEASURES:
        found = statistics.trend(np.arange(len(days)), days[measure.column])
        if found:
            direction = found.direction
            verdict = {True: "improving", False: "worsening"}.get(
                (direction is statistics.Direction.RISING) == measure.more_is_better
            )
            if direction is statistics.Direction.UNCLEAR:
                verdict = direction.value
            slope = (found.slope, found.low, found.high, found.p)
            rows.append((measure.name, verdict, found.points, measure.unit, *slope))
    columns = ["measure", "verdict", "days", "unit", "change_per_day", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)


def changes(runs: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    """When the level of a day's median, or of the reuse rate, changed: the newest first.

    Args:
        runs: As `per_run` gives them: of every job its run time and dbt time are looked at.
        days: Of all of them: those that count, and their reuse rate.
    """
    rows = list(_changes(days, "all", MEASURES[0]))
    good = runs[runs["result"] == _ENDED_WELL]
    for (environment, name), of_job in good.groupby(["environment", "job"], observed=True):
        job = Job(str(environment), str(name))
        told = per_day(of_job.reset_index(drop=True), job)
        told = told[told["day"].isin(days["day"])]
        for measure in MEASURES[2:]:
            rows += _changes(told, job.label, measure)
    columns = ["day", "measure", "of", "unit", "before", "after", "change", "p"]
    frame = pd.DataFrame(rows, columns=columns).astype({"change": "float64"})
    return frame.sort_values("day", ascending=False, kind="stable", ignore_index=True)


def _changes(days: pd.DataFrame, of: str, measure: Measure) -> list[tuple[object, ...]]:
    return [
        (
            days["day"].iloc[found.place],
            measure.name,
            of,
            measure.unit,
            found.before,
            found.after,
            found.after / found.before - 1 if found.before else None,
            found.p,
        )
        for found in change_points.change_points(days[measure.column])
    ]


def coverage(history: History) -> pd.DataFrame:
    """Of each project that dbt read, how many models and sources say how fresh they should be.

    Counted as `freshness.coverage` does; the oldest first, 60 at most.
    """
    calls = history.invocations.dropna(subset=["manifest_hash"])
    times = calls.groupby("manifest_hash", observed=True)["started_at"].agg(["min", "max", "size"])
    rows = []
    for found in times.sort_values("min", kind="stable").tail(_MANIFESTS).itertuples():
        of_project = replace(history, invocations=calls[calls["manifest_hash"] == found.Index])
        nodes = freshness.coverage(of_project)
        covered = int((nodes["has_limit"] | nodes["cadence_seconds"].notna()).sum())
        share = covered / len(nodes) if len(nodes) else None
        seen = (found.min, found.max, found.size)
        rows.append((str(found.Index), *seen, covered, len(nodes), share))
    columns = ["manifest", "first_seen", "last_seen", "calls", "covered", "nodes", "coverage"]
    return pd.DataFrame(rows, columns=columns).astype({"coverage": "float64"})
