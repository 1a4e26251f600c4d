"""What has changed over time, what fails, which work decides, and one run beside another."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import change_points, formats, statistics
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report, Table, Unit
from orchestrate.analyzer.reports.trends import days as trends_days
from orchestrate.analyzer.reports.trends import failures as trends_failures
from orchestrate.analyzer.reports.trends import flakiness as trends_tests
from orchestrate.analyzer.reports.trends import insights as trends_said
from orchestrate.analyzer.reports.trends import path as trends_path
from orchestrate.analyzer.reports.trends import run as trends_run

_P_HELP = "p is how often chance alone would show as much"


def report(history: History, choice: Choice) -> Report:
    """Trends of these runs, and the run that is chosen beside the one before it.

    Raises:
        ChoiceError: If the choice names a run that there is not.
    """
    if history.runs.empty:
        return Report(
            page="trends",
            empty="No run is left to look at. Choose a longer window or fewer filters, or run the "
            "pipeline: `meltano run tap-sentry target-duckdb dbt`.",
        )
    tables = {**_over_time(history, choice), **_failures(history), **_one_run(history, choice)}
    return Report(
        page="trends",
        metrics=list(trends_said.metrics(history, tables)),
        insights=list(trends_said.insights(tables)),
        tables=tables,
    )


def _over_time(history: History, choice: Choice) -> dict[str, Table]:
    runs = trends_days.per_run(history)
    job = trends_days.main_job(runs)
    days = trends_days.per_day(runs, job)
    whole = trends_days.whole(days, history.now, choice.days)
    looked_at = trends_path.newest(history)
    of_job = job.label if job else "any job"
    p_seconds = [f"{name}_p{share}_seconds" for name in ("run", "dbt") for share in (50, 95)]
    return {
        "days": Table(
            title="Days",
            frame=days,
            help="UTC days. Classes count models, seeds and snapshots. Durations are the median "
            f"and 95 % quantile of the runs of {of_job} that succeeded.",
            units={
                "success_rate": Unit.SHARE,
                "reuse_rate": Unit.SHARE,
                **dict.fromkeys(p_seconds, Unit.SECONDS),
            },
        ),
        "runs": Table(
            title="Runs",
            frame=runs.iloc[::-1].reset_index(drop=True),
            help="Classes count models, seeds and snapshots. dbt's time is from begin to end of "
            "its calls; a run under way counts as far as it was heard of.",
            units={
                "reuse_rate": Unit.SHARE,
                "run_seconds": Unit.SECONDS,
                "dbt_seconds": Unit.SECONDS,
            },
        ),
        "trends": Table(
            title="Trends of the days",
            frame=trends_days.trends(whole),
            help="Theil and Sen's slope with its 95 % interval, Mann and Kendall's test; from "
            f"{statistics.FEWEST_POINTS} whole days on. {_P_HELP}. Times are of {of_job}.",
        ),
        "changes": Table(
            title="Change points",
            frame=trends_days.changes(runs, whole),
            help="Days on which the level of a day's median changed: ranks before and after, "
            f"shuffled to see what chance does, at {formats.share(change_points.LEVEL)}; by "
            f"binary segmentation. {_P_HELP}. Only whole days count.",
            units={"change": Unit.SHARE},
        ),
        "coverage": Table(
            title="Freshness coverage of each project",
            frame=trends_days.coverage(history),
            help="Models and sources that say how old their data may be or how often to build "
            "them, of all; ephemeral models are left out.",
            units={"coverage": Unit.SHARE},
        ),
        "deciding": Table(
            title="What decided when runs ended",
            frame=trends_path.deciding(looked_at),
            help=f"Of the {len(looked_at.runs):,} newest runs that ended: seconds that each part "
            "had on their critical paths, and its share of their time.",
            units={"seconds": Unit.SECONDS, "share": Unit.SHARE},
        ),
    }


def _failures(history: History) -> dict[str, Table]:
    tests = trends_tests.executions(history)
    shares = dict.fromkeys(("share_failed", "low", "high"), Unit.SHARE)
    return {
        "flaky": Table(
            title="Flaky tests",
            frame=trends_tests.flaky(history, tests),
            help="Tests that passed and failed by turns while the project stayed the same, twice "
            "or more. low and high bound the share that failed (95 %, Wilson). Same input: flips "
            "between which the reuse planner proved that the tested rows were the same.",
            units=shares,
        ),
        "failing": Table(
            title="Tests that fail since",
            frame=trends_tests.failing(history, tests),
            help="Their last result was a failure or a warning, and none passed since.",
        ),
        "causes": Table(
            title="Causes of failures",
            frame=trends_failures.causes(history),
            help="Messages that differ only in names, ids, instants and numbers are one cause. An "
            "error of a run that follows from one of its parts is not counted again.",
        ),
    }


def _one_run(history: History, choice: Choice) -> dict[str, Table]:
    run_id = trends_run.find(history.runs, choice.run)
    run = history.of([run_id])
    other_id = trends_run.before(history.runs, run_id)
    if choice.other_run:
        other_id = trends_run.find(history.runs, choice.other_run, "other_run")
    other = history.of([other_id] if other_id else [])
    worked = trends_run.bars(run)
    compared = f"{run_id} compared with {other_id}" if other_id else f"{run_id}: none before it"
    idle = trends_run.idle(run, worked)
    return {
        "threads": Table(
            title="Nodes by thread",
            frame=worked,
            help=f"Run {run_id}: when each node was at work.",
            units={"seconds": Unit.SECONDS},
        ),
        "idle": Table(
            title="Threads",
            frame=pd.DataFrame({"run_id": [run_id], "compared_with": [other_id], "idle": [idle]}),
            help="The share of dbt's threads' time without a node, from the first to the last.",
            units={"idle": Unit.SHARE},
        ),
        "difference": Table(
            title="Slower, faster, new, gone",
            frame=trends_run.difference(run, other)
            if other_id
            else _none("kind", "name", "change"),
            help=f"Run {compared}. Less than a tenth, or 0.1 s, is the same.",
            units=dict.fromkeys(("seconds", "before_seconds", "change_seconds"), Unit.SECONDS),
        ),
        "extracted": Table(
            title="Rows and requests by stream",
            frame=trends_run.extracted(run, other) if other_id else _none("stream", "rows"),
            help=f"Run {compared}.",
        ),
    }


def _none(*columns: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns))
