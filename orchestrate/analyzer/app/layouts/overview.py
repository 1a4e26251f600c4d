"""The overview: layout only."""

from __future__ import annotations

import streamlit as st

from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import overview as charts
from orchestrate.analyzer.goals import COVERAGE_GOAL
from orchestrate.analyzer.reports.overview import report

_MANY, _HEIGHT = 8, 320  # rows, from which on a table scrolls in so many pixels

history, choice = shell.begin("overview")
found = report(history, choice)
tables = {name: table.frame for name, table in found.tables.items()}
widgets.metrics(found)
failed = int((tables["runs"]["result"] != "success").sum())
widgets.chart(
    charts.strip(tables["runs"]),
    f"The last {len(tables['runs'])} runs, each with its duration and its result: "
    f"{failed} did not succeed.",
    "last runs",
)
widgets.insights(found.insights)

if tables["adoption_by_type"].empty:
    st.info("No run of this window built with dbt: run one, and its use of the planner shows here.")
else:
    st.subheader("Who uses the reuse planner", anchor=False)
    st.markdown("Runs that built with dbt: on, shadow (planned, but built all the same), off.")
    types = tables["adoption_by_type"]
    ring, jobs, kinds = st.columns([2, 3, 3])
    with ring:
        widgets.chart(
            charts.adoption(types),
            f"Runs by the planner: {int(types['on'].sum())} on, {int(types['shadow'].sum())} in "
            f"the shadow, {int(types['off'].sum())} off, of {int(types['runs'].sum())}.",
            "adoption",
        )
    with jobs:
        widgets.chart(
            charts.by_job(tables["jobs"]),
            "The share of each job's runs with the planner on, in the shadow and off.",
            "adoption by job",
        )
    with kinds:
        widgets.chart(
            charts.by_type(types),
            "The share of runs with the planner on, in the shadow and off, by type of job.",
            "adoption by type",
        )

st.subheader("Nodes and their freshness", anchor=False)
left, middle, right = st.columns(3)
with left:
    widgets.chart(
        charts.classes(tables["classes"]),
        "How many nodes and tests succeeded, were reused, built for nothing, skipped, failed or "
        "not selected when they were last asked for.",
        "classes",
    )
with middle:
    widgets.chart(
        charts.coverage(tables["coverage"], COVERAGE_GOAL),
        "The share of models and of sources whose freshness is declared, beside the goal.",
        "coverage",
    )
with right:
    widgets.chart(
        charts.cadence(tables["cadence"]),
        "How many models have which least time between two builds.",
        "cadence",
    )

lists = {
    "Last runs": ("runs",),
    "Tests": ("failing_tests",),
    "Freshness": ("slo", "coverage", "cadence"),
    "Reuse planner": ("opportunities", "coverage_of_jobs", "adoption_by_type"),
    "Jobs": ("jobs",),
    "Nodes": ("classes",),
}
for tab, names in zip(st.tabs(list(lists)), lists.values(), strict=True):
    with tab:
        for name in names:
            widgets.table(found, name, height=_HEIGHT if len(tables[name]) > _MANY else None)
