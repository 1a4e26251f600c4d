"""The commands that fill the ledger and hand out what is in it: `collect`, `import`, `prune`."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from orchestrate.ledger.collect import collect
from orchestrate.ledger.dbt.imports import import_artifacts
from orchestrate.ledger.meltano.database import import_runs
from orchestrate.ledger.pruning import Pruned, prune
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring.from_ledger import remember
from orchestrate.monitoring.model import PRESENT_US
from orchestrate.observe.crons import check_in
from orchestrate.observe.metrics import hand_out
from orchestrate.tracing.export import deliver
from orchestrate.words import counted, say


def gather(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Read what is new, send it where that is asked for, write the metrics, forget what is old."""
    touched = collect(ledger, arguments.output)
    now_us = time.time_ns() // 1000
    done = [f"{counted(len(touched), 'run')} read"]
    for outcome in deliver(ledger, os.environ, now_us, say):
        waiting = f" ({outcome.waiting:,} waiting)" if outcome.waiting else ""
        done.append(f"{outcome.kind} of {counted(outcome.delivered, 'run')} sent{waiting}")
    # A clock that is years ahead must not empty the ledger: logs are not read a second time.
    ((heard_us,),) = ledger.select("select max(heard_us) from pipeline_run")
    pruned = _forget(ledger, arguments, min(now_us, (heard_us or now_us) + PRESENT_US))
    if pruned.rows:
        done.append(f"{counted(sum(pruned.rows.values()), 'old row')} deleted")
    try:
        try:
            done += hand_out(ledger, arguments.output, os.environ, say)
        finally:  # a gateway that is down must not make Sentry miss the runs as well
            if dsn := os.environ.get("OBSERVE_CRONS_DSN"):
                told = check_in(ledger, arguments.output.parent, dsn, now_us, say)
                done.append(f"{counted(told, 'check-in')} sent")
    finally:
        say(", ".join(done))


def bring_in(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Bring in history from before the ledger."""
    collect(ledger, arguments.output)  # what the logs tell is more
    if arguments.source == "meltano":
        address = arguments.place or str(arguments.output / "meltano.db")
        runs_of_meltano = import_runs(ledger, address, time.time_ns() // 1000)
        new, known, left = runs_of_meltano
        say(
            f"{counted(new, 'run')} brought in, {known:,} known already"
            + (f", {left:,} left out, since they are under way" if left else "")
        )
        return

    folder = Path(arguments.place or "")
    if not arguments.place or not folder.is_dir():
        raise LedgerError(
            f"Cannot import from {arguments.place or 'nowhere'}: name a folder with dbt's "
            "artifacts, as in `observe import dbt target`."
        )
    with ledger.writing():
        artifacts = import_artifacts(ledger, folder, arguments.environment)
    for line in artifacts.unreadable:
        say(f"WARN  {line}")
    say(
        f"{counted(artifacts.invocations, 'invocation')} brought in, "
        f"{artifacts.already_known:,} known already, {len(artifacts.unreadable):,} unreadable"
    )


def drop(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Forget what is old."""
    dry_run: bool = arguments.dry_run
    pruned = _forget(ledger, arguments, time.time_ns() // 1000, dry_run=dry_run)
    for table, rows in sorted(pruned.rows.items()):
        say(f"{table:<20} {rows:>12,}")
    total = counted(sum(pruned.rows.values()), "row")
    say(f"{total} would be deleted" if dry_run else f"{total} deleted")


def _forget(
    ledger: Ledger, arguments: argparse.Namespace, now_us: int, *, dry_run: bool = False
) -> Pruned:
    """Prune what is old at that instant; the counters of the metrics keep what goes."""
    return prune(
        ledger,
        now_us,
        arguments.log_days,
        arguments.run_days,
        dry_run=dry_run,
        before=lambda run_ids: remember(ledger, run_ids),
    )
