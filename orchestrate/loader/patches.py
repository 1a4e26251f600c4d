"""What is replaced in target-duckdb 0.8.0, and nothing more. The reasons: the package's text."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb

from orchestrate.loader import batch
from orchestrate.loader.errors import LoadError
from orchestrate.loader.messages import encode
from orchestrate.loader.refusals import explain
from orchestrate.loader.reporting import Report

KNOWN_VERSION = "0.8.0"


def check_version() -> None:
    """Stop unless the installed target is the one whose source was read.

    Raises:
        LoadError: If it is another version, or missing.
    """
    try:
        found = version("target-duckdb")
    except PackageNotFoundError:
        found = "none"
    if found != KNOWN_VERSION:
        raise LoadError(
            f"The launcher mends target-duckdb {KNOWN_VERSION}, but {found} is installed. Run "
            "`meltano install --clean loader target-duckdb`, or see if it still needs mending."
        )


def apply(report: Report) -> None:
    """Put our functions in place. Messages then have to come decoded (`messages.Messages`)."""
    import target_duckdb  # noqa: PLC0415  (its import sets up logging)
    from target_duckdb import db_sync  # noqa: PLC0415

    def load_rows(self: Any, records: Iterable[Any], count: int, temp_dir: str) -> None:
        started = time.monotonic()
        stream = self.stream_schema_message["stream"]
        try:
            batch.store(self, batch.rows(self, records, db_sync), count, Path(temp_dir))
        except (duckdb.Error, OSError) as error:
            raise LoadError(explain(error, f"store {count:,} rows of {stream}")) from error
        report.stored(stream, count, time.monotonic() - started)

    target_duckdb.json = SimpleNamespace(
        loads=lambda message: message, dumps=encode, decoder=target_duckdb.json.decoder
    )
    target_duckdb.add_metadata_values_to_record = _with_metadata
    # The original reads a logging file on every call, once per column.
    db_sync.get_logger = logging.getLogger
    db_sync.DbSync.record_primary_key_string = _primary_key
    db_sync.DbSync.load_rows = load_rows


def _with_metadata(message: dict[str, Any]) -> Any:
    """As upstream, with the clock in UTC like every other time in the warehouse."""
    record = message["record"]
    record["_sdc_extracted_at"] = message.get("time_extracted")
    record["_sdc_batched_at"] = datetime.now(timezone.utc).isoformat()
    record.setdefault("_sdc_deleted_at", None)
    return record


def _primary_key(self: Any, record: dict[str, Any]) -> tuple[str, ...] | None:
    """The key as a tuple; None for a stream without keys. Not joined, so nothing collides."""
    names = self.stream_schema_message["key_properties"]
    for name in names:
        if record.get(name) is None:
            stream = self.stream_schema_message["stream"]
            raise LoadError(f"A record of {stream} lacks its key {name}. The tap has to send it.")
    return tuple([str(record[name]) for name in names]) if names else None
