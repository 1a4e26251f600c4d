"""The commands that look at runs: `runs`, `show`, `trace`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from orchestrate import terminal
from orchestrate.ledger import queries
from orchestrate.ledger.collect import collect
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.observe import tables
from orchestrate.tracing.page import page
from orchestrate.tracing.spans import spans
from orchestrate.words import say


def runs(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """List the newest runs."""
    _refresh(ledger, arguments)
    found = queries.summaries(
        ledger,
        limit=arguments.limit,
        environment=arguments.environment,
        job=arguments.job,
        result=arguments.result,
    )
    if arguments.json:
        _print_json(found)
        return
    tables.runs(terminal.console(), found)


def show(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Tell all of one run."""
    _refresh(ledger, arguments)
    record = queries.record(ledger, queries.find(ledger, arguments.run))
    if arguments.json:
        _print_json(record)
        return
    tables.record(terminal.console(), record, all_nodes=arguments.nodes, all_logs=arguments.logs)


def trace(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Write one run's trace as a page that needs no server."""
    _refresh(ledger, arguments)
    record = queries.record(ledger, queries.find(ledger, arguments.run))
    path: Path = arguments.to or arguments.output / "traces" / f"{record.run.run_id}.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(record, spans(record)), encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            f"Cannot write {path}: {error.strerror}. Name another file with --to."
        ) from error
    print(path)  # noqa: T201


def _refresh(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Collect first, unless told not to. Where that can't be done the ledger is still readable."""
    if arguments.collect:
        try:
            collect(ledger, arguments.output)
        except LedgerError as error:
            say(f"WARN  Shown is what was collected before. {error}")


def _print_json(found: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
