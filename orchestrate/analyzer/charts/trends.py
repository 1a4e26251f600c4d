"""Figures of the page `trends` over runs and days, and of what decides when runs end."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from orchestrate.analyzer import theme
from orchestrate.analyzer.reports.trends.days import EXECUTED

_MOST_RUNS_BY_CLASS, _MOST_RUNS_BY_RESULT = 60, 500
_MOST_PARTS = 12
_LONGEST_NAME = 34
_RESULT_MARKERS = {
    "success": "circle",
    "failure": "x",
    "timeout": "triangle-up",
    "killed": "diamond",
    "running": "circle-open",
}
_DAY = "day (UTC)"


def executions(days: pd.DataFrame) -> go.Figure:
    """Models, seeds and snapshots of each day by class."""
    figure = _stacked(days["day"], days)
    figure.update_xaxes(title=_DAY)
    return theme.tidy(figure, barmode="stack")


def executions_of_runs(runs: pd.DataFrame) -> go.Figure:
    """The same of each of the newest 60 runs that built or reused anything, oldest first.

    Args:
        runs: The newest first.
    """
    known = runs[runs["reuse_rate"].notna()].head(_MOST_RUNS_BY_CLASS).iloc[::-1]
    figure = _stacked(known["started_at"].dt.strftime("%m-%d %H:%M:%S"), known)
    figure.update_xaxes(title="run, by its begin (UTC)", type="category", nticks=12)
    return theme.tidy(figure, barmode="stack")


def _stacked(x: pd.Series, counts: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    for name in EXECUTED:
        figure.add_bar(
            x=x,
            y=counts[name],
            name=name,
            marker={
                "color": theme.CLASS_COLOURS[name],
                "pattern": {"shape": theme.CLASS_PATTERNS[name]},
            },
            hovertemplate="%{y} " + name + "<extra>%{x}</extra>",
        )
    figure.update_yaxes(title="models, seeds, snapshots")
    return figure


def reuse(days: pd.DataFrame, changes: pd.DataFrame, goal: float) -> go.Figure:
    """The reuse rate of each day beside the goal, with its change points."""
    figure = go.Figure()
    figure.add_scatter(
        x=days["day"],
        y=days["reuse_rate"],
        name="reuse rate",
        mode="lines+markers",
        line={"color": theme.BLUE},
        hovertemplate="%{y:.1%}<extra>%{x|%Y-%m-%d}</extra>",
    )
    _goal(figure, goal)
    _mark(figure, changes[changes["measure"] == "reuse rate"])
    figure.update_xaxes(title=_DAY)
    figure.update_yaxes(title="reused of reused and built", tickformat=".0%", range=[0, 1.05])
    return theme.tidy(figure, showlegend=False)


def durations(days: pd.DataFrame, changes: pd.DataFrame, job: str) -> go.Figure:
    """Median and 95 % quantile of run time and dbt time of each day, with their change points.

    Args:
        days: With the durations of one job.
        changes: Of all jobs.
        job: Which one: what the changes name it.
    """
    figure = go.Figure()
    for column, name, colour, dash in (
        ("run_p95_seconds", "run, 95 %", theme.BLUE, "dot"),
        ("run_p50_seconds", "run, median", theme.BLUE, "solid"),
        ("dbt_p95_seconds", "dbt, 95 %", theme.ORANGE, "dot"),
        ("dbt_p50_seconds", "dbt, median", theme.ORANGE, "solid"),
    ):
        figure.add_scatter(
            x=days["day"],
            y=days[column],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"size": 5, "symbol": "circle" if colour == theme.BLUE else "square"},
            hovertemplate="%{y:.2f} s<extra>" + name + " %{x|%Y-%m-%d}</extra>",
        )
    _mark(figure, changes[(changes["of"] == job) & (changes["measure"] == "run time")])
    figure.update_xaxes(title=_DAY)
    figure.update_yaxes(title="seconds", rangemode="tozero")
    return theme.tidy(figure)


def coverage(projects: pd.DataFrame, goal: float, until: pd.Timestamp) -> go.Figure:
    """Freshness coverage of each project from when dbt first read it, beside the goal."""
    figure = go.Figure()
    figure.add_scatter(
        x=[*projects["first_seen"], until],
        y=[*projects["coverage"], *projects["coverage"].tail(1)],
        name="coverage",
        mode="lines+markers",
        line={"color": theme.BLUE, "shape": "hv"},
        hovertemplate="%{y:.1%}<extra>%{x|%Y-%m-%d %H:%M}</extra>",
    )
    _goal(figure, goal)
    figure.update_xaxes(title="project read since (UTC)")
    figure.update_yaxes(title="models and sources covered", tickformat=".0%", range=[0, 1.05])
    return theme.tidy(figure, showlegend=False)


def results(runs: pd.DataFrame) -> go.Figure:
    """The newest 500 runs: when they began, how long they took, how they ended.

    Args:
        runs: The newest first.
    """
    figure = go.Figure()
    shown = runs.head(_MOST_RUNS_BY_RESULT)
    for name, colour in theme.RESULT_COLOURS.items():
        found = shown[shown["result"] == name]
        if found.empty:
            continue
        figure.add_scatter(
            x=found["started_at"],
            y=found["run_seconds"],
            name=name,
            mode="markers",
            marker={"color": colour, "symbol": _RESULT_MARKERS[name], "size": 7},
            text=found["job"].astype("object"),
            hovertemplate="%{text}: %{y:.1f} s<extra>" + name + " %{x|%Y-%m-%d %H:%M}</extra>",
        )
    figure.update_xaxes(title="begin of the run (UTC)")
    figure.update_yaxes(title="seconds", rangemode="tozero")
    return theme.tidy(figure, showlegend=True)


def deciding(parts: pd.DataFrame) -> go.Figure:
    """The parts that decided most of the runs' time, the largest above."""
    shown = parts.head(_MOST_PARTS).iloc[::-1]
    colours = {"tap and target": theme.ORANGE, "model": theme.BLUE, "other": theme.GREY}
    figure = go.Figure(
        go.Bar(
            x=shown["share"],
            y=[_short(name) for name in shown["name"]],
            orientation="h",
            marker={"color": [colours.get(kind, theme.PURPLE) for kind in shown["kind"]]},
            text=shown["kind"],
            hovertemplate="%{x:.1%} of the time of the runs<extra>%{y} (%{text})</extra>",
        )
    )
    figure.update_xaxes(title="share of the time of the runs", tickformat=".0%")
    figure.update_yaxes(automargin=True)
    return theme.tidy(figure, height=110 + 26 * len(shown))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _goal(figure: go.Figure, goal: float) -> None:
    figure.add_hline(goal, line=theme.GOAL, annotation_text=f"goal {goal:.0%}")


def _mark(figure: go.Figure, changes: pd.DataFrame) -> None:
    for change in changes.itertuples():
        figure.add_vline(
            change.day.timestamp() * 1000,
            line={"color": theme.PURPLE, "width": 2, "dash": "dot"},
            annotation_text="change",
            annotation_position="top left",
        )
