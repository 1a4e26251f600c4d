"""Page `extraction`: its layout."""

from __future__ import annotations

import streamlit as st

from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import extraction as charts
from orchestrate.analyzer.reports.extraction import report

history, choice = shell.begin("extraction")
found = report(history, choice)
widgets.top(found)

tables = {name: table.frame for name, table in found.tables.items()}
left, right = st.columns(2)
with left:
    st.subheader("Rows by day", anchor=False)
    widgets.chart(
        charts.rows_by_day(tables["rows_by_day"]),
        "Bars: rows that each stream gave on each day.",
        "rows_by_day",
    )
with right:
    st.subheader("Requests and waits by day", anchor=False)
    widgets.chart(
        charts.requests_by_day(tables["requests_by_day"]),
        "Bars: requests to each endpoint on each day, and below the seconds it was held back.",
        "requests_by_day",
    )
left, right = st.columns(2)
with left:
    st.subheader("Quota used", anchor=False, help="The largest share of a window on each day.")
    widgets.chart(
        charts.quotas(tables["requests_by_day"]),
        "Lines: the largest share of its quota that each endpoint used on each day, and the limit.",
        "quotas",
    )
with right:
    st.subheader("Plan against reality", anchor=False, help=found.tables["plans"].help)
    widgets.chart(
        charts.plans(tables["plans"]),
        "Points: rows and requests of each sync, planned against real; on the line both are equal.",
        "plans",
    )

shown = {
    "Streams": ("streams",),
    "Endpoints": ("endpoints", "retries"),
    "Quotas": ("forecast", "what_if"),
    "Skipped": ("skipped",),
    "By day": ("rows_by_day", "requests_by_day", "plans"),
}
for tab, names in zip(st.tabs(list(shown)), shown.values(), strict=True):
    with tab:
        for name in names:
            widgets.table(found, name)
