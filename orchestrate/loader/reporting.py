"""Lines for people and, when Meltano asks for it, the same lines as JSON with fields."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from pathlib import Path

LOGGER = logging.getLogger("orchestrate.loader")
UPSTREAM_LOGGER = "target_duckdb"


class StructuredFormatter(logging.Formatter):
    """The JSON that Meltano's parser `singer-sdk` reads, so that levels and fields survive."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "level": record.levelname.lower(),
                "pid": record.process,
                "logger_name": record.name,
                "ts": record.created,
                "thread_name": record.threadName,
                "app_name": "target-duckdb",
                "stream_name": getattr(record, "stream", None),
                "message": record.getMessage(),
                "extra": getattr(record, "fields", {}),
            }
        )


def set_up() -> None:
    """Send our lines to standard error, and of target-duckdb's only what changes a table."""
    handler = logging.StreamHandler()
    if _meltano_wants_json():
        handler.setFormatter(StructuredFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger(UPSTREAM_LOGGER).addFilter(_changes_a_table)


def _meltano_wants_json() -> bool:
    """Meltano hands Singer plugins a logging configuration; it names the SDK's JSON formatter."""
    path = os.environ.get("SINGER_SDK_LOG_CONFIG")
    try:
        return bool(path) and "StructuredFormatter" in Path(str(path)).read_text(encoding="utf-8")
    except OSError:
        return False


def _changes_a_table(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.getMessage().startswith(
        ("Adding column", "Versioning column")
    )


class Report:
    """Counts what is stored. Seconds are of the whole load, waiting for the tap included."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._started = time.monotonic()

    def stored(self, stream: str, rows: int, seconds: float) -> None:
        self.rows[stream] += rows
        so_far = self.rows[stream]
        LOGGER.info(
            "%s: %s rows stored%s",
            stream,
            f"{rows:,}",
            f", {so_far:,} in all" if so_far > rows else "",
            extra={
                "stream": stream,
                "fields": {"rows": rows, "rows_so_far": so_far, "seconds": round(seconds, 3)},
            },
        )

    def finished(self) -> None:
        seconds = time.monotonic() - self._started
        total = sum(self.rows.values())
        LOGGER.info(
            "done: %s rows of %d streams stored in %.1f s",
            f"{total:,}",
            len(self.rows),
            seconds,
            extra={"fields": {"rows_by_stream": dict(self.rows), "seconds": round(seconds, 3)}},
        )
