"""The ledger's file: its schema, its transactions, and what is said when it can't be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import types
import typing
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrate.ledger.migrations import MIGRATIONS
from orchestrate.ledger.model import (
    TABLES,
    DbtInvocation,
    LogEvent,
    ManifestNode,
    PipelineRun,
    Result,
    Row,
    Step,
)
from orchestrate.ledger.store import Ledger, LedgerError

ROOT = Path(__file__).parents[3]
NEWER = (*MIGRATIONS, "alter table step add column colour text;\ncreate table extra (a text);\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new/folder/ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def step(position: int = 0, **changed: Any) -> Step:
    values: dict[str, Any] = {
        "run_id": "r",
        "position": position,
        "name": "n",
        "kind": "k",
        "started_us": 1,
    }
    return Step(**values | changed)


def save(ledger: Ledger, *rows: Row) -> None:
    with ledger.writing():
        ledger.save(rows)


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("pragma user_version").fetchone()[0])


class TestTheSchema:
    @pytest.mark.parametrize("table", TABLES)
    def test_has_the_columns_of_the_classes(self, ledger: Ledger, table: type[Row]) -> None:
        columns = ledger.select(f"pragma table_info({table.TABLE})")
        assert {name for _, name, *_ in columns} == set(table.__struct_fields__)
        hints = typing.get_type_hints(table)
        for _, name, kind, is_required, _, place_in_key in columns:
            options = typing.get_args(hints[name]) or (hints[name],)
            assert is_required == (types.NoneType not in options), name
            if int in options or float in options:
                assert kind == ("INTEGER" if int in options else "REAL"), name
            else:
                assert kind == "TEXT", name
            assert (place_in_key > 0) == (name in table.KEY), name

    def test_has_a_class_for_each_table(self, ledger: Ledger) -> None:
        names = ledger.select(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
        )
        assert {name for (name,) in names} == {table.TABLE for table in TABLES}

    def test_has_views_that_can_be_read(self, ledger: Ledger) -> None:
        for (name,) in ledger.select("select name from sqlite_schema where type = 'view'"):
            assert ledger.select(f"select * from {name}") == []  # noqa: S608


class TestMigrating:
    def test_an_empty_file_goes_through_every_script(self, path: Path) -> None:
        Ledger(path, NEWER).close()
        assert version(path) == len(NEWER)

    def test_an_older_ledger_keeps_its_rows(self, path: Path) -> None:
        with Ledger(path) as older:
            save(older, step())
        with Ledger(path, NEWER) as newer:
            assert newer.select("select name, colour from step") == [("n", None)]
            assert newer.select("select * from extra") == []
        assert version(path) == len(NEWER)

    def test_a_ledger_of_the_first_version_is_read_on(self, path: Path) -> None:
        with Ledger(path, MIGRATIONS[:1]) as older, older.writing():
            older.execute(
                "insert into dbt_invocation (invocation_id, run_id, started_us, heard_us, command, "
                "arguments) values ('i', 'r', 1, 2, 'build', '[\"build\"]')"
            )
        with Ledger(path) as newer:
            (found,) = newer.rows(DbtInvocation)
        assert (found.arguments, found.parsed_us) == (["build"], None)

    def test_happens_once(self, path: Path) -> None:
        Ledger(path, NEWER).close()
        Ledger(path, NEWER).close()  # `alter table` would fail a second time
        assert version(path) == len(NEWER)

    def test_a_script_may_end_without_a_semicolon(self, path: Path) -> None:
        with Ledger(path, (*MIGRATIONS, "create table extra (a text)")) as newer:
            assert newer.select("select * from extra") == []

    def test_that_fails_leaves_the_older_ledger_as_it_was(self, path: Path) -> None:
        with Ledger(path) as older:
            save(older, step())
        broken = (*MIGRATIONS, "create table extra (a text);\ncreate nonsense;\n")
        with pytest.raises(LedgerError, match=r"^Cannot .*nonsense"):
            Ledger(path, broken)
        assert version(path) == len(MIGRATIONS)
        with Ledger(path) as older:
            assert len(older.rows(Step)) == 1
            assert older.select("select 1 from sqlite_schema where name = 'extra'") == []

    def test_a_newer_ledger_is_refused_and_left_as_it_is(self, path: Path) -> None:
        Ledger(path, NEWER).close()
        with pytest.raises(LedgerError, match=r"has version \d+ .* update the project") as error:
            Ledger(path)
        assert "\n" not in str(error.value)
        assert version(path) == len(NEWER)

    def test_waits_for_another_that_makes_the_file(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        opened: list[bool] = []

        def open_it() -> None:
            with Ledger(path):
                opened.append(True)

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            other.execute("create table somebody_was_here (a text)")
            thread = threading.Thread(target=open_it)
            thread.start()
            thread.join(0.3)
            other.execute("commit")
            thread.join()
        assert opened == [True]

    def test_by_several_processes_at_once_happens_once(self, path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from orchestrate.ledger.store import Ledger\n"
            "print('ready', flush=True); sys.stdin.readline(); Ledger(Path(sys.argv[1])).close()"
        )
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(path)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in started]
        assert errors == ["", "", ""]
        assert version(path) == len(MIGRATIONS)


class TestRows:
    def test_come_back_as_they_were_given(self, ledger: Ledger) -> None:
        run = PipelineRun(
            run_id="r",
            trace_id="t",
            span_id="s",
            started_us=1_795_293_277_343_325,
            heard_us=2,
            planned_steps=["tap-sentry", 'quote " and ü'],
            arguments=[],
            result=Result.KILLED,
        )
        node = ManifestNode(
            manifest_hash="h",
            unique_id="u",
            resource_type="model",
            name="n",
            package="p",
            tags=["daily"],
            config={"meta": {"owner": None, "sizes": [1, 2.5, True]}},
        )
        save(ledger, run, node)
        assert ledger.rows(PipelineRun) == [run]
        assert type(ledger.rows(PipelineRun)[0].result) is Result
        assert ledger.rows(ManifestNode) == [node]

    @pytest.mark.parametrize("result", [*Result, None])
    def test_keep_every_result(self, ledger: Ledger, result: Result | None) -> None:
        save(ledger, step(result=result))
        assert ledger.rows(Step)[0].result is result

    def test_keep_lists_as_json_and_results_as_words(self, ledger: Ledger) -> None:
        run = PipelineRun(
            run_id="r", trace_id="t", span_id="s", started_us=1, heard_us=1,
            planned_steps=["a"], result=Result.SUCCESS,
        )  # fmt: skip
        save(ledger, run)
        assert ledger.select("select planned_steps, arguments, result from pipeline_run") == [
            ('["a"]', "[]", "success")
        ]

    def test_of_the_same_key_replace_each_other(self, ledger: Ledger) -> None:
        save(ledger, step(name="old", error="e"), step(1))
        save(ledger, step(name="new"))
        rows = ledger.rows(Step, then="order by position")
        assert [(row.name, row.error) for row in rows] == [("new", None), ("n", None)]

    def test_can_be_chosen_ordered_and_limited(self, ledger: Ledger) -> None:
        save(ledger, *(step(position) for position in range(5)))
        found = ledger.rows(Step, "position > ?", [1], "order by position desc limit 2")
        assert [row.position for row in found] == [4, 3]

    def test_of_the_wrong_type_are_refused(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match=r"^Cannot write the ledger"):
            save(ledger, step(started_us="yesterday"))
        assert ledger.rows(Step) == []

    @pytest.mark.parametrize("table", TABLES)
    def test_of_every_table_can_be_saved(self, ledger: Ledger, table: type[Row]) -> None:
        values = {
            field.name: "x" if field.type is str else 1
            for field in msgspec.structs.fields(table)
            if field.required
        }
        row = msgspec.convert(values, table)
        save(ledger, row)
        assert ledger.rows(table) == [row]


class TestWriting:
    def test_keeps_nothing_after_an_error(self, ledger: Ledger) -> None:
        save(ledger, step(0))

        def fail() -> None:
            with ledger.writing():
                ledger.save([step(1)])
                ledger.execute("delete from step where position = 0")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert [row.position for row in ledger.rows(Step)] == [0]
        save(ledger, step(2))
        assert len(ledger.rows(Step)) == 2

    def test_is_seen_by_others_only_when_whole(self, ledger: Ledger, path: Path) -> None:
        with Ledger(path) as reader:
            with ledger.writing():
                ledger.save([step()])
                assert reader.rows(Step) == []
            assert len(reader.rows(Step)) == 1

    def test_counts_the_rows_a_statement_changes(self, ledger: Ledger) -> None:
        save(ledger, *(step(position) for position in range(5)))
        with ledger.writing():
            assert ledger.execute("delete from step where position < ?", [3]) == 3

    def test_says_in_one_line_what_sqlite_refuses(self, ledger: Ledger) -> None:
        with (
            pytest.raises(LedgerError, match=r"^Cannot write the ledger .*no such table"),
            ledger.writing(),
        ):
            ledger.execute("delete from missing")
        with pytest.raises(LedgerError, match=r"^Cannot read the ledger .*no such table"):
            ledger.select("select * from missing")
        with (
            pytest.raises(LedgerError, match=r"^Cannot write the ledger .*VACUUM"),
            ledger.writing(),
        ):
            ledger.vacuum()

    def test_gives_room_back(self, ledger: Ledger) -> None:
        lines = [
            LogEvent(run_id="r", number=n, at_us=1, level="info", source="s", text="x" * 4000)
            for n in range(100)
        ]
        save(ledger, *lines)
        with ledger.writing():
            ledger.execute("delete from log_event")
        ledger.vacuum()
        ledger.select("pragma wal_checkpoint(truncate)")
        assert ledger.path.stat().st_size < 300_000


class TestAFileThatCannotBeUsed:
    @pytest.mark.parametrize(
        ("make", "told"),
        [
            (lambda path: path.write_bytes(b"no database " * 100), "It is no ledger: move it away"),
            (lambda path: path.mkdir(), "unable to open database file"),
            (lambda path: path.symlink_to(path / "loop"), "unable to open database file"),
        ],
        ids=["text", "directory", "endless link"],
    )
    def test_is_told_in_one_line(self, tmp_path: Path, make: Any, told: str) -> None:
        path = tmp_path / "ledger.db"
        make(path)
        with pytest.raises(LedgerError, match=rf"^Cannot open the ledger .*{told}") as error:
            Ledger(path)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)

    def test_may_have_a_file_where_its_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(LedgerError, match=r"^Cannot open the ledger .* Make the place"):
            Ledger(tmp_path / "file/ledger.db")

    def test_damaged_is_told_with_what_to_do(self, path: Path) -> None:
        with Ledger(path) as ledger:
            save(ledger, *(step(position, name="x" * 500) for position in range(100)))
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        with (
            pytest.raises(LedgerError, match="It is damaged: move it away"),
            Ledger(path) as ledger,
        ):
            ledger.rows(Step)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
    def test_read_only_is_told_with_what_to_do(self, path: Path) -> None:
        Ledger(path).close()
        path.chmod(0o400)
        with Ledger(path) as ledger, pytest.raises(LedgerError, match="folder writable"):
            save(ledger, step())
