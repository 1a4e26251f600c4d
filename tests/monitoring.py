"""The local stack for tests: on free ports, in a hurry, with somebody who hears of alerts."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from orchestrate.monitoring import stack
from orchestrate.monitoring.programs import PROGRAMS, Ports, started
from tests.otlp import free_port

PATIENCE_S = 120.0
ALERTS = Path(stack.__file__).parent / "alerts"

# What tells of the pipeline. Other rules tell of this machine, which tests keep busy, and of the
# demo's business, which depends on the day.
_OF_PIPELINE = ("data_quality.yml", "pipeline.yml", "slo.yml")

# Durations in a hurry: how long something is waited for, never from when on it is wrong. Every rule
# waits, since Prometheus finds targets and Alertmanager five seconds after its start; one that
# waits a day (escalation) is left alone, and so is the group that counts minutes.
# A scrape that takes longer is none, which ends alerts: on a busy machine a second is too short.
_INTERVALS = {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"}
_FOR, _KEEP_FIRING_FOR = "10s", "6s"
_GROUPS = {"tap_sentry_history": "5s"}
_ROUTES = {"group_wait": "6s", "group_interval": "3s"}

Environment = Mapping[str, str]


def needs(*executables: str) -> pytest.MarkDecorator:
    """Skips where a program of Debian's is missing; .ci/run installs them all."""
    missing = [name for name in executables if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def needs_stack() -> pytest.MarkDecorator:
    missing = [one.name for one in PROGRAMS if not any(map(shutil.which, one.executables))]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def free_ports() -> Ports:
    return Ports(free_port(), free_port(), free_port())


def hurry(output: Path) -> None:
    """Shorten the durations in what `stack.configure` wrote, and in copies of the rules."""
    folder = output / "monitoring"
    prometheus = yaml.safe_load((folder / "prometheus.yml").read_text())
    prometheus["global"] |= _INTERVALS
    rules = folder / "alerts"
    rules.mkdir()
    for path in sorted(ALERTS.glob("*.yml")):
        content = yaml.safe_load(path.read_text())
        for group in content["groups"]:
            if group["name"] in _GROUPS:
                group["interval"] = _GROUPS[group["name"]]
            for rule in group["rules"]:
                if "alert" in rule and rule.get("for") != "1d":
                    rule["for"] = _FOR
                if "keep_firing_for" in rule:
                    rule["keep_firing_for"] = _KEEP_FIRING_FOR
        (rules / path.name).write_text(yaml.safe_dump(content, sort_keys=False))
    prometheus["rule_files"] = [str(rules / "*.yml")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus, sort_keys=False))
    alertmanager = yaml.safe_load((folder / "alertmanager.yml").read_text())
    for route in (alertmanager["route"], *alertmanager["route"]["routes"]):
        route.update({name: _ROUTES[name] for name in _ROUTES if name in route})
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager, sort_keys=False))


class Alert(NamedTuple):
    """An alert of the pipeline, its name without the prefix."""

    name: str
    environment: str


@dataclass(frozen=True)
class Watch:
    """A stack that runs."""

    ports: Ports

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.prometheus}"

    def prometheus(self, path: str, **query: str) -> Any:
        """The data of an answer of Prometheus's API."""
        return _json(f"{self.url}/api/v1/{path}?{urlencode(query)}")["data"]

    def firing(self) -> set[Alert]:
        """What fires in Prometheus."""
        found = self.prometheus("alerts")["alerts"]
        return _of_pipeline(one["labels"] for one in found if one["state"] == "firing")

    def silenced(self) -> set[Alert]:
        """What Alertmanager has and does not tell, since something else explains it."""
        found = _json(f"http://127.0.0.1:{self.ports.alertmanager}/api/v2/alerts?active=false")
        return _of_pipeline(one["labels"] for one in found if one["status"]["inhibitedBy"])

    def rules(self) -> Iterator[dict[str, Any]]:
        for group in self.prometheus("rules")["groups"]:
            yield from group["rules"]


@contextmanager
def watching(output: Path, environ: Environment) -> Iterator[Watch]:
    """The stack on an output folder, in a hurry."""
    ports = free_ports()
    stack.configure(output, environ, ports)
    hurry(output)
    with started(output, environ, ports):
        yield Watch(ports)


class Receiver:
    """Hears what Alertmanager sends; what came to a path is in `messages[path]`."""

    def __init__(self) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self._changed = threading.Condition()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hear(self, path: str, message: dict[str, Any]) -> None:
        with self._changed:
            self.messages.setdefault(path, []).append(message)
            self._changed.notify_all()

    def told(self, status: str) -> Counter[Alert]:
        """How many messages to the webhook said of an alert that it is `firing` or `resolved`."""
        return Counter(
            alert
            for message in list(self.messages.get("/webhook", ()))
            for alert in _of_pipeline(
                one["labels"] for one in message["alerts"] if one["status"] == status
            )
        )

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Whether it came to hold, with each message that came."""
        with self._changed:
            return self._changed.wait_for(holds, PATIENCE_S)


def wait_until(holds: Callable[[], bool]) -> bool:
    """Whether it came to hold."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def checked(*command: str) -> str:
    """What a program printed that found nothing wrong."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _of_pipeline(found: Iterable[Mapping[str, str]]) -> set[Alert]:
    """The alerts with these labels that tell of the pipeline."""
    return {
        Alert(labels["alertname"].removeprefix("TapSentry"), labels.get("environment", ""))
        for labels in found
        if labels["alertname"] in _names_of_pipeline()
    }


@cache
def _names_of_pipeline() -> set[str]:
    return {
        rule["alert"]
        for name in _OF_PIPELINE
        for group in yaml.safe_load((ALERTS / name).read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def _json(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 -- of this machine
        return json.load(answer)


class _Server(ThreadingHTTPServer):
    block_on_close = False

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.receiver.hear(self.path, json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
