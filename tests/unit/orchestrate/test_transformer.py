"""The parts of the dbt launcher that need no dbt: paths, lines, archive, copy, summary."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import duckdb
import pytest

from orchestrate.ledger.dbt import manifests
from orchestrate.transformer import archive, publication, summary
from orchestrate.transformer.console import Listener, is_short, told
from orchestrate.transformer.invocations import Record
from orchestrate.transformer.paths import CHECKOUT, Paths
from orchestrate.transformer.publication import PublicationError, publish

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


class TestPaths:
    def test_follow_project_and_environment(self, tmp_path: Path) -> None:
        paths = Paths.of({"MELTANO_PROJECT_ROOT": str(tmp_path), "MELTANO_ENVIRONMENT": "prod"})
        assert paths.warehouse == tmp_path / "output/prod/warehouse.duckdb"
        assert paths.published == tmp_path / "output/prod/published/warehouse.duckdb"
        assert paths.project == tmp_path / "transform"
        assert paths.shown(paths.published) == "output/prod/published/warehouse.duckdb"

    def test_are_the_demo_of_this_checkout_without_any_variable(self) -> None:
        assert Paths.of({}).warehouse == CHECKOUT / "output/demo/warehouse.duckdb"
        assert Paths.of({"MELTANO_ENVIRONMENT": "", "DBT_WAREHOUSE_PATH": ""}) == Paths.of({})

    def test_are_given_to_dbt_unless_set_on_purpose(self, tmp_path: Path) -> None:
        environ = {"DBT_LOG_PATH": "elsewhere", "MELTANO_RUN_ID": "r1", "DBT_TARGET_PATH": ""}
        Paths.of({"DBT_WAREHOUSE_PATH": str(tmp_path / "w.duckdb")}).give_to_dbt(environ)
        assert environ["DBT_WAREHOUSE_PATH"] == str(tmp_path / "w.duckdb")
        assert environ["DBT_TARGET_PATH"] == str(tmp_path / "dbt/target")
        assert environ["DBT_LOG_PATH"] == "elsewhere"
        assert environ["DBT_ENV_CUSTOM_ENV_MELTANO_RUN_ID"] == "r1"


def event(name: str, level: str = "info", text: str = "", **data: Any) -> Any:
    info = SimpleNamespace(name=name, level=level, msg=text, invocation_id="i1")
    return SimpleNamespace(info=info, data=SimpleNamespace(**data))


def result(level: str = "info") -> Any:
    node = SimpleNamespace(node_name="dim_team", materialized="table", resource_type="model")
    return event("LogModelResult", level, "long", node_info=node, execution_time=0.125)


class TestConsole:
    @pytest.mark.parametrize(
        ("given", "line"),
        [
            (result(), "ok      0.12 s  dim_team (table)"),
            (result("error"), "ERROR   0.12 s  dim_team (table)"),
            (event("LogStartLine", text="1 of 2 START"), None),
            (event("LogTestResult", text="PASS"), None),
            (event("LogTestResult", "error", "\x1b[31mFAIL\x1b[0m one \n\n two"), "FAIL one\n two"),
            (event("Formatting", "warn", " \n"), None),
        ],
    )
    def test_says_models_and_troubles_only(self, given: Any, line: str | None) -> None:
        assert told(given) == line

    @pytest.mark.parametrize(
        ("arguments", "short"),
        [
            (["build"], True),
            (["source", "freshness"], True),
            (["build", "--log-level", "debug"], False),
            (["ls"], False),
            (["--version"], False),
        ],
    )
    def test_leaves_commands_that_answer_to_dbt(self, arguments: list[str], short: bool) -> None:
        assert is_short(arguments) is short

    def test_knows_the_invocation_and_whether_an_error_was_told(self) -> None:
        lines: list[str] = []
        listener = Listener(speaks=True, tell=lines.append)
        listener(result())
        assert (listener.invocation_id, listener.told, len(lines)) == ("i1", False, 1)
        listener(result("error"))
        assert listener.told

    def test_goes_on_in_silence_when_who_listened_is_gone(self) -> None:
        text = "from orchestrate.transformer.console import say\nfor n in range(3): say('x')"
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as nobody:
            ended = subprocess.run(
                [sys.executable, "-c", text], stdout=nobody, stderr=subprocess.PIPE, check=False
            )
        assert (ended.returncode, ended.stderr) == (0, b"")

    def test_says_once_that_it_began_and_once_that_the_project_is_read(self) -> None:
        calls: list[str] = []
        listener = Listener(
            speaks=False, begun=calls.append, read=lambda: calls.append("the project is read")
        )
        for name in ("MainReportVersion", "NodeStart", "NodeStart"):
            listener(event(name))
        assert calls == ["i1", "the project is read"]


def archived(target: Path, runs: Path, name: str = "i1", minutes: int = 0) -> archive.Archive:
    started = NOON + timedelta(minutes=minutes)
    invocation = archive.Invocation(
        name, ("build",), started, "demo", "warehouse", "a host", 7, "run-1", None
    )
    return archive.Archive(invocation, target, runs)


def ended(target: Path, runs: Path, name: str = "i1", minutes: int = 0) -> Path:
    one = archived(target, runs, name, minutes)
    one.begin()
    one.end(NOON + timedelta(minutes=minutes, seconds=5), 0)
    return one.folder


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "invocation.json").read_text())
    return found


def write_artifacts(target: Path, invocation_id: str, project: str = "one") -> None:
    target.mkdir(exist_ok=True)
    metadata = {"invocation_id": invocation_id, "generated_at": invocation_id}
    node = {"created_at": hash(invocation_id), "code": project}
    manifest = {"metadata": metadata, "nodes": {"a": node}}
    (target / "manifest.json").write_text(json.dumps(manifest))
    (target / "run_results.json").write_text(json.dumps({"metadata": metadata}))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


class TestArchive:
    def test_tells_from_the_beginning_who_runs_what_since_when(
        self, target: Path, runs: Path
    ) -> None:
        one = archived(target, runs)
        one.begin()
        assert one.folder.name == "20261120T120000Z-i1"
        assert facts(one.folder) == {
            "invocation_id": "i1",
            "arguments": ["build"],
            "started_at": "2026-11-20T12:00:00+00:00",
            "finished_at": None,
            "exit_code": None,
            "environment": "demo",
            "target": "warehouse",
            "host": "a host",
            "pid": 7,
            "run_id": "run-1",
            "traceparent": None,
            "manifest": None,
        }

    def test_names_the_manifest_while_the_invocation_is_under_way(
        self, target: Path, runs: Path
    ) -> None:
        one = archived(target, runs)
        one.begin()
        write_artifacts(target, "i1")
        one.keep_manifest()
        assert facts(one.folder)["finished_at"] is None
        kept = runs / facts(one.folder)["manifest"]
        assert json.loads(kept.read_text())["nodes"]["a"]["code"] == "one"
        # What dbt writes once more at the end is the same project.
        (target / "manifest.json").write_text("{half")
        one.end(NOON, 1)
        assert facts(one.folder)["exit_code"] == 1
        assert runs / facts(one.folder)["manifest"] == kept

    def test_keeps_what_the_invocation_wrote_and_no_older_artifact(
        self, target: Path, runs: Path
    ) -> None:
        write_artifacts(target, "i1")
        (target / "sources.json").write_text(json.dumps({"metadata": {"invocation_id": "i0"}}))
        kept = ended(target, runs)
        assert {path.name for path in kept.iterdir()} == {"invocation.json", "run_results.json"}
        assert facts(kept)["finished_at"] == "2026-11-20T12:00:05+00:00"
        manifest = json.loads((runs / facts(kept)["manifest"]).read_text())
        assert manifest["nodes"]["a"]["code"] == "one"

    def test_stores_equal_manifests_once(self, target: Path, runs: Path) -> None:
        for minute, project in enumerate(["one", "one", "two"]):
            write_artifacts(target, f"i{minute}", project)
            ended(target, runs, f"i{minute}", minute)
        assert len(list((runs / "manifests").iterdir())) == 2

    def test_forgets_all_but_the_newest_and_their_manifests(self, target: Path, runs: Path) -> None:
        for minute in range(5):
            write_artifacts(target, f"i{minute}", f"project {minute}")
            ended(target, runs, f"i{minute}", minute)
        archive.drop_old(runs, 2)
        assert sorted(path.name[-2:] for path in runs.glob("2026*")) == ["i3", "i4"]
        assert len(list((runs / "manifests").iterdir())) == 2

    def test_forgets_what_is_old_though_a_newer_one_is_broken(
        self, target: Path, runs: Path
    ) -> None:
        for minute in range(3):
            write_artifacts(target, f"i{minute}", f"project {minute}")
            folder = ended(target, runs, f"i{minute}", minute)
        (folder / "invocation.json").write_bytes(b"")  # the machine fell
        archive.drop_old(runs, 2)
        assert sorted(path.name[-2:] for path in runs.glob("2026*")) == ["i1", "i2"]
        assert len(list((runs / "manifests").iterdir())) == 1

    def test_what_is_under_way_counts_as_one_of_the_newest(self, target: Path, runs: Path) -> None:
        for minute in range(2):
            write_artifacts(target, f"i{minute}", f"project {minute}")
            ended(target, runs, f"i{minute}", minute)
        under_way = archived(target, runs, "i2", 2)
        under_way.begin()
        write_artifacts(target, "i2", "project 2")
        under_way.keep_manifest()
        archive.drop_old(runs, 2)
        assert sorted(path.name[-2:] for path in runs.glob("2026*")) == ["i1", "i2"]
        assert (runs / facts(under_way.folder)["manifest"]).exists()

    def test_a_command_that_wrote_nothing_is_kept_too(self, target: Path, runs: Path) -> None:
        assert facts(ended(target, runs))["manifest"] is None

    def test_an_artifact_that_cannot_be_kept_leaves_no_half_and_the_end_is_told(
        self, target: Path, runs: Path
    ) -> None:
        write_artifacts(target, "i1")
        one = archived(target, runs)
        one.begin()
        (one.folder / "run_results.json").mkdir()
        with pytest.raises(OSError, match="run_results"):
            one.end(NOON, 0)
        assert facts(one.folder)["exit_code"] == 0
        assert not list(runs.rglob("*.partial"))

    def test_half_an_artifact_is_told_and_not_kept(self, target: Path, runs: Path) -> None:
        write_artifacts(target, "i1")
        (target / "run_results.json").write_text('{"metadata": {"invoc')
        one = archived(target, runs)
        with pytest.raises(ValueError, match="Unterminated"):
            one.end(NOON, 2)
        assert facts(one.folder)["exit_code"] == 2
        assert [path.name for path in one.folder.iterdir()] == ["invocation.json"]


class TestRecord:
    def test_of_an_invocation_that_cannot_be_written_is_one_line_and_no_error(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paths = Paths.of({"MELTANO_PROJECT_ROOT": str(tmp_path)})
        paths.dbt.parent.mkdir(parents=True)
        paths.dbt.write_text("in the way")
        record = Record(["build"], paths, "warehouse")
        record.begin("i1")
        record.keep_manifest()
        record.end(0)
        assert "WARN  Artifacts of this invocation are not kept" in capsys.readouterr().out


class TestManifestHash:
    NODE: ClassVar[dict[str, Any]] = {
        "raw_code": "select 1",
        "created_at": 1.5,
        "depends_on": {"nodes": ["model.p.a"], "macros": ["macro.p.m"]},
    }

    def hash_of(self, **changes: Any) -> str:
        node = self.NODE | changes
        manifest = {"metadata": {"invocation_id": repr(changes)}, "nodes": {"model.p.b": node}}
        return manifests.digest(manifest | {"disabled": {"model.p.c": [node]}})

    @pytest.mark.parametrize(
        "changes",
        [
            {"created_at": 2.5},
            {"compiled": True, "compiled_code": "select 1", "compiled_path": "a/b.sql"},
            {"extra_ctes_injected": True, "extra_ctes": [], "build_path": "run/b.sql"},
            {"depends_on": {"nodes": ["model.p.a"], "macros": ["macro.p.m", "macro.dbt.is_x"]}},
        ],
    )
    def test_is_the_same_before_a_build_and_after(self, changes: dict[str, Any]) -> None:
        assert self.hash_of(**changes) == self.hash_of()

    @pytest.mark.parametrize(
        "changes",
        [
            {"raw_code": "select 2"},
            {"depends_on": {"nodes": [], "macros": ["macro.p.m"]}},
            {"config": {"tags": ["x"]}},
        ],
    )
    def test_differs_for_another_project(self, changes: dict[str, Any]) -> None:
        assert self.hash_of(**changes) != self.hash_of()


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema sentry")
        connection.execute("create table sentry.issues as select 1 as id, now() as _sdc_at")
        connection.execute("create schema marts")
        connection.execute("create table marts.daily as select date '2026-11-20' as day, 1 as n")
        connection.execute("create view marts.plain as select id from warehouse.sentry.issues")
    return path


class TestPublication:
    def test_readers_see_the_old_copy_or_the_new(self, warehouse: Path) -> None:
        published = warehouse.parent / "published" / "warehouse.duckdb"
        publish(warehouse, published)
        with duckdb.connect(str(published), read_only=True) as reader:
            with duckdb.connect(str(warehouse)) as writer:
                writer.execute("insert into sentry.issues select 2, now()")
            publish(warehouse, published)
            assert reader.execute("select count(*) from sentry.issues").fetchone() == (1,)
        with duckdb.connect(str(published), read_only=True) as reader:
            assert reader.execute("select count(*) from marts.plain").fetchone() == (2,)
        assert not published.stat().st_mode & stat.S_IWUSR
        assert [path.name for path in published.parent.iterdir()] == ["warehouse.duckdb"]

    def test_a_failure_leaves_what_was_there_and_nothing_else(self, warehouse: Path) -> None:
        published = warehouse.parent / "published" / "warehouse.duckdb"
        (published / "in the way").mkdir(parents=True)
        with pytest.raises(PublicationError, match="The previous copy stays"):
            publish(warehouse, published)
        assert [path.name for path in published.parent.iterdir()] == ["warehouse.duckdb"]
        assert (published / "in the way").exists()

    def test_what_a_killed_run_left_is_removed(self, warehouse: Path) -> None:
        published = warehouse.parent / "published" / "warehouse.duckdb"
        published.parent.mkdir()
        (published.parent / ".warehouse.duckdb.1.partial").write_bytes(b"half")
        publish(warehouse, published)
        assert [path.name for path in published.parent.iterdir()] == ["warehouse.duckdb"]


class TestMissingRows:
    def content(self, name: str, rows: int) -> summary.Content:
        return summary.Content(summary.Relation("sentry", name, None), rows, None)

    @pytest.mark.parametrize("now", [{"spans": 59}, {}])
    def test_stop_the_publication_with_what_to_do(self, now: dict[str, int]) -> None:
        before = [self.content("spans", 21_326)]
        with pytest.raises(publication.PublicationError, match="spans fell from 21,326 rows to"):
            publication.check_nothing_is_missing(
                before, [self.content(name, rows) for name, rows in now.items()], "the copy"
            )

    def test_are_none_where_tables_grew_or_are_new(self) -> None:
        before = [self.content("spans", 1), self.content("events", 2)]
        now = [self.content("spans", 1), self.content("events", 3), self.content("issues", 1)]
        publication.check_nothing_is_missing(before, now, "the copy")


MANIFEST: dict[str, Any] = {
    "sources": {
        "a": {"schema": "sentry", "identifier": "issues", "loaded_at_field": "_sdc_at"},
        "b": {"schema": "sentry", "identifier": "not_selected", "loaded_at_field": "_sdc_at"},
    },
    "nodes": {
        name: {
            "resource_type": "model",
            "schema": "marts",
            "alias": name,
            "fqn": ["sentry", *folders, name],
            "config": {"meta": meta},
        }
        for name, folders, meta in [
            ("plain", ["marts", "people"], {}),
            ("daily", ["marts", "metrics"], {"time_column": "day"}),
            ("stg", ["staging"], {}),
        ]
    },
}


class TestSummary:
    def test_lists_every_raw_table_and_mart_that_exists(self, warehouse: Path) -> None:
        with duckdb.connect(str(warehouse)) as connection:
            raw = list(summary.contents(connection, summary.raw_tables(MANIFEST)))
            marts = summary.marts(MANIFEST)
            assert list(marts) == ["metrics", "people"]
            found = {name: list(summary.contents(connection, of)) for name, of in marts.items()}
        assert [(row.relation.name, row.rows) for row in raw] == [("issues", 1)]
        lines = summary.table({"raw table": raw, **found})
        assert lines[3:] == [
            "daily                 1  2026-11-20",
            "people             rows  newest (UTC)",
            "plain                 1  -",
        ]

    def test_tells_of_a_raw_table_its_own_newest_time_before_that_of_its_load(self) -> None:
        source = {"schema": "sentry", "identifier": "events", "loaded_at_field": "_sdc_at"}
        dated = {**source, "config": {"meta": {"time_column": "datecreated"}}}
        found = summary.raw_tables({"sources": {"a": source, "b": dated}})
        assert {relation.time_column for relation in found} == {"_sdc_at", "datecreated"}

    def test_says_what_to_do_next_and_how_to_leave_the_demo(self) -> None:
        marts = [summary.Relation("marts", "daily", None)]
        demo = summary.next_steps(Paths.of({}), marts)
        assert "output/demo/published/warehouse.duckdb" in demo[0]
        assert "dbt show --select daily" in demo[1]
        assert "TAP_SENTRY_API_TOKEN" in demo[2]
        assert len(summary.next_steps(Paths.of({"MELTANO_ENVIRONMENT": "prod"}), marts)) == 2
