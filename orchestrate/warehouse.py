"""Opening the warehouse file: DuckDB lets one process in at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

_LOCKED = "Could not set lock"
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>\S+) \(PID (?P<process>\d+)\)")


class WarehouseError(Exception):
    """The message says what was asked, what is wrong and what to do, in one line."""


def connect(
    path: Path,
    *,
    wait_seconds: float = 0,
    say: Callable[[str], object] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> duckdb.DuckDBPyConnection:
    """Open the file for writing and wait while another process holds it.

    Args:
        path: The file; made when missing, and its folder too.
        wait_seconds: How long to wait for a lock to go away.
        say: Told once, when waiting begins.
        clock: Seconds that only grow.
        sleep: Waits for so many seconds.

    Raises:
        WarehouseError: If it can't be opened, or is still locked after the wait.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"Cannot make the folder {path.parent}: {error.strerror}. "
            "Make it writable or choose another place for the warehouse."
        ) from error
    deadline = clock() + wait_seconds
    waiting = False
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.Error as error:
            if _LOCKED not in str(error):
                raise WarehouseError(_cannot_open(path, error)) from error
            if clock() >= deadline:
                raise WarehouseError(
                    f"Cannot open {path}: it is open in {_holder(error)}, and DuckDB lets in one "
                    "at a time. Close that program (to look at data, open the published copy "
                    "instead) and run again."
                ) from error
            if not waiting:
                say(f"{path} is open in {_holder(error)}; waiting up to {wait_seconds:.0f} s")
                waiting = True
        sleep(0.25)


def one_line(error: BaseException) -> str:
    """The first line of an error's message, without DuckDB's repeated kinds in front."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^(?:[\w ]+ Error: )+", "", lines[0])


def _holder(error: duckdb.Error) -> str:
    found = _HOLDER.search(str(error))
    if not found:
        return "another process"
    return f"another process ({Path(found['program']).name}, {found['process']})"


def _cannot_open(path: Path, error: duckdb.Error) -> str:
    reason = one_line(error)
    if path.parent.is_dir() and "ermission denied" in reason:
        return f"Cannot open {path}: no permission to write there. Change its owner or its place."
    if "not a valid DuckDB" in reason:
        return f"Cannot open {path}: it is no DuckDB file. Move it away and run again."
    if "version number" in reason:
        return (
            f"Cannot open {path}: a newer DuckDB than {duckdb.__version__} wrote it. "
            "Open it with that version, or move it away and run again."
        )
    return f"Cannot open {path}: {reason}"
