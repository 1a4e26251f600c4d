"""A report on a terminal: the numbers, the sentences, the begin of each table."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.text import Text

from orchestrate import terminal
from orchestrate.analyzer import formats
from orchestrate.analyzer.report import Report, Table, Tone, Unit, rows
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.words import counted

_SIGNS = {Tone.GOOD: "ok  ", Tone.NOTE: "note", Tone.WARNING: "WARN", Tone.BAD: "BAD "}
_WORST_FIRST = list(_SIGNS)[::-1]
_WIDEST = 60
_INSTANT = "%Y-%m-%d %H:%M:%S"


def show(report: Report, most_rows: int) -> None:
    """Print a report; of each table so many rows, and how many there are."""
    out = terminal.console()
    page = PAGES[report.page]
    out.print(Text.assemble((page.title, "bold"), f"  {page.question}"))
    if report.empty:
        out.print(report.empty)
        return
    width = max((len(metric.name) for metric in report.metrics), default=0)
    for metric in report.metrics:
        goal = ""
        if metric.goal is not None:
            goal = f"   goal {formats.value(metric.goal, metric.unit, report.currency)}"
        out.print(f"{metric.name:<{width}}  {formats.metric(metric, report.currency)}{goal}")
    for insight in sorted(report.insights, key=lambda one: _WORST_FIRST.index(one.tone)):
        out.print(f"{_SIGNS[insight.tone]}  {insight.text}")
    for table in report.tables.values():
        if table.frame.empty:
            continue
        out.print(Text(f"\n{table.title}", style="bold"))
        drawn, columns_left = _drawn(table, report.currency, most_rows, out.width)
        out.print(drawn)
        rows_left = max(len(table.frame) - most_rows, 0)
        left = [
            counted(number, noun)
            for number, noun in ((rows_left, "more row"), (columns_left, "more column"))
            if number
        ]
        if left:
            out.print(f"... and {' and '.join(left)}: --json, or --rows {len(table.frame)}")


def _drawn(table: Table, currency: str | None, most_rows: int, width: int) -> tuple[Any, int]:
    """The table as far as it fits, and how many columns do not."""
    frame = table.frame.head(most_rows)
    instants = frame.select_dtypes("datetimetz").columns
    frame = frame.assign(**{name: frame[name].dt.strftime(_INSTANT) for name in instants})
    cells: dict[str, list[str]] = {str(name): [] for name in frame.columns}
    for row in rows(frame):
        for name, value in row.items():
            cells[name].append(_cell(value, table.units.get(name), currency))
    drawn, room = terminal.new_table(), width
    shown: list[str] = []
    for name, texts in cells.items():
        # A column is as wide as its widest cell, and a space follows.
        room -= max(map(len, (name, *texts))) + 1
        if shown and room < 0:
            break
        shown.append(name)
        is_number = name in table.units or pd.api.types.is_numeric_dtype(table.frame[name].dtype)
        label = name.replace("_", " ") + (" (UTC)" if name in instants else "")
        drawn.add_column(label, justify="right" if is_number else "left", no_wrap=True)
    for texts_of_row in zip(*(cells[name] for name in shown), strict=True):
        drawn.add_row(*texts_of_row)
    return drawn, len(cells) - len(shown)


def _cell(value: Any, unit: Unit | None, currency: str | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return formats.value(value, unit or Unit.COUNT, currency)
    if value is None:
        return formats.UNKNOWN
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
