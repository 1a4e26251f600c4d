"""`observe runs | show | trace | collect | import | prune`: what the pipeline's runs did."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from orchestrate.ledger import FILE, queries
from orchestrate.ledger.collect import collect
from orchestrate.ledger.store import Ledger, LedgerError

RESULTS = ("success", "failure", "timeout", "killed", "running")


def main() -> int:
    arguments = _parser().parse_args()
    try:
        with Ledger(arguments.output / FILE) as ledger:
            command: Callable[[Ledger, argparse.Namespace], None] = arguments.command
            command(ledger, arguments)
    except LedgerError as error:
        say(f"ERROR {error}")
        return 1
    except BrokenPipeError:
        # `observe runs | head`: nobody reads the rest. Python would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def say(text: str) -> None:
    """Tell a person something; standard output is for what was asked."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


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
    # It takes longer to load than the ledger to read.
    from orchestrate.observe import tables, terminal  # noqa: PLC0415

    tables.runs(terminal.console(), found)


def show(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Tell all of one run."""
    _refresh(ledger, arguments)
    record = queries.record(ledger, queries.find(ledger, arguments.run))
    if arguments.json:
        _print_json(record)
        return
    from orchestrate.observe import tables, terminal  # noqa: PLC0415

    tables.record(terminal.console(), record, all_nodes=arguments.nodes, all_logs=arguments.logs)


def trace(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Write one run's trace as a page that needs no server."""
    _refresh(ledger, arguments)
    from orchestrate.tracing.page import page  # noqa: PLC0415
    from orchestrate.tracing.spans import spans  # noqa: PLC0415

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


def gather(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Read what is new, send it where that is asked for, forget what is old."""
    from orchestrate.ledger.pruning import prune  # noqa: PLC0415
    from orchestrate.observe.crons import check_in  # noqa: PLC0415
    from orchestrate.tracing.export import deliver  # noqa: PLC0415

    touched = collect(ledger, arguments.output)
    now_us = time.time_ns() // 1000
    done = [f"{counted(len(touched), 'run')} read"]
    for outcome in deliver(ledger, os.environ, now_us, say):
        waiting = f" ({outcome.waiting:,} waiting)" if outcome.waiting else ""
        done.append(f"{outcome.kind} of {counted(outcome.delivered, 'run')} sent{waiting}")
    pruned = prune(ledger, now_us, arguments.log_days, arguments.run_days)
    if pruned.rows:
        done.append(f"{counted(sum(pruned.rows.values()), 'old row')} deleted")
    if dsn := os.environ.get("OBSERVE_CRONS_DSN"):
        told = check_in(ledger, arguments.output.parent, dsn, now_us, say)
        done.append(f"{counted(told, 'check-in')} sent")
    say(", ".join(done))


def bring_in(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Bring in history from before the ledger."""
    collect(ledger, arguments.output)  # what the logs tell is more
    if arguments.source == "meltano":
        from orchestrate.ledger.meltano.database import import_runs  # noqa: PLC0415

        address = arguments.place or str(arguments.output / "meltano.db")
        runs_of_meltano = import_runs(ledger, address, time.time_ns() // 1000)
        new, known, left = runs_of_meltano
        say(
            f"{counted(new, 'run')} brought in, {known:,} known already"
            + (f", {left:,} left out, since they are under way" if left else "")
        )
        return
    from orchestrate.ledger.dbt.imports import import_artifacts  # noqa: PLC0415

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
    from orchestrate.ledger.pruning import prune  # noqa: PLC0415

    now_us, dry_run = time.time_ns() // 1000, arguments.dry_run
    pruned = prune(ledger, now_us, arguments.log_days, arguments.run_days, dry_run=dry_run)
    for table, rows in sorted(pruned.rows.items()):
        say(f"{table:<20} {rows:>12,}")
    total = counted(sum(pruned.rows.values()), "row")
    say(f"{total} would be deleted" if dry_run else f"{total} deleted")


def counted(number: int, noun: str) -> str:
    """Such as `1 run`, `2 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _refresh(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Collect first, unless told not to. Where that can't be done the ledger is still readable."""
    if arguments.collect:
        try:
            collect(ledger, arguments.output)
        except LedgerError as error:
            say(f"WARN  Shown is what was collected before. {error}")


def _print_json(found: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="observe",
        description="What the pipeline's runs did: rows, requests, waits, dbt's nodes and tests.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("OBSERVE_OUTPUT_PATH") or "output"),
        help="the folder that runs write to; the ledger lies in it (default: %(default)s)",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    asking = argparse.ArgumentParser(add_help=False)
    asking.add_argument(
        "--no-collect",
        dest="collect",
        action="store_false",
        help="show what was collected before, do not read the logs",
    )
    one_run = argparse.ArgumentParser(add_help=False)
    one_run.add_argument(
        "run", nargs="?", default="last", help="a run's id, its first or last digits, or `last`"
    )
    keeping = argparse.ArgumentParser(add_help=False)
    for name, days, what in (("log", 30, "log lines"), ("run", 400, "runs")):
        keeping.add_argument(
            f"--{name}-days",
            type=float,
            default=os.environ.get(f"OBSERVE_{name.upper()}_DAYS") or days,
            help=f"how long {what} are kept (default: %(default)s)",
        )

    def add(
        name: str, command: Callable[..., None], *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        told = (command.__doc__ or "").partition("\n")[0]
        added = commands.add_parser(name, help=told, description=told, parents=parents)
        added.set_defaults(command=command)
        return added

    listing = add("runs", runs, asking)
    listing.add_argument("--limit", type=int, default=20, help="how many (default: %(default)s)")
    listing.add_argument("--environment", help="only of this environment")
    listing.add_argument("--job", help="only of this job, as it was typed")
    listing.add_argument("--result", choices=RESULTS, help="only with this result")
    listing.add_argument("--json", action="store_true", help="as JSON")

    showing = add("show", show, one_run, asking)
    showing.add_argument("--nodes", action="store_true", help="all dbt nodes, not just the slowest")
    showing.add_argument("--logs", action="store_true", help="all log lines, not just warnings")
    showing.add_argument("--json", action="store_true", help="everything, as JSON")

    tracing = add("trace", trace, one_run, asking)
    tracing.add_argument("--to", type=Path, help="the page (default: output/traces/<run>.html)")

    add("collect", gather, keeping)

    importing = add("import", bring_in)
    importing.add_argument("source", choices=("dbt", "meltano"), help="whose history")
    importing.add_argument(
        "place",
        nargs="?",
        help="a folder of dbt's artifacts, or Meltano's database (default: ours)",
    )
    importing.add_argument("--environment", help="where dbt's artifacts come from")

    add("prune", drop, keeping).add_argument(
        "--dry-run", action="store_true", help="only tell what would be deleted"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
