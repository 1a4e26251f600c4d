"""What the trace page draws: one object, small enough to stand in the page.

Instants in it are whole microseconds since the trace began, and a span is named by its place in
the list of spans. What is empty is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrate.ledger.identity import span_id
from orchestrate.ledger.model import TESTS, PipelineRun, Record, Result
from orchestrate.tracing.attributes import without_sql
from orchestrate.tracing.critical_path import Segment, SegmentKind
from orchestrate.tracing.lineage import Lineage
from orchestrate.tracing.model import Span, Status
from orchestrate.tracing.nodes import (
    invocation_span_id,
    node_span_id,
    parse_span_id,
    step_span_id,
    stream_span_id,
)

_HOOK = "operation"
_SOURCE = "source"

# How something ended, in the page's few words, by dbt's and the ledger's many.
_STATES = {
    "success": "ok",
    "pass": "ok",
    "warn": "warned",
    "error": "failed",
    "fail": "failed",
    "runtime error": "failed",
    "partial success": "failed",
    "failure": "failed",
    "timeout": "failed",
    "killed": "killed",
    "skipped": "skipped",
    "no-op": "skipped",
    "reused": "reused",
}


class Told(NamedTuple):
    """What the ledger tells of a span: `word` is its own word for how it ended."""

    kind: str
    name: str | None = None
    word: str | None = None
    type: str | None = None
    thread: str | None = None
    message: str | None = None
    awaited: tuple[str, ...] = ()


def data(record: Record, spans: Sequence[Span], segments: Iterable[Segment]) -> dict[str, Any]:
    """All that the page draws.

    Args:
        record: The run.
        spans: Its spans, as `orchestrate.tracing.spans` gives them.
        segments: Its critical path, as `orchestrate.tracing.critical_path` gives it.
    """
    ordered = sorted(spans, key=lambda span: span.started_us)
    places = {span.span_id: place for place, span in enumerate(ordered)}
    began = min((span.started_us for span in spans), default=record.run.started_us)
    ended = max((span.ended_us for span in spans), default=began)
    under_way = record.run.result is None
    lineages = [
        Lineage(record, found)
        for found in sorted(record.invocations, key=lambda found: found.started_us)
    ]
    told = _told(record, lineages)
    return {
        "began": began,
        "length": ended - began,
        "trace": record.run.trace_id,
        "spans": [
            _span(span, told.get(span.span_id, Told("other")), places, began, under_way=under_way)
            for span in ordered
        ],
        "graph": _graph(record, lineages, places),
        "path": [_segment(segment, places, began) for segment in segments],
        "logs": [[line.at_us - began, line.level, line.source, line.text] for line in record.logs],
    }


def state_of(word: str | None, *, under_way: bool) -> str:
    """The page's word for how something ended, of the ledger's."""
    if word is None:
        return "running" if under_way else "unknown"
    return _STATES.get(word, "unknown")


def title(run: PipelineRun) -> str:
    """What was asked to run; of old logs, that don't tell, the run's id."""
    return run.job or " ".join(run.planned_steps) or run.run_id


def _told(record: Record, lineages: Iterable[Lineage]) -> dict[str, Told]:
    """By span id, what the ledger tells."""
    run = record.run
    trace_id = run.trace_id
    found = {run.span_id: Told("run", title(run), _word(run.result), message=run.error)}
    for step in record.steps:
        found[step_span_id(run, step.position)] = Told(
            "step", step.name, _word(step.result), message=step.error
        )
    for stream in record.streams:
        told = Told("stream", stream.stream, _word(stream.result))
        found[stream_span_id(trace_id, stream)] = told
    for lineage in lineages:
        invocation = lineage.invocation
        name = invocation.invocation_id
        word = _word(invocation.result)
        told = Told("dbt", f"dbt {invocation.command}".strip(), word, message=invocation.error)
        found[invocation_span_id(trace_id, name)] = told
        found[parse_span_id(trace_id, name)] = Told("phase", "parse", "success", "parse")
        for node in lineage.ran.values():
            awaited = (node_span_id(trace_id, name, key) for key in lineage.awaited(node.unique_id))
            found[node_span_id(trace_id, name, node.unique_id)] = Told(
                "node",
                node.name,
                node.status,
                node.resource_type,
                node.thread,
                node.message,
                tuple(awaited),
            )
            phases = {"compile": node.compile_started_us, "execute": node.execute_started_us}
            begun = [phase for phase, started_us in phases.items() if started_us is not None]
            for phase in begun:
                # What went wrong, went wrong in the last phase that began.
                word = node.status if phase == begun[-1] else "success"
                place = span_id(trace_id, "dbt", name, node.unique_id, phase)
                found[place] = Told("phase", phase, word)
    return found


def _word(result: Result | None) -> str | None:
    return result.value if result else None


def _span(
    span: Span, told: Told, places: Mapping[str, int], began: int, *, under_way: bool
) -> dict[str, Any]:
    state = state_of(told.word, under_way=under_way)
    if told.kind == "other":
        state = "failed" if span.status is Status.ERROR else "ok"
    reads = {places[link.span_id] for link in span.links if link.span_id in places}
    after = reads | {places[awaited] for awaited in told.awaited if awaited in places}
    return _without_empty(
        {
            "id": span.span_id,
            "up": places.get(span.parent_id or ""),
            "name": told.name or span.name,
            "kind": told.kind,
            "type": told.type,
            "state": state,
            "word": told.word,
            "at": span.started_us - began,
            "for": max(0, span.ended_us - span.started_us),
            "thread": told.thread,
            "note": without_sql(told.message) or span.status_message,
            # The phases' only attribute is the node's.
            "about": {} if told.kind == "phase" else _without_empty(span.attributes),
            "events": [
                [event.at_us - began, event.name, _without_empty(event.attributes)]
                for event in span.events
            ],
            "reads": sorted(reads),
            "after": sorted(after),
            "elsewhere": [
                [link.trace_id, link.span_id, _without_empty(link.attributes)]
                for link in span.links
                if link.span_id not in places
            ],
        }
    )


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _segment(segment: Segment, places: Mapping[str, int], began: int) -> dict[str, Any]:
    waiting = segment.kind is not SegmentKind.WORK
    return _without_empty(
        {
            "span": places[segment.span_id],
            "at": segment.started_us - began,
            "for": segment.ended_us - segment.started_us,
            "wait": segment.kind.value if waiting else None,
        }
    )


def _graph(
    record: Record, lineages: Iterable[Lineage], places: Mapping[str, int]
) -> dict[str, Any]:
    """Streams, sources and nodes with the edges between them; tests are folded into nodes.

    Of a node in several invocations the last one counts.
    """
    trace_id = record.run.trace_id
    ages = {found.unique_id: found.status for found in record.freshness}
    nodes: dict[str, dict[str, Any]] = {}
    edges: set[tuple[str, str]] = set()
    tests: dict[str, tuple[str, int | None]] = {}

    def seen(lineage: Lineage, name: str) -> None:
        """Take in a source, and the stream that fills it."""
        nodes.setdefault(name, {"name": lineage.described[name].name, "type": _SOURCE})
        stream = lineage.source_stream(name)
        if stream and stream.run_id == record.run.run_id:
            edges.add((f"stream.{stream.stream}", name))

    for stream in record.streams:
        place = places.get(stream_span_id(trace_id, stream))
        told = {"name": stream.stream, "type": "stream", "span": place}
        nodes[f"stream.{stream.stream}"] = told
    for lineage in lineages:
        for name, node in lineage.ran.items():
            place = places.get(node_span_id(trace_id, node.invocation_id, name))
            if node.resource_type in TESTS:
                if tested := _tested(lineage, name):
                    tests[name] = (tested, place)
                continue
            if node.resource_type == _HOOK:
                continue
            nodes[name] = {"name": node.name, "type": node.resource_type, "span": place}
            if node.resource_type == _SOURCE and name in lineage.described:
                seen(lineage, name)
            for above in lineage.upstream(name):
                edges.add((above, name))
                if above not in lineage.ran and above not in lineage.earlier:
                    seen(lineage, above)
    folded: dict[str, list[int]] = {}
    for tested, place in tests.values():
        if place is not None:
            folded.setdefault(tested, []).append(place)
    numbers = {name: place for place, name in enumerate(nodes)}
    return {
        "nodes": [
            _without_empty({**node, "age": ages.get(name), "tests": folded.get(name)})
            for name, node in nodes.items()
        ],
        "edges": sorted(
            (numbers[above], numbers[below])
            for above, below in edges
            if above in numbers and below in numbers
        ),
    }


def _tested(lineage: Lineage, test: str) -> str | None:
    """The node that a test is about: the one that its name names first, else the last one."""
    described = lineage.described.get(test)
    parents = described.depends_on if described else []
    name = lineage.ran[test].name

    def place(parent: str) -> tuple[int, int]:
        known = parent.rsplit(".", 1)[-1]
        found = name.find(known)
        return (found if found >= 0 else len(name), -len(known))

    return min(reversed(parents), key=place, default=None)
