"""Rows of runs that extract, an hour apart from NOON on, and what the page `extraction` says."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import loading
from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report, Tone
from orchestrate.analyzer.reports.extraction import report
from orchestrate.ledger.model import RequestTotal, Result, Row, Step, StreamSync
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

HOUR_S = 3600


def load(ledger: Ledger, rows: list[Row], *, now_s: float = HOUR_S) -> History:
    """The history of rows, as it is so many seconds after NOON."""
    with ledger.writing():
        ledger.save(rows)
    return loading.load(ledger.path, days=0, now_us=records.at(now_s))


def said(ledger: Ledger, rows: list[Row], *, now_s: float = HOUR_S) -> Report:
    """The report of rows."""
    return report(load(ledger, rows, now_s=now_s), choose({}))


def demo() -> list[Row]:
    """The run of `records.demo_like`, as far as it extracts."""
    record = records.demo_like()
    parts = [*record.steps, *record.streams, *record.requests, *record.retries, *record.skipped]
    return [record.run, *parts]


def run(number: int, environment: str = "demo", **fields: object) -> Row:
    """A run, so many hours after NOON."""
    at_us = records.at(number * HOUR_S)
    times = {"started_us": at_us, "heard_us": at_us, "ended_us": at_us + 60_000_000}
    return records.run(f"run-{number}", environment=environment, **(times | fields))


def sync(number: int, rows: int, stream: str = "events", **fields: object) -> Row:
    """A stream in it."""
    facts: dict[str, object] = {
        "requests": 2,
        "stored_rows": rows,
        "started_us": records.at(number * HOUR_S),
        "ended_us": records.at(number * HOUR_S + 4),
        "bookmark_us": records.at(number * HOUR_S - 300),
        "result": Result.SUCCESS,
    }
    return StreamSync(
        run_id=f"run-{number}",
        position=0,
        stream=stream,
        rows=rows,
        **(facts | fields),  # type: ignore[arg-type]
    )


def total(number: int, endpoint: str = "issues", **fields: object) -> Row:
    """The requests to an endpoint in it."""
    facts: dict[str, object] = {"requests": 4}
    return RequestTotal(
        run_id=f"run-{number}",
        position=0,
        endpoint=endpoint,
        **(facts | fields),  # type: ignore[arg-type]
    )


def step(number: int, seconds: float | None) -> Row:
    """Its step that extracts; without an end if it has no seconds."""
    at = number * HOUR_S
    return Step(
        run_id=f"run-{number}",
        position=0,
        name="tap-sentry target-duckdb",
        kind="extract_load",
        started_us=records.at(at),
        ended_us=None if seconds is None else records.at(at + seconds),
    )


def value(found: Report, name: str) -> object:
    """The value of a metric."""
    return next(metric.value for metric in found.metrics if metric.name == name)


def texts(found: Report, tone: Tone) -> str:
    """All insights of a tone."""
    return "\n".join(insight.text for insight in found.insights if insight.tone is tone)


def row(found: Report, table: str, **wanted: str) -> pd.Series:
    """The only row of a table with these texts."""
    frame = found.tables[table].frame
    for name, text in wanted.items():
        frame = frame[frame[name] == text]
    assert len(frame) == 1
    return frame.iloc[0]
