"""Figures of the page `trace`: what the critical path was spent on."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer import theme
from orchestrate.analyzer.formats import share
from orchestrate.tracing.critical_path import SegmentKind

_LOOKS = {
    SegmentKind.WORK.value: (theme.BLUE, ""),
    SegmentKind.WAIT_FOR_THREAD.value: (theme.ORANGE, "/"),
    SegmentKind.WAIT_FOR_DEPENDENCY.value: (theme.PURPLE, "."),
    SegmentKind.OVERHEAD.value: (theme.GREY, "x"),
}


def path(segments: pd.DataFrame) -> go.Figure:
    """The parts of the critical path one after another, by what each was spent on."""
    figure = go.Figure()
    for kind, (colour, pattern) in _LOOKS.items():
        found = segments[segments["kind"] == kind].sort_values("after_seconds")
        if found.empty:
            continue
        figure.add_bar(
            x=found["seconds"],
            base=found["after_seconds"],
            y=["run"] * len(found),
            orientation="h",
            name=f"{kind} {share(found['share'].sum())}",
            text=found["span"],
            textposition="none",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "solidity": 0.25},
            },
            hovertemplate="%{text}: %{x:.2f} s, from %{base:.2f} s<extra>" + kind + "</extra>",
        )
    figure.update_xaxes(title="seconds after the begin")
    figure.update_yaxes(visible=False)
    return theme.tidy(figure, height=170, barmode="overlay")
