"""Colours and shapes of every chart: told apart by the colour-blind, readable on light and dark.

https://jfly.uni-koeln.de/color (Okabe and Ito's palette), and patterns where colour alone would
tell two things apart.
"""

from __future__ import annotations

import plotly.graph_objects as go

from orchestrate.analyzer.classes import NodeClass

BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, GREY = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
    "#8c8c8c",
)
SEQUENCE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
CLASS_COLOURS = {
    NodeClass.SUCCESS.value: GREEN,
    NodeClass.REUSED.value: BLUE,
    NodeClass.NO_OP.value: SKY,
    NodeClass.SKIPPED.value: ORANGE,
    NodeClass.ERROR.value: VERMILLION,
    NodeClass.NOT_SELECTED.value: GREY,
}
CLASS_PATTERNS = {
    NodeClass.SUCCESS.value: "",
    NodeClass.REUSED.value: "/",
    NodeClass.NO_OP.value: ".",
    NodeClass.SKIPPED.value: "-",
    NodeClass.ERROR.value: "x",
    NodeClass.NOT_SELECTED.value: "",
}
RESULT_COLOURS = {
    "success": GREEN,
    "failure": VERMILLION,
    "timeout": ORANGE,
    "killed": PURPLE,
    "running": GREY,
}
GOAL = {"dash": "dash", "width": 2, "color": GREY}


def tidy(figure: go.Figure, *, height: int = 320, **layout: object) -> go.Figure:
    """The same figure with the margins, legend and hover that all of ours have."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None},
        hoverlabel={"namelength": -1},
        bargap=0.15,
        **layout,
    )
    return figure
