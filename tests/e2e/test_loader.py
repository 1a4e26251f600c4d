"""The launcher of target-duckdb and the released target itself, each as a process."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.plugins import Target, record, schema, state

pytestmark = pytest.mark.slow

TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["integer", "null"], "maximum": 9223372036854775807}
TIME = {"type": ["string", "null"], "format": "date-time"}
NESTED = {"type": ["object", "null"]}
FIELDS = {"id": {"type": "string"}, "title": TEXT, "count": NUMBER, "seen": TIME, "tags": NESTED}


@pytest.fixture
def target(loader_bin: Path, tmp_path: Path) -> Target:
    return Target(loader_bin / "target-duckdb-launcher", tmp_path)


def issues(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    for number in range(first, first + count):
        yield record(
            "issues",
            id=str(number),
            title=f'say "{number}", twice',
            count=2**60 + number,
            seen="2026-11-20T10:00:00.000001Z",
            tags={"level": ["error", number]},
        )


def rows(target: Target, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(target.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def files(target: Target) -> set[str]:
    return {path.name for path in target.warehouse.parent.iterdir()}


class TestRowsInAreRowsOut:
    @pytest.mark.parametrize("count", [1, 9_999, 10_000, 10_001])
    def test_at_the_edges_of_a_batch(self, target: Target, count: int) -> None:
        loaded = target.load([schema("issues", FIELDS), *issues(count), state(issues=count)])
        assert loaded.exit_code == 0, loaded.log
        assert rows(target, "select count(*), count(distinct id) from sentry.issues") == [
            (count, count)
        ]
        assert loaded.states[-1] == {"bookmarks": {"issues": count}}

    def test_every_column_is_what_was_sent(self, target: Target) -> None:
        assert target.load([schema("issues", FIELDS), *issues(1)]).exit_code == 0
        found = rows(
            target,
            "select id, title, count, typeof(count), seen::text, tags->>'level' from sentry.issues",
        )
        seen = "2026-11-20 10:00:00.000001"
        assert found == [("0", 'say "0", twice', 2**60, "BIGINT", seen, '["error",0]')]

    def test_a_stream_of_text_alone_with_one_row(self, target: Target) -> None:
        messages = [schema("teams", {"id": TEXT, "name": TEXT}), record("teams", id="1", name="a")]
        target.load(messages, add_metadata_columns=False)
        assert rows(target, "from sentry.teams") == [("1", "a")]

    def test_the_same_rows_again_change_nothing(self, target: Target) -> None:
        messages = [schema("issues", FIELDS), *issues(25)]
        query = "select columns(c -> c not like '%_sdc_%') from sentry.issues order by id"
        target.load(messages)
        before = rows(target, query)
        assert target.load(messages).exit_code == 0
        assert rows(target, query) == before

    def test_a_changed_row_replaces_the_old_one(self, target: Target) -> None:
        fields = {"id": TEXT, "title": TEXT}
        target.load([schema("issues", fields), record("issues", id="1", title="old")])
        target.load([schema("issues", fields), record("issues", id="1", title="new")])
        assert rows(target, "select id, title from sentry.issues") == [("1", "new")]

    def test_keys_with_commas_stay_apart(self, target: Target) -> None:
        keys = schema("pairs", {"a": TEXT, "b": TEXT, "n": NUMBER}, ("a", "b"))
        pairs = [("x", "y,z"), ("x,y", "z"), ("", "z"), ("NULL", "\\N")]
        target.load([keys, *(record("pairs", a=a, b=b, n=1) for a, b in pairs)])
        assert set(rows(target, "select a, b from sentry.pairs")) == set(pairs)

    def test_columns_that_are_all_keys(self, target: Target) -> None:
        messages = [
            schema("links", {"a": TEXT, "b": TEXT}, ("a", "b")),
            record("links", a="1", b="2"),
        ]
        for _ in range(2):
            assert target.load(messages, add_metadata_columns=False).exit_code == 0
        assert rows(target, "from sentry.links") == [("1", "2")]

    def test_a_line_of_five_megabytes(self, target: Target) -> None:
        title = "é" * 2_500_000
        messages = [
            schema("issues", FIELDS),
            record("issues", id="1", title=title, tags={"t": title}),
        ]
        loaded = target.load(messages)
        assert loaded.exit_code == 0, loaded.log
        assert rows(target, "select title, tags->>'t' from sentry.issues") == [(title, title)]

    def test_times_of_loading_are_utc(self, target: Target) -> None:
        target.load([schema("issues", FIELDS), *issues(1)])
        query = "select _sdc_extracted_at::text, _sdc_batched_at from sentry.issues"
        [(extracted, batched)] = rows(target, query)
        assert extracted == "2026-11-20 12:00:00"
        assert abs(batched.timestamp() - time.time()) < 24 * 3600


class TestReleasedTarget:
    def test_still_loses_the_first_row_of_a_batch(self, loader_bin: Path, tmp_path: Path) -> None:
        """Fails when a release is mended: then the launcher can go."""
        released = Target(loader_bin / "target-duckdb", tmp_path)
        released.warehouse.parent.mkdir()
        loaded = released.load([schema("issues", FIELDS), *issues(10)])
        assert loaded.exit_code == 0
        assert rows(released, "select count(*) from sentry.issues") == [(9,)]


class TestStates:
    def test_a_schema_that_comes_again_unchanged_stores_nothing_early(self, target: Target) -> None:
        messages: list[dict[str, Any]] = []
        for number in range(50):
            messages += [schema("issues", FIELDS), *issues(1, first=number)]
        loaded = target.load(messages)
        assert loaded.log.count("rows stored") == 1
        assert rows(target, "select count(*) from sentry.issues") == [(50,)]

    def test_the_newest_state_is_handed_out_though_no_row_follows(self, target: Target) -> None:
        messages = [schema("issues", FIELDS), state(issues=1), *issues(1), state(issues=2)]
        loaded = target.load([*messages, state(issues=3)], batch_size_rows=1)
        assert loaded.states[-1] == {"bookmarks": {"issues": 3}}
        alone = target.load([state(issues=3), state(issues=4)])
        assert alone.states[-1] == {"bookmarks": {"issues": 4}}

    def test_none_is_handed_out_for_rows_that_were_refused(self, target: Target) -> None:
        messages = [schema("issues", FIELDS), *issues(2), record("issues", id="x", count="many")]
        loaded = target.load([*messages, state(issues=3)])
        assert loaded.exit_code == 1
        assert loaded.states == []
        assert rows(target, "select count(*) from sentry.issues") == [(0,)]
        assert "Cannot store 3 rows of issues: a value of column count is no" in loaded.log
        assert "many" not in loaded.log
        assert "Traceback" not in loaded.log

    def test_what_came_before_a_cut_line_is_stored(self, target: Target) -> None:
        messages = [schema("issues", FIELDS), *issues(3), state(issues=3)]
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        loaded = target.load_lines(lines + b'{"type": "RECORD", "str')
        assert loaded.exit_code == 1
        assert loaded.states[-1] == {"bookmarks": {"issues": 3}}
        assert rows(target, "select count(*) from sentry.issues") == [(3,)]
        assert "ended in the middle of a message" in loaded.log


class TestRefusesInOneLine:
    def test_a_locked_warehouse(self, target: Target) -> None:
        target.warehouse.parent.mkdir()
        with duckdb.connect(str(target.warehouse)):
            loaded = target.load([schema("issues", FIELDS), *issues(1), state(issues=1)])
        assert loaded.exit_code == 1
        assert loaded.states == []
        assert "it is open in another process" in loaded.log
        assert len(loaded.log.splitlines()) == 2  # that it waits, that it gave up

    def test_a_version_it_does_not_know(self, target: Target, loader_bin: Path) -> None:
        script = (
            "import importlib.metadata as metadata, sys\n"
            "metadata.version = lambda name: '0.9.0'\n"
            "from orchestrate.loader.__main__ import main\n"
            "sys.argv = ['target', '--config', '-']\n"
            "sys.exit(main())\n"
        )
        refused = subprocess.run(
            [loader_bin / "python", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "mends target-duckdb 0.8.0, but 0.9.0 is installed" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    def test_a_full_disk(self, target: Target) -> None:
        target.load([schema("issues", FIELDS), *issues(1), state(issues=1)])
        limit = 3_000_000  # bytes a file may have: the system answers as on a full disk

        def few_bytes() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        lines = [schema("issues", FIELDS), *issues(60_000), state(issues=60_000)]
        sent = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        config = target.folder / "config.json"
        settings = json.loads(config.read_text()) | {"batch_size_rows": 60_000}
        config.write_text(json.dumps(settings))
        refused = subprocess.run(
            [target.command, "--config", config],
            input=sent,
            capture_output=True,
            check=False,
            preexec_fn=few_bytes,
        )
        assert refused.returncode == 1
        assert refused.stdout == b""
        assert b"the disk is full" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert rows(target, "select count(*) from sentry.issues") == [(1,)]
        assert files(target) == {"warehouse.duckdb"}

    def test_a_folder_that_can_not_be_made(self, target: Target) -> None:
        target.warehouse.parent.touch()
        loaded = target.load([schema("issues", FIELDS)])
        assert loaded.exit_code == 1
        assert "Cannot make the folder" in loaded.log

    @pytest.mark.parametrize(
        ("settings", "name"),
        [
            ({"filepath": None}, "filepath"),
            ({"default_target_schema": ""}, "default_target_schema"),
            ({"default_target_schema": "warehouse"}, "default_target_schema"),
            ({"batch_size_rows": 0}, "batch_size_rows"),
        ],
    )
    def test_a_wrong_setting(self, target: Target, settings: dict[str, Any], name: str) -> None:
        loaded = target.load([], **settings)
        assert loaded.exit_code == 1
        assert f"Setting {name} is" in loaded.log
        assert len(loaded.log.splitlines()) == 1


class TestKilled:
    def test_then_run_again_gives_the_same_table_and_leaves_nothing(self, target: Target) -> None:
        messages = [schema("issues", FIELDS), *issues(30_000), state(issues=1)]
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        process = target.start(batch_size_rows=1_000)
        assert process.stdin
        assert process.stdout
        process.stdin.write(lines[: len(lines) // 2])
        process.stdin.flush()
        with process:
            time.sleep(0.5)
            process.kill()
            process.stdin.close()
        with duckdb.connect(str(target.warehouse)) as connection:
            connection.execute("create table tmp_01234567_89ab_cdef_0123_456789abcdef (a int)")
        assert target.load_lines(lines).exit_code == 0
        query = "select count(*), count(distinct id), sum(count) from sentry.issues"
        assert rows(target, query) == [(30_000, 30_000, sum(2**60 + n for n in range(30_000)))]
        assert rows(target, "select table_name from duckdb_tables()") == [("issues",)]
        assert files(target) == {"warehouse.duckdb"}

    def test_asked_to_stop_it_hands_out_no_state_and_tidies_up(self, target: Target) -> None:
        with target.start() as process:
            assert process.stdin
            for message in [schema("issues", FIELDS), *issues(10), state(issues=10)]:
                process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            while not target.warehouse.exists():
                time.sleep(0.05)
            time.sleep(0.5)
            process.terminate()
            printed, log = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
        assert printed == b""
        assert b"Stopped." in log
        assert b"Traceback" not in log
        assert files(target) == {"warehouse.duckdb"}
