"""Figures of the overview: the last runs, who uses the planner, what became of the nodes."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer import formats
from orchestrate.analyzer.classes import CLASSES
from orchestrate.analyzer.planner import MODES
from orchestrate.analyzer.theme import (
    BLUE,
    CLASS_COLOURS,
    CLASS_PATTERNS,
    GREY,
    ORANGE,
    RESULT_COLOURS,
    SKY,
    tidy,
)

_SYMBOLS = {
    "success": "circle",
    "failure": "x",
    "timeout": "triangle-up",
    "killed": "diamond",
    "running": "circle-open",
}
_MODE_COLOURS = dict(zip(MODES, (BLUE, SKY, ORANGE, GREY), strict=True))
_MODE_PATTERNS = dict(zip(MODES, ("", "/", "x", "."), strict=True))
_LONGEST = 28


def strip(recent: pd.DataFrame) -> go.Figure:
    """The last runs in their order, each as long as it took; its sign and colour are its result."""
    runs = recent.iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    for result, of_result in runs.groupby("result", observed=True):
        colour = RESULT_COLOURS.get(str(result), GREY)
        figure.add_scatter(
            x=of_result.index + 1,
            y=of_result["run_seconds"],
            mode="markers",
            name=str(result),
            marker={
                "symbol": _SYMBOLS.get(str(result), "square"),
                "color": colour,
                "size": 11,
            },
            customdata=[
                [f"{row.started_at:%Y-%m-%d %H:%M} UTC", row.job, row.environment, row.cause or ""]
                for row in of_result.itertuples()
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]} (%{customdata[2]})<br>"
            "%{y:.1f} s<br>%{customdata[3]}",
        )
    figure.update_xaxes(title=f"the last {len(runs):,} runs, the newest on the right", dtick=10)
    figure.update_yaxes(title="duration in seconds", rangemode="tozero")
    return tidy(figure, height=220)


def adoption(by_type: pd.DataFrame) -> go.Figure:
    """Runs with dbt by what the planner was to them, as a ring."""
    runs = by_type[list(MODES)].sum()
    runs = runs[runs > 0]
    figure = go.Figure(
        go.Pie(
            labels=runs.index,
            values=runs,
            hole=0.6,
            sort=False,
            textinfo="none",
            marker={
                "colors": [_MODE_COLOURS[mode] for mode in runs.index],
                "pattern": {"shape": [_MODE_PATTERNS[mode] for mode in runs.index]},
            },
            hovertemplate="%{label}: %{value:,} runs (%{percent})<extra></extra>",
        )
    )
    told = runs.drop(labels="unknown", errors="ignore").sum()
    if told:
        on = formats.share(runs.get("on", 0) / told)
        figure.add_annotation(text=f"{on}<br>on", showarrow=False, font={"size": 18})
    return tidy(figure, height=280)


def by_job(jobs: pd.DataFrame) -> go.Figure:
    """The share of each job's runs by what the planner was to them; the most frequent on top."""
    shown = jobs[jobs["dbt_runs"] > 0].head(10).iloc[::-1]
    return _shares(shown, [_short(f"{row.job} ({row.environment})") for row in shown.itertuples()])


def by_type(types: pd.DataFrame) -> go.Figure:
    """The share of the runs of each type of job by what the planner was to them."""
    return _shares(types, [str(name) for name in types["job_type"]])


def classes(classes_now: pd.DataFrame) -> go.Figure:
    """What became of the nodes that hold data, and of the tests."""
    figure = go.Figure()
    for one in CLASSES:
        found = classes_now[classes_now["node_class"] == one]
        if not found["nodes"].sum():
            continue
        figure.add_bar(
            y=found["kind"],
            x=found["nodes"],
            name=one,
            orientation="h",
            marker={"color": CLASS_COLOURS[one], "pattern": {"shape": CLASS_PATTERNS[one]}},
            hovertemplate=f"{one}: %{{x:,}} of %{{y}}<extra></extra>",
        )
    figure.update_xaxes(title="nodes by their last result")
    return tidy(figure, height=240, barmode="stack")


def cadence(found: pd.DataFrame) -> go.Figure:
    """How many models have which least time between builds."""
    figure = go.Figure(
        go.Bar(
            x=found["cadence"],
            y=found["models"],
            text=found["models"],
            textposition="outside",
            cliponaxis=False,
            marker={"color": [GREY if name == "none" else BLUE for name in found["cadence"]]},
            hovertemplate="%{x}: %{y:,} models<extra></extra>",
        )
    )
    figure.update_xaxes(title="least time between builds (build_after)", type="category")
    figure.update_yaxes(title="models")
    return tidy(figure, height=240)


def coverage(found: pd.DataFrame, goal: float) -> go.Figure:
    """The share of models and of sources whose freshness is declared, and the goal."""
    figure = go.Figure(
        go.Bar(
            y=found["kind"] + "s",
            x=found["share"],
            orientation="h",
            marker={"color": BLUE},
            text=[
                f"{row.declared:,} of {row.nodes:,} ({formats.share(row.share)})"
                for row in found.itertuples()
            ],
            textposition="auto",
            insidetextanchor="start",
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.add_vline(
        x=goal,
        line={"dash": "dash", "width": 2, "color": GREY},
        annotation_text=f"goal {formats.share(goal)}",
        annotation_position="top",
    )
    figure.update_xaxes(title="share with a limit or a cadence", tickformat=".0%", range=[0, 1])
    return tidy(figure, height=240)


def _shares(counted: pd.DataFrame, names: list[str]) -> go.Figure:
    figure = go.Figure()
    whole = counted[list(MODES)].sum(axis=1)
    for mode in MODES:
        if not counted[mode].sum():
            continue
        figure.add_bar(
            y=names,
            x=counted[mode] / whole,
            name=mode,
            orientation="h",
            customdata=counted[mode],
            marker={"color": _MODE_COLOURS[mode], "pattern": {"shape": _MODE_PATTERNS[mode]}},
            hovertemplate=f"{mode}: %{{customdata:,}} runs (%{{x:.1%}})<extra>%{{y}}</extra>",
        )
    figure.update_xaxes(title="share of runs with dbt", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(type="category", automargin=True)
    # The ring beside it has the legend.
    return tidy(figure, height=280, barmode="stack", showlegend=False)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
