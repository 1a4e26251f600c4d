"""dbt's artifacts as rows. Fields that a version of dbt does not write are None.

https://docs.getdbt.com/reference/artifacts/dbt-artifacts
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import (
    REUSED,
    TESTS,
    FreshnessResult,
    NodeRun,
    ReuseDecision,
    Row,
)

_PERIODS_S = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_HASH_DIGITS = 16

Document = TypeVar("Document")


class UnreadableError(Exception):
    """A file is not what it should be; the message names it and says what is wrong."""


class Timing(msgspec.Struct):
    """One phase of a node."""

    name: str = ""
    started_at: str | None = None
    completed_at: str | None = None


class Metadata(msgspec.Struct):
    """What every artifact begins with."""

    invocation_id: str | None = None
    dbt_version: str | None = None
    generated_at: str | None = None
    invocation_started_at: str | None = None
    env: dict[str, Any] | None = None
    project_name: str | None = None
    adapter_type: str | None = None


class NodeResult(msgspec.Struct):
    """A node in run_results.json."""

    unique_id: str
    status: str
    timing: list[Timing] | None = None
    thread_id: str | None = None
    message: str | None = None
    failures: int | None = None
    adapter_response: dict[str, Any] | None = None
    relation_name: str | None = None
    compiled_code: str | None = None


class RunResults(msgspec.Struct):
    """run_results.json."""

    metadata: Metadata
    results: list[NodeResult]


class Limit(msgspec.Struct):
    """How old a source may be; both are None where nothing is said."""

    count: int | None = None
    period: str | None = None

    def seconds(self) -> float | None:
        period_s = _PERIODS_S.get(self.period or "")
        return self.count * period_s if self.count and period_s else None


class Criteria(msgspec.Struct):
    """How old a source may be before it warns, and before it is an error."""

    warn_after: Limit | None = None
    error_after: Limit | None = None


class SourceResult(msgspec.Struct):
    """A source in sources.json."""

    unique_id: str
    status: str
    max_loaded_at: str | None = None
    snapshotted_at: str | None = None
    max_loaded_at_time_ago_in_s: float | None = None
    criteria: Criteria | None = None
    timing: list[Timing] | None = None
    thread_id: str | None = None
    error: Any = None


class Sources(msgspec.Struct):
    """sources.json."""

    metadata: Metadata
    results: list[SourceResult]


class Reuse(msgspec.Struct):
    """A node in reuse.json: what the launcher's reuse planner decided, and what came of it."""

    unique_id: str
    decision: str
    reason: str
    detail: str = ""
    definition_hash: str | None = None
    content_before: str | None = None
    content_after: str | None = None
    outcome: str | None = None


class Reuses(msgspec.Struct):
    """reuse.json, beside the artifacts of the invocation that was planned."""

    mode: str
    nodes: list[Reuse]


def read(path: Path, document: type[Document]) -> Document:
    """The file as that type.

    Raises:
        FileNotFoundError: If there is none.
        UnreadableError: If it can't be read, is half written or of another shape.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=document)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"{path} can't be read: {error}") from error


def blank(invocation_id: str, unique_id: str) -> NodeRun:
    """A node of which only the id is known; it tells type and name."""
    kind, *names = unique_id.split(".")
    # Their names come last, behind the source or the model that they belong to.
    place = -1 if kind in {"source", "unit_test"} or len(names) < 2 else 1
    return NodeRun(
        invocation_id=invocation_id,
        unique_id=unique_id,
        resource_type=kind,
        name=names[place] if names else unique_id,
    )


def set_timing(node: NodeRun, timings: list[Timing] | None) -> None:
    """Take phases over; times of the whole node come from events where those are there."""
    for timing in timings or ():
        started, ended = instant_us(timing.started_at), instant_us(timing.completed_at)
        if timing.name == "compile":
            node.compile_started_us, node.compile_ended_us = started, ended
        elif timing.name == "execute":
            node.execute_started_us, node.execute_ended_us = started, ended


def set_response(node: NodeRun, response: dict[str, Any] | None) -> None:
    """Take over what the warehouse said, where it said how many rows."""
    rows = (response or {}).get("rows_affected")
    if isinstance(rows, (int, float)):
        node.rows_affected = int(rows)


def node_runs(results: RunResults, invocation_id: str) -> Iterator[NodeRun]:
    """The rows of run_results.json."""
    for result in results.results:
        node = _node_run(invocation_id, result)
        node.message = result.message or None
        # For others dbt writes 0 or nothing, without a meaning.
        node.failures = result.failures if node.resource_type in TESTS else None
        node.relation = result.relation_name
        set_response(node, result.adapter_response)
        if result.compiled_code:
            code = hashlib.sha256(result.compiled_code.encode()).hexdigest()
            node.code_hash = code[:_HASH_DIGITS]
        yield node


def freshness(sources: Sources, invocation_id: str) -> Iterator[Row]:
    """The rows of sources.json: of each source what was found, and how long asking took."""
    for result in sources.results:
        node = _node_run(invocation_id, result)
        node.message = str(result.error) if result.error else None
        yield node
        criteria = result.criteria or Criteria()
        yield FreshnessResult(
            invocation_id=invocation_id,
            unique_id=result.unique_id,
            status=result.status,
            max_loaded_at_us=instant_us(result.max_loaded_at),
            snapshotted_at_us=instant_us(result.snapshotted_at),
            age_s=result.max_loaded_at_time_ago_in_s,
            warn_after_s=criteria.warn_after.seconds() if criteria.warn_after else None,
            error_after_s=criteria.error_after.seconds() if criteria.error_after else None,
            error=node.message,
        )


def reuse_decisions(reuses: Reuses, invocation_id: str) -> Iterator[ReuseDecision]:
    """The rows of reuse.json."""
    for one in reuses.nodes:
        yield ReuseDecision(
            invocation_id=invocation_id, mode=reuses.mode, **msgspec.structs.asdict(one)
        )


def reused_nodes(reuses: Reuses, invocation_id: str) -> Iterator[NodeRun]:
    """A row of each node that was not built, since it was reused; in shadow all are built."""
    for one in reuses.nodes if reuses.mode == "on" else ():
        if one.decision == "reuse":
            node = blank(invocation_id, one.unique_id)
            node.status, node.message = REUSED, one.detail
            yield node


def _node_run(invocation_id: str, result: NodeResult | SourceResult) -> NodeRun:
    node = blank(invocation_id, result.unique_id)
    node.status = result.status
    node.thread = result.thread_id
    set_timing(node, result.timing)
    node.started_us = node.compile_started_us or node.execute_started_us
    node.ended_us = node.execute_ended_us or node.compile_ended_us
    return node
