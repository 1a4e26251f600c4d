"""Histories of a few rows, for what the analyzer works out by hand-made numbers.

Seconds count from NOON, and so does `now_s`. Nodes are named `model.p.NAME`, sources
`source.p.s.NAME`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrate.analyzer import loading
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Metric, Report, Tone
from orchestrate.ledger.meltano.schedules import Schedule
from orchestrate.ledger.model import (
    DbtInvocation,
    FreshnessResult,
    ManifestNode,
    NodeRun,
    ReuseDecision,
    Row,
    StreamSync,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

HOUR = 3_600.0
LIMITS = {"warn_after": {"count": 2, "period": "hour"}}


def load(ledger: Ledger, rows: Iterable[Row], *, now_s: float, jobs: Iterable[str] = ()) -> History:
    """What is loaded of these rows; the jobs come by schedule."""
    with ledger.writing():
        ledger.save(rows)
    schedules = [Schedule(job, job, "0 * * * *") for job in jobs]
    return loading.load(ledger.path, days=0, now_us=records.at(now_s), schedules=schedules)


def declared(
    unique_id: str, *parents: str, manifest_hash: str = "m", **config: object
) -> ManifestNode:
    """A node of a project; its materialization is `table` unless told."""
    kind, _, *_, name = unique_id.split(".")
    materialized = {} if kind == "source" else {"materialized": "table"}
    return ManifestNode(
        manifest_hash=manifest_hash,
        unique_id=unique_id,
        resource_type=kind,
        name=name,
        package="p",
        identifier=name.upper(),
        depends_on=list(parents),
        config={**materialized, **config},
    )


def run(
    run_id: str,
    second: float,
    *nodes: NodeRun,
    seconds: float | None = 60,
    target: str = "warehouse",
    manifest_hash: str | None = "m",
    command: str | None = "build",
    streams: Mapping[str, tuple[float | None, int]] | None = None,
    decided: Iterable[ReuseDecision] = (),
    fresh: Iterable[FreshnessResult] = (),
    **fields: Any,
) -> list[Row]:
    """A run with one call of dbt, unless `command` is None.

    `streams` tells by name when each ended, in seconds, and how many rows it stored.
    """
    ended = None if seconds is None else records.at(second + seconds)
    facts = {"environment": "prod", "job": "hourly", "ended_us": ended, **fields}
    heard = ended or records.at(second + 5)
    rows: list[Row] = [records.run(run_id, started_us=records.at(second), heard_us=heard, **facts)]
    for stream, (at, stored) in (streams or {}).items():
        rows.append(
            StreamSync(
                run_id=run_id,
                position=0,
                stream=stream,
                ended_us=None if at is None else records.at(at),
                stored_rows=stored,
            )
        )
    if command is None:
        return rows
    invocation_id = f"{run_id}-dbt"
    rows.append(
        DbtInvocation(
            invocation_id=invocation_id,
            run_id=run_id,
            started_us=records.at(second),
            heard_us=heard,
            command=command,
            target=target,
            manifest_hash=manifest_hash,
        )
    )
    parts: list[NodeRun | ReuseDecision | FreshnessResult] = [*nodes, *decided, *fresh]
    for part in parts:
        part.invocation_id = invocation_id
    return [*rows, *parts]


def node(name: str, status: str, begin: float | None = None, end: float | None = None) -> NodeRun:
    """A result of `model.p.NAME`, or of the unique id that is told."""
    unique_id = name if "." in name else f"model.p.{name}"
    return records.node(unique_id, begin, end, status=status, message=None)


def decision(name: str, decided: str, outcome: str | None = None, **fields: str) -> ReuseDecision:
    """What the planner said of a model; in the shadow, for `unchanged`, unless told."""
    facts = {"mode": "shadow", "reason": "unchanged", **fields}
    return ReuseDecision(
        invocation_id="", unique_id=f"model.p.{name}", decision=decided, outcome=outcome, **facts
    )


def measured(name: str, loaded: float | None, **fields: Any) -> FreshnessResult:
    """What `dbt source freshness` says of `source.p.s.NAME`, loaded at that second."""
    return FreshnessResult(
        invocation_id="",
        unique_id=f"source.p.s.{name}",
        status="pass",
        max_loaded_at_us=None if loaded is None else records.at(loaded),
        **fields,
    )


def metric(found: Report, name: str) -> Metric:
    """A metric of a report."""
    return next(one for one in found.metrics if one.name == name)


def said(found: Report, tone: Tone) -> list[str]:
    """The sentences of a report that are as good or bad as that."""
    return [insight.text for insight in found.insights if insight.tone is tone]


def rows_of(found: Report, name: str) -> list[dict[str, Any]]:
    """The rows of a table of a report."""
    rows: list[dict[str, Any]] = found.tables[name].frame.to_dict("records")
    return rows
