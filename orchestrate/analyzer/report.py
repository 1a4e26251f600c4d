"""What a page has to say, before anybody draws it: numbers, sentences, tables."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pandas as pd


class Unit(str, enum.Enum):
    """What a number counts in."""

    COUNT = "count"
    SHARE = "share"  # 0..1, shown in percent
    SECONDS = "seconds"
    MONEY = "money"  # in the currency that was chosen
    TEXT = "text"


class Tone(str, enum.Enum):
    """How good the news is."""

    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    BAD = "bad"


class Metric(msgspec.Struct, kw_only=True):
    """A number. None where nothing tells it: that is never shown as 0.

    `low` and `high` bound what is uncertain; `goal` is what it should at least be.
    """

    name: str
    value: float | int | str | None
    unit: Unit = Unit.COUNT
    help: str = ""
    goal: float | None = None
    low: float | None = None
    high: float | None = None


class Insight(msgspec.Struct):
    """A sentence that cites the numbers it rests on."""

    tone: Tone
    text: str


class Table(msgspec.Struct, kw_only=True):
    """Rows to look at and to take away; `units` by column where a number is no count."""

    title: str
    frame: pd.DataFrame
    help: str = ""
    units: dict[str, Unit] = {}


class Report(msgspec.Struct, kw_only=True):
    """One page. `empty` says what to do where there is nothing to tell."""

    page: str
    metrics: list[Metric] = []
    insights: list[Insight] = []
    tables: dict[str, Table] = {}
    empty: str | None = None
    currency: str | None = None


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain objects; instants are ISO 8601 in UTC, what is unknown is null."""
    return {
        "page": report.page,
        "empty": report.empty,
        "currency": report.currency,
        "metrics": [msgspec.to_builtins(metric) for metric in report.metrics],
        "insights": [msgspec.to_builtins(insight) for insight in report.insights],
        "tables": {name: list(rows(table.frame)) for name, table in report.tables.items()},
    }


def rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of a frame as plain objects."""
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        yield {name: _plain(value) for name, value in zip(names, values, strict=True)}


def csv(frame: pd.DataFrame) -> str:
    """The rows of a frame as CSV; a list is one cell, its parts apart by `; `.

    A text that a spreadsheet would take for a formula gets a quote before it.
    https://owasp.org/www-community/attacks/CSV_Injection
    """
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows(frame)]
    names = [str(name) for name in frame.columns]
    return str(pd.DataFrame(cells, columns=names).to_csv(index=False))


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    elif isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, pd.Timedelta):
        value = value.total_seconds()
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if value is pd.NaT or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, enum.Enum):
        return value.value
    return value.isoformat() if hasattr(value, "isoformat") else value
