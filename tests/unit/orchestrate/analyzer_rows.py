"""Runs of invented jobs, as rows of a ledger, and the history that the analyzer makes of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orchestrate.analyzer import loading
from orchestrate.analyzer.history import History
from orchestrate.ledger.meltano.schedules import Schedule
from orchestrate.ledger.model import (
    DbtInvocation,
    NodeRun,
    PipelineRun,
    Record,
    ReuseDecision,
    Row,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

HOUR, DAY = 3600.0, 86_400.0
NOW = 10 * DAY


def load(
    ledger: Ledger, rows: Iterable[Row], *, now: float = NOW, days: int = 0, jobs: str = ""
) -> History:
    """The history of these rows, `now` seconds after noon; `jobs` have a schedule."""
    with ledger.writing():
        ledger.save(rows)
    schedules = [Schedule(name=job, job=job, crontab="0 * * * *") for job in jobs.split()]
    return loading.load(ledger.path, days=days, now_us=records.at(now), schedules=schedules)


def all_rows(record: Record) -> list[Row]:
    """All rows of a record that the analyzer looks at."""
    lists = (record.steps, record.streams, record.requests, record.retries, record.skipped)
    dbt = (record.invocations, record.nodes, record.manifest_nodes, record.freshness)
    return [record.run, *(row for rows in (*lists, *dbt) for row in rows)]


def run(
    run_id: str, begin: float, end: float, job: str = "hourly", **fields: object
) -> PipelineRun:
    """A run of a job in `prod` between two instants in seconds."""
    facts: dict[str, object] = {
        "started_us": records.at(begin),
        "heard_us": records.at(end),
        "ended_us": records.at(end),
        "environment": "prod",
        "job": job,
    }
    return records.run(run_id, **(facts | fields))


def called(
    run_id: str, begin: float, end: float, name: str = "", **fields: object
) -> DbtInvocation:
    """A call of dbt in a run; its id is the run's with `name` behind it."""
    facts: dict[str, object] = {
        "run_id": run_id,
        "started_us": records.at(begin),
        "heard_us": records.at(end),
        "ended_us": records.at(end),
        "environment": "prod",
    }
    return msgspec.structs.replace(
        records.invocation(**(facts | fields)), invocation_id=f"{run_id}{name}"
    )


def model(
    run_id: str, name: str, begin: float | None, end: float | None, **fields: object
) -> NodeRun:
    """A model that the call of dbt with this id built."""
    return records.node(f"model.sentry.{name}", begin, end, **({"invocation_id": run_id} | fields))


def reused(run_id: str, name: str, reason: str | None = "unchanged") -> list[Row]:
    """A model that this call of dbt left as it was; None as a reason: nobody planned it."""
    node = model(run_id, name, None, None, status="reused", thread=None)
    return [node] if reason is None else [node, decision(run_id, name, reason=reason)]


def decision(run_id: str, name: str, **fields: object) -> ReuseDecision:
    """What the planner said of a model in the call of dbt with this id."""
    facts: dict[str, object] = {"mode": "on", "decision": "reuse", "reason": "unchanged"}
    return ReuseDecision(
        invocation_id=run_id,
        unique_id=f"model.sentry.{name}",
        **(facts | fields),  # type: ignore[arg-type]
    )
