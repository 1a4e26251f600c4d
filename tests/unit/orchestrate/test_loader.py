"""The parts of the loader that need no target-duckdb: messages, one batch, what is refused."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrate import warehouse
from orchestrate.loader import batch
from orchestrate.loader.__main__ import drain, read_config
from orchestrate.loader.errors import LoadError
from orchestrate.loader.messages import Messages, decode, encode
from orchestrate.loader.refusals import explain

SCHEMA = b'{"type":"SCHEMA","stream":"issues","schema":{},"key_properties":["id"]}\n'
RECORD = b'{"type":"RECORD","stream":"issues","record":{"id":"1"}}\n'
STATE = b'{"type":"STATE","value":{"bookmarks":{"issues":1}}}\n'


class TestMessages:
    def test_a_schema_that_says_nothing_new_is_left_out(self) -> None:
        given = Messages([SCHEMA, RECORD, SCHEMA, RECORD, SCHEMA.replace(b"{}", b'{"a":1}')])
        kinds = [message["type"] for message in given]
        assert kinds == ["SCHEMA", "RECORD", "RECORD", "SCHEMA"]

    def test_keeps_the_newest_state(self) -> None:
        given = Messages([STATE.replace(b"1", b"0"), STATE])
        assert len(list(given)) == 2
        assert given.last_state == {"bookmarks": {"issues": 1}}

    def test_a_cut_last_line_ends_it_without_an_error(self) -> None:
        given = Messages([SCHEMA, RECORD[:-9]])
        assert [message["type"] for message in given] == ["SCHEMA"]
        assert given.cut

    @pytest.mark.parametrize("line", [b"Hello\n", b"{}\n", b"[1]\n", b'{"type":"BATCH"}\n'])
    def test_names_the_line_that_is_no_message_but_not_its_content(self, line: bytes) -> None:
        with pytest.raises(LoadError, match="Line 2 of the tap's output") as refused:
            list(Messages([SCHEMA, line]))
        assert "Hello" not in str(refused.value)


class TestJson:
    @pytest.mark.parametrize("line", [b"NaN", b"[1e400]", b'"\\ud800"', b"123456789012345678901"])
    def test_reads_what_python_reads(self, line: bytes) -> None:
        assert repr(decode(line)) == repr(json.loads(line))

    def test_half_a_surrogate_pair_becomes_text(self) -> None:
        assert json.loads(encode({"a": "\ud800"})) in ({"a": "\ud800"}, {"a": "?"})


class Sync:
    """What `batch` uses of target-duckdb's DbSync, for the table `issues` with the key id."""

    def __init__(self) -> None:
        self.conn = duckdb.connect()
        self.data_flattening_max_level = 0
        self.stream_schema_message = {"stream": "issues", "key_properties": ["id"]}
        self.flatten_schema = {
            "id": {"type": "varchar"},
            "text": {"type": "varchar"},
            "more": {"type": "varchar"},
            "data": {"type": "json"},
        }
        self.conn.execute(self.create_table_query("issues"))

    def create_table_query(self, table_name: str) -> str:
        columns = "id varchar, text varchar, more varchar, data json"
        return f"CREATE TABLE {table_name} ({columns}, PRIMARY KEY (id))"

    def update_from_temp_table(self, name: str) -> str:
        changes = "text = t.text, more = t.more, data = t.data"
        return f"update issues set {changes} from {name} t where issues.id = t.id"  # noqa: S608

    def insert_from_temp_table(self, name: str) -> str:
        return (
            f"insert into issues select s.* from {name} s "  # noqa: S608
            "left join issues t using (id) where t.id is null"
        )


DB_SYNC = SimpleNamespace(column_type=lambda schema: schema["type"])


@pytest.fixture
def sync() -> Iterator[Sync]:
    made = Sync()
    yield made
    made.conn.close()


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = st.sampled_from(
    ["NULL", "null", "\\N", '"', '""', ",", "\\", "\r", "\n", "\r\n", "\0", "\ufeff", " ", "'", "#"]
)
TEXT = ANY_TEXT | NASTY | st.lists(NASTY | ANY_TEXT, max_size=5).map("".join)


class TestBatch:
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(TEXT, TEXT, TEXT | st.none(), TEXT), unique_by=lambda row: row[0]))
    @example([("", "", None, "")])
    @example([("id", "text", "more", "data")])
    @example([("\ufeff", "", None, "")])
    @example([("1", "x" * 2_000_000, "é" * 1_000_000, "y" * 10)])
    def test_any_text_comes_back_as_it_was(
        self, sync: Sync, tmp_path: Path, given: list[tuple[str, str, str | None, str]]
    ) -> None:
        sync.conn.execute("delete from issues")
        records = [
            {"id": key, "text": text, "more": more, "data": {"deep": [data, None]}}
            for key, text, more, data in given
        ]
        batch.store(sync, batch.rows(sync, records, DB_SYNC), len(records), tmp_path)
        found = sync.conn.execute("select * from issues").fetchall()
        stored = batch.without_nul if batch.CSV_REFUSES_NUL else str
        expected = {
            (stored(key), stored(text) or None, stored(more or "") or None, data)
            for key, text, more, data in given
        }
        assert {
            (key, text, more, json.loads(data)["deep"][0]) for key, text, more, data in found
        } == expected
        assert list(tmp_path.iterdir()) == []

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.recursive(st.none() | st.booleans() | st.integers() | ANY_TEXT, st.lists))
    def test_any_nested_value_comes_back_as_it_was(
        self, sync: Sync, tmp_path: Path, value: Any
    ) -> None:
        sync.conn.execute("delete from issues")
        records = [{"id": "1", "data": value, "text": [value]}]
        batch.store(sync, batch.rows(sync, records, DB_SYNC), 1, tmp_path)
        [(data, text)] = sync.conn.execute("select data, text from issues").fetchall()
        assert (None if data is None else json.loads(data)) == value
        assert json.loads(text) == [value]

    def test_all_of_it_or_nothing(self, sync: Sync, tmp_path: Path) -> None:
        records = [{"id": "1"}, {"id": "2"}]
        with pytest.raises(LoadError, match="Of 3 rows of issues DuckDB read 2"):
            batch.store(sync, batch.rows(sync, records, DB_SYNC), 3, tmp_path)
        assert sync.conn.execute("select count(*) from issues").fetchone() == (0,)
        assert list(tmp_path.iterdir()) == []


class TestSettings:
    def test_all_streams_are_always_stored_together(self, tmp_path: Path) -> None:
        given = {"filepath": "a.duckdb", "default_target_schema": "s", "flush_all_streams": False}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(given))
        assert read_config(path)["flush_all_streams"] is True

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"filepath": "md:cloud"}'])
    def test_without_a_file_nothing_starts(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "config.json"
        path.write_text(content)
        with pytest.raises(LoadError):
            read_config(path)


class TestRefusals:
    def test_name_the_column_and_never_the_value(self) -> None:
        with duckdb.connect() as connection:
            connection.execute("create table t (n bigint)")
            with pytest.raises(duckdb.Error) as refused:
                connection.execute("insert into t values ('secret')")
        assert "secret" not in explain(refused.value, "store 1 rows of issues")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
    def test_a_full_disk_is_called_so(self, number: int) -> None:
        assert "the disk is full" in explain(OSError(number, "no"), "store 1 rows of issues")


class TestDrain:
    def test_reads_to_the_end_but_waits_for_nobody(self) -> None:
        source, sink = os.pipe()
        os.write(sink, b"left behind")
        drain(source, seconds=0.05)
        os.write(sink, b"and more")
        os.close(sink)
        drain(source, seconds=60)
        assert os.read(source, 1) == b""
        os.close(source)


class TestWarehouse:
    def test_waits_for_a_lock_to_go_away_and_says_so_once(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "warehouse.duckdb"
        warehouse.connect(path).close()
        said: list[str] = []
        with held(path) as holder:

            def sleep(_: float) -> None:
                holder.kill()
                holder.wait()

            warehouse.connect(path, wait_seconds=5, say=said.append, sleep=sleep).close()
        assert len(said) == 1
        assert f"another process (python{sys.version_info[0]}" in said[0]

    def test_gives_up_with_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "warehouse.duckdb"
        warehouse.connect(path).close()
        ticks = iter(range(100))
        with held(path) as holder:
            with pytest.raises(
                warehouse.WarehouseError, match="open in another process"
            ) as refused:
                warehouse.connect(
                    path, wait_seconds=3, clock=lambda: next(ticks), sleep=lambda _: None
                )
            holder.kill()
        assert "\n" not in str(refused.value)

    def test_a_file_of_another_kind_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "warehouse.duckdb"
        path.write_text("a letter to my aunt " * 1000)
        with pytest.raises(warehouse.WarehouseError, match="it is no DuckDB file"):
            warehouse.connect(path)
        assert path.read_text().startswith("a letter")


def held(path: Path) -> subprocess.Popen[str]:
    """Another process that has the file open."""
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    return process
