"""Loaded by logging.yaml into Meltano's process, where nothing of ours can be imported.

As a filter of two of Meltano's loggers it sees a run begin. It writes one line, `Run started`, with
what Meltano never says (steps, host, process, revision of the project), and hands the run's id on
to the plugins: MELTANO_RUN_ID, and TRACEPARENT with the run as the parent of what they do. A
TRACEPARENT that the run was started with stays the trace; the line names it as `parent`.

https://www.w3.org/TR/trace-context/ https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

STARTED = "Run started"
_ENVIRONMENT = re.compile(r"Environment '(.+)' is active")
_JOB = "expanding job to tasks"
_COMMAND = "plugin command added for execution"
_PLUGIN = "found plugin in cli invocation"
_STEPS = {"found ExtractLoadBlocks set": "extract_load", "found PluginCommand": "command"}
_VALIDATED = "All ExtractLoadBlocks validated, starting execution."
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class _Invocation:
    """What Meltano's lines have told so far of the command line of its process."""

    def __init__(self) -> None:
        self.environment: str | None = None
        self.command: str | None = None
        self.jobs: list[str] = []
        self.plugins: list[str] = []
        self.steps: list[tuple[int, str]] = []  # the place of its first plugin, and its kind
        self.trace: dict[str, str | None] = {}

    def hear(self, fields: dict[str, Any]) -> bool:
        """Whether the run begins with this line."""
        event = str(fields.get("event", ""))
        if "run_id" in fields and not self.trace:
            # At once: Meltano puts the environment of tap and target together before it begins.
            self.trace = _hand_on(str(fields["run_id"]))
        if found := _ENVIRONMENT.fullmatch(event):
            self.environment = found[1]
        elif event == _JOB:
            self.jobs.append(str(fields.get("job_name")))
        elif event == _COMMAND:
            self.command = str(fields.get("command_name"))
        elif event == _PLUGIN:
            name = str(fields.get("plugin_name"))
            self.plugins.append(f"{name}:{self.command}" if self.command else name)
            self.command = None
        elif event in _STEPS and isinstance(place := fields.get("offset"), int):
            self.steps.append((place, _STEPS[event]))
        return event == _VALIDATED and "--dry-run" not in sys.argv

    def told(self) -> dict[str, Any]:
        """The fields of the line, among them the job as it was typed and its steps."""
        typed = [word for word in sys.argv if word in {*self.jobs, *self.plugins}]
        ends = [place for place, _ in self.steps[1:]] + [len(self.plugins)]
        return {
            "job": " ".join(typed),
            "suffix": _option("--state-id-suffix") or os.environ.get("MELTANO_STATE_ID_SUFFIX"),
            "steps": [
                {"name": " ".join(self.plugins[place:end]), "kind": kind}
                for (place, kind), end in zip(self.steps, ends, strict=False)
            ],
            "environment": self.environment,
            "arguments": sys.argv[1:],
            "trigger": os.environ.get("MELTANO_JOB_TRIGGER"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **self.trace,
            **_head(Path(".git")),
        }


_invocation = _Invocation()


def filter(record: logging.LogRecord) -> bool:  # noqa: A001  (the name that `logging` calls)
    """Whether the line goes on to the handlers: all from INFO up, and the one that begins a run."""
    fields = record.msg if isinstance(record.msg, dict) else {}
    if _invocation.hear(fields):
        fields.update(_invocation.told(), event=STARTED, level="info")
        record.levelno, record.levelname = logging.INFO, "INFO"
    return record.levelno >= logging.INFO


def _hand_on(run_id: str) -> dict[str, str | None]:
    """Set the environment of the plugins to come. Returns the run's span, and that above it."""
    parent = os.environ.get("TRACEPARENT", "")
    if _TRACEPARENT.fullmatch(parent):
        trace_id, flags = parent[3:35], parent[-2:]
    else:
        parent, trace_id, flags = "", run_id.replace("-", ""), "01"
    span_id = hashlib.sha256(f"{trace_id} {run_id}".encode()).hexdigest()[:16]
    os.environ["MELTANO_RUN_ID"] = run_id
    os.environ["TRACEPARENT"] = f"00-{trace_id}-{span_id}-{flags}"
    return {"traceparent": os.environ["TRACEPARENT"], "parent": parent or None}


def _option(name: str) -> str | None:
    """The value of an option of the command line."""
    for word, following in zip(sys.argv, [*sys.argv[1:], None], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _head(repository: Path) -> dict[str, str]:
    """Branch and commit of the project, read without starting git; empty where there is none."""
    try:
        head = (repository / "HEAD").read_text(encoding="ascii").strip()
        if not head.startswith("ref: "):
            return {"revision": head}
        name = head[5:]
        branch = name.removeprefix("refs/heads/")
        if (repository / name).is_file():
            return {"branch": branch, "revision": (repository / name).read_text("ascii").strip()}
        packed = (repository / "packed-refs").read_text(encoding="utf-8")
        revision = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$", packed, re.MULTILINE)
        return {"branch": branch, "revision": revision[1]} if revision else {"branch": branch}
    except (OSError, ValueError):
        return {}
