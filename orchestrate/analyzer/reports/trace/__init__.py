"""Page `trace`: one run, what it did, and which work decided when it ended."""

from __future__ import annotations

from typing import NamedTuple

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Metric, Report, Table, Unit
from orchestrate.analyzer.reports.trace import path as trace_path
from orchestrate.analyzer.reports.trace import tables as trace_tables
from orchestrate.analyzer.reports.trace.insights import insights
from orchestrate.ledger import queries
from orchestrate.ledger.model import Record
from orchestrate.ledger.store import Ledger
from orchestrate.tracing import page
from orchestrate.tracing.model import Span
from orchestrate.tracing.spans import spans

LAST = "last"
_SECOND_US = 1_000_000


class Traced(NamedTuple):
    """A run: what the ledger knows of it, and its spans."""

    record: Record
    spans: list[Span]


def report(history: History, choice: Choice) -> Report:
    """What one run did, `last` being the newest of the history.

    Raises:
        LedgerError: If the ledger has no such run or several, or can't be read.
    """
    run_id = find(history, choice.run)
    if run_id is None:
        return Report(
            page="trace",
            empty="There is no run to look at. Run the pipeline, for instance `meltano run "
            "tap-sentry target-duckdb dbt`, or choose a longer window.",
        )
    return describe(read(history, run_id))


def find(history: History, asked: str) -> str | None:
    """The id of the run that is asked for; None if it is the last of a history without runs.

    Digits of an id are looked for in the whole ledger: a link to a run outlives any window.

    Raises:
        LedgerError: If the ledger has no such run or several, or can't be read.
    """
    if asked == LAST:
        runs = history.runs
        return None if runs.empty else str(runs.loc[runs["started_at"].idxmax(), "run_id"])
    with Ledger(history.path) as ledger:
        return queries.find(ledger, asked)


def read(history: History, run_id: str) -> Traced:
    """A run with its spans.

    Raises:
        LedgerError: If the ledger has no such run, or can't be read.
    """
    with Ledger(history.path) as ledger:
        record = queries.record(ledger, run_id)
    return Traced(record, spans(record))


def document(traced: Traced) -> str:
    """The run as one HTML file, the one that `observe trace` writes."""
    return page.page(traced.record, traced.spans)


def describe(traced: Traced) -> Report:
    """The report of a run."""
    record = traced.record
    path = trace_path.segments(traced.spans)
    return Report(
        page="trace",
        metrics=_metrics(record),
        insights=insights(record, path),
        tables={
            "facts": Table(title="The run", frame=trace_tables.facts(record.run)),
            "steps": Table(
                title="Steps",
                frame=trace_tables.steps(record),
                units={"seconds": Unit.SECONDS, "share": Unit.SHARE},
            ),
            "path_kinds": Table(
                title="What decided the end",
                frame=trace_path.kinds(path),
                help="The chain of work that, had it been shorter, would have ended the run "
                "earlier. Its parts add up to the run.",
                units={"seconds": Unit.SECONDS, "share": Unit.SHARE},
            ),
            "path": Table(
                title="Critical path",
                frame=path,
                help="Its parts, the longest first; `after_seconds` is when each began.",
                units={
                    "after_seconds": Unit.SECONDS,
                    "seconds": Unit.SECONDS,
                    "share": Unit.SHARE,
                },
            ),
            "nodes": Table(
                title="Nodes",
                frame=trace_tables.nodes(record, path),
                help="The slowest first. Nodes run side by side: their seconds are those of "
                "threads, not of the machine.",
                units={"seconds": Unit.SECONDS, "statement_seconds": Unit.SECONDS},
            ),
            "streams": Table(
                title="Streams",
                frame=trace_tables.streams(record),
                help="`rows_before` is of the last good run of the job before this one.",
                units={"seconds": Unit.SECONDS},
            ),
            "skipped": Table(
                title="What Sentry would not give", frame=trace_tables.skipped(record)
            ),
        },
    )


def _metrics(record: Record) -> list[Metric]:
    run = record.run
    ended_us = run.ended_us if run.ended_us is not None else run.heard_us
    built = [node for node in record.nodes if node.started_us is not None]
    statuses = [node.status for node in record.nodes]
    return [
        Metric(name="Result", value=run.result.value if run.result else "running", unit=Unit.TEXT),
        Metric(
            name="Duration" if run.ended_us is not None else "Last heard after",
            value=(ended_us - run.started_us) / _SECOND_US,
            unit=Unit.SECONDS,
            help="From its begin to its end; without an end, to the last line of its log.",
        ),
        Metric(
            name="Rows",
            value=sum(stream.rows for stream in record.streams) if record.streams else None,
            help=f"Of {len(record.streams):,} streams.",
        ),
        Metric(
            name="Nodes",
            value=len(built) if record.invocations else None,
            help=f"Of dbt, begun in {len(record.invocations):,} invocations; "
            f"{statuses.count('skipped'):,} more were skipped, {statuses.count('reused'):,} "
            "reused.",
        ),
    ]
