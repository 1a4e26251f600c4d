"""Figures of the page "cost"."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer.reports.cost.spans import (
    BUILT,
    DBT,
    EXTRACT,
    FAILED,
    MINIMUM,
    NO_OP,
    OTHER,
    PARTS,
    PLANNING,
    REQUESTS,
    UNDER_WAY,
)
from orchestrate.analyzer.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    tidy,
)

# Colour and pattern of each part; those that spend nothing useful stand out.
_STYLES = {
    EXTRACT: (BLUE, ""),
    BUILT: (GREEN, ""),
    NO_OP: (SKY, "."),
    FAILED: (VERMILLION, "x"),
    UNDER_WAY: (GREY, "."),
    DBT: (ORANGE, ""),
    PLANNING: (PURPLE, "/"),
    MINIMUM: (ORANGE, "-"),
    REQUESTS: (BLUE, "/"),
    OTHER: (GREY, ""),
}
_TOP = 20
_AMOUNT = "%{y:.4f}"
_ROW_PIXELS = 20


def by_day(days: pd.DataFrame, currency: str) -> go.Figure:
    """Cost of each day, stacked by part."""
    figure = go.Figure()
    for part in PARTS:
        if part in days.columns:
            figure.add_bar(
                x=days["day"],
                y=days[part],
                name=part,
                marker=_marker(part),
                hovertemplate=_AMOUNT,
            )
    figure.update_layout(barmode="stack", hovermode="x unified")
    figure.update_xaxes(title="day (UTC)")
    figure.update_yaxes(title=f"cost ({currency})", rangemode="tozero")
    return tidy(figure, height=340)


def saving(days: pd.DataFrame, currency: str) -> go.Figure:
    """What was spent each day beside what proven reuse has spared."""
    figure = go.Figure()
    figure.add_bar(
        x=days["day"],
        y=days["cost"],
        name="cost, planning with it",
        marker={"color": BLUE},
        hovertemplate=_AMOUNT,
    )
    figure.add_bar(
        x=days["day"],
        y=days["proven_saving"],
        name="proven saving, before planning",
        marker={"color": GREEN, "pattern": {"shape": "/"}},
        hovertemplate=_AMOUNT,
    )
    figure.update_layout(barmode="group", hovermode="x unified")
    figure.update_xaxes(title="day (UTC)")
    figure.update_yaxes(title=f"money ({currency})", rangemode="tozero")
    return tidy(figure, height=340)


def top_models(models: pd.DataFrame, currency: str) -> go.Figure:
    """The 20 models that cost the most: what of it failed, changed nothing, built something."""
    top = models[models["type"] == "model"].head(_TOP).iloc[::-1]
    built = top["cost"] - top["failed_cost"] - top["changed_nothing_cost"]
    figure = go.Figure()
    for part, amounts in (
        (BUILT, built),
        (NO_OP, top["changed_nothing_cost"]),
        (FAILED, top["failed_cost"]),
    ):
        figure.add_bar(
            y=top["name"].astype("object"),
            x=amounts,
            name=part,
            orientation="h",
            marker=_marker(part),
            hovertemplate="%{x:.4f}",
        )
    figure.update_layout(barmode="stack", hovermode="y unified")
    figure.update_xaxes(title=f"cost ({currency})", rangemode="tozero")
    figure.update_yaxes(automargin=True, dtick=1)
    return tidy(figure, height=120 + _ROW_PIXELS * len(top))


def _marker(part: str) -> dict[str, object]:
    colour, pattern = _STYLES[part]
    return {"color": colour, "pattern": {"shape": pattern}}
