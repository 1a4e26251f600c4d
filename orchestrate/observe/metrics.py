"""Metrics to those who ask for them: a file, standard output, a server, a Pushgateway, the past."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client.exposition import generate_latest

from orchestrate.ledger.collect import collect
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import history, push, server, stack
from orchestrate.monitoring.exposition import registry, write_textfile
from orchestrate.monitoring.gathering import gather
from orchestrate.monitoring.model import Family
from orchestrate.monitoring.programs import Ports
from orchestrate.monitoring.web_config import WebConfig
from orchestrate.words import counted, say

_DAY_S = 86_400


def hand_out(
    ledger: Ledger, output: Path, environ: Mapping[str, str], tell: Callable[[str], None]
) -> list[str]:
    """Write the metrics for node-exporter, and push them where that is asked for.

    Returns what was done, in words.

    Raises:
        LedgerError: If they can't be made, written or pushed.
    """
    families = _measured(ledger, output, tell)
    write_textfile(families, output / "metrics")
    if not environ.get(push.URL):
        return ["metrics written"]
    push.push(families, push.gateway(environ))
    return ["metrics written and pushed"]


def show_metrics(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Print the metrics as they are now."""
    collect(ledger, arguments.output)
    families = _measured(ledger, arguments.output, say)
    sys.stdout.buffer.write(generate_latest(registry(families)))


def serve(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Serve the metrics at /metrics until Ctrl-C, made anew when asked for."""
    web_config = arguments.web_config and WebConfig(arguments.web_config, say)
    source = server.Source(lambda: _fresh(ledger.path, arguments.output), say)
    server.serve(source, arguments.address, arguments.port, say, web_config)


def push_once(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Push the metrics to the Pushgateway, or with --delete take them away from there."""
    gateway = push.gateway(os.environ)
    if arguments.delete:
        push.delete(gateway)
    else:
        collect(ledger, arguments.output)
        push.push(_measured(ledger, arguments.output, say), gateway)


def backfill(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Write the metrics of the past, for promtool to put into Prometheus."""
    collect(ledger, arguments.output)
    now_s = int(time.time())
    since_s = round(now_s - arguments.days * _DAY_S)
    until_s = now_s if arguments.into_new else now_s - history.HEAD_S
    written = history.write(
        ledger,
        arguments.file,
        history.Span(since_s, until_s, arguments.step),
        {"job": arguments.job, "instance": arguments.instance},
        say,
    )
    size = f"{written.path.stat().st_size / 1e6:,.1f} MB"
    say(f"{counted(written.samples, 'sample')} of {written.series:,} series, {size}. Then:")
    print(f"{written.command} <data folder of Prometheus>")  # noqa: T201


def start_stack(ledger: Ledger, arguments: argparse.Namespace) -> None:
    """Start Prometheus, Alertmanager and node-exporter here, fed with the metrics, until Ctrl-C."""

    def write() -> None:
        collect(ledger, arguments.output)
        hand_out(ledger, arguments.output, os.environ, say)

    ports = [getattr(arguments, f"{name}_port") for name in Ports._fields]
    stack.run(
        arguments.output,
        os.environ,
        write,
        ports=Ports(*ports),
        web_config=arguments.web_config,
        web_client=arguments.web_client,
        say=say,
    )


def _measured(ledger: Ledger, output: Path, tell: Callable[[str], None]) -> list[Family]:
    return gather(ledger, output, time.time_ns() // 1000, tell)


def _fresh(path: Path, output: Path) -> list[Family]:
    # Of this thread: SQLite lets no other one use a connection.
    with Ledger(path) as ledger:
        collect(ledger, output)
        return _measured(ledger, output, say)
