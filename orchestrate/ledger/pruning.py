"""What is old leaves the ledger: first the lines of logs, later whole runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from orchestrate.ledger.files import rotated
from orchestrate.ledger.model import TABLES, ForgottenTotal, LogEvent, Row, SourceFile
from orchestrate.ledger.store import Ledger, LedgerError

_DAY_US = 86_400_000_000
# Room given free is used again; only when there is much of it, the whole file is written anew.
_FREE_SHARE = 0.25
_LISTED = "in (select value from json_each(?))"
_INVOCATIONS = f"select invocation_id from dbt_invocation where run_id {_LISTED}"  # noqa: S608
_MANIFESTS = f"""
    select manifest_hash from manifest except
    select manifest_hash from dbt_invocation where run_id not {_LISTED}
"""  # noqa: S608


class Pruned(NamedTuple):
    """The rows that went, or would go, by table; a table that keeps all of its rows is left out."""

    rows: dict[str, int]


class _Doomed(NamedTuple):
    table: type[Row]
    where: str
    keys: str


def prune(
    ledger: Ledger,
    now_us: int,
    log_days: float,
    run_days: float,
    *,
    dry_run: bool = False,
    before: Callable[[str], None] = lambda _: None,
) -> Pruned:
    """Delete old log lines, old runs with all that belongs to them, and manifests nobody names.

    A run that has not ended stays. How far a file was read is remembered as long as the file is
    there, or its runs would be read again.

    Args:
        ledger: What to prune.
        now_us: This instant.
        log_days: Days to keep the log lines of a run after its end.
        run_days: Days to keep a run after its end.
        dry_run: Only count.
        before: Given the ids of the runs that are about to go, as a JSON list, in the transaction.

    Raises:
        LedgerError: If a number of days is negative, or the ledger can't be read or written.
    """
    for name, days in (("log_days", log_days), ("run_days", run_days)):
        if not days >= 0:
            raise LedgerError(
                f"Cannot prune the ledger: {name} is {days}. Give the days to keep, 0 or more."
            )
    logs_before_us, runs_before_us = now_us - log_days * _DAY_US, now_us - run_days * _DAY_US
    rows: dict[str, int] = {}
    if dry_run:
        for table, where, keys in _doomed(ledger, logs_before_us, runs_before_us):
            text = f"select count(*) from {table.TABLE} where {where}"  # noqa: S608
            rows[table.TABLE] = ledger.select(text, [keys])[0][0]
    else:
        with ledger.writing():
            before(_ended(ledger, runs_before_us))
            for table, where, keys in _doomed(ledger, logs_before_us, runs_before_us):
                text = f"delete from {table.TABLE} where {where}"  # noqa: S608
                rows[table.TABLE] = ledger.execute(text, [keys])
        pages, free = (
            ledger.select(f"pragma {name}")[0][0] for name in ("page_count", "freelist_count")
        )
        if free > pages * _FREE_SHARE:
            # It needs room for a second ledger; without it, the free pages are used again.
            with suppress(LedgerError):
                ledger.vacuum()
    return Pruned({table: count for table, count in rows.items() if count})


def _doomed(ledger: Ledger, logs_before_us: float, runs_before_us: float) -> list[_Doomed]:
    runs = _ended(ledger, runs_before_us)
    # Which column says what a row belongs to, the nearest first.
    keys = {
        "run_id": runs,
        "invocation_id": _keys(ledger, _INVOCATIONS, runs),
        "manifest_hash": _keys(ledger, _MANIFESTS, runs),
        "fingerprint": json.dumps(list(_left(ledger))),
    }
    doomed = []
    for table in TABLES:
        if table is ForgottenTotal:
            continue
        column = next(name for name in keys if name in table.__struct_fields__)
        doomed.append(_Doomed(table, f"{column} {_LISTED}", keys[column]))
        if table is LogEvent:
            doomed[-1] = doomed[-1]._replace(
                keys=_ended(ledger, max(logs_before_us, runs_before_us))
            )
    return doomed


def _ended(ledger: Ledger, before_us: float) -> str:
    return _keys(ledger, "select run_id from pipeline_run where ended_us < ?", before_us)


def _keys(ledger: Ledger, text: str, *values: Any) -> str:
    return json.dumps([key for (key,) in ledger.select(text, values)])


def _left(ledger: Ledger) -> Iterator[str]:
    """The fingerprints of files that are gone, under their own name and the older ones.

    Where the folder is gone too, the project was moved, or is another container's: the file may be
    found at its new place, and must not be read again.
    """
    for row in ledger.rows(SourceFile):
        path = Path(row.path)
        # To look for older ones is to list the folder, too slow for each of many that are there.
        if path.parent.exists() and not (path.exists() or rotated(path)):
            yield row.fingerprint
