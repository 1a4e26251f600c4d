"""The ledger as one SQLite file: rows in, rows out, each transaction whole or not at all.

SQLite, since many may read while one writes, and nothing has to run for it. The file belongs to
telemetry alone: no lock on the warehouse can come in its way, and it none of the warehouse's.
https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orchestrate.ledger.migrations import MIGRATIONS
from orchestrate.ledger.model import Row

_LOCK_WAIT_S = 30.0
_LOCK_PAUSE_S = 0.02
_JSON = msgspec.json.Encoder()

AnyRow = TypeVar("AnyRow", bound=Row)


class LedgerError(Exception):
    """The message says what was asked, what is wrong and what to do, in one line."""


class Ledger:
    """An open ledger, its schema brought up to date.

    Args:
        path: The file; made when missing, and its folder too.
        migrations: Scripts that lead from an empty file to today's schema.

    Raises:
        LedgerError: If the file can't be opened, is no ledger, or is of a newer version of ours.
    """

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are begun by `writing` only.
            self._connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)
            try:
                self._write_ahead()
                self._connection.execute("pragma synchronous = normal")
                self._migrate(migrations)
            except BaseException:
                self.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(_explain(f"open the ledger {path}", error)) from error

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is saved meanwhile is kept, or after an error nothing of it.

        Raises:
            LedgerError: If it can't be written, on a full disk for one.
        """
        try:
            self._connection.execute("begin immediate")
            try:
                yield
                self._connection.execute("commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise
        except sqlite3.Error as error:
            raise LedgerError(_explain(f"write the ledger {self.path}", error)) from error

    def save(self, rows: Iterable[Row]) -> None:
        """Insert rows; one of the same key is replaced."""
        by_table: dict[type[Row], list[tuple[Any, ...]]] = {}
        for row in rows:
            by_table.setdefault(type(row), []).append(_stored(row))
        for table, values in by_table.items():
            self._connection.executemany(_insert(table), values)

    def rows(
        self, table: type[AnyRow], where: str = "true", values: Sequence[Any] = (), then: str = ""
    ) -> list[AnyRow]:
        """The rows of a table for which an SQL condition holds; `then` may order and limit them.

        Raises:
            LedgerError: If the file can't be read.
        """
        names = ", ".join(_columns(table))
        text = f"select {names} from {table.TABLE} where {where} {then}"  # noqa: S608
        return [_read(table, found) for found in self.select(text, values)]

    def select(
        self, text: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """What a query gives; `values` fill its places, in their order or by their names.

        Raises:
            LedgerError: If the file can't be read.
        """
        try:
            return self._connection.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(_explain(f"read the ledger {self.path}", error)) from error

    def execute(self, text: str, values: Sequence[Any] = ()) -> int:
        """Run a statement inside of `writing`. Returns the rows it changed."""
        return self._connection.execute(text, values).rowcount

    def vacuum(self) -> None:
        """Give the room of deleted rows back to the disk.

        Raises:
            LedgerError: If it can't be written, or another process writes it for too long.
        """
        try:
            self._connection.execute("vacuum")
        except sqlite3.Error as error:
            raise LedgerError(_explain(f"write the ledger {self.path}", error)) from error

    def _write_ahead(self) -> None:
        for left in reversed(range(round(_LOCK_WAIT_S / _LOCK_PAUSE_S))):
            try:
                self._connection.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:  # noqa: PERF203
                # While another process makes the file, SQLite does not wait here by itself.
                if not left or "locked" not in str(error):
                    raise
                time.sleep(_LOCK_PAUSE_S)
            else:
                return

    def _migrate(self, migrations: Sequence[str]) -> None:
        done = self._version()
        if done > len(migrations):
            raise LedgerError(
                f"The ledger {self.path} has version {done} of its schema, this program knows "
                f"{len(migrations)}: update the project, or name another file."
            )
        while done < len(migrations):
            with self.writing():
                done = self._version()  # another process may have been faster
                if done < len(migrations):
                    for statement in _statements(migrations[done]):
                        self._connection.execute(statement)
                    done += 1
                    self._connection.execute(f"pragma user_version = {done}")

    def _version(self) -> int:
        return int(self._connection.execute("pragma user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement  # its semicolon is missing


@cache
def _columns(table: type[Row]) -> tuple[str, ...]:
    return table.__struct_fields__


@cache
def _insert(table: type[Row]) -> str:
    names = _columns(table)
    places = ", ".join("?" * len(names))
    return f"insert or replace into {table.TABLE} ({', '.join(names)}) values ({places})"  # noqa: S608


@cache
def _as_json(table: type[Row]) -> frozenset[int]:
    """Places of the columns whose values are lists or objects."""
    fields = msgspec.structs.fields(table)
    return frozenset(
        place
        for place, field in enumerate(fields)
        if isinstance(field.default, (list, dict)) or field.default_factory in {list, dict}
    )


def _stored(row: Row) -> tuple[Any, ...]:
    # A Result is a string, which SQLite takes as it is.
    values = list(msgspec.structs.astuple(row))
    for place in _as_json(type(row)):
        values[place] = _JSON.encode(values[place]).decode()
    return tuple(values)


def _read(table: type[AnyRow], values: tuple[Any, ...]) -> AnyRow:
    found = dict(zip(_columns(table), values, strict=True))
    for place in _as_json(table):
        name = _columns(table)[place]
        found[name] = msgspec.json.decode(found[name])
    return msgspec.convert(found, table)


def _explain(asked: str, error: OSError | sqlite3.Error) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    hints = {
        "not a database": "It is no ledger: move it away and run again; logs are read anew.",
        "malformed": "It is damaged: move it away and run again; logs are read anew.",
        "locked": "Another process is writing it: run again when that is done.",
        "full": "The disk is full: free some space and run again. Nothing read is lost.",
        "readonly": "Make it and its folder writable.",
        "disk I/O": "Look whether the disk is full or broken. Nothing read is lost.",
    }
    hint = next((text for word, text in hints.items() if word in (reason or "")), None)
    return f"Cannot {asked}: {reason}. {hint or 'Make the place readable and writable.'}"
