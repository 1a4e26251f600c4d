"""A copy of the warehouse for readers, replaced in one step: they see the old one or the new."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import duckdb

from orchestrate.transformer.summary import Content
from orchestrate.warehouse import connect, one_line


class PublicationError(Exception):
    """The message says what was asked, what is wrong and what to do. The old copy is untouched."""


def check_nothing_is_missing(
    before: Iterable[Content], now: Iterable[Content], published: str
) -> None:
    """Compare the raw tables of the old copy with those of the warehouse.

    Raises:
        PublicationError: If a table has fewer rows. Loads only add and replace rows, so the
            warehouse was deleted or cut, and readers would lose what Sentry may have forgotten.
    """
    rows = {content.relation.name: content.rows for content in now}
    for content in before:
        name = content.relation.name
        if rows.get(name, 0) < content.rows:
            raise PublicationError(
                f"Not published: raw table {name} fell from {content.rows:,} rows to "
                f"{rows.get(name, 0):,}. Bring the warehouse back (the published copy holds all "
                "that it had) or run with --full-refresh to read what Sentry still has. If the "
                f"loss is meant, delete {published}."
            )


def publish(warehouse: Path, published: Path) -> int:
    """Replace `published` by a read-only copy of the warehouse. Returns its size in bytes.

    Raises:
        PublicationError: If the copy can't be made. Nothing half is left then.
        WarehouseError: If the warehouse can't be opened.
    """
    partial = published.with_name(f".{published.name}.{os.getpid()}.partial")
    try:
        published.parent.mkdir(parents=True, exist_ok=True)
        for left_behind in published.parent.glob(f".{published.name}.*.partial"):
            left_behind.unlink()
        # The open connection keeps writers out until the copy is made.
        with connect(warehouse, wait_seconds=10) as source:
            source.execute("checkpoint")
            tables = _count_tables(source)
            shutil.copyfile(warehouse, partial)
        with duckdb.connect(str(partial), read_only=True) as copy:
            if _count_tables(copy) != tables:
                raise PublicationError(
                    f"Cannot publish {published}: the copy is not equal. Run dbt again."
                )
        _put_in_place(partial, published)
    except (OSError, duckdb.Error) as error:
        raise PublicationError(_explain(error, published)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return published.stat().st_size


def _count_tables(connection: duckdb.DuckDBPyConnection) -> object:
    return connection.execute("select count(*) from information_schema.tables").fetchone()


def _put_in_place(partial: Path, published: Path) -> None:
    """Only what is on the disk may take the old copy's place."""
    with partial.open("rb+") as handle:
        os.fsync(handle.fileno())
    partial.chmod(0o444)
    partial.replace(published)
    folder = os.open(published.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _explain(error: OSError | duckdb.Error, published: Path) -> str:
    if isinstance(error, duckdb.Error):
        reason = one_line(error)
    elif error.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}:
        reason = "the disk is full. Free some space"
    else:
        reason = f"{error.strerror}. Make {published.parent} writable"
    return f"Cannot publish {published}: {reason} and run dbt again. The previous copy stays."
