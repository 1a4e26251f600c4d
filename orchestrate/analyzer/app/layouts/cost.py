"""Page `cost`: its layout."""

from __future__ import annotations

import streamlit as st

from orchestrate.analyzer import formats
from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import cost as charts
from orchestrate.analyzer.report import Unit
from orchestrate.analyzer.reports.cost import report

_LABELS = {
    "currency": "Currency",
    "machine_hour": "An hour of the machine",
    "warehouse_size": "Warehouse for dbt",
    "credit": "A credit of the warehouse",
    "request_price": "1,000 requests to Sentry",
}
_TABS = {
    "Models and tests": ("models",),
    "Jobs": ("jobs",),
    "Runs": ("runs",),
    "Days": ("days",),
    "Parts": ("parts", "steps", "classes"),
    "Reuse": ("savings",),
    "Warehouse sizes": ("sizes",),
}
_MANY, _HEIGHT = 8, 320  # rows, from which on a table scrolls in so many pixels

history, choice = shell.begin("cost")
for column, (name, label) in zip(st.columns(len(_LABELS)), _LABELS.items(), strict=True):
    with column:
        choice = shell.pick(
            choice, name, label=label, shown=lambda value: value or "none: the machine"
        )
shell.remember(choice, "cost")
found = report(history, choice)
widgets.top(found)

tables = {name: table.frame for name, table in found.tables.items()}
days, models = tables["days"], tables["models"]
total, spared = (
    formats.value(float(days[name].sum()), Unit.MONEY, choice.currency)
    for name in ("cost", "proven_saving")
)
left, right = st.columns(2)
with left:
    st.subheader("Cost by day", anchor=False)
    widgets.chart(
        charts.by_day(days, choice.currency),
        f"Bars: the cost of each of {len(days)} days by part, {total} in all.",
        "cost by day",
    )
    st.subheader("Saving against cost", anchor=False)
    widgets.chart(
        charts.saving(days, choice.currency),
        f"Bars: the cost of each day, {total} in all, beside what proven reuse spared before "
        f"planning is subtracted, {spared} in all.",
        "saving",
    )
with right:
    st.subheader("The dearest models", anchor=False)
    if (models["type"] == "model").any():
        widgets.chart(
            charts.top_models(models, choice.currency),
            "Bars: up to 20 models by their cost, with what of it failed or changed nothing.",
            "top models",
        )
    else:
        st.markdown("No model was built in this window: build with `meltano run dbt:build`.")

for tab, names in zip(st.tabs(list(_TABS)), _TABS.values(), strict=True):
    with tab:
        for name in names:
            widgets.table(found, name, height=_HEIGHT if len(tables[name]) > _MANY else None)
