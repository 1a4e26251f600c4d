"""The commands of `observe` and what they may be told."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

RESULTS = ("success", "failure", "timeout", "killed", "running")

_MOST_DAYS = 10_000

_Add = Callable[..., argparse.ArgumentParser]


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Reads the command line; `command` then names a module here and its function."""
    reader = argparse.ArgumentParser(
        prog="observe",
        description="What the pipeline's runs did: rows, requests, waits, dbt's nodes and tests.",
    )
    reader.add_argument(
        "--output",
        type=Path,
        default=Path(environ.get("OBSERVE_OUTPUT_PATH") or "output"),
        help="the folder that runs write to; the ledger lies in it (default: %(default)s)",
    )
    commands = reader.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, command: str, told: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=told, description=told, parents=parents)
        added.set_defaults(command=command)
        return added

    _add_looking(add)
    _add_collecting(add, environ)
    _add_metrics(add)
    return reader


def _add_looking(add: _Add) -> None:
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

    listing = add("runs", "looking:runs", "List the newest runs.", asking)
    listing.add_argument("--limit", type=int, default=20, help="how many (default: %(default)s)")
    listing.add_argument("--environment", help="only of this environment")
    listing.add_argument("--job", help="only of this job, as it was typed")
    listing.add_argument("--result", choices=RESULTS, help="only with this result")
    listing.add_argument("--json", action="store_true", help="as JSON")

    showing = add("show", "looking:show", "Tell all of one run.", one_run, asking)
    showing.add_argument("--nodes", action="store_true", help="all dbt nodes, not just the slowest")
    showing.add_argument("--logs", action="store_true", help="all log lines, not just warnings")
    showing.add_argument("--json", action="store_true", help="everything, as JSON")

    told = "Write one run's trace as a page that needs no server."
    tracing = add("trace", "looking:trace", told, one_run, asking)
    tracing.add_argument("--to", type=Path, help="the page (default: output/traces/<run>.html)")


def _add_collecting(add: _Add, environ: Mapping[str, str]) -> None:
    keeping = argparse.ArgumentParser(add_help=False)
    for name, days, what in (("log", 30, "log lines"), ("run", 400, "runs")):
        keeping.add_argument(
            f"--{name}-days",
            type=float,
            default=environ.get(f"OBSERVE_{name.upper()}_DAYS") or days,
            help=f"how long {what} are kept (default: %(default)s)",
        )

    told = "Read what is new, hand it on as metrics, traces, check-ins, forget what is old."
    add("collect", "collecting:gather", told, keeping)

    importing = add("import", "collecting:bring_in", "Bring in history from before the ledger.")
    importing.add_argument("source", choices=("dbt", "meltano"), help="whose history")
    importing.add_argument(
        "place",
        nargs="?",
        help="a folder of dbt's artifacts, or Meltano's database (default: ours)",
    )
    importing.add_argument("--environment", help="where dbt's artifacts come from")

    add("prune", "collecting:drop", "Forget what is old.", keeping).add_argument(
        "--dry-run", action="store_true", help="only tell what would be deleted"
    )


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {_MOST_DAYS:,}")
    return days


def _add_metrics(add: _Add) -> None:
    web = argparse.ArgumentParser(add_help=False)
    web.add_argument(
        "--web-config", type=Path, help="TLS and passwords, in a file as Prometheus has it"
    )

    add("metrics", "metrics:show_metrics", "Print the metrics as they are now.")

    told = "Serve the metrics at /metrics until Ctrl-C, made anew when asked for."
    serving = add("serve", "metrics:serve", told, web)
    serving.add_argument(
        "--address", default="127.0.0.1", help="where to listen (default: %(default)s)"
    )
    serving.add_argument("--port", type=int, default=9464, help="(default: %(default)s)")

    told = "Push the metrics to the Pushgateway that OBSERVE_PUSHGATEWAY_URL names."
    add("push", "metrics:push_once", told).add_argument(
        "--delete", action="store_true", help="take them away from there: this worker leaves"
    )

    told = "Write the metrics of the past, for promtool to put into Prometheus."
    past = add("backfill", "metrics:backfill", told)
    past.add_argument("file", type=Path, help="where to write, as OpenMetrics")
    past.add_argument(
        "--days", type=_days, default=15.0, help="how far back (default: %(default)g)"
    )
    past.add_argument(
        "--into-new",
        action="store_true",
        help="up to now, for a Prometheus without data; another one would lose its last 3 hours",
    )
    past.add_argument(
        "--step", type=int, default=240, help="seconds between samples (default: %(default)s)"
    )
    for name, default in (("job", "node"), ("instance", "127.0.0.1:9100")):
        past.add_argument(
            f"--{name}",
            default=default,
            help="the label that Prometheus gives what it scrapes (default: %(default)s)",
        )

    told = "Start Prometheus, Alertmanager and node-exporter here, fed with the metrics."
    starting = add("stack", "metrics:start_stack", told, web)
    starting.add_argument(
        "--web-client", type=Path, help="how Prometheus then comes in, as in a scrape job"
    )
    for name, port in (("prometheus", 9090), ("alertmanager", 9093), ("node-exporter", 9100)):
        starting.add_argument(
            f"--{name}-port", type=int, default=port, help="(default: %(default)s)"
        )
