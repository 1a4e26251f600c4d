"""Meltano's own database -> runs of the time before there was a ledger.

Its table `runs` has a row for each pair of tap and target of a run, with the state that the pair
left behind; of dbt and of row counts it knows nothing.
https://github.com/meltano/meltano/blob/v4.4.1/src/meltano/core/job/job.py
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from orchestrate.ledger import identity
from orchestrate.ledger.instants import EPOCH, microseconds, utc
from orchestrate.ledger.meltano.open_run import EXTRACT_LOAD
from orchestrate.ledger.model import PipelineRun, Result, Row, Step, StreamSync
from orchestrate.ledger.store import Ledger, LedgerError

_QUERY = """
    select run_id, job_name, state, started_at, ended_at, last_heartbeat_at, payload, "trigger"
    from runs where state <> 'STATE_EDIT' order by started_at, id
"""  # `meltano state set` leaves a STATE_EDIT, which is no run
_STATE_ID = re.compile(
    r"(?:(?P<environment>[^:]+):)?(?P<tap>[^:]+?)-to-(?P<target>[^:]+)(?::(?P<suffix>.+))?"
)
# Meltano's own limits and words for a run whose process is gone.
_HEARTBEAT_VALID = timedelta(minutes=5)
_VALID_WITHOUT_HEARTBEAT = timedelta(hours=24)
_KILLED = "The process was likely killed unceremoniously."


class Imported(NamedTuple):
    """How many runs were taken over, known before, and left out (under way or unreadable)."""

    runs: int
    already_known: int
    skipped: int


class Job(msgspec.Struct, kw_only=True):
    """A row of `runs`; the instants are UTC without saying so."""

    run_id: UUID
    job_name: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    last_heartbeat_at: datetime | None
    payload: str | None
    trigger: str | None


def import_runs(ledger: Ledger, database_uri: str, now_us: int) -> Imported:
    """Take over the runs that the ledger does not know yet; a second time changes nothing.

    Read Meltano's log first: it tells more of a run than its database does.

    Args:
        ledger: Where the runs go.
        database_uri: Meltano's `database_uri`, or the path of the SQLite file; it is only read.
        now_us: This instant. A run under way without a heartbeat for five minutes was killed.

    Raises:
        LedgerError: If it is no SQLite file with Meltano's runs, or the ledger can't be written.
    """
    now = EPOCH + timedelta(microseconds=now_us)
    runs: dict[str, list[Job] | None] = {}
    for key, job in _jobs(_file(database_uri)):
        jobs = runs.setdefault(key, [])
        if job is None or _result(job, now) is None:
            runs[key] = None
        elif jobs is not None:
            jobs.append(job)
    imported = already_known = 0
    with ledger.writing():
        for jobs in filter(None, runs.values()):
            run_id = str(jobs[0].run_id)
            if ledger.rows(PipelineRun, "run_id = ?", [run_id]):
                already_known += 1
            else:
                ledger.save(_rows(run_id, jobs, now))
                imported += 1
    return Imported(imported, already_known, len(runs) - imported - already_known)


def _file(database_uri: str) -> Path:
    scheme, separator, rest = database_uri.partition("://")
    if separator and scheme.partition("+")[0] != "sqlite":
        raise LedgerError(
            f"Cannot import runs from a database of {scheme}: only SQLite files can be read. "
            "Copy its table `runs` into one and name that."
        )
    # https://docs.sqlalchemy.org/en/20/core/engines.html#sqlite
    path = Path(rest.partition("?")[0].removeprefix("/") if separator else database_uri)
    if not path.is_file():
        raise LedgerError(
            f"Cannot import runs from {path}: there is no such file. "
            "Name the file of `database_uri` in meltano.yml."
        )
    return path


def _jobs(path: Path) -> list[tuple[str, Job | None]]:
    """What tells runs apart and the job, oldest first; None for one that can't be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute(_QUERY)]
    except sqlite3.Error as error:
        raise LedgerError(
            f"Cannot import runs from {path}: {error}. Name the SQLite file that Meltano keeps "
            "its runs in, while no run is writing it."
        ) from error
    return [(str(row["run_id"]), _job(row)) for row in found]


def _job(row: dict[str, Any]) -> Job | None:
    try:
        return msgspec.convert(row, Job)
    except msgspec.ValidationError:
        return None


def _result(job: Job, now: datetime) -> Result | None:
    """None if the job is still under way, or has never begun."""
    if job.state == "SUCCESS":
        return Result.SUCCESS
    if job.state == "FAIL":
        killed = str(_payload(job).get("error")).endswith(_KILLED)
        return Result.KILLED if killed else Result.FAILURE
    if job.last_heartbeat_at:
        valid_until = utc(job.last_heartbeat_at) + _HEARTBEAT_VALID
    else:
        valid_until = utc(job.started_at) + _VALID_WITHOUT_HEARTBEAT
    if job.state == "DEAD" or (job.state == "RUNNING" and now > valid_until):
        return Result.KILLED
    return None


def _rows(run_id: str, jobs: list[Job], now: datetime) -> Iterator[Row]:
    steps: list[Step] = []
    environment = None
    for position, job in enumerate(jobs):
        name = job.job_name
        if found := _STATE_ID.fullmatch(job.job_name):
            environment = environment or found["environment"]
            name = f"{found['tap']} {found['target']}"
        payload, result = _payload(job), _result(job, now)
        step = Step(
            run_id=run_id,
            position=position,
            name=name,
            kind=EXTRACT_LOAD,
            started_us=microseconds(job.started_at),
            state_id=job.job_name,
            ended_us=microseconds(job.ended_at or job.last_heartbeat_at or job.started_at),
            result=result,
            error=payload.get("error"),
        )
        steps.append(step)
        for stream, bookmark_us in _bookmarks(payload.get("singer_state")):
            yield StreamSync(
                run_id=run_id,
                position=position,
                stream=stream,
                bookmark_us=bookmark_us,
                result=result if result == Result.SUCCESS else None,
            )
    yield from steps
    bad = [step for step in steps if step.result != Result.SUCCESS]
    killed = any(step.result == Result.KILLED for step in bad)
    trace_id = identity.trace_id(run_id)
    ended_us = max(step.ended_us or step.started_us for step in steps)
    yield PipelineRun(
        run_id=run_id,
        trace_id=trace_id,
        span_id=identity.span_id(trace_id, run_id),
        started_us=steps[0].started_us,
        heard_us=ended_us,
        environment=environment,
        job=" ".join(step.name for step in steps),
        planned_steps=[step.name for step in steps],
        trigger=jobs[0].trigger,
        ended_us=ended_us,
        result=(Result.KILLED if killed else Result.FAILURE) if bad else Result.SUCCESS,
        error=f"{bad[0].name}: {bad[0].error}" if bad and bad[0].error else None,
    )


def _payload(job: Job) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(job.payload or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _bookmarks(state: Any) -> Iterator[tuple[str, int]]:
    """Each stream whose bookmark is a date-time: how far all of its parts are complete."""
    streams = state.get("bookmarks") if isinstance(state, dict) else None
    for stream, bookmark in streams.items() if isinstance(streams, dict) else ():
        if not isinstance(bookmark, dict):
            continue
        try:
            yield (
                stream,
                min(
                    microseconds(msgspec.convert(part["replication_key_value"], datetime))
                    for part in bookmark.get("partitions") or [bookmark]
                ),
            )
        except (LookupError, TypeError, msgspec.ValidationError):
            continue  # a number, a date, or a part that has none yet
