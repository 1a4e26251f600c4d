"""Page `overlap`: its layout."""

from __future__ import annotations

import streamlit as st

from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import overlap as charts
from orchestrate.analyzer.reports.overlap import report

_TABS = {
    "Relations": ("relations",),
    "Jobs": ("jobs",),
    "Side by side": ("matrix",),
    "All relations": ("mapping",),
}
_MANY, _HEIGHT = 8, 320  # rows, from which on a table scrolls in so many pixels

history, choice = shell.begin("overlap")
found = report(history, choice)
widgets.top(found)

tables = {name: table.frame for name, table in found.tables.items()}
widgets.table(found, "proposals")
left, right = st.columns(2)
with left:
    st.subheader("Relations that two jobs both build", anchor=False)
    if len(tables["matrix"]) > 1:
        widgets.chart(
            charts.matrix(tables["matrix"]),
            f"A square of {len(tables['matrix'])} jobs: how many relations each two both build.",
            "matrix",
        )
    else:
        st.markdown("Only one job builds relations in this window: there is none to compare with.")
with right:
    st.subheader("Most redundant", anchor=False)
    if tables["relations"].empty:
        st.markdown("No relation is built by several jobs.")
    else:
        widgets.chart(
            charts.top_relations(tables["relations"]),
            "Bars: up to 20 relations by redundant time, with their builds after one by another "
            "job: redundant, needed, unknown.",
            "top relations",
        )

for tab, names in zip(st.tabs(list(_TABS)), _TABS.values(), strict=True):
    with tab:
        for name in names:
            widgets.table(found, name, height=_HEIGHT if len(tables[name]) > _MANY else None)
