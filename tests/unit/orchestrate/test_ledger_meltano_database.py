"""History from Meltano's own database, as Meltano 4.4 writes it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrate.ledger.meltano.database import Imported, import_runs
from orchestrate.ledger.model import TABLES, PipelineRun, Result, Step, StreamSync
from orchestrate.ledger.store import Ledger, LedgerError

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
RUN = "01a1ffd1-54fd-7a61-9872-3dc4b16907d5"
PAIR = "demo:tap-sentry-to-target-duckdb"


def us(seconds: float = 0) -> int:
    return int((NOON + timedelta(seconds=seconds)).timestamp() * 1e6)


def bookmark(value: object) -> dict[str, object]:
    return {"replication_key": "lastSeen", "replication_key_value": value}


class Meltano:
    """A database as Meltano makes it, to be filled with jobs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._execute(
            "create table runs (id integer primary key, job_name varchar, state varchar(10), "
            "started_at datetime, ended_at datetime, payload varchar, payload_flags integer, "
            'run_id char(32), "trigger" varchar, last_heartbeat_at datetime)'
        )

    def job(
        self,
        state: str = "SUCCESS",
        *,
        begins: float | None = 0,
        ends: float | None = 10,
        heard: float | None = 9,
        name: str = PAIR,
        run_id: str = RUN,
        payload: Any = None,
    ) -> None:
        """A row; instants in seconds after noon, written without a zone as SQLAlchemy does."""
        written = payload if isinstance(payload, str) else json.dumps(payload or {})
        instants = [
            None if at is None else f"{(NOON + timedelta(seconds=at)):%Y-%m-%d %H:%M:%S.%f}"
            for at in (begins, ends, heard)
        ]
        self._execute(
            'insert into runs (state, job_name, run_id, payload, "trigger", '
            "started_at, ended_at, last_heartbeat_at) values (?, ?, ?, ?, 'schedule', ?, ?, ?)",
            [state, name, run_id.replace("-", ""), written, *instants],
        )

    def _execute(self, text: str, values: Any = ()) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(text, values)


@pytest.fixture
def meltano(tmp_path: Path) -> Meltano:
    return Meltano(tmp_path / "meltano.db")


class Importing:
    """What `import_runs` makes of one database."""

    def __init__(self, ledger: Ledger, meltano: Meltano, now_s: float = 3600) -> None:
        self.counts = import_runs(ledger, str(meltano.path), us(now_s))
        self.runs = ledger.rows(PipelineRun)
        self.steps = ledger.rows(Step, then="order by run_id, position")
        self.streams = {row.stream: row for row in ledger.rows(StreamSync)}


class TestARun:
    def test_gets_its_id_job_environment_and_instants(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        meltano.job()
        found = Importing(ledger, meltano)
        assert found.counts == Imported(runs=1, already_known=0, skipped=0)
        (run,) = found.runs
        assert (run.run_id, run.trace_id) == (RUN, RUN.replace("-", ""))
        assert (run.environment, run.job) == ("demo", "tap-sentry target-duckdb")
        assert (run.started_us, run.ended_us, run.heard_us) == (us(), us(10), us(10))
        assert (run.result, run.error, run.trigger) == (Result.SUCCESS, None, "schedule")
        (step,) = found.steps
        assert (step.kind, step.state_id, step.result) == ("extract_load", PAIR, Result.SUCCESS)
        assert (step.started_us, step.ended_us) == (us(), us(10))

    def test_has_its_pairs_as_steps_in_the_order_they_began(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        meltano.job(begins=20, ends=30, name="demo:tap-b-to-target-b:part")
        meltano.job(begins=0, ends=10, name="demo:tap-a-to-target-a")
        found = Importing(ledger, meltano)
        assert [(step.position, step.name) for step in found.steps] == [
            (0, "tap-a target-a"),
            (1, "tap-b target-b"),
        ]
        (run,) = found.runs
        assert run.planned_steps == ["tap-a target-a", "tap-b target-b"]
        assert (run.started_us, run.ended_us) == (us(0), us(30))

    def test_keeps_a_state_id_of_ones_own_as_its_name(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        meltano.job(name="nightly")
        found = Importing(ledger, meltano)
        assert (found.runs[0].job, found.runs[0].environment) == ("nightly", None)
        assert found.steps[0].state_id == "nightly"

    def test_fails_with_the_first_pair_that_failed(self, ledger: Ledger, meltano: Meltano) -> None:
        meltano.job()
        meltano.job("FAIL", begins=11, ends=12, payload={"error": "Extractor failed"})
        meltano.job("FAIL", begins=13, ends=14, payload={"error": "Loader failed"})
        found = Importing(ledger, meltano)
        assert found.runs[0].result == Result.FAILURE
        assert found.runs[0].error == "tap-sentry target-duckdb: Extractor failed"
        assert [step.error for step in found.steps] == [None, "Extractor failed", "Loader failed"]


class TestARunWithoutAnEnd:
    @pytest.mark.parametrize(
        ("heard", "now_s", "killed"),
        [
            (100, 399, False),
            (100, 401, True),
            (None, 23 * 3600, False),
            (None, 25 * 3600, True),
        ],
        ids=["fresh heartbeat", "old heartbeat", "no heartbeat", "no heartbeat for a day"],
    )
    def test_was_killed_once_meltano_counts_it_as_stale(
        self, ledger: Ledger, meltano: Meltano, heard: float | None, now_s: float, killed: bool
    ) -> None:
        meltano.job("RUNNING", ends=None, heard=heard)
        found = Importing(ledger, meltano, now_s)
        assert found.counts == (Imported(1, 0, 0) if killed else Imported(0, 0, 1))
        ends = [(run.result, run.ended_us) for run in found.runs]
        assert ends == ([(Result.KILLED, us(heard or 0))] if killed else [])

    def test_that_meltano_gave_up_itself_was_killed(self, ledger: Ledger, meltano: Meltano) -> None:
        stale = (
            "No heartbeat recorded for 5 minutes. The process was likely killed unceremoniously."
        )
        meltano.job("FAIL", payload={"error": stale})
        meltano.job("DEAD", run_id="1" * 32, ends=None)
        found = Importing(ledger, meltano)
        assert [run.result for run in found.runs] == [Result.KILLED, Result.KILLED]

    def test_waits_with_its_finished_pairs_for_the_next_import(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        meltano.job()
        meltano.job("RUNNING", begins=11, ends=None, heard=100)
        assert Importing(ledger, meltano, 101).counts == Imported(0, 0, 1)
        assert len(Importing(ledger, meltano, 9999).steps) == 2


class TestBookmarks:
    def test_are_the_earliest_of_a_streams_parts(self, ledger: Ledger, meltano: Meltano) -> None:
        late, early = "2026-11-20T12:00:05.000000Z", "2026-11-20T13:00:02+01:00"
        state = {
            "issues": {"coverage": "a:-1", **bookmark(late)},
            "events": {"partitions": [bookmark(late), bookmark(early)]},
        }
        meltano.job(payload={"singer_state": {"bookmarks": state}})
        found = Importing(ledger, meltano).streams
        assert {name: row.bookmark_us for name, row in found.items()} == {
            "issues": us(5),
            "events": us(2),
        }
        assert found["issues"].result == Result.SUCCESS

    @pytest.mark.parametrize(
        "state",
        [
            {},
            bookmark(42),
            bookmark("42"),
            bookmark(None),
            {"partitions": [bookmark("2026-11-20T12:00:05Z"), {"context": {}}]},
            {"partitions": ["x"]},
            {"partitions": 3},
            "x",
            None,
        ],
    )
    def test_that_are_no_instants_are_left_out(
        self, ledger: Ledger, meltano: Meltano, state: Any
    ) -> None:
        good = bookmark("2026-11-20T12:00:05Z")
        meltano.job(payload={"singer_state": {"bookmarks": {"odd": state, "issues": good}}})
        assert set(Importing(ledger, meltano).streams) == {"issues"}

    @pytest.mark.parametrize("payload", ["", "{", "[]", '{"singer_state": {"bookmarks": []}}'])
    def test_may_be_missing_or_broken(self, ledger: Ledger, meltano: Meltano, payload: str) -> None:
        meltano.job(payload=payload)
        found = Importing(ledger, meltano)
        assert (found.counts.runs, found.streams) == (1, {})

    def test_of_a_failed_pair_tell_nothing_of_how_the_stream_ended(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        state = {"bookmarks": {"issues": bookmark("2026-11-20T12:00:05Z")}}
        meltano.job("FAIL", payload={"singer_state": state})
        assert Importing(ledger, meltano).streams["issues"].result is None


class TestImporting:
    def test_twice_changes_nothing(self, ledger: Ledger, meltano: Meltano) -> None:
        state = {"bookmarks": {"issues": bookmark("2026-11-20T12:00:05Z")}}
        meltano.job(payload={"singer_state": state})
        Importing(ledger, meltano)
        before = [ledger.rows(table) for table in TABLES]
        assert Importing(ledger, meltano).counts == Imported(0, 1, 0)
        assert [ledger.rows(table) for table in TABLES] == before

    def test_leaves_a_run_that_the_log_has_told_as_it_is(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        known = PipelineRun(run_id=RUN, trace_id="t", span_id="s", started_us=1, heard_us=2)
        with ledger.writing():
            ledger.save([known])
        meltano.job()
        found = Importing(ledger, meltano)
        assert found.counts == Imported(0, 1, 0)
        assert (found.runs, found.steps) == ([known], [])

    def test_leaves_out_edits_of_the_state_and_jobs_it_cannot_read(
        self, ledger: Ledger, meltano: Meltano
    ) -> None:
        meltano.job("STATE_EDIT")
        meltano.job("IDLE", run_id="1" * 32)
        meltano.job(run_id="no id")
        meltano.job(run_id="2" * 32, begins=None)
        assert Importing(ledger, meltano).counts == Imported(0, 0, 3)

    def test_does_not_change_meltanos_database(self, ledger: Ledger, meltano: Meltano) -> None:
        meltano.job()
        before = meltano.path.read_bytes()
        Importing(ledger, meltano)
        assert meltano.path.read_bytes() == before


class TestTheDatabase:
    @pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}?timeout=5"])
    def test_is_named_by_path_or_uri(self, ledger: Ledger, meltano: Meltano, form: str) -> None:
        meltano.job()
        assert import_runs(ledger, form.format(meltano.path), us(99)).runs == 1

    def test_may_have_a_name_that_a_uri_would_take_apart(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        meltano = Meltano(tmp_path / "a #b %20.db")
        meltano.job()
        assert Importing(ledger, meltano).counts.runs == 1

    @pytest.mark.parametrize(
        ("uri", "told"),
        [
            ("postgresql+psycopg://me:secret@host/db", "only SQLite files can be read"),
            ("sqlite:///{}/missing.db", "no such file"),
            ("{}", "no such file"),
            ("sqlite://", "no such file"),
            ("{}/text.db", "file is not a database"),
            ("{}/empty.db", "no such table: runs"),
        ],
    )
    def test_that_cannot_be_read_is_told_in_one_line_without_a_password(
        self, ledger: Ledger, tmp_path: Path, uri: str, told: str
    ) -> None:
        (tmp_path / "text.db").write_text("no database at all" * 100)
        (tmp_path / "empty.db").touch()
        with pytest.raises(LedgerError, match=told) as error:
            import_runs(ledger, uri.format(tmp_path), us())
        assert "\n" not in str(error.value)
        assert "secret" not in str(error.value)
