"""Figures of the page `models`: last results by group, one node's durations, its lineage."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer import theme
from orchestrate.analyzer.classes import CLASSES, NodeClass

_CLASS_MARKERS = {
    NodeClass.SUCCESS.value: "circle",
    NodeClass.NO_OP.value: "square",
    NodeClass.ERROR.value: "x",
    NodeClass.REUSED.value: "line-ns-open",
    NodeClass.SKIPPED.value: "line-ew-open",
}
_KIND_COLOURS = {
    "source": theme.GREEN,
    "seed": theme.ORANGE,
    "model": theme.BLUE,
    "snapshot": theme.PURPLE,
}
_STATUS_MARKERS = {"pass": "circle", "warn": "triangle-up"}
_STATUS_COLOURS = {"pass": theme.GREEN, "warn": theme.ORANGE}
_MOST_GROUPS = 15
_MOST_NEIGHBOURS = 12  # of one level
_LONGEST_NAME = 34
_BEND = 0.2
_LEVELS = {-1: "what it reads", 0: "", 1: "what reads it"}


def classes(counts: pd.DataFrame) -> go.Figure:
    """Nodes by what became of them last: a bar for each group, the largest above."""
    names = list(dict.fromkeys(counts["group"]))[:_MOST_GROUPS]
    shown = counts[counts["group"].isin(names)]
    figure = go.Figure()
    for word in dict.fromkeys([*CLASSES, *shown["node_class"]]):
        part = shown[shown["node_class"] == word]
        if part.empty:
            continue
        figure.add_bar(
            x=part["nodes"],
            y=part["group"],
            name=word,
            orientation="h",
            marker={
                "color": theme.CLASS_COLOURS.get(word, theme.PURPLE),
                "pattern": {"shape": theme.CLASS_PATTERNS.get(word, "")},
            },
            hovertemplate="%{x} " + word + "<extra>%{y}</extra>",
        )
    figure.update_xaxes(title="nodes")
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    return theme.tidy(figure, height=140 + 28 * len(names), barmode="stack")


def durations(runs: pd.DataFrame) -> go.Figure:
    """A node's seconds over time by class; reused and skipped ones, which took none, at 0."""
    figure = go.Figure()
    for word, marker in _CLASS_MARKERS.items():
        part = runs[runs["node_class"] == word]
        if part.empty:
            continue
        is_done = part["node_seconds"].notna()
        figure.add_scatter(
            x=part["at"],
            y=part["node_seconds"].fillna(0),
            name=word,
            mode="markers",
            marker={
                "symbol": marker,
                "color": theme.CLASS_COLOURS[word],
                "size": 8,
                "line": {"width": 2 if marker.endswith("open") else 0},
            },
            customdata=[
                f"{seconds:.2f} s" if done else "not built"
                for seconds, done in zip(part["node_seconds"], is_done, strict=True)
            ],
            hovertemplate="%{x|%Y-%m-%d %H:%M} UTC: %{customdata}<extra>" + word + "</extra>",
        )
    figure.update_xaxes(title="time (UTC)")
    figure.update_yaxes(title="seconds", rangemode="tozero")
    return theme.tidy(figure)


def ages(looks: pd.DataFrame) -> go.Figure:
    """How old a source's newest rows were at each look, in hours, and the limits of that."""
    figure = go.Figure()
    for status, part in looks.groupby("status", observed=True):
        figure.add_scatter(
            x=part["snapshotted_at"],
            y=part["age_seconds"] / 3_600,
            name=str(status),
            mode="markers",
            marker={
                "symbol": _STATUS_MARKERS.get(str(status), "x"),
                "color": _STATUS_COLOURS.get(str(status), theme.VERMILLION),
                "size": 9,
            },
            hovertemplate="%{x|%Y-%m-%d %H:%M} UTC: %{y:.1f} h<extra>" + str(status) + "</extra>",
        )
    for name, dash in (("warn_after", "dash"), ("error_after", "dot")):
        figure.add_scatter(
            x=looks["snapshotted_at"],
            y=looks[f"{name}_seconds"] / 3_600,
            name=name,
            mode="lines",
            line={"dash": dash, "width": 2, "color": theme.GREY},
            hovertemplate="%{y:.1f} h<extra>" + name + "</extra>",
        )
    figure.update_xaxes(title="time (UTC)")
    figure.update_yaxes(title="age (hours)", rangemode="tozero")
    return theme.tidy(figure)


def lineage(neighbours: pd.DataFrame) -> go.Figure:
    """A node between what it reads, on its left, and what reads it; levels stand in columns."""
    figure = go.Figure()
    placed = _placed(neighbours)
    lines = _lines(placed.dropna(subset=["unique_id"]).set_index("unique_id"))
    figure.add_scatter(
        x=lines["x"],
        y=lines["y"],
        mode="lines",
        line={"color": theme.GREY, "width": 1, "shape": "spline"},
        opacity=0.6,
        hoverinfo="skip",
        showlegend=False,
    )
    for kind, part in placed.groupby("resource_type", sort=False):
        figure.add_scatter(
            x=part["level"],
            y=part["y"],
            text=part["label"],
            mode="markers+text",
            textposition=[
                _label_place(level, y) for level, y in zip(part["level"], part["y"], strict=True)
            ],
            name=kind,
            marker={
                "color": _KIND_COLOURS.get(str(kind), theme.GREY),
                "opacity": 1,
                "size": [18 if level == 0 else 11 for level in part["level"]],
                "symbol": ["diamond" if level == 0 else "circle" for level in part["level"]],
            },
            customdata=part["name"],
            hovertemplate="%{customdata}<extra>" + str(kind) + "</extra>",
        )
    levels = sorted(set(placed["level"]))
    figure.update_xaxes(
        tickvals=levels,
        ticktext=[_LEVELS.get(level, f"{abs(level)} levels away") for level in levels],
        range=[levels[0] - 1.1, levels[-1] + 1.1],
        showgrid=False,
        zeroline=False,
    )
    most = int(placed.groupby("level").size().max())
    figure.update_yaxes(visible=False, range=[-most / 2 - 0.3, most / 2 + 0.3])
    return theme.tidy(figure, height=140 + 44 * most)


def _placed(neighbours: pd.DataFrame) -> pd.DataFrame:
    """The neighbours with `y` and `label`; of a full level the last place tells how many more."""
    parts = []
    for level, column in neighbours.groupby("level"):
        shown = column.head(_MOST_NEIGHBOURS)
        more = len(column) - len(shown)
        if more:
            shown = column.head(_MOST_NEIGHBOURS - 1)
            text = f"and {more + 1} more"
            rest = {"level": level, "name": text, "resource_type": "more", "unique_id": None}
            shown = pd.concat([shown, pd.DataFrame([rest])])
        middle = (len(shown) - 1) / 2
        parts.append(shown.assign(y=[middle - place for place in range(len(shown))]))
    placed = pd.concat(parts, ignore_index=True)
    return placed.assign(label=[_short(name) for name in placed["name"]])


def _label_place(level: int, y: float) -> str:
    """Where a node's name stands: away from the lines, which go to the middle."""
    if abs(level) > 1:
        return "middle left" if level < 0 else "middle right"
    return "bottom center" if y < 0 else "top center"


def _lines(placed: pd.DataFrame) -> pd.DataFrame:
    """Points of the lines between the nodes, each line ended by a gap.

    Lines that pass the node by are left out, and those among nodes that are levels away; those
    among its neighbours bend to their left.
    """
    points: list[tuple[float | None, float | None]] = []
    for node in placed.itertuples():
        for above in node.reads:
            if above not in placed.index:
                continue
            level, y = placed.at[above, "level"], placed.at[above, "y"]
            if level == node.level and abs(level) > 1:
                continue
            if level == node.level:
                points += [(level, y), (level - _BEND, (y + node.y) / 2)]
            elif not level < 0 < node.level:
                points += [(level, y)]
            else:
                continue
            points += [(node.level, node.y), (None, None)]
    return pd.DataFrame(points, columns=["x", "y"])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
