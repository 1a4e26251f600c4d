"""One batch of a stream: records to rows, rows through a file into the stream's table."""

from __future__ import annotations

import csv
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from orchestrate.loader.errors import LoadError
from orchestrate.loader.messages import encode

CSV_REFUSES_NUL = sys.version_info < (3, 11)
_SMALLEST_LINE_LIMIT = 2 * 1024 * 1024  # DuckDB's own


def rows(sync: Any, records: Iterable[Any], db_sync: Any) -> Iterator[list[Any]]:
    """The records as rows in the order of the columns.

    Args:
        sync: The stream's `target_duckdb.db_sync.DbSync`.
        records: Field to value.
        db_sync: The module itself.
    """
    level = sync.data_flattening_max_level
    names = list(sync.flatten_schema)
    kinds = [db_sync.column_type(schema) for schema in sync.flatten_schema.values()]
    json_columns = [i for i, kind in enumerate(kinds) if kind == "json" and not level]
    # Elsewhere a nested value can't be stored and DuckDB says so.
    text_columns = [i for i, kind in enumerate(kinds) if kind == "varchar" or level]
    nested = (dict, list)
    for given in records:
        get = (db_sync.flatten_record(given, max_level=level) if level else given).get
        row = [get(name) for name in names]
        for i in json_columns:
            if row[i] is not None:
                row[i] = encode(row[i])
        for i in text_columns:
            if isinstance(row[i], nested):
                row[i] = encode(row[i])
        yield [without_nul(value) for value in row] if CSV_REFUSES_NUL else row


def without_nul(value: Any) -> Any:
    """The value as Python 3.10 can store it: its `csv` stops at the character NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def store(sync: Any, rows: Iterable[list[Any]], count: int, folder: Path) -> None:
    """Put rows into a temporary table and from there into the stream's: all of them or none.

    Args:
        sync: The stream's `target_duckdb.db_sync.DbSync`; its connection is used.
        rows: As `rows` gives them.
        count: How many there are; checked against what DuckDB says it stored.
        folder: For a file that is gone afterwards.

    Raises:
        LoadError: If DuckDB stored another number of rows.
        duckdb.Error: If it refused.
        OSError: If the file can't be written.
    """
    name = f"tmp_{uuid4().hex}"
    file = folder / f"{name}.csv"
    connection = sync.conn
    try:
        longest = 0
        # DuckDB skips a byte order mark, so ours comes before one that a text begins with.
        with file.open("w", encoding="utf-8-sig", errors="replace", newline="") as handle:
            write = csv.writer(handle, lineterminator="\r\n").writerow
            for row in rows:
                longest = max(longest, write(row))
        limit = max(_SMALLEST_LINE_LIMIT, 4 * longest)  # characters have up to four bytes
        connection.execute("BEGIN")
        try:
            create = sync.create_table_query(table_name=name)
            connection.execute(create.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            copied = connection.execute(
                f"COPY {name} FROM {_quoted(str(file))} (FORMAT csv, AUTO_DETECT false, "
                "HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NEW_LINE '\\r\\n', "
                f"NULLSTR ''{_force_not_null(sync)}, ENCODING 'utf-8', PARALLEL false, "
                f"MAX_LINE_SIZE {limit}, BUFFER_SIZE {16 * _SMALLEST_LINE_LIMIT + 2 * limit})"
            ).fetchone()[0]
            _upsert(sync, name, count, copied)
            connection.execute(f"DROP TABLE {name}")
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
    finally:
        file.unlink(missing_ok=True)


def _force_not_null(sync: Any) -> str:
    """Empty text means NULL, but not in a key."""
    names = [f'"{name.lower()}"' for name in sync.stream_schema_message["key_properties"]]
    return f", FORCE_NOT_NULL ({', '.join(names)})" if names else ""


def _upsert(sync: Any, name: str, count: int, copied: int) -> None:
    update = None
    if sync.stream_schema_message["key_properties"]:
        update = sync.update_from_temp_table(name)
    changed = sync.conn.execute(update).fetchone()[0] if update else 0
    added = sync.conn.execute(sync.insert_from_temp_table(name)).fetchone()[0]
    all_columns_are_keys = bool(sync.stream_schema_message["key_properties"]) and not update
    if copied != count or (changed + added != count and not all_columns_are_keys):
        stream = sync.stream_schema_message["stream"]
        raise LoadError(
            f"Of {count:,} rows of {stream} DuckDB read {copied:,}, changed {changed:,} and added "
            f"{added:,}. Nothing of them is kept; please report this."
        )


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        # After a fatal error the connection is of no use; the file's log undoes the rest.
        logging.getLogger(__name__).debug("no rollback possible", exc_info=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
