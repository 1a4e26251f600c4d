"""The ledger for people, in a terminal: short lines, worst first, nothing by colour alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrate.ledger.model import (
    FAILED,
    KILLED,
    DbtInvocation,
    LogEvent,
    NodeRun,
    Record,
    Result,
)
from orchestrate.ledger.queries import Summary
from orchestrate.terminal import new_table, print_table

SLOWEST = 10
NEWEST_LOGS = 20
_STYLES = {"success": "green", "failure": "red", "timeout": "red", "killed": "red"}
_SIGNS = {"success": "ok", "failure": "FAILED", "timeout": "TIMEOUT", "killed": "KILLED"}


def runs(out: Console, found: Sequence[Summary]) -> None:
    """Print a line for each run, and one for what broke in those that did not succeed."""
    if not found:
        out.print("No runs found. Each `meltano run` leaves one.")
        return
    table = new_table(
        "started (UTC)", "run", "environment", "job", "result",
        right=("time", "rows", "requests", "retries", "skipped", "nodes", "tests", "failed"),
    )  # fmt: skip
    for run in found:
        table.add_row(
            _time(run.started_us)[:-3],
            short(run.run_id),
            run.environment or "-",
            run.job or "-",
            _result(run.result),
            duration((run.ended_us - run.started_us) / 1e6),
            *map(_count, (run.rows, run.requests, run.retries)),
            *map(_some, (run.skipped_parts, run.nodes, run.tests, run.failed)),
        )
    spare = ["tests", "nodes", "retries", "skipped", "requests", "failed"]
    if len({run.environment for run in found}) == 1:
        spare.append("environment")
    print_table(out, table, "job", (*spare, "rows"), folds=False)
    broken = [run for run in found if run.cause]
    if broken:
        out.print(Text("\nWhat broke", style="bold"))
    for run in broken:
        line = Text(f"{short(run.run_id)}  {run.cause}")
        cut = out.is_terminal
        out.print(line, no_wrap=True, overflow="ellipsis" if cut else "ignore", crop=cut)


def record(out: Console, found: Record, *, all_nodes: bool, all_logs: bool) -> None:
    """Print all of one run; of nodes the slowest and of log lines the warnings, unless all."""
    out.print(_heading(found))
    for line in _failed(found):
        out.print(line)
    planned = ("planned requests", "planned rows", "time", "result", "before")
    details = ("thread", "statements", "compile", "execute")
    for title, table, elastic, spare in (
        ("Steps", _steps(found), "error", ()),
        ("Streams", _streams(found), "stream", planned),
        ("Requests", _requests(found), "reasons", ()),
        ("Skipped", _skipped(found), "reason", ()),
        ("dbt", _invocations(found), "nodes", ("threads",)),
        (
            "Nodes" if all_nodes else f"Slowest {SLOWEST} nodes",
            _nodes(found.nodes, all_nodes),
            "node",
            details,
        ),
        ("Source freshness", _freshness(found), "source", ()),
        ("Log" if all_logs else "Warnings and errors", _logs(found.logs, all_logs), "line", ()),
    ):
        if table.row_count:
            out.print(Text(f"\n{title}", style="bold"))
            print_table(out, table, elastic, spare)


def short(run_id: str) -> str:
    """The last digits of a run's id: the first ones are the time."""
    return run_id[-8:]


def duration(seconds: float) -> str:
    """Such as 0.4 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _heading(found: Record) -> Text:
    run, previous = found.run, found.previous
    ended_us = run.ended_us or run.heard_us
    usual = f" (as a rule {duration(found.usual_s)})" if found.usual_s else ""
    text = Text.assemble(
        ("Run ", "bold"), run.run_id, "\n",
        f"{run.job or '-'} in {run.environment or '-'}: ", _result(run.result),
        f" after {duration((ended_us - run.started_us) / 1e6)}{usual}",
    )  # fmt: skip
    if found.cause:
        text.append(f"\n{found.cause}", style="red")
    text.append(f"\nStarted {_time(run.started_us)} UTC")
    if run.host:
        text.append(f" on {run.host}, process {run.pid}")
    if run.revision:
        text.append(f"\nRevision {run.revision[:12]} of {run.branch or 'no branch'}")
    text.append(f"\nTrace {run.trace_id}")
    if run.parent_span_id:
        text.append(f", below span {run.parent_span_id}")
    if previous:
        text.append(
            f"\nBefore it: {short(previous.run_id)}, {_time(previous.started_us)}, "
        ).append(_result(previous.result))
    return text


def _steps(found: Record) -> Table:
    table = new_table("step", "result", right=("time",), last=("error",))
    for step in found.steps:
        table.add_row(
            step.name, _result(step.result), _between(step.started_us, step.ended_us), step.error
        )
    return table


def _streams(found: Record) -> Table:
    table = new_table(
        "stream", "result",
        right=("rows", "before", "stored", "planned rows", "requests", "planned requests", "time"),
        last=("complete to (UTC)",),
    )  # fmt: skip
    for row in found.streams:
        table.add_row(
            row.stream,
            _result(row.result),
            *map(_count, (row.rows, found.rows_before.get(row.stream))),
            *map(_count, (row.stored_rows, row.planned_rows)),
            *map(_count, (row.requests, row.planned_requests)),
            _between(row.started_us, row.ended_us),
            _time(row.bookmark_us)[:-3] if row.bookmark_us else "-",
        )
    return table


def _requests(found: Record) -> Table:
    table = new_table("endpoint", right=("requests", "retries", "held back"), last=("reasons",))
    reasons: dict[str, Counter[str]] = {}
    for retry in found.retries:
        reasons.setdefault(retry.endpoint, Counter())[retry.reason] += 1
    for row in found.requests:
        told = reasons.get(row.endpoint, Counter()).most_common(3)
        table.add_row(
            row.endpoint,
            *map(_some, (row.requests, row.retries)),
            duration(row.waited_s) if row.waited_s >= 0.05 else "-",
            ", ".join(f"{count} x {reason}" for reason, count in told),
        )
    return table


def _skipped(found: Record) -> Table:
    table = new_table("stream", "part", "reason")
    for row in found.skipped:
        table.add_row(row.stream, row.part, row.reason)
    return table


def _invocations(found: Record) -> Table:
    table = new_table("command", "result", right=("time", "threads"), last=("nodes",))
    for row in found.invocations:
        table.add_row(
            " ".join(row.arguments) or row.command,
            _result(row.result),
            _between(row.started_us, row.ended_us),
            _count(row.threads),
            _statuses(found.nodes, row),
        )
    return table


def _statuses(nodes: Iterable[NodeRun], invocation: DbtInvocation) -> str:
    counts = Counter(
        node.status or "under way"
        for node in nodes
        if node.invocation_id == invocation.invocation_id
    )
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _failed(found: Record) -> Iterator[Text]:
    """What dbt said of each node that failed, whole; or why it came to none."""
    told = [
        (f"{node.status} {node.resource_type} {node.name}", node.message, node.invocation_id)
        for node in found.nodes
        if node.status in {*FAILED, KILLED}
    ]
    of_nodes = {invocation_id for _, _, invocation_id in told}
    told += [
        (f"dbt {row.command}", row.error, row.invocation_id)
        for row in found.invocations
        if row.error and row.invocation_id not in of_nodes
    ]
    if told:
        yield Text("\nFailed", style="bold")
    for title, message, _ in told:
        yield Text(title, style="red")
        for line in (message or "").strip().splitlines():
            yield Text(f"  {line.rstrip()}")


def _nodes(nodes: Sequence[NodeRun], all_nodes: bool) -> Table:
    table = new_table(
        "node", "kind", "status", right=("time", "compile", "execute", "statements"),
        last=("thread",),
    )  # fmt: skip
    slowest = sorted(nodes, key=lambda node: -_length_us(node.started_us, node.ended_us))
    for node in nodes if all_nodes else slowest[:SLOWEST]:
        kind = node.materialized if node.resource_type == "model" else node.resource_type
        table.add_row(
            node.name,
            kind or node.resource_type,
            node.status or "under way",
            _between(node.started_us, node.ended_us),
            _between(node.compile_started_us, node.compile_ended_us),
            _between(node.execute_started_us, node.execute_ended_us),
            _some(node.statements),
            node.thread or "-",
        )
    return table


def _freshness(found: Record) -> Table:
    table = new_table("source", "status", right=("age",), last=("newest row (UTC)",))
    for row in found.freshness:
        table.add_row(
            row.unique_id.partition(".")[2],
            row.status,
            duration(row.age_s) if row.age_s is not None else "-",
            _time(row.max_loaded_at_us) if row.max_loaded_at_us else "-",
        )
    return table


def _logs(logs: Sequence[LogEvent], all_logs: bool) -> Table:
    table = new_table("time", "level", "from", "line")
    chosen = logs if all_logs else [log for log in logs if log.level not in {"debug", "info"}]
    for log in chosen if all_logs else chosen[-NEWEST_LOGS:]:
        table.add_row(_time(log.at_us)[11:], log.level, log.source, log.text)
    return table


def _result(result: Result | None) -> Text:
    word = result.value if result else "running"
    return Text(_SIGNS.get(word, word), _STYLES.get(word, "yellow"))


def _time(instant_us: int) -> str:
    return f"{datetime.fromtimestamp(instant_us / 1e6, tz=timezone.utc):%Y-%m-%d %H:%M:%S}"


def _length_us(started_us: int | None, ended_us: int | None) -> int:
    return 0 if started_us is None or ended_us is None else ended_us - started_us


def _between(started_us: int | None, ended_us: int | None) -> str:
    if started_us is None or ended_us is None:
        return "-"
    return duration((ended_us - started_us) / 1e6)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _some(number: int) -> str:
    return f"{number:,}" if number else "-"
