"""The stack on this machine: Prometheus, Alertmanager, node-exporter, fed with the metrics."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring import notifications
from orchestrate.monitoring.programs import (
    DEFAULT_PORTS,
    HOST,
    PROGRAMS,
    Ports,
    Running,
    answer_of,
    started,
)

TEMPLATE = notifications.FOLDER / "prometheus.yml"

_WRITE_EVERY_S = 60.0
_LOOK_EVERY_S = 0.5
_TARGETS_WITHIN_S = 45.0
# How a client comes in where a web configuration asks for it, as a scrape job has it.
_CLIENT = {"scheme", "basic_auth", "authorization", "tls_config"}


def run(
    output: Path,
    environ: Mapping[str, str],
    write_metrics: Callable[[], object],
    *,
    ports: Ports = DEFAULT_PORTS,
    web_config: Path | None = None,
    web_client: Path | None = None,
    stop: threading.Event | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Start the three and keep them, until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        output: The project's folder `output`; all that they write is in output/monitoring.
        environ: Where OBSERVE_ALERTS_* and PATH are.
        write_metrics: Writes output/metrics anew; called every minute.
        ports: Where they listen.
        web_config: Prometheus's own file for TLS and passwords, handed on to all three.
        web_client: How Prometheus then asks the others and itself: a file with `scheme`,
            `basic_auth`, `tls_config` as in a scrape job, its paths absolute.
        stop: Ends it when set. Without it the signals do, in the main thread.
        say: Takes lines for the person who started it.

    Raises:
        LedgerError: If one is missing, can't start or has died, or a channel is set up wrongly.
    """
    if web_config and not web_client:
        raise LedgerError(
            f"Cannot start the stack with {web_config} alone: Prometheus would reach neither "
            "Alertmanager nor itself. Name a file that says how, with scheme, basic_auth or "
            "tls_config as in a scrape job."
        )
    with ExitStack() as stack:
        stopped = stop or stack.enter_context(_signalled())
        client = _client(web_client)
        scheme = str(client.get("scheme", "http"))
        channels = configure(output, environ, ports, client)
        _write(write_metrics, say)
        running = stack.enter_context(started(output, environ, ports, web_config, scheme))
        say(_addresses(running, channels, scheme))
        if not web_config:
            say(_targets(ports.prometheus, stopped))
        say("Ctrl-C stops them.")
        next_s = time.monotonic() + _WRITE_EVERY_S
        while not stopped.wait(_LOOK_EVERY_S):
            for one in running:
                one.check()
            if time.monotonic() >= next_s:
                _write(write_metrics, say)
                next_s = time.monotonic() + _WRITE_EVERY_S


def configure(
    output: Path,
    environ: Mapping[str, str],
    ports: Ports = DEFAULT_PORTS,
    client: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write the configurations to output/monitoring. Returns the channels that alerts go to.

    Args:
        output: The project's folder `output`.
        environ: Where OBSERVE_ALERTS_* are.
        ports: Where the three will listen.
        client: How Prometheus comes in where they ask for TLS or a password, as in a scrape job.

    Raises:
        LedgerError: If a channel is set up wrongly or the folder can't be written.
    """
    folder = output.absolute() / "monitoring"
    channels = list(notifications.settings(environ))
    content = notifications.configuration(environ)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Alertmanager's log shows the address of a webhook that does not answer.
        folder.chmod(0o700)
        (output / "metrics").mkdir(exist_ok=True)
        notifications.write(content, folder / "alertmanager.yml")
        notifications.write(_prometheus(ports, client or {}), folder / "prometheus.yml")
    except OSError as error:
        raise LedgerError(
            f"Cannot write the configurations to {folder}: {error.strerror}. Make room or make "
            "the folder writable."
        ) from error
    return channels


def _prometheus(ports: Ports, client: Mapping[str, Any]) -> dict[str, Any]:
    """The template with these ports, its paths absolute."""
    content: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    content["rule_files"] = [str(TEMPLATE.parent / path) for path in content["rule_files"]]
    static = {
        program.job: {"static_configs": [{"targets": [f"{HOST}:{port}"]}], **client}
        for program, port in zip(PROGRAMS, ports, strict=True)
    }
    for job in content["scrape_configs"]:
        job.update(static.get(job["job_name"], {}))
        for discovery in job.get("file_sd_configs", []):
            discovery["files"] = [str(TEMPLATE.parent / path) for path in discovery["files"]]
    content["alerting"]["alertmanagers"] = [static["alertmanager"]]
    return content


def _client(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(f"Cannot read {path}: {error.strerror}. Name another file.") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        found = None  # the error's own text may show a password
    if not isinstance(found, dict) or not found or set(found) - _CLIENT:
        raise LedgerError(
            f"Cannot use {path}: it may hold {', '.join(sorted(_CLIENT))} as in a scrape job of "
            "Prometheus, and nothing else. Correct it."
        )
    return found


@contextmanager
def _signalled() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set."""
    stop = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in kinds}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _write(write_metrics: Callable[[], object], say: Callable[[str], None]) -> None:
    try:
        write_metrics()
    except LedgerError as error:
        say(f"WARN  {error}")


def _addresses(running: list[Running], channels: list[str], scheme: str) -> str:
    lines = [
        f"{one.program.name:<14} {scheme}://{HOST}:{one.port}{one.program.page}" for one in running
    ]
    off = [channel for channel in notifications.CHANNELS if channel not in channels]
    lines.append(f"{'alerts go to':<14} {', '.join(channels) or 'nobody'}")
    if off:
        lines.append(f"{'not set up':<14} {', '.join(off)}")
    return "\n".join(lines)


def _targets(port: int, stopped: threading.Event) -> str:
    """What Prometheus scrapes and how that goes, once it has tried each."""
    deadline = time.monotonic() + _TARGETS_WITHIN_S
    while True:
        answer = json.loads(answer_of(port, "/api/v1/targets?state=active") or "{}")
        targets = answer.get("data", {}).get("activeTargets", [])
        tried = targets and all(target["health"] != "unknown" for target in targets)
        if tried or time.monotonic() > deadline or stopped.wait(_LOOK_EVERY_S):
            break
    up = sum(target["health"] == "up" for target in targets)
    lines = [f"targets up: {up} of {len(targets)}"]
    for target in sorted(targets, key=lambda target: str(target["scrapeUrl"])):
        shown = f"  {target['labels']['job']:<12} {target['health']:<8} {target['scrapeUrl']}"
        lines.append(f"{shown}  {target['lastError']}".rstrip())
    return "\n".join(lines)
