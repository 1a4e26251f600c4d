"""The spans of dbt: an invocation and its nodes.

A node's spans say only what is known when it ends: those sent at that moment and those made of
the ledger later are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from orchestrate.ledger import identity
from orchestrate.ledger.model import TESTS, DbtInvocation, NodeRun, PipelineRun, Record, StreamSync
from orchestrate.tracing import events
from orchestrate.tracing.attributes import first_line, known, without_sql
from orchestrate.tracing.lineage import Lineage
from orchestrate.tracing.model import Event, Link, Span, Status
from orchestrate.tracing.results import error_type, node_result, run_result, verdict

_OPERATIONS = {"table": "CREATE TABLE", "view": "CREATE VIEW", "test": "SELECT", "unit": "SELECT"}
_ERROR_CLASS = re.compile(r"([A-Z]\w+ Error)\b")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def invocation_span_id(trace_id: str, invocation_id: str) -> str:
    """The span of a dbt invocation."""
    return identity.span_id(trace_id, "dbt", invocation_id)


def parse_span_id(trace_id: str, invocation_id: str) -> str:
    """The span of an invocation's reading of the project."""
    return identity.span_id(trace_id, "dbt", invocation_id, "parse")


def node_span_id(trace_id: str, invocation_id: str, unique_id: str) -> str:
    """The span of a node."""
    return identity.span_id(trace_id, "dbt", invocation_id, unique_id)


def step_span_id(run: PipelineRun, position: int) -> str:
    """The span of a run's step."""
    return identity.span_id(run.trace_id, run.run_id, "step", position)


def stream_span_id(trace_id: str, stream: StreamSync) -> str:
    """The span of a stream's sync."""
    names = (stream.run_id, "step", stream.position, "stream", stream.stream)
    return identity.span_id(trace_id, *names)


def over(parent: Span, children: list[Span]) -> list[Span]:
    """The parent, made to last as long as its children, and they."""
    covering = msgspec.structs.replace(
        parent,
        started_us=min([parent.started_us, *(span.started_us for span in children)]),
        ended_us=max([parent.ended_us, *(span.ended_us for span in children)]),
    )
    return [covering, *children]


def invocation_spans(record: Record, invocation: DbtInvocation, parent_id: str) -> list[Span]:
    """The span of a call of dbt, first, of its parsing, and of its nodes, by their begins."""
    trace_id = record.run.trace_id
    span_id = invocation_span_id(trace_id, invocation.invocation_id)
    lineage = Lineage(record, invocation)
    ordered = sorted(
        lineage.ran.values(), key=lambda node: (lineage.instant(node.unique_id), node.unique_id)
    )
    children = list(_parse(trace_id, invocation))
    children += [span for node in ordered for span in spans_of(lineage, node)]
    end = max(invocation.started_us, invocation.ended_us or invocation.heard_us)
    own = Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=f"dbt {invocation.command}".strip(),
        started_us=invocation.started_us,
        ended_us=end,
        **verdict(invocation.result, invocation.error),
        attributes=known(
            {
                "cicd.pipeline.task.run.result": run_result(invocation.result),
                "dbt.invocation.id": invocation.invocation_id,
                "dbt.command": invocation.command,
                "dbt.target": invocation.target,
                "dbt.threads": invocation.threads,
                "dbt.version": invocation.dbt_version,
                "dbt.manifest.hash": invocation.manifest_hash,
                "process.exit.code": invocation.exit_code,
                "db.system.name": lineage.system(),
                "error.type": error_type(invocation.result, invocation.error, invocation.exit_code),
            }
        ),
        events=[
            events.freshness(found, end)
            for found in record.freshness
            if found.invocation_id == invocation.invocation_id
        ],
        links=list(_retry_link(record, invocation)),
    )
    return over(own, children)


def _parse(trace_id: str, invocation: DbtInvocation) -> Iterator[Span]:
    """Reading the project, which is most of what dbt does before its first node."""
    if invocation.parsed_us is not None:
        yield Span(
            trace_id=trace_id,
            span_id=parse_span_id(trace_id, invocation.invocation_id),
            parent_id=invocation_span_id(trace_id, invocation.invocation_id),
            name="parse",
            started_us=invocation.started_us,
            ended_us=max(invocation.started_us, invocation.parsed_us),
            attributes={"dbt.invocation.id": invocation.invocation_id},
        )


def _retry_link(record: Record, invocation: DbtInvocation) -> Iterator[Link]:
    """To the invocation that a `dbt retry` goes on from, in this run or another."""
    earlier = invocation.retries
    trace_id = record.retried.get(earlier or "")
    if earlier and trace_id:
        yield Link(
            trace_id=trace_id,
            span_id=invocation_span_id(trace_id, earlier),
            attributes={"link.type": "retry", "link.upstream.id": earlier},
        )


def spans_of(lineage: Lineage, node: NodeRun) -> list[Span]:
    """A node's span, first, and those of its phases.

    While dbt is at work, the record of the lineage needs this run, the nodes that have ended and
    the manifest's nodes, under the hash that the invocation names.
    """
    invocation, trace_id = lineage.invocation, lineage.record.run.trace_id
    span_id = node_span_id(trace_id, invocation.invocation_id, node.unique_id)
    begin = lineage.instant(node.unique_id)
    end = begin if node.status == "skipped" else node.ended_us
    if end is None:
        last_word = invocation.ended_us or invocation.heard_us
        end = begin if node.started_us is None else last_word
    phases = list(_phases(lineage, node, span_id, end)) if node.status != "skipped" else []
    failed = node_result(node.status) in {"failure", "error"}
    span = Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=invocation_span_id(trace_id, invocation.invocation_id),
        name=f"{node.resource_type} {node.name}",
        started_us=min([begin, *(phase.started_us for phase in phases)]),
        ended_us=max([begin, end, *(phase.ended_us for phase in phases)]),
        status=_status(node.status, failed=failed),
        status_message=(first_line(node.message) or str(node.status)) if failed else "",
        attributes=_attributes(lineage, node, failed=failed),
        events=list(_exception(node, max(begin, end))) if failed else [],
        links=list(_links(lineage, node)),
    )
    return [span, *phases]


def _status(status: str | None, *, failed: bool) -> Status:
    if failed:
        return Status.ERROR
    decided = node_result(status) == "success" and status != "warn"
    return Status.OK if decided else Status.UNSET


def _phases(lineage: Lineage, node: NodeRun, parent_id: str, end: int) -> Iterator[Span]:
    trace_id, invocation_id = lineage.record.run.trace_id, lineage.invocation.invocation_id
    for name, started_us, ended_us in (
        ("compile", node.compile_started_us, node.compile_ended_us),
        ("execute", node.execute_started_us, node.execute_ended_us),
    ):
        if started_us is not None:
            yield Span(
                trace_id=trace_id,
                span_id=identity.span_id(trace_id, "dbt", invocation_id, node.unique_id, name),
                parent_id=parent_id,
                name=name,
                started_us=started_us,
                ended_us=max(started_us, end if ended_us is None else ended_us),
                attributes={"dbt.node.unique_id": node.unique_id},
            )


def _attributes(lineage: Lineage, node: NodeRun, *, failed: bool) -> dict[str, Any]:
    description = lineage.described.get(node.unique_id)
    *namespace, collection = relation_names(node.relation) or [""]
    is_test = node.resource_type in TESTS
    return known(
        {
            "cicd.pipeline.task.run.result": node_result(node.status),
            "dbt.invocation.id": node.invocation_id,
            "dbt.node.unique_id": node.unique_id,
            "dbt.node.name": node.name,
            "dbt.node.resource_type": node.resource_type,
            "dbt.node.materialized": node.materialized,
            "dbt.node.status": node.status,
            "dbt.node.owner": description.owner if description else None,
            "dbt.node.tags": list(description.tags) if description else None,
            "dbt.node.failures": node.failures if is_test else None,
            "dbt.node.rows_affected": node.rows_affected,
            "dbt.node.statements": node.statements or None,
            "dbt.node.statement_s": node.statement_s or None,
            "dbt.node.awaited_tests": lineage.awaited_tests(node.unique_id),
            "code.file.path": description.path if description else None,
            "thread.name": node.thread,
            "db.system.name": lineage.system(),
            "db.namespace": "|".join(filter(None, namespace)),
            "db.collection.name": collection,
            "db.operation.name": _OPERATIONS.get(node.materialized or ""),
            "error.type": node.status if failed else None,
        }
    )


def relation_names(relation: str | None) -> list[str]:
    """Database, schema and name out of `"warehouse"."main"."issues"`; fewer if fewer are told."""
    found = _QUOTED.findall(relation or "")
    return [quoted.replace('""', '"') or bare.strip("`[]") for quoted, bare in found]


def _exception(node: NodeRun, at_us: int) -> Iterator[Event]:
    """What broke. That a test found rows is a result, and in the status."""
    message = without_sql(node.message)
    if message and node.status != "fail":
        found = _ERROR_CLASS.match(message)
        facts = {
            "exception.type": found[1] if found else node.status,
            "exception.message": message,
        }
        yield Event(name="exception", at_us=at_us, attributes=known(facts))


def _links(lineage: Lineage, node: NodeRun) -> Iterator[Link]:
    for name in _read(lineage, node):
        trace_id = lineage.record.run.trace_id
        above = lineage.ran.get(name) or lineage.earlier.get(name)
        if above and name != node.unique_id:
            span_id = node_span_id(trace_id, above.invocation_id, name)
            status = above.status
        elif stream := lineage.source_stream(name):
            trace_id = lineage.record.fed_traces.get(stream.run_id, trace_id)
            span_id = stream_span_id(trace_id, stream)
            status = stream.result.value if stream.result else None
        else:
            continue
        facts = {"link.type": "data", "link.upstream.id": name, "link.upstream.status": status}
        yield Link(trace_id=trace_id, span_id=span_id, attributes=known(facts))


def _read(lineage: Lineage, node: NodeRun) -> Iterable[str]:
    """What a node reads; a source that is looked at for its age reads itself."""
    return [node.unique_id] if node.resource_type == "source" else lineage.upstream(node.unique_id)
