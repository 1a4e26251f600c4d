"""The rules of reuse, each on a project of a few nodes in a warehouse in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestrate.reuse import reports, state, waves
from orchestrate.reuse.analysis import Functions
from orchestrate.reuse.contents import Contents, Relation, Wanted
from orchestrate.reuse.decisions import BUILD, Decision, Reason, Rules
from orchestrate.reuse.project import Project
from orchestrate.reuse.recording import Built, Recorder, unknown
from orchestrate.reuse.state import Input, NodeRecord, State, relation_of

NOON = 1_795_262_400_000_000
MINUTE = 60_000_000


def node(name: str, sql: str, *parents: str, kind: str = "model", **config: Any) -> dict[str, Any]:
    return {
        "unique_id": f"{kind}.shop.{name}",
        "name": name,
        "resource_type": kind,
        "fqn": ["shop", name],
        "database": "memory",
        "schema": "main",
        "alias": name,
        "raw_code": sql,
        "compiled_code": sql,
        "original_file_path": f"seeds/{name}.csv",
        "depends_on": {"nodes": list(parents)},
        "config": {"materialized": "table", **config},
        "columns": {},
    }


SOURCE = "source.shop.raw.orders"
NODES = (
    node("stg", "select id, amount from orders", SOURCE, materialized="view"),
    node("total", "select sum(amount) as total from stg", "model.shop.stg"),
    node("twice", "select 2 * total as total from total", "model.shop.total"),
    node(
        "grown", "select id from orders", SOURCE, materialized="incremental", unique_key="id"
    ),
    node("not_null_total", "{{ test_not_null() }}", "model.shop.total", kind="test"),
)  # fmt: skip


@dataclass
class Shop:
    """A warehouse, what is remembered of it, and its project."""

    warehouse: duckdb.DuckDBPyConnection
    nodes: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {one["unique_id"]: dict(one) for one in NODES}
    )
    state: State = field(default_factory=State)
    settings: str = ""
    root: Path = Path()
    tested: str = "select total from total where total is null"
    macros: dict[str, dict[str, str]] = field(default_factory=dict)

    def project(self) -> Project:
        source = {"database": "memory", "schema": "main", "identifier": "orders"}
        manifest = {"nodes": self.nodes, "sources": {SOURCE: source}, "macros": self.macros}
        return Project(manifest, self.root, self.settings, "1.11")

    def rules(self, now_us: int = NOON, *, is_other_engine: bool = False) -> Rules:
        keywords = Functions.of(self.warehouse).keywords
        return Rules(
            self.project(),
            self.state,
            Contents(self.warehouse),
            keywords,
            now_us,
            is_other_engine=is_other_engine,
        )

    def decide(self, now_us: int = NOON) -> dict[str, Decision]:
        found = self.rules(now_us).decide()
        return {name.split(".")[-1]: made for name, made in found.items()}

    def reasons(self, now_us: int = NOON) -> dict[str, str]:
        return {name: made.reason.value for name, made in self.decide(now_us).items()}

    def build(self, *names: str, status: str = "success", now_us: int = NOON) -> None:
        """Build as dbt does, all nodes without names, and note it."""
        project, contents = self.project(), Contents(self.warehouse)
        before = {
            name: contents.of(Wanted(one.relation))
            for name, one in project.nodes.items()
            if one.relation
        }
        hidden = unknown(project, contents)
        built = {}
        for name, one in project.nodes.items():
            if names and one.name not in names:
                continue
            ended = "pass" if one.is_test and status == "success" else status
            built[name] = Built(ended, 1.0, self.tested if one.is_test else one.code)
            if not one.is_test:
                kind = "view" if one.is_view else "table"
                self.warehouse.execute(f"create or replace {kind} {one.name} as {one.code}")
        contents.refresh()
        recorder = Recorder(
            project,
            self.warehouse,
            contents,
            Functions.of(self.warehouse),
            before=before,
            unknown_before=hidden,
        )
        self.state.nodes = recorder.records(built, self.state.nodes, now_us)

    def change(self, name: str, sql: str | None = None, **config: Any) -> None:
        kind = "test" if name.startswith("not_null") else "model"
        one = self.nodes[f"{kind}.shop.{name}"]
        one["config"] = {**one["config"], **config}
        if sql is not None:
            one["raw_code"] = one["compiled_code"] = sql


@pytest.fixture
def shop() -> Iterator[Shop]:
    with duckdb.connect() as warehouse:
        warehouse.execute("create table orders (id integer, amount integer, note varchar)")
        warehouse.execute("insert into orders values (1, 10, 'a'), (2, 20, 'b')")
        made = Shop(warehouse)
        made.build()
        made.build()  # once more, so that the incremental one is seen to stay as it is
        yield made


ALL = dict.fromkeys(("stg", "total", "twice", "grown", "not_null_total"), "unchanged")


class TestReuse:
    def test_of_all_where_nothing_has_changed(self, shop: Shop) -> None:
        assert shop.reasons() == ALL

    def test_of_none_that_is_not_known(self, shop: Shop) -> None:
        shop.state = State()
        assert set(shop.reasons().values()) == {"new"}
        found = shop.rules(is_other_engine=True).decide().values()
        assert {made.reason for made in found} == {Reason.ENGINE}

    def test_of_none_that_failed(self, shop: Shop) -> None:
        shop.build("total", status="error")
        assert shop.reasons()["total"] == "new"


class TestDefinition:
    def test_with_another_comment_is_the_same(self, shop: Shop) -> None:
        shop.change("total", "SELECT sum(amount)  as total from stg -- of all")
        shop.change("total", tags=["a"])
        assert shop.reasons() == ALL

    def test_builds_when_it_changes_and_what_reads_it_may_change_too(self, shop: Shop) -> None:
        shop.change("total", "select sum(amount) + 1 as total from stg")
        changed = {"total": "definition", "twice": "input", "not_null_total": "input"}
        assert shop.reasons() == ALL | changed
        assert shop.decide()["twice"].detail == "it reads total, which is built"

    def test_of_a_view_counts_for_what_reads_it(self, shop: Shop) -> None:
        shop.change("stg", "select id, -amount as amount from orders")
        found = shop.reasons()
        assert (found["stg"], found["total"], found["grown"]) == (
            "definition",
            "input",
            "unchanged",
        )

    def test_holds_the_config(self, shop: Shop) -> None:
        shop.change("grown", unique_key="amount")
        assert shop.reasons() == ALL | {"grown": "definition"}

    def test_that_is_not_compiled_is_none(self, shop: Shop) -> None:
        shop.nodes["model.shop.total"]["compiled_code"] = None
        assert shop.reasons()["total"] == "definition"

    def test_of_a_seed_is_what_its_file_holds(self, shop: Shop, tmp_path: Path) -> None:
        (tmp_path / "seeds").mkdir()
        file = tmp_path / "seeds/codes.csv"
        file.write_text("a\n1\n")
        seed = node("codes", "", kind="seed", materialized="seed")
        shop.nodes, shop.root = {seed["unique_id"]: seed}, tmp_path
        first = shop.rules().definitions
        assert shop.rules().definitions == first
        file.write_text("a\n2\n")
        assert shop.rules().definitions != first


class TestInput:
    def test_of_other_rows_builds(self, shop: Shop) -> None:
        shop.warehouse.execute("insert into orders values (3, 30, 'c')")
        found = shop.decide()
        assert found["total"].detail.startswith("raw.orders has other rows than at 2026-11-21")
        assert found["total"].detail.endswith("(+1 rows)")
        changed = dict.fromkeys(("total", "twice", "not_null_total", "grown"), "input")
        assert shop.reasons() == ALL | changed

    def test_in_columns_that_it_does_not_read_is_none(self, shop: Shop) -> None:
        shop.warehouse.execute("update orders set note = 'x'")
        assert shop.reasons() == ALL

    def test_with_another_column_builds_views_too(self, shop: Shop) -> None:
        shop.warehouse.execute("alter table orders add column more integer")
        found = shop.decide()
        assert found["stg"].detail.startswith("raw.orders has other columns than at")
        assert {name for name, made in found.items() if made.decision == BUILD} == set(ALL)

    def test_that_comes_back_is_as_it_was(self, shop: Shop) -> None:
        shop.warehouse.execute("update orders set amount = 11 where id = 1")
        shop.warehouse.execute("update orders set amount = 10 where id = 1")
        assert shop.reasons() == ALL

    def test_of_a_node_with_rows_of_its_own_is_also_what_it_did_last(self, shop: Shop) -> None:
        shop.warehouse.execute("insert into orders values (3, 30, 'c')")
        shop.build()
        assert shop.reasons() == ALL | {"grown": "input"}
        assert "its last build changed its own rows" in shop.decide()["grown"].detail
        shop.build("grown")
        assert shop.reasons() == ALL


class TestOwnRows:
    def test_that_are_gone_are_built(self, shop: Shop) -> None:
        shop.warehouse.execute("drop table total")
        assert shop.reasons()["total"] == "missing"
        shop.warehouse.execute("create view total as select 30 as total")
        assert shop.reasons()["total"] == "missing"

    def test_that_somebody_else_changed_are_built(self, shop: Shop) -> None:
        shop.warehouse.execute("update twice set total = 7")
        assert shop.reasons() == ALL | {"twice": "tampered"}

    def test_that_were_built_but_not_noted_are_built(self, shop: Shop) -> None:
        noted = dict(shop.state.nodes)
        shop.warehouse.execute("update orders set amount = 11 where id = 1")
        shop.build()
        shop.state.nodes = noted  # it was killed before it could note
        shop.warehouse.execute("update orders set amount = 10 where id = 1")
        assert shop.reasons()["total"] == "tampered"


class TestDoubt:
    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            ("select 1 as total, now() as at", "volatile"),
            ("select count(*) as total from duckdb_tables()", "hidden_input"),
            ("select count(*) as total from elsewhere", "hidden_input"),
            ("select twofold(1) as total", "hidden_input"),
        ],
    )
    def test_builds_always(self, shop: Shop, sql: str, reason: str) -> None:
        shop.warehouse.execute("create table elsewhere (a integer)")
        shop.warehouse.execute("create macro twofold(x) as 2 * x")
        shop.change("total", sql)
        shop.build()
        assert shop.reasons()["total"] == reason

    def test_of_a_view_is_of_all_that_reads_it(self, shop: Shop) -> None:
        shop.change("stg", "select id, amount, random() as r from orders")
        shop.build()
        found = shop.decide()
        assert (found["stg"].reason, found["total"].reason) == (Reason.VOLATILE, Reason.VOLATILE)
        assert found["total"].detail == "it reads the view stg: it uses random()"

    def test_is_asked_for_by_the_config(self, shop: Shop) -> None:
        shop.change("twice", meta={"reuse": False})
        shop.build()
        assert shop.reasons() == ALL | {"twice": "never_reuse"}

    def test_of_a_hook_is_what_its_words_say(self, shop: Shop) -> None:
        shop.warehouse.execute("create table notes (a integer)")
        hook: dict[str, Any] = {"pre-hook": [{"sql": "delete from notes"}]}
        shop.change("twice", **hook)
        shop.build()
        assert shop.reasons() == ALL
        shop.warehouse.execute("insert into notes values (1)")
        assert shop.reasons() == ALL | {"twice": "input"}
        hook = {"post-hook": [{"sql": "insert into notes select now()"}]}
        shop.change("twice", **hook)
        shop.build()
        assert shop.reasons()["twice"] == "volatile"

    @pytest.mark.parametrize(
        "sql",
        ["select age(timestamp '2020-01-01') as a", "select * from query('select now() as a')"],
        ids=["age", "query"],
    )
    def test_is_of_functions_that_duckdb_calls_consistent(self, shop: Shop, sql: str) -> None:
        shop.change("twice", sql)
        shop.build()
        assert shop.reasons()["twice"] == "volatile"

    def test_is_of_a_view_that_others_make_of_what_it_declares(self, shop: Shop) -> None:
        shop.warehouse.execute("create view late as select * from orders where id > 1")
        shop.change("grown", "select id from late")
        shop.build()
        shop.build()
        assert shop.reasons()["grown"] == "hidden_input"

    def test_is_of_a_type_of_the_database(self, shop: Shop) -> None:
        shop.warehouse.execute("create type mood as enum ('good')")
        shop.change("twice", "select 'good'::mood as total")
        shop.build()
        assert shop.reasons()["twice"] == "hidden_input"

    def test_is_of_a_hook_that_writes_the_instant(self, shop: Shop) -> None:
        hook: dict[str, Any] = {
            "post-hook": [{"sql": "update {{ this }} set at = '{{ run_started_at }}'"}]
        }
        shop.change("twice", **hook)
        shop.build()
        assert shop.reasons()["twice"] == "volatile"

    def test_is_of_a_hook_that_names_what_it_does_not_declare(self, shop: Shop) -> None:
        hook: dict[str, Any] = {"post-hook": [{"sql": "select max(id) from main.grown"}]}
        shop.change("twice", **hook)
        shop.build()
        assert shop.reasons() == ALL
        shop.warehouse.execute("insert into orders values (3, 0, 'c')")
        assert shop.decide()["twice"].awaits >= {"model.shop.grown"}


class TestJinja:
    """What asks the warehouse while it is compiled follows from all rows of its parents."""

    ASKS = "{% set a = run_query('select note from ' ~ ref('total')) %}select 1 as a"

    def ask(self, shop: Shop, **config: Any) -> None:
        shop.change("twice", "select 1 as a", **config)
        shop.nodes["model.shop.twice"]["raw_code"] = self.ASKS

    @pytest.mark.parametrize("materialized", ["table", "view"])
    def test_that_asks_makes_a_node_wait_for_its_parent(
        self, shop: Shop, materialized: str
    ) -> None:
        shop.warehouse.execute("drop table twice")
        self.ask(shop, materialized=materialized)
        shop.build()
        assert shop.reasons() == ALL
        shop.warehouse.execute("update orders set amount = amount + 1")
        assert shop.decide()["twice"].awaits == {"model.shop.total"}

    def test_in_a_view_makes_what_reads_the_view_wait_too(self, shop: Shop) -> None:
        shop.warehouse.execute("drop table twice")
        self.ask(shop, materialized="view")
        below = node("below", "select a from twice", "model.shop.twice")
        shop.nodes[below["unique_id"]] = below
        shop.build()
        assert shop.reasons()["below"] == "unchanged"
        shop.warehouse.execute("update orders set amount = amount + 1")
        assert "model.shop.total" in shop.decide()["below"].awaits


class TestRunHooks:
    @pytest.mark.parametrize(
        ("sql", "is_meddling"),
        [
            ("create table if not exists notes (a integer); create schema if not exists b", False),
            ("insert into orders values (1)", True),
            ("create table if not exists notes as select now()", True),
            ("{% do run_query('delete from orders') %}", True),
            ("{{ fill() }}", True),
        ],
        ids=["made once", "insert", "made of rows", "query", "macro"],
    )
    def test_that_may_change_what_is_read_are_found(
        self, shop: Shop, sql: str, is_meddling: bool
    ) -> None:
        fill = "{% macro fill() %}delete from orders{% endmacro %}"
        shop.macros["macro.shop.fill"] = {
            "name": "fill",
            "package_name": "shop",
            "macro_sql": fill,
        }
        shop.nodes["operation.shop.start"] = {"resource_type": "operation", "raw_code": sql}
        assert (shop.project().meddling == "start") is is_meddling


class TestTests:
    @pytest.mark.parametrize("status", ["fail", "warn"])
    def test_that_did_not_pass_are_run_again(self, shop: Shop, status: str) -> None:
        shop.build("not_null_total", status=status)
        assert shop.reasons() == ALL | {"not_null_total": "retest"}

    def test_that_read_a_view_of_others_are_always_run(self, shop: Shop) -> None:
        shop.warehouse.execute("create view seen as select total from total")
        shop.tested = "select total from seen where total is null"
        shop.build()
        assert shop.reasons() == ALL | {"not_null_total": "hidden_input"}

    def test_that_read_what_dbt_does_not_know_are_always_run(self, shop: Shop) -> None:
        shop.warehouse.execute("create table elsewhere (id integer)")
        shop.tested = "select id from elsewhere"
        shop.build()
        assert shop.reasons() == ALL | {"not_null_total": "hidden_input"}

    @pytest.mark.parametrize(
        "facts",
        [
            {"test_metadata": {"kwargs": {"expression": "total > now()"}}},
            {"config": {"materialized": "test", "where": "total > '{{ run_started_at }}'"}},
        ],
        ids=["argument", "where"],
    )
    def test_given_the_clock_are_always_run(self, shop: Shop, facts: dict[str, Any]) -> None:
        shop.nodes["test.shop.not_null_total"] |= facts
        shop.build()
        assert shop.reasons() == ALL | {"not_null_total": "volatile"}

    def test_given_a_variable_follow_it(self, shop: Shop) -> None:
        given = {"test_metadata": {"kwargs": {"least": "{{ var('least') }}"}}}
        shop.nodes["test.shop.not_null_total"] |= given
        shop.build()
        assert shop.reasons() == ALL
        shop.settings = "another"
        assert shop.reasons() == ALL | {"not_null_total": "definition"}

    def test_whose_jinja_asks_for_more_are_always_run(self, shop: Shop) -> None:
        shop.change("not_null_total", "{{ run_query('select 1') }}")
        shop.build()
        assert shop.reasons() == ALL | {"not_null_total": "volatile"}


class TestSelf:
    def test_a_table_made_of_its_own_rows_is_built_until_they_stay(self, shop: Shop) -> None:
        shop.change("twice", "select total + 1 as total from twice", materialized="table")
        shop.build()
        assert shop.reasons()["twice"] == "input"


class TestStrategies:
    def test_of_the_project_are_part_of_the_definition(self, shop: Shop) -> None:
        name = "get_incremental_mine_sql"
        own = {"name": name, "package_name": "shop", "macro_sql": "update a"}
        shop.macros["macro.shop.mine"] = own
        shop.build()
        shop.build()
        assert shop.reasons() == ALL
        own["macro_sql"] = "update b"
        assert shop.reasons()["grown"] == "definition"


class TestBuildAfter:
    def test_does_not_count_from_an_instant_still_to_come(self, shop: Shop) -> None:
        shop.change("total", freshness=self.after(30))
        shop.build(now_us=NOON + 1000 * MINUTE)
        shop.warehouse.execute("update orders set amount = 11 where id = 1")
        assert shop.reasons(NOON)["total"] == "input"

    def after(self, minutes: int | None, updates_on: str = "any") -> dict[str, Any]:
        told = {"count": minutes, "period": "minute" if minutes else None}
        return {"build_after": {**told, "updates_on": updates_on}}

    def test_is_the_least_time_between_builds(self, shop: Shop) -> None:
        shop.change("total", freshness=self.after(30))
        shop.build()
        assert shop.reasons(NOON + 40 * MINUTE) == ALL
        shop.warehouse.execute("update orders set amount = 11 where id = 1")
        assert shop.reasons(NOON + 29 * MINUTE)["total"] == "build_after"
        # What reads it finds it as it was.
        assert shop.reasons(NOON + 29 * MINUTE)["twice"] == "unchanged"
        assert shop.reasons(NOON + 30 * MINUTE)["total"] == "input"

    def test_does_not_hold_for_another_definition(self, shop: Shop) -> None:
        shop.change("total", freshness=self.after(30))
        shop.build()
        shop.change("total", "select 1 as total from stg")
        assert shop.reasons()["total"] == "definition"

    def test_may_wait_for_all_that_is_read(self, shop: Shop) -> None:
        parents = ("model.shop.total", "model.shop.grown")
        both = node("pair", "select total, id from total, grown", *parents)
        both["config"]["freshness"] = self.after(None, "all")
        shop.nodes[both["unique_id"]] = both
        shop.build()
        shop.warehouse.execute("update total set total = 7")  # grown is as it was
        found = shop.decide()["pair"]
        assert (found.reason, found.decision) == (Reason.BUILD_AFTER, "reuse")
        assert found.detail == "it waits for all that it reads, and grown is as it was"
        shop.warehouse.execute("update grown set id = id + 1")
        assert shop.reasons()["pair"] == "input"


class TestWaves:
    def plan(self, shop: Shop) -> frozenset[str]:
        rules = shop.rules()
        found = waves.later(rules.decide(), shop.project(), shop.state, threads=1)
        return frozenset(name.split(".")[-1] for name in found)

    def test_let_wait_what_hangs_on_a_node_that_was_the_same_last_time(self, shop: Shop) -> None:
        shop.warehouse.execute("insert into orders values (3, 0, 'c')")  # the total stays 30
        assert shop.state.nodes["model.shop.total"].is_identical
        # total itself must be built; twice and the test take 2 s, an invocation 0.5 s.
        assert self.plan(shop) == {"twice"}
        shop.state.invocation_s = 1.0
        assert self.plan(shop) == frozenset()

    def test_do_not_wait_for_what_changed_last_time(self, shop: Shop) -> None:
        shop.state.nodes["model.shop.total"].is_identical = False
        shop.warehouse.execute("insert into orders values (3, 0, 'c')")
        assert self.plan(shop) == frozenset()

    def test_spare_what_reads_a_node_that_came_out_the_same(self, shop: Shop) -> None:
        shop.warehouse.execute("insert into orders values (3, 0, 'c')")
        shop.build("total")
        assert shop.reasons()["twice"] == "unchanged"

    def test_keep_back_what_is_below_a_failure(self, shop: Shop) -> None:
        project = shop.project()
        failed = waves.kept_back(["model.shop.stg"], project)
        assert {name.split(".")[-1] for name in failed} == {"total", "twice", "not_null_total"}
        # A test keeps back what reads what it tests, not that itself.
        tested = waves.kept_back(["test.shop.not_null_total"], project)
        assert {name.split(".")[-1] for name in tested} == {"twice"}


def broken(**facts: Any) -> str:
    """A state file with a record in which something was changed by hand."""
    record = {"definition": "d", "status": "success", "built_us": NOON, **facts}
    head = {"version": state.VERSION, "engine": "v1"}
    return json.dumps({**head, "nodes": {"model.shop.a": record}})


class TestState:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        inputs = {'"a"."b"."c"': Input(("x",), "1:a:b", "s"), '"a"."b"."d"': Input()}
        record = NodeRecord(definition="d", status="success", built_us=1, inputs=inputs)
        written = State(engine="v1", nodes={"model.shop.a": record})
        state.write(tmp_path / "dbt/reuse.json", written)
        said: list[str] = []
        assert state.read(tmp_path / "dbt/reuse.json", "v1", said.append) == (written, False)
        assert said == []

    @pytest.mark.parametrize(
        ("text", "is_other"),
        [
            ("{", False),
            ('{"nodes": 3}', False),
            (broken(built_us=10**30), False),
            (broken(doubt="bad luck"), False),
            (broken(inputs={"orders": {}}), False),
            (broken(content="many:rows"), False),
            (json.dumps({"version": state.VERSION, "engine": "v0"}), True),
            (json.dumps({"version": state.VERSION + 1, "engine": "v1"}), True),
        ],
    )
    def test_that_cannot_be_used_is_said_once_and_empty(
        self, tmp_path: Path, text: str, is_other: bool
    ) -> None:
        path = tmp_path / "reuse.json"
        path.write_text(text)
        said: list[str] = []
        assert state.read(path, "v1", said.append) == (State(engine="v1"), is_other)
        [line] = said
        assert "everything is built" in line

    def test_that_is_not_there_is_empty_without_a_word(self, tmp_path: Path) -> None:
        said: list[str] = []
        assert state.read(tmp_path / "x", "v1", said.append) == (State(engine="v1"), False)
        assert said == []

    def test_names_relations_whatever_they_are_called(self) -> None:
        for odd in (Relation("a.b", 'c"d', "e"), Relation('"."', '""', "")):
            assert relation_of(str(odd)) == odd


class TestReports:
    PLAN = (
        Decision("model.shop.a", "build", Reason.INPUT, "b has other rows"),
        Decision("model.shop.b", "reuse", Reason.UNCHANGED, "nothing"),
        Decision("model.shop.c", "reuse", Reason.BUILD_AFTER, "not yet"),
    )

    def test_say_what_is_built_and_saved(self) -> None:
        assert reports.summary(self.PLAN, 12.34) == (
            "Reuse: 1 of 3 nodes to build, 2 reused (1 unchanged, 1 within build_after), "
            "about 12.3 s saved"
        )

    def test_say_what_was_wrong(self) -> None:
        outcomes = {"model.shop.a": "changed", "model.shop.b": "changed"}
        assert reports.score(self.PLAN, outcomes) == (
            "Reuse planner: 2 of 3 nodes would have been reused, 1 wrongly (model.shop.b)"
        )

    def test_explain_each_node_with_what_is_built_first(self) -> None:
        plan = {made.unique_id: made for made in reversed(self.PLAN)}
        names = {name: name.split(".")[-1] for name in plan}
        lines = reports.explained(plan, names).splitlines()
        assert lines[0].split(maxsplit=3) == ["a", "build", "input", "b has other rows"]
        assert json.loads(reports.explained_json(plan))[0] == {
            "unique_id": "model.shop.c",
            "decision": "reuse",
            "reason": "build_after",
            "detail": "not yet",
        }
