"""dbt's events as few lines: one per stored model, every warning and error, the rest counted."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

# For these we speak instead of dbt, unless the caller asked for another way of speaking.
SHORT_COMMANDS = frozenset({"build", "run", "test", "seed", "snapshot", "source", "retry"})
_SPEECH = ("--log-level", "--log-format", "--debug", "-d", "--quiet", "-q", "--no-quiet")

_RESULTS = frozenset(
    {"LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogFreshnessResult", "LogBatchResult"}
)
_TOLD = frozenset({"FoundStats", "SkippingDetails", "StatsLine", "FreshnessCheckComplete"})
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def is_short(arguments: Sequence[str]) -> bool:
    """Whether our lines replace dbt's for this command."""
    if any(argument.split("=")[0] in _SPEECH for argument in arguments):
        return False
    return any(argument in SHORT_COMMANDS for argument in arguments[:1])


def say(text: str) -> None:
    """Write whole lines at once: dbt's threads speak at the same time."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Who listened was killed. An error here, in a thread of dbt, would leave dbt waiting for
        # good with the warehouse open; it rather builds to the end in silence.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Listener:
    """Hears every event of one invocation; knows its id, and whether errors are told already.

    Args:
        speaks: Whether it tells people what they should read.
        tell: Takes lines for people.
        begun: Called once, with the invocation's id, at the first event.
        read: Called once, when the first node starts: dbt has read the project by then.
    """

    def __init__(
        self,
        *,
        speaks: bool,
        tell: Callable[[str], object] = say,
        begun: Callable[[str], object] = lambda _: None,
        read: Callable[[], object] = lambda: None,
    ) -> None:
        self.invocation_id = ""
        self.told = not speaks
        self._speaks = speaks
        self._tell = tell
        self._begun = begun
        self._read = read
        self._no_node_yet = threading.Lock()

    def __call__(self, event: Any) -> None:
        if not self.invocation_id:
            self.invocation_id = event.info.invocation_id
            self._begun(self.invocation_id)
        # Nodes start in threads of their own; the lock is never given back.
        if event.info.name == "NodeStart" and self._no_node_yet.acquire(blocking=False):
            self._read()
        if not self._speaks:
            return
        line = told(event)
        if line:
            self.told = self.told or event.info.level == "error"
            self._tell(line)


def told(event: Any) -> str | None:
    """What a person should read of an event; None for most of them."""
    name, level = event.info.name, event.info.level
    if name in _RESULTS:
        return _result(event.data, level)
    if name not in _TOLD and level not in {"warn", "error"}:
        return None
    text = _COLOURS.sub("", event.info.msg)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) or None


def _result(data: Any, level: str) -> str | None:
    node = data.node_info
    if node.materialized == "view" and level == "info":
        return None
    verdict = {"error": "ERROR", "warn": "WARN"}.get(level, "ok")
    kind = node.materialized or node.resource_type
    name = node.node_name
    if node.resource_type == "source":
        kind, name = "freshness", f"{data.source_name}.{data.table_name}"
    return f"{verdict:<5} {data.execution_time:6.2f} s  {name} ({kind})"
