"""Why DuckDB or the disk said no, in one line without a row's content."""

from __future__ import annotations

import errno
import re

import duckdb

from orchestrate.warehouse import one_line

_NO_ROOM = ("No space left", "File too large", "Disk quota", "disk space")
_COLUMN = re.compile(r'column "?(\w+)"?')
_TYPE = re.compile(r"to '?(?P<type>[A-Z]+(?:\([\d,]+\))?)'?")


def explain(error: duckdb.Error | OSError, asked: str) -> str:
    """A message of three parts: what was asked, what is wrong, what to do.

    Args:
        error: DuckDB's messages quote rows; only names and types are taken from them.
        asked: What was to be done, as in "store 5 rows of issues".
    """
    text = str(error)
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT} or any(
        phrase in text for phrase in _NO_ROOM
    ):
        return f"Cannot {asked}: the disk is full. Free some space and run again; nothing is lost."
    if isinstance(error, OSError):
        return f"Cannot {asked}: {error.filename}: {error.strerror}. Make it writable, run again."
    if isinstance(error, duckdb.ConstraintException):
        return (
            f"Cannot {asked}: a key column is empty, or a key comes twice in different writing. "
            "The tap has to send a full key with each record."
        )
    if isinstance(error, duckdb.ConversionException | duckdb.InvalidInputException):
        column, kind = _COLUMN.search(text), _TYPE.search(text)
        name = column[1] if column else "unknown"
        wanted = kind["type"] if kind else "the column's type"
        return (
            f"Cannot {asked}: a value of column {name} is no {wanted}. "
            "The tap's schema and its records disagree."
        )
    if isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return f"Cannot {asked}: DuckDB gave up ({type(error).__name__}). Run again."
    return f"Cannot {asked}: {one_line(error)}"
