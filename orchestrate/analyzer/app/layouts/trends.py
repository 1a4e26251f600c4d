"""Trends: layout only."""

from __future__ import annotations

import streamlit as st

from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import trends as charts
from orchestrate.analyzer.charts import trends_run as run_charts
from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.goals import COVERAGE_GOAL, REUSE_GOAL
from orchestrate.analyzer.reports.trends import report
from orchestrate.analyzer.reports.trends.days import main_job

_LISTED_RUNS = 300

history, choice = shell.begin("trends")
above = st.container()
over_time, of_runs, failures, one_run = st.tabs(["Over time", "Runs", "Failures", "One run"])

newest = history.runs.sort_values("started_at", ascending=False).head(_LISTED_RUNS)
labels = {
    run.run_id: f"{run.started_at:%Y-%m-%d %H:%M} {run.job} …{run.run_id[-8:]}"
    for run in newest.itertuples()
}
labels |= {"last": "the last one", "": "the one before"}
runs = [name for name in labels if name not in {"last", ""}]
with one_run:
    for column, field, first in zip(st.columns(2), ("run", "other_run"), ("last", ""), strict=True):
        options = list(dict.fromkeys([first, *runs, getattr(choice, field)]))
        label = "Compare with" if field == "other_run" else "Run"
        with column:
            choice = shell.pick(choice, field, options, label, lambda one: labels.get(one, one))
shell.remember(choice, "trends")
try:
    found = report(history, choice)
except ChoiceError as error:
    above.error(str(error))
    st.stop()
tables = {name: table.frame for name, table in found.tables.items()}
days, changes = tables["days"], tables["changes"]
job = main_job(tables["runs"])
with above:
    widgets.top(found)

with over_time:
    left, right = st.columns(2)
    with left:
        st.subheader("Executions by class", anchor=False)
        widgets.chart(
            charts.executions(days),
            f"Models, seeds and snapshots of {len(days)} days by class: {days['success'].sum():,} "
            f"built, {days['reused'].sum():,} reused, {days['error'].sum():,} failed.",
            "executions",
        )
    with right:
        st.subheader("Reuse rate", anchor=False)
        widgets.chart(
            charts.reuse(days, changes, REUSE_GOAL),
            f"The reuse rate of {len(days)} days beside the goal of {REUSE_GOAL:.0%}.",
            "reuse",
        )
    left, right = st.columns(2)
    with left:
        st.subheader(f"Duration of {job.label}" if job else "Duration", anchor=False)
        widgets.chart(
            charts.durations(days, changes, job.label if job else ""),
            f"Median and 95 % quantile of the time of successful runs and of dbt in them, on "
            f"{len(days)} days; {len(changes):,} change points in all.",
            "durations",
        )
    with right:
        st.subheader("Freshness coverage", anchor=False)
        widgets.chart(
            charts.coverage(tables["coverage"], COVERAGE_GOAL, history.now),
            f"The share of models and sources that say how fresh they should be, in "
            f"{len(tables['coverage'])} projects, beside the goal of {COVERAGE_GOAL:.0%}.",
            "coverage",
        )
    left, right = st.columns(2)
    with left:
        widgets.table(found, "trends")
    with right:
        widgets.table(found, "changes")
    with st.expander("The days and projects in numbers"):
        widgets.table(found, "days", height=300)
        widgets.table(found, "coverage")

with of_runs:
    left, right = st.columns(2)
    with left:
        st.subheader("Results", anchor=False)
        widgets.chart(
            charts.results(tables["runs"]),
            f"The newest runs by begin, duration and result, of {len(tables['runs']):,}.",
            "results",
        )
    with right:
        st.subheader("Executions by class", anchor=False)
        widgets.chart(
            charts.executions_of_runs(tables["runs"]),
            "Models, seeds and snapshots of each of the newest runs by class.",
            "executions of runs",
        )
    widgets.table(found, "runs", height=280)
    left, right = st.columns(2)
    with left:
        widgets.table(found, "deciding", height=330)
    with right:
        widgets.chart(
            charts.deciding(tables["deciding"]),
            "The parts of the runs that decided when they ended, by their share of the time.",
            "deciding",
        )

with failures:
    for name in ("flaky", "failing", "causes"):
        widgets.table(found, name)

with one_run:
    bars = tables["threads"]
    if bars.empty:
        st.info("dbt built nothing in this run, or nothing tells when. Choose another run above.")
    else:
        st.subheader("Threads of dbt", anchor=False, help=found.tables["threads"].help)
        widgets.chart(
            run_charts.threads(bars),
            f"{len(bars)} nodes on {bars['thread'].nunique()} threads; "
            f"{int(bars['is_critical'].sum())} of them decided the end.",
            "threads",
        )
    left, right = st.columns(2)
    with left:
        widgets.table(found, "difference", height=330)
    with right:
        changed = tables["difference"]["change"].isin(["slower", "faster"])
        if changed.any():
            widgets.chart(
                run_charts.difference(tables["difference"]),
                f"{int(changed.sum())} steps and nodes that took longer or shorter than before.",
                "difference",
            )
        widgets.table(found, "extracted")
    with st.expander("The nodes in numbers"):
        widgets.table(found, "threads")
