"""What pages are made of: metrics, insights, figures, tables to take away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from orchestrate.analyzer import formats
from orchestrate.analyzer.report import Insight, Report, Table, Tone, Unit, csv, rows

_PER_ROW = 4
_TONES = {
    Tone.GOOD: ":green[:material/check_circle:]",
    Tone.NOTE: ":blue[:material/info:]",
    Tone.WARNING: ":orange[:material/warning:] **Warning.**",
    Tone.BAD: ":red[:material/error:] **Bad.**",
}


def top(report: Report) -> None:
    """The metrics, then the insights. A page without anything to tell says what to do, and ends."""
    if report.empty:
        st.info(report.empty, icon=":material/info:")
        st.stop()
    metrics(report)
    insights(report.insights)


def metrics(report: Report, names: Sequence[str] = ()) -> None:
    """Metrics side by side: all, or those of these names."""
    shown = [metric for metric in report.metrics if not names or metric.name in names]
    for first in range(0, len(shown), _PER_ROW):
        for column, metric in zip(
            st.columns(_PER_ROW), shown[first : first + _PER_ROW], strict=False
        ):
            goal = None
            if metric.goal is not None:
                goal = f"goal {formats.value(metric.goal, metric.unit, report.currency)}"
            is_met = isinstance(metric.value, (int, float)) and metric.goal is not None
            column.metric(
                metric.name,
                formats.value(metric.value, metric.unit, report.currency),
                goal,
                delta_color="green"
                if is_met and metric.value >= metric.goal  # type: ignore[operator]
                else "gray",
                delta_arrow="off",
                help=_bounds(report, metric.name) or metric.help or None,
                border=True,
                height="stretch",
            )


def insights(found: Sequence[Insight]) -> None:
    """Sentences, the worst first, a line each."""
    order = list(_TONES)[::-1]
    if found:
        with st.container(border=True, gap="xsmall"):
            for insight in sorted(found, key=lambda insight: order.index(insight.tone)):
                st.markdown(f"{_TONES[insight.tone]} {_plain(insight.text)}")


def chart(figure: go.Figure, said: str, key: str) -> None:
    """A figure; `said` tells in a sentence what it shows, for those who do not see it."""
    st.plotly_chart(figure, key=key, alt=said, config={"displaylogo": False})


def table(
    report: Report,
    name: str,
    *,
    height: int | None = None,
    columns: Mapping[str, Any] | None = None,
) -> None:
    """A table of the report, to look at, sort and take away as CSV or JSON.

    Args:
        report: Whose table.
        name: Of the table in it.
        height: In pixels, where it is not as usual.
        columns: How some columns look, where it is not by their units; None hides one.
    """
    found = report.tables[name]
    st.subheader(found.title, anchor=False, help=found.help or None)
    if found.frame.empty:
        st.markdown("Nothing to list.")
        return
    st.dataframe(
        _shown(found),
        hide_index=True,
        column_config=_columns(found, report.currency) | dict(columns or {}),
        key=f"table {report.page} {name}",
        height=height or "auto",
        placeholder=formats.UNKNOWN,
    )
    with st.container(horizontal=True):
        for kind, mime, content in (
            ("CSV", "text/csv", lambda: csv(found.frame)),
            ("JSON", "application/json", lambda: _json(found.frame)),
        ):
            st.download_button(
                kind,
                content,
                f"{report.page}-{name}.{kind.lower()}",
                mime,
                key=f"take {report.page} {name} {kind}",
                on_click="ignore",
                icon=":material/download:",
                help=f"{found.title} as {kind}: {len(found.frame):,} rows",
            )


def _json(frame: pd.DataFrame) -> str:
    return json.dumps(list(rows(frame)), indent=1, ensure_ascii=False)


def _bounds(report: Report, name: str) -> str | None:
    metric = next(metric for metric in report.metrics if metric.name == name)
    if metric.low is None or metric.high is None:
        return None
    text = formats.metric(metric, report.currency)
    return f"{text}. {metric.help}"


def _plain(text: str) -> str:
    """A text whose signs mean nothing to Markdown: a name may have underscores, a price a $."""
    for sign in "\\`*_[]$<>~#|":
        text = text.replace(sign, f"\\{sign}")
    return text


def _shown(found: Table) -> pd.DataFrame:
    """Categories as texts, so that filters and sorting go by what is read."""
    frame = found.frame
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(texts, "object"))


def _columns(found: Table, currency: str | None) -> dict[str, Any]:
    configured: dict[str, Any] = {}
    for name in found.frame.columns:
        label = str(name).replace("_", " ")
        unit = found.units.get(name)
        if unit is Unit.SHARE:
            configured[name] = st.column_config.NumberColumn(label, format="percent")
        elif unit is Unit.SECONDS:
            label = label.removesuffix(" seconds")
            configured[name] = st.column_config.NumberColumn(f"{label} (s)", format="%.2f")
        elif unit is Unit.MONEY:
            sign = formats.SYMBOLS[currency or "USD"]
            configured[name] = st.column_config.NumberColumn(f"{label} ({sign})", format="%.4f")
        elif isinstance(found.frame[name].dtype, pd.DatetimeTZDtype):
            configured[name] = st.column_config.DatetimeColumn(
                f"{label} (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"
            )
        elif pd.api.types.is_any_real_numeric_dtype(found.frame[name].dtype):
            configured[name] = st.column_config.NumberColumn(label, format="localized")
        elif str(name).startswith("last_20"):
            configured[name] = st.column_config.LineChartColumn(label, y_min=0)
        else:
            configured[name] = label
    return configured
