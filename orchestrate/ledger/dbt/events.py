"""dbt's event log: what it says of invocations and nodes before, or instead of, artifacts.

https://docs.getdbt.com/reference/events-logging
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from orchestrate.ledger.dbt.artifacts import (
    Timing,
    blank,
    set_response,
    set_timing,
)
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import TESTS, FreshnessResult, NodeRun

# An event is an object {"data", "info"} with sorted names, so that its kind is near its end.
_END = re.compile(rb'"name": ?"(\w+)", ?"pid": ?\d+, ?"thread": ?"[^"]*", ?"ts": ?"[^"]*"\}\}\s*$')
_END_BYTES = 300
# A connection has the id of the node that it works for, or the name of something else.
_NODES = ("model.", "test.", "unit_test.", "seed.", "snapshot.", "source.", "function.")
_GROUPS = frozenset({"source", "docs"})
_COMMANDS = _GROUPS | frozenset(
    {"build", "clean", "clone", "compile", "debug", "deps", "init", "list", "ls", "parse"}
    | {"retry", "run", "run-operation", "seed", "show", "snapshot", "test"}
)


class _Relation(msgspec.Struct):
    relation_name: str | None = None


class _NodeInfo(msgspec.Struct):
    unique_id: str = ""
    materialized: str | None = None
    node_relation: _Relation | None = None


class _RunResult(msgspec.Struct):
    status: str | None = None
    message: str | None = None
    thread: str | None = None
    timing_info: list[Timing] | None = None
    adapter_response: dict[str, Any] | None = None
    num_failures: int | None = None


class _Data(msgspec.Struct):
    node_info: _NodeInfo | None = None
    run_result: _RunResult | None = None
    args: dict[str, Any] = {}
    version: str = ""
    num_threads: int | None = None
    target_name: str | None = None
    conn_name: str = ""
    elapsed: float = 0.0
    success: bool = False
    status: str | None = None
    exc: str | None = None


class _Info(msgspec.Struct):
    name: str
    invocation_id: str
    ts: str
    thread: str = ""
    extra: dict[str, str] = {}


class _Event(msgspec.Struct):
    info: _Info
    data: _Data


class Heard(msgspec.Struct):
    """What the events of one invocation say; None where they don't. Nodes may be half known."""

    invocation_id: str
    started_us: int
    heard_us: int
    run_id: str | None = None
    traceparent: str | None = None
    arguments: list[str] | None = None
    dbt_version: str | None = None
    threads: int | None = None
    target: str | None = None
    parsed_us: int | None = None
    ended_us: int | None = None
    success: bool | None = None
    error: str | None = None
    nodes: dict[str, NodeRun] = {}
    freshness: dict[str, FreshnessResult] = {}

    def node(self, unique_id: str) -> NodeRun:
        """The node of that id, made when it is new."""
        if unique_id not in self.nodes:
            self.nodes[unique_id] = blank(self.invocation_id, unique_id)
        return self.nodes[unique_id]


def hear(lines: Iterable[bytes], heard: dict[str, Heard]) -> None:
    """Add what lines of an event log say, in their order, to what was heard of each invocation."""
    decode = msgspec.json.Decoder(_Event).decode
    for line in lines:
        kind = _END.search(line[-_END_BYTES:])
        if kind and kind[1] not in _NEEDED:
            continue
        event = _decoded(line, decode)
        if event is None or event.info.name not in _HANDLERS:
            continue
        at_us = instant_us(event.info.ts)
        if at_us is None:
            continue
        invocation_id = event.info.invocation_id
        known = heard.get(invocation_id)
        if known is None:
            known = heard[invocation_id] = Heard(invocation_id, at_us, at_us)
            known.run_id = event.info.extra.get("MELTANO_RUN_ID")
            known.traceparent = event.info.extra.get("TRACEPARENT")
        known.started_us = min(known.started_us, at_us)
        known.heard_us = max(known.heard_us, at_us)
        _HANDLERS[event.info.name](known, event, at_us)


def command_of(arguments: list[str]) -> str:
    """The command within dbt's arguments: `build`, `source freshness`; empty if there is none."""
    for place, word in enumerate(arguments):
        if word in _COMMANDS:
            following = arguments[place + 1 : place + 2]
            if word in _GROUPS and following and not following[0].startswith("-"):
                return f"{word} {following[0]}"
            return word
    return ""


def arguments_of(invocation_command: object) -> list[str] | None:
    """The arguments that dbt says it was called with, None if it does not say."""
    if not isinstance(invocation_command, str):
        return None
    try:
        return shlex.split(invocation_command)[1:]
    except ValueError:  # a quote that is part of a value
        return invocation_command.split()[1:]


def _decoded(line: bytes, decode: Callable[[memoryview], _Event]) -> _Event | None:
    """The event of a line; a process that died may have left half a line in front of it."""
    begin, view = 0, memoryview(line)
    while begin >= 0:
        try:
            return decode(view[begin:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # noqa: PERF203
            begin = line.find(b'{"data"', begin + 1)
    return None


def _version(heard: Heard, event: _Event, _: int) -> None:
    heard.dbt_version = event.data.version.lstrip("=") or None


def _arguments(heard: Heard, event: _Event, _: int) -> None:
    arguments = arguments_of(event.data.args.get("invocation_command"))
    # The launcher was called without any.
    heard.arguments = ["build"] if arguments == [] else arguments


def _concurrency(heard: Heard, event: _Event, _: int) -> None:
    heard.threads, heard.target = event.data.num_threads, event.data.target_name


def _found(heard: Heard, _: _Event, at_us: int) -> None:
    heard.parsed_us = at_us


def _completed(heard: Heard, event: _Event, at_us: int) -> None:
    heard.ended_us, heard.success = at_us, event.data.success


def _error(heard: Heard, event: _Event, _: int) -> None:
    heard.error = heard.error or event.data.exc


def _node(heard: Heard, event: _Event) -> NodeRun | None:
    info = event.data.node_info
    if info is None or not info.unique_id:
        return None
    node = heard.node(info.unique_id)
    node.materialized = info.materialized or node.materialized
    if info.node_relation and info.node_relation.relation_name:
        node.relation = info.node_relation.relation_name
    return node


def _started(heard: Heard, event: _Event, at_us: int) -> None:
    if node := _node(heard, event):
        node.started_us = at_us
        node.thread = event.info.thread or None


def _compiling(heard: Heard, event: _Event, at_us: int) -> None:
    if node := _node(heard, event):
        node.compile_started_us = at_us


def _executing(heard: Heard, event: _Event, at_us: int) -> None:
    if node := _node(heard, event):
        node.compile_ended_us = node.execute_started_us = at_us


def _finished(heard: Heard, event: _Event, at_us: int) -> None:
    node, result = _node(heard, event), event.data.run_result
    if node is None:
        return
    node.ended_us = at_us
    if result is None:
        return
    node.status = result.status or node.status
    node.message = result.message or node.message
    node.thread = result.thread or node.thread
    if node.resource_type in TESTS:
        node.failures = result.num_failures
    set_timing(node, result.timing_info)
    set_response(node, result.adapter_response)


def _ended(heard: Heard, event: _Event, at_us: int) -> None:
    if node := _node(heard, event):
        node.ended_us = at_us
        node.status = event.data.status or node.status


def _skipped(heard: Heard, event: _Event, at_us: int) -> None:
    if node := _node(heard, event):
        node.ended_us = at_us
        node.status = "skipped"


def _fresh(heard: Heard, event: _Event, _: int) -> None:
    if (node := _node(heard, event)) and event.data.status:
        heard.freshness[node.unique_id] = FreshnessResult(
            invocation_id=heard.invocation_id,
            unique_id=node.unique_id,
            status=event.data.status,
        )


def _asks(heard: Heard, event: _Event, _: int) -> None:
    if event.data.conn_name.startswith(_NODES):
        heard.node(event.data.conn_name).statements += 1


def _answered(heard: Heard, event: _Event, _: int) -> None:
    info = event.data.node_info
    if info and info.unique_id.startswith(_NODES):
        # Rounded, so that the sum does not depend on how the reading was split.
        heard.node(info.unique_id).statement_s += round(event.data.elapsed, 6)


_HANDLERS: dict[str, Callable[[Heard, _Event, int], None]] = {
    "MainReportVersion": _version,
    "MainReportArgs": _arguments,
    "FoundStats": _found,
    "ConcurrencyLine": _concurrency,
    "CommandCompleted": _completed,
    "MainEncounteredError": _error,
    "NodeStart": _started,
    "NodeCompiling": _compiling,
    "NodeExecuting": _executing,
    "NodeFinished": _finished,
    "LogHookStartLine": _started,
    "LogHookEndLine": _ended,
    "SkippingDetails": _skipped,
    "LogFreshnessResult": _fresh,
    "SQLQuery": _asks,
    "SQLQueryStatus": _answered,
}
_NEEDED = frozenset(name.encode() for name in _HANDLERS)
