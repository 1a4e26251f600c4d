"""Figures of the page `trends` about one run: its threads, and its difference from another."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer import theme
from orchestrate.analyzer.classes import CLASSES

_MOST_CHANGES = 15
_LONGEST_NAME = 40
_READABLE = {"minsize": 9, "mode": "hide"}  # what does not fit its bar is told on hovering


def threads(bars: pd.DataFrame) -> go.Figure:
    """Who worked when on which thread; those that decided the end have a frame."""
    figure = go.Figure()
    for name in CLASSES:
        found = bars[bars["node_class"] == name]
        if found.empty:
            continue
        critical = found["is_critical"]
        figure.add_bar(
            base=found["started_at"],
            x=found["seconds"] * 1000,
            y=found["thread"],
            orientation="h",
            name=name,
            text=found["name"],
            textposition="inside",
            insidetextanchor="start",
            textangle=0,
            customdata=found["seconds"],
            marker={
                "color": theme.CLASS_COLOURS[name],
                # Over the colour, so that names can be read.
                "pattern": {
                    "shape": theme.CLASS_PATTERNS[name],
                    "fillmode": "overlay",
                    "solidity": 0.15,
                },
                "line": {
                    "color": [theme.PURPLE if one else theme.GREY for one in critical],
                    "width": [3 if one else 0.5 for one in critical],
                },
            },
            hovertemplate="%{text}: %{customdata:.2f} s<extra>" + name + "</extra>",
        )
    if bars["is_critical"].any():
        figure.add_bar(
            x=[None],
            y=bars["thread"].head(1),
            orientation="h",
            name="decided the end",
            marker={"color": "rgba(0,0,0,0)", "line": {"color": theme.PURPLE, "width": 3}},
        )
    figure.update_xaxes(type="date", title="time (UTC)")
    order = sorted(bars["thread"].unique(), reverse=True)
    figure.update_yaxes(categoryorder="array", categoryarray=order, automargin=True)
    return theme.tidy(
        figure, height=130 + 44 * max(len(order), 1), barmode="overlay", uniformtext=_READABLE
    )


def difference(changes: pd.DataFrame) -> go.Figure:
    """How much longer or shorter than before steps and nodes took, the largest change above."""
    known = changes[changes["change"].isin(["slower", "faster"])]
    shown = known.head(_MOST_CHANGES).iloc[::-1]
    figure = go.Figure()
    for name, colour, pattern in (("slower", theme.VERMILLION, "x"), ("faster", theme.GREEN, "")):
        found = shown[shown["change"] == name]
        if found.empty:
            continue
        figure.add_bar(
            x=found["change_seconds"],
            y=found["kind"] + " " + found["name"].str.slice(0, _LONGEST_NAME),
            orientation="h",
            name=name,
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate="%{x:+.2f} s<extra>%{y}</extra>",
        )
    order = shown["kind"] + " " + shown["name"].str.slice(0, _LONGEST_NAME)
    figure.update_xaxes(title="seconds more than before", zeroline=True)
    figure.update_yaxes(categoryorder="array", categoryarray=order.tolist(), automargin=True)
    return theme.tidy(figure, height=120 + 26 * max(len(shown), 1), showlegend=True)
