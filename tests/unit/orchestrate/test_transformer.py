"""The parts of the dbt launcher that need no dbt: paths, lines, archive, copy, summary."""

from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from orchestrate.transformer import archive, publication, summary
from orchestrate.transformer.console import Listener, is_short, told
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


def invocation(name: str, minutes: int = 0) -> archive.Invocation:
    started = NOON + timedelta(minutes=minutes)
    return archive.Invocation(name, ("build",), started, started, 0, "demo", "run-1", None)


def write_artifacts(target: Path, invocation_id: str, project: str = "one") -> None:
    target.mkdir(exist_ok=True)
    metadata = {"invocation_id": invocation_id, "generated_at": invocation_id}
    node = {"created_at": hash(invocation_id), "code": project}
    manifest = {"metadata": metadata, "nodes": {"a": node}}
    (target / "manifest.json").write_text(json.dumps(manifest))
    (target / "run_results.json").write_text(json.dumps({"metadata": metadata}))


class TestArchive:
    def test_keeps_what_the_invocation_wrote_and_no_older_artifact(self, tmp_path: Path) -> None:
        target, runs = tmp_path / "target", tmp_path / "runs"
        write_artifacts(target, "i1")
        (target / "sources.json").write_text(json.dumps({"metadata": {"invocation_id": "i0"}}))
        kept = archive.keep(invocation("i1"), target, runs)
        assert kept.name == "20261120T120000Z-i1"
        assert {path.name for path in kept.iterdir()} == {"invocation.json", "run_results.json"}
        facts = json.loads((kept / "invocation.json").read_text())
        assert facts["run_id"] == "run-1"
        assert json.loads((runs / facts["manifest"]).read_text())["nodes"]["a"]["code"] == "one"

    def test_stores_equal_manifests_once(self, tmp_path: Path) -> None:
        target, runs = tmp_path / "target", tmp_path / "runs"
        for minute, project in enumerate(["one", "one", "two"]):
            write_artifacts(target, f"i{minute}", project)
            archive.keep(invocation(f"i{minute}", minute), target, runs)
        assert len(list((runs / "manifests").iterdir())) == 2

    def test_forgets_all_but_the_newest_and_their_manifests(self, tmp_path: Path) -> None:
        target, runs = tmp_path / "target", tmp_path / "runs"
        for minute in range(5):
            write_artifacts(target, f"i{minute}", f"project {minute}")
            archive.keep(invocation(f"i{minute}", minute), target, runs, newest=2)
        kept = sorted(path.name[-2:] for path in runs.glob("2026*"))
        assert kept == ["i3", "i4"]
        assert len(list((runs / "manifests").iterdir())) == 2

    def test_a_command_that_wrote_nothing_is_kept_too(self, tmp_path: Path) -> None:
        kept = archive.keep(invocation("i1"), tmp_path / "target", tmp_path / "runs")
        assert json.loads((kept / "invocation.json").read_text())["manifest"] is None


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
