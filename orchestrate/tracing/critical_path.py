"""Which work decided when a run ended: the chain that, had it been shorter, would have ended it.

Walked backwards from the end. Of a step, an invocation or the run, the part that ended last was
decisive, and before it:
- a node: the node that it reads or the test that held it back, or the node before it on its
  thread, whichever ended last; a hook waits for all before it, and all after it for the hook,
  and the first nodes for dbt to have read its project;
- a stream: the stream before, since a tap writes one after another, though it fetches at once;
- a step: the step before.
What lies between is waiting of nodes, or overhead of what contains both: starting dbt, preparing
schemas, writing artifacts. Skipped nodes take no time and decide nothing.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import msgspec

from orchestrate.tracing.model import Span

_begin = attrgetter("started_us")


class SegmentKind(str, enum.Enum):
    """What a part of the path was spent on."""

    WORK = "work"
    WAIT_FOR_THREAD = "wait for thread"
    WAIT_FOR_DEPENDENCY = "wait for dependency"
    OVERHEAD = "overhead"


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the path. The span is the one at work or waiting; of overhead, the containing."""

    span_id: str
    kind: SegmentKind
    started_us: int
    ended_us: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_us - self.started_us) / 1_000_000


def critical_path(spans: Sequence[Span]) -> list[Segment]:
    """The segments from the run's begin to its end, oldest first, without a gap between them.

    Args:
        spans: All spans of one run, as `orchestrate.tracing.spans` gives them: their lengths add
            up to that of the first span without a parent here. No spans give no segments.
    """
    by_id = {span.span_id: span for span in spans}
    root = next((span for span in spans if span.parent_id not in by_id), None)
    if root is None:
        return []
    children: dict[str, list[Span]] = {}
    for span in spans:
        if span.parent_id and span.ended_us > span.started_us:
            children.setdefault(span.parent_id, []).append(span)
    backwards = _inside(root, root.ended_us, children)
    return [found for found in backwards if found.ended_us > found.started_us][::-1]


def _inside(span: Span, until_us: int, children: dict[str, list[Span]]) -> Iterator[Segment]:
    """From `until_us` back to the span's begin."""
    parts = children.get(span.span_id, [])
    if not parts or _is_node(span):
        yield _segment(span, SegmentKind.WORK, span.started_us, until_us)
        return
    siblings = _Siblings(parts)
    part: Span | None = max(parts, key=_decisive)
    kind, waiting = SegmentKind.OVERHEAD, span
    while part is not None:
        end = min(part.ended_us, until_us)
        yield _segment(waiting, kind, end, until_us)
        yield from _inside(part, end, children)
        until_us = part.started_us
        waiting = part
        part, kind = siblings.before(part)
        if kind is SegmentKind.OVERHEAD:
            waiting = span
    yield _segment(span, SegmentKind.OVERHEAD, span.started_us, until_us)


class _Siblings:
    """The parts of one span, to be asked which of them another one came after."""

    def __init__(self, parts: Iterable[Span]) -> None:
        self._parts = sorted(parts, key=_begin)
        self._by_id = {part.span_id: part for part in self._parts}
        self._by_name = {part.attributes.get("dbt.node.unique_id"): part for part in self._parts}
        self._general = [part for part in self._parts if _is_hook(part) or not _is_node(part)]
        self._threads: dict[str | None, list[Span]] = {}
        for part in self._parts:
            self._threads.setdefault(part.attributes.get("thread.name"), []).append(part)

    def before(self, part: Span) -> tuple[Span | None, SegmentKind]:
        """The part that this one came after, and what it was that lies between them."""
        if not _is_node(part):
            found = self._last(part, (one for one in self._parts if one.ended_us <= _begin(part)))
            return found, SegmentKind.OVERHEAD
        needed = self._last(part, self._needed(part))
        on_thread = self._on_thread(part)
        if on_thread and (needed is None or on_thread.ended_us > needed.ended_us):
            return on_thread, SegmentKind.WAIT_FOR_THREAD
        if needed and not _is_node(needed):
            return needed, SegmentKind.OVERHEAD
        return needed, SegmentKind.WAIT_FOR_DEPENDENCY

    def _needed(self, part: Span) -> Iterator[Span]:
        if _is_hook(part):
            yield from self._parts
            return
        yield from self._general
        for link in part.links:
            if link.span_id in self._by_id:
                yield self._by_id[link.span_id]
        for name in part.attributes.get("dbt.node.awaited_tests", ()):
            if name in self._by_name:
                yield self._by_name[name]

    def _on_thread(self, part: Span) -> Span | None:
        thread = part.attributes.get("thread.name")
        if thread is None:
            return None
        parts = self._threads[thread]
        place = bisect_left(parts, part.started_us, key=_begin)
        return parts[place - 1] if place else None

    @staticmethod
    def _last(part: Span, found: Iterable[Span]) -> Span | None:
        # By begins: the clocks of two threads' lines may differ by a little.
        earlier = (one for one in found if one.started_us < part.started_us)
        return max(earlier, key=_decisive, default=None)


def _decisive(span: Span) -> tuple[int, int]:
    """The greatest is what ended last; of several what took longest."""
    return span.ended_us, -span.started_us


def _is_node(span: Span) -> bool:
    return "dbt.node.resource_type" in span.attributes


def _is_hook(span: Span) -> bool:
    return span.attributes.get("dbt.node.resource_type") == "operation"


def _segment(span: Span, kind: SegmentKind, started_us: int, ended_us: int) -> Segment:
    return Segment(span_id=span.span_id, kind=kind, started_us=started_us, ended_us=ended_us)
