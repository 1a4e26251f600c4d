"""Loaded by logging.yaml into Meltano's process, where nothing of ours can be imported.

As a logging filter it keeps the console readable. The log file gets every line all the same.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

FOLDER = Path("output/logs")
# What Meltano 4.4 ends with when a utility without a command fails, such as `meltano run ... dbt`.
_UNNAMED_COMMAND = "'NoneType' object is not subscriptable"
_CHATTER = (
    "Need help fixing this problem?",
    "Run started",
    "Incremental state has been updated",
    "Reading state from ",
    "Running catalog discovery",
    "Skipping parse of env var settings",
    "Starting incremental sync of",
    "Using logging configuration from",
    "Using systemdb state backend",
)


def filter(record: logging.LogRecord) -> bool:  # noqa: A001  (the name that `logging` calls)
    """Whether a person watching the run wants the line: no metrics, no chatter."""
    fields = record.msg if isinstance(record.msg, dict) else {"event": record.msg}
    if fields.get("event") == _UNNAMED_COMMAND:
        fields["event"] = "The last step failed; its lines above say why."
    if "metric_info" in fields:
        return False
    event = str(fields.get("event", ""))
    return record.levelno > logging.INFO or not event.startswith(("METRIC", *_CHATTER))


# The log file's folder must be there before the first line. A disk that is full or not ours must
# not disturb a run, so what goes wrong in writing the log stays silent.
with contextlib.suppress(OSError):
    FOLDER.mkdir(parents=True, exist_ok=True)
logging.raiseExceptions = False
