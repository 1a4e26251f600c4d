"""Page "overlap": relations that several jobs build, and which of those builds were redundant."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Metric, Report, Table, Tone, Unit
from orchestrate.analyzer.reports.cost.work import work
from orchestrate.analyzer.reports.overlap import jobs as overlap_jobs
from orchestrate.analyzer.reports.overlap.builds import NEEDED, REDUNDANT, UNKNOWN, builds, rebuilds

PAGE = "overlap"
EMPTY = (
    "No relation was built in this window. Choose a longer window, or let dbt build: "
    "`meltano run dbt:build`."
)
# What filters by these hides may have changed rows between two builds.
_HIDING = ("job", "job_type", "result", "planner", "target")
_SECONDS, _MONEY = Unit.SECONDS, Unit.MONEY


def report(history: History, choice: Choice) -> Report:
    """What the page says of a history."""
    done = work(history, choice)
    built = builds(done)
    if built.empty:
        return Report(page=PAGE, empty=EMPTY, currency=choice.currency)
    rebuilt = rebuilds(history, done, built)
    hidden = [name for name in _HIDING if getattr(choice, name)]
    if hidden:
        rebuilt["verdict"] = rebuilt["verdict"].replace(REDUNDANT, UNKNOWN)
    span_days = history.span_days(choice.days)
    jobs = overlap_jobs.inventory(history, built)
    shared = overlap_jobs.relations(built, rebuilt)
    proposed = overlap_jobs.proposals(jobs, built, rebuilt, span_days)
    return Report(
        page=PAGE,
        metrics=_metrics(jobs, built, shared, rebuilt, span_days),
        insights=_insights(shared, rebuilt, proposed, hidden, choice),
        tables=_tables(jobs, built, shared, proposed),
        currency=choice.currency,
    )


def _metrics(
    jobs: pd.DataFrame,
    built: pd.DataFrame,
    shared: pd.DataFrame,
    rebuilt: pd.DataFrame,
    span_days: float,
) -> list[Metric]:
    unique = int(built["key"].nunique())
    redundant = rebuilt[rebuilt["verdict"] == REDUNDANT]
    counts = rebuilt.groupby("verdict").size()
    unknown, needed = int(counts.get(UNKNOWN, 0)), int(counts.get(NEEDED, 0))
    # Where no verdict was possible, nobody knows how much was redundant.
    is_known = unknown < len(rebuilt) or rebuilt.empty
    seconds, cost = float(redundant["seconds"].sum()), float(redundant["cost"].sum())
    return [
        Metric(
            name="Relations built",
            value=unique,
            help=f"By {int((jobs['builds'] > 0).sum()):,} of {len(jobs):,} jobs, each relation of "
            f"each environment and target once; {len(built):,} builds. What was skipped, reused "
            "or failed is no build.",
        ),
        Metric(
            name="Built by several jobs",
            value=len(shared),
            help="Relations of one environment and target that two jobs or more built.",
        ),
        Metric(
            name="Overlap",
            value=len(shared) / unique,
            unit=Unit.SHARE,
            help=f"{len(shared):,} of {unique:,} relations are built by several jobs.",
        ),
        Metric(
            name="Redundant builds",
            value=len(redundant) if is_known else None,
            help=f"Of {len(rebuilt):,} builds that follow one by another job: nothing upstream had "
            "changed since, neither a stream's rows nor a table's contents nor the SQL. "
            f"{needed:,} were needed, of {unknown:,} it is unknown.",
        ),
        Metric(
            name="Not known",
            value=unknown,
            help=f"Of {len(rebuilt):,} builds that follow one by another job: contents upstream "
            "were rebuilt and not compared, or the ledger lacks the project or a stream.",
        ),
        Metric(
            name="Redundant time",
            value=seconds if is_known else None,
            unit=_SECONDS,
            help="The wall clock of redundant builds, divided among the nodes that ran at the "
            "same time.",
        ),
        Metric(
            name="Redundant cost",
            value=cost if is_known else None,
            unit=_MONEY,
            help="That time at the price of dbt's time.",
        ),
        Metric(
            name="Redundant per day",
            value=cost / span_days if is_known else None,
            unit=_MONEY,
            help=f"By {span_days:.1f} days.",
        ),
    ]


def _insights(
    shared: pd.DataFrame,
    rebuilt: pd.DataFrame,
    proposed: pd.DataFrame,
    hidden: list[str],
    choice: Choice,
) -> list[Insight]:
    if hidden:
        return [
            Insight(
                Tone.WARNING,
                f"The filter by {', '.join(hidden)} hides runs that may have changed rows between "
                f"two builds, so none of {len(rebuilt):,} is called redundant. Take it away to "
                "see which are.",
            )
        ]
    if shared.empty:
        return [
            Insight(Tone.GOOD, "No relation is built by two jobs in one environment and target.")
        ]
    redundant = rebuilt[rebuilt["verdict"] == REDUNDANT]
    found = []
    if len(redundant):
        found.append(
            Insight(
                Tone.WARNING,
                f"{len(redundant):,} of {len(rebuilt):,} builds that follow one by another job "
                f"were redundant: {formats.duration(redundant['seconds'].sum())} of the machine, "
                f"{formats.money(float(redundant['cost'].sum()), choice.currency)}.",
            )
        )
    unknown = int((rebuilt["verdict"] == UNKNOWN).sum())
    if unknown:
        found.append(
            Insight(
                Tone.NOTE,
                f"Of {unknown:,} of {len(rebuilt):,} such builds it is unknown whether they were "
                "needed, since contents upstream were not compared. --reuse shadow compares "
                "them.",
            )
        )
    acted = proposed[proposed["action"].isin(["leave out", "merge", "reuse"])]
    found.extend(Insight(Tone.NOTE, str(text)) for text in acted["proposal"].head(3))
    return found


def _tables(
    jobs: pd.DataFrame, built: pd.DataFrame, shared: pd.DataFrame, proposed: pd.DataFrame
) -> dict[str, Table]:
    return {
        "proposals": Table(
            title="What to do",
            frame=proposed,
            help="Two jobs that build the same relations. Priority is by redundant seconds a day: "
            "high from 600, medium from 60. Seconds between two runs are medians.",
            units={
                "every_seconds": _SECONDS,
                "other_every_seconds": _SECONDS,
                "redundant_seconds_per_day": _SECONDS,
                "redundant_cost_per_day": _MONEY,
            },
        ),
        "relations": Table(
            title="Relations built by several jobs",
            frame=shared,
            help="Builds that follow one by another job are redundant, needed or unknown.",
            units={"redundant_seconds": _SECONDS, "redundant_cost": _MONEY},
        ),
        "matrix": Table(
            title="Jobs side by side",
            frame=overlap_jobs.matrix(built),
            help="How many relations both build; on the diagonal how many each builds in all.",
        ),
        "jobs": Table(
            title="Jobs",
            frame=jobs,
            help="How often a job runs is the median between two begins of its runs.",
            units={"every_seconds": _SECONDS, "build_seconds": _SECONDS},
        ),
        "mapping": Table(
            title="Which job builds what",
            frame=overlap_jobs.mapping(built),
            help="Each job and relation once, to take away.",
            units={"machine_seconds": _SECONDS},
        ),
    }
