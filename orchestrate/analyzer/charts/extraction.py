"""Figures of the page `extraction`: rows, requests, waits, plans, quotas."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from orchestrate.analyzer import theme

_NAMED = 6  # so many have a colour of their own, the rest share one
_REST = "others"
_TALL = 400
_DAY = "day (UTC)"
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star")
_PATTERNS = ("", "/", "\\", ".", "x", "-", "+")


def rows_by_day(days: pd.DataFrame) -> go.Figure:
    """Rows of each stream, one bar a day; streams beside the largest are brought together."""
    figure = go.Figure()
    for name, group, look in _parts(days, "stream", "rows"):
        figure.add_bar(x=group.index, y=group.to_numpy(), name=name, marker=look)
    figure.update_xaxes(title=_DAY)
    figure.update_yaxes(title="rows")
    return theme.tidy(figure, height=_TALL, barmode="stack")


def requests_by_day(days: pd.DataFrame) -> go.Figure:
    """Requests of each endpoint a day, and below how long it was held back."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    # Seconds count as much as hundreds of requests, so that who only waits has a colour too.
    weight = days.assign(weight=days["requests"] + 100 * days["waited_seconds"])
    names = [name for name, _, _ in _parts(weight, "endpoint", "weight")]
    for place, column in enumerate(("requests", "waited_seconds"), start=1):
        for name, group, look in _parts(days, "endpoint", column, names):
            figure.add_bar(
                x=group.index,
                y=group.to_numpy(),
                name=name,
                marker=look,
                legendgroup=name,
                showlegend=place == 1,
                row=place,
                col=1,
            )
    figure.update_xaxes(title=_DAY, row=2, col=1)
    figure.update_yaxes(title="requests", row=1, col=1)
    figure.update_yaxes(title="held back (s)", row=2, col=1)
    return theme.tidy(figure, height=_TALL, barmode="stack")


def plans(found: pd.DataFrame) -> go.Figure:
    """Each plan against what came, on scales that go by powers of ten and begin with 0."""
    figure = go.Figure()
    most = 1.0
    for place, of in enumerate(("rows", "requests")):
        known = found.dropna(subset=[f"planned_{of}", of])
        planned, real = known[f"planned_{of}"].to_numpy(), known[of].to_numpy()
        most = max(most, float(np.max(planned, initial=0)), float(np.max(real, initial=0)))
        figure.add_scatter(
            x=_scaled(planned),
            y=_scaled(real),
            customdata=np.stack([planned, real], axis=-1) if len(known) else None,
            text=known["stream"].astype("object"),
            mode="markers",
            name=of,
            marker={
                "color": theme.SEQUENCE[place],
                "symbol": _SYMBOLS[place * 2],
                "opacity": 0.5,
                "size": 7,
            },
            hovertemplate="%{text}: %{customdata[0]:,} " + of + " planned, %{customdata[1]:,} came",
        )
    ends = _scaled(np.array([0.0, most]))
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="as planned", line=theme.GOAL, hoverinfo="skip"
    )
    ticks = np.array([0, *(10**power for power in range(int(np.log10(most)) + 2))])
    axis = {"tickvals": _scaled(ticks), "ticktext": [f"{tick:,}" for tick in ticks]}
    figure.update_xaxes(title="planned (rows, requests)", **axis)
    figure.update_yaxes(title="came (rows, requests)", **axis)
    return theme.tidy(figure)


def quotas(days: pd.DataFrame) -> go.Figure:
    """The largest share of its quota that each endpoint used a day, and the limit."""
    known = days.dropna(subset=["quota_used"])
    order = known.groupby("endpoint")["quota_used"].max().sort_values(ascending=False).index
    looks = zip(itertools.cycle(theme.SEQUENCE), itertools.cycle(_SYMBOLS), strict=False)
    figure = go.Figure()
    for name, (colour, symbol) in zip(order, looks, strict=False):
        group = known[known["endpoint"] == name]
        figure.add_scatter(
            x=group["day"],
            y=group["quota_used"],
            mode="lines+markers",
            name=str(name),
            line={"color": colour},
            marker={"symbol": symbol},
        )
    figure.add_hline(y=1, line=theme.GOAL, annotation_text="limit")
    figure.update_xaxes(title=_DAY)
    figure.update_yaxes(title="quota used", tickformat=".0%", rangemode="tozero")
    return theme.tidy(figure)


def _scaled(values: Any) -> Any:
    """A logarithm that has a place for 0."""
    return np.log10(1 + np.asarray(values, dtype=float))


def _parts(
    days: pd.DataFrame, by: str, column: str, names: list[str] | None = None
) -> list[tuple[str, pd.Series, dict[str, Any]]]:
    """Sums by day of what has most of a column, or of these names, and of the others together."""
    texts = days[by].astype("object")
    if names is None:
        most = days.groupby(texts)[column].sum().sort_values(ascending=False)
        names = [str(name) for name in most.index[:_NAMED]]
        names += [_REST] * (len(most) > _NAMED)
    shown = texts.where(texts.isin(names), _REST)
    sums = days.groupby([shown, days["day"]])[column].sum()
    known = set(sums.index.get_level_values(0))
    return [
        (
            name,
            sums[name],
            {
                "color": theme.GREY if name == _REST else theme.SEQUENCE[place],
                "pattern": {"shape": _PATTERNS[place], "solidity": 0.25},
            },
        )
        for place, name in enumerate(names)
        if name in known
    ]
