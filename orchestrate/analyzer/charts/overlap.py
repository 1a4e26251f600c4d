"""Figures of the page "overlap"."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer.reports.overlap.builds import NEEDED, REDUNDANT, UNKNOWN
from orchestrate.analyzer.theme import GREEN, GREY, VERMILLION, tidy

_TOP = 20
_ROW_PIXELS = 20
_STYLES = {REDUNDANT: (VERMILLION, "x"), NEEDED: (GREEN, ""), UNKNOWN: (GREY, ".")}
# From light to dark blue. Numbers are written on it in the colour that shows on either end.
_SCALE = ((0.0, "#deebf7"), (1.0, "#0072b2"))


def matrix(shared: pd.DataFrame) -> go.Figure:
    """How many relations two jobs both build, without the diagonal: what each builds in all."""
    names = list(shared["job"])
    counts = shared[names].astype("float64").to_numpy(copy=True)
    counts[range(len(names)), range(len(names))] = float("nan")
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=counts,
            zmin=0,
            colorscale=_SCALE,
            texttemplate="%{z:.0f}",
            hovertemplate="%{y}<br>%{x}<br>%{z:.0f} relations<extra></extra>",
            hoverongaps=False,
            colorbar={"title": "relations"},
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True, autorange="reversed")
    return tidy(figure, height=200 + 34 * len(names))


def top_relations(relations: pd.DataFrame) -> go.Figure:
    """The 20 relations with the most redundant time: builds after one by another job."""
    top = relations.head(_TOP).iloc[::-1]
    # The same name may be in two places.
    names = top["name"] + top["environment"].map(lambda environment: f" ({environment})")
    figure = go.Figure()
    for verdict, (colour, pattern) in _STYLES.items():
        figure.add_bar(
            y=names,
            x=top[verdict],
            name=verdict,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern}},
        )
    figure.update_layout(barmode="stack", hovermode="y unified")
    figure.update_xaxes(title="builds after one by another job", rangemode="tozero")
    figure.update_yaxes(automargin=True, dtick=1)
    return tidy(figure, height=120 + _ROW_PIXELS * len(top))
