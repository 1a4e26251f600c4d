"""The tables of one run: its facts, steps, nodes, streams, skipped parts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from orchestrate.ledger.model import PipelineRun, Record

_SECOND_US = 1_000_000


def facts(run: PipelineRun) -> pd.DataFrame:
    """What tells the run from others; only what is known."""
    found = {
        "job": run.job,
        "environment": run.environment,
        "started": _at(run.started_us).isoformat(sep=" ", timespec="seconds"),
        "started by": run.trigger,
        "host": run.host,
        "branch": run.branch,
        "revision": run.revision,
        "run id": run.run_id,
        "trace id": run.trace_id,
        "error": run.error,
    }
    known = [(name, value) for name, value in found.items() if value]
    return pd.DataFrame(known, columns=["fact", "value"])


def steps(record: Record) -> pd.DataFrame:
    """The steps in their order; `share` is of the run."""
    run = record.run
    whole = _seconds(run.started_us, run.ended_us)
    rows = []
    for step in record.steps:
        seconds = _seconds(step.started_us, step.ended_us)
        rows.append(
            (
                step.position,
                step.name,
                step.kind,
                step.result.value if step.result else None,
                _at(step.started_us),
                seconds,
                seconds / whole if seconds is not None and whole else None,
                step.error,
            )
        )
    names = ["position", "step", "kind", "result", "started_at", "seconds", "share", "error"]
    return pd.DataFrame(rows, columns=names)


def nodes(record: Record, path: pd.DataFrame) -> pd.DataFrame:
    """What dbt did, the slowest first; what did not begin has no seconds, and comes last."""
    critical = set(path["unique_id"].dropna())
    rows = [
        (
            node.unique_id,
            node.resource_type,
            node.materialized,
            node.status,
            _seconds(node.started_us, node.ended_us),
            node.statement_s if node.statements else None,
            node.rows_affected,
            node.unique_id in critical,
            " ".join(node.message.split()) if node.message else None,
        )
        for node in record.nodes
    ]
    names = ["unique_id", "resource_type", "materialized", "status", "seconds"]
    names += ["statement_seconds", "rows_affected", "is_critical", "message"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def streams(record: Record) -> pd.DataFrame:
    """The streams in the order in which the tap wrote them."""
    rows = [
        (
            stream.stream,
            stream.result.value if stream.result else None,
            stream.rows,
            stream.stored_rows,
            record.rows_before.get(stream.stream),
            stream.planned_rows,
            stream.requests,
            stream.planned_requests,
            _seconds(stream.started_us, stream.ended_us),
            _at(stream.bookmark_us),
        )
        for stream in record.streams
    ]
    names = ["stream", "result", "rows", "stored_rows", "rows_before", "planned_rows", "requests"]
    names += ["planned_requests", "seconds", "bookmark_at"]
    return pd.DataFrame(rows, columns=names)


def skipped(record: Record) -> pd.DataFrame:
    """What Sentry would not give, and why."""
    rows = [(part.stream, part.part, part.reason) for part in record.skipped]
    return pd.DataFrame(rows, columns=["stream", "part", "reason"])


def _seconds(started_us: int | None, ended_us: int | None) -> float | None:
    if started_us is None or ended_us is None:
        return None
    return (ended_us - started_us) / _SECOND_US


def _at(instant_us: int | None) -> Any:
    return pd.NaT if instant_us is None else pd.Timestamp(instant_us, unit="us", tz="UTC")
