"""What dbt leaves, in the ledger: archived folders, its event log, artifacts from elsewhere."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrate.ledger import identity
from orchestrate.ledger.dbt.collect import collect
from orchestrate.ledger.dbt.imports import Imported, import_artifacts
from orchestrate.ledger.model import (
    TABLES,
    DbtInvocation,
    FreshnessResult,
    Manifest,
    ManifestNode,
    NodeRun,
    PipelineRun,
    Result,
    Row,
    SourceFile,
    Step,
)
from orchestrate.ledger.store import Ledger

NOON_S = 1_795_262_400  # 2026-11-21T12:00:00Z
RUN = "01a1ffd8-7132-78f9-a8fc-0472d66e3f14"
HASH = "ab" * 32
MODEL, TEST, CHILD = "model.shop.orders", "test.shop.unique_orders.1a2b", "model.shop.revenue"
HOOK = "operation.shop.shop-on-run-start-0"

AnyRow = TypeVar("AnyRow", bound=Row)


def us(second: float) -> int:
    """Seconds after noon as the ledger writes an instant."""
    return round((NOON_S + second) * 1e6)


def iso(second: float) -> str:
    """Seconds after noon as dbt writes an instant."""
    return datetime.fromtimestamp(NOON_S + second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timing(start: float) -> list[dict[str, str]]:
    """A tenth of a second of compiling, then half a second of executing."""
    instants = [iso(start), iso(start + 0.1), iso(start + 0.1), iso(start + 0.6)]
    return [
        {"name": "compile", "started_at": instants[0], "completed_at": instants[1]},
        {"name": "execute", "started_at": instants[2], "completed_at": instants[3]},
    ]


def node_result(unique_id: str, start: float, status: str = "success", **more: Any) -> Any:
    return {
        "unique_id": unique_id,
        "status": status,
        "timing": timing(start) if status != "skipped" else [],
        "thread_id": "Thread-1 (worker)",
        "message": None,
        "failures": None,
        "adapter_response": {},
        "relation_name": None,
        "compiled_code": "select 1",
        **more,
    }


def run_results(*results: Any, invocation_id: str = "i1", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "dbt_version": "1.11.16",
            "generated_at": iso(9),
            "invocation_id": invocation_id,
            **metadata,
        },
        "results": list(results),
        "elapsed_time": 8.0,
        "args": {"which": "build", "invocation_command": "dbt build", "a_new_one": [1]},
    }


MANIFEST: dict[str, Any] = {
    "metadata": {"project_name": "shop", "adapter_type": "duckdb", "generated_at": iso(1)},
    "nodes": {
        unique_id: {
            "unique_id": unique_id,
            "name": unique_id.split(".")[2],
            "resource_type": unique_id.split(".")[0],
            "package_name": "shop",
            "schema": "marts",
            "alias": unique_id.split(".")[2],
            "original_file_path": f"models/{unique_id.split('.')[2]}.sql",
            "tags": ["daily"],
            "group": "people",
            "depends_on": {"nodes": depends_on, "macros": []},
            "config": {"materialized": materialized},
        }
        for unique_id, materialized, depends_on in [
            (MODEL, "table", ["source.shop.raw.orders"]),
            (TEST, "test", [MODEL]),
            (CHILD, "view", [MODEL]),
        ]
    },
    "sources": {
        "source.shop.raw.orders": {
            "unique_id": "source.shop.raw.orders",
            "name": "orders",
            "resource_type": "source",
            "package_name": "shop",
            "schema": "raw",
            "identifier": "orders_v2",
            "tags": [],
            "config": {"meta": {"owner": "@data"}},
        }
    },
    "groups": {
        "group.shop.people": {
            "unique_id": "group.shop.people",
            "name": "people",
            "owner": {"name": None, "email": "people@example.com"},
        }
    },
}


def event(
    name: str, second: float, *, invocation_id: str = "i1", thread: str = "Thread-1", **data: Any
) -> str:
    """A line of dbt's event log, its names sorted as dbt sorts them."""
    extra = {"MELTANO_RUN_ID": RUN} if invocation_id == "within a run" else {}
    info = {
        "category": "",
        "code": "Q024",
        "extra": extra,
        "invocation_id": invocation_id,
        "level": "debug",
        "msg": f'said {{"name": "{name}"}}',
        "name": name,
        "pid": 7,
        "thread": thread,
        "ts": iso(second),
    }
    return json.dumps({"data": data, "info": info}, sort_keys=True) + "\n"


def node_events(
    unique_id: str, start: float, status: str | None = "success", **more: Any
) -> Iterator[str]:
    """What dbt says of a node, from its begin to its end; without a status it has not ended."""
    kind = unique_id.split(".", maxsplit=1)[0]
    relation = '"shop"."marts"."orders"' if kind == "model" else ""
    node: dict[str, Any] = {
        "unique_id": unique_id,
        "materialized": {"model": "table"}.get(kind, kind),
        "node_relation": {"relation_name": relation},
    }
    yield event("NodeStart", start - 0.01, node_info=node)
    yield event("NodeCompiling", start - 0.005, node_info=node)
    yield event("NodeExecuting", start + 0.105, node_info=node)
    yield event("SQLQuery", start + 0.2, conn_name=unique_id, sql="select 1")
    if status:
        yield event("SQLQueryStatus", start + 0.5, elapsed=0.25, status="OK", node_info=node)
        result = {
            "status": status,
            "message": "",
            "thread": "Thread-1 (worker)",
            "timing_info": timing(start),
            "adapter_response": {},
            "num_failures": 0,
            **more,
        }
        yield event("NodeFinished", start + 0.7, node_info=node, run_result=result)


def opening(invocation_id: str = "i1", command: str = "dbt build") -> Iterator[str]:
    yield event("MainReportVersion", 0.05, invocation_id=invocation_id, version="=1.11.16")
    args = {"invocation_command": command}
    yield event("MainReportArgs", 0.06, invocation_id=invocation_id, args=args)
    concurrency: dict[str, Any] = {"num_threads": 2, "target_name": "warehouse"}
    yield event("ConcurrencyLine", 0.07, invocation_id=invocation_id, **concurrency)
    yield event("ConnectionUsed", 0.08, invocation_id=invocation_id, conn_name="master")


class Dbt:
    """The folder output/demo/dbt, and a ledger that reads it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "output/demo/dbt"
        self.runs = self.folder / "runs"
        self.log = self.folder / "logs/dbt.log"
        self.runs.mkdir(parents=True)
        self.log.parent.mkdir()
        self.said: list[str] = []
        self.ledger = Ledger(root / "ledger.db")

    def archive(self, invocation_id: str = "i1", minute: int = 0, **facts: Any) -> Path:
        """The folder of an invocation that took nine seconds, unless told otherwise."""
        folder = self.runs / f"20261121T12{minute:02}00Z-{invocation_id}"
        folder.mkdir(exist_ok=True)
        content = {
            "invocation_id": invocation_id,
            "arguments": ["build"],
            "started_at": iso(60 * minute).replace("Z", "+00:00"),
            "finished_at": iso(60 * minute + 9),
            "exit_code": 0,
            "environment": "demo",
            "target": "warehouse",
            "host": "a host",
            "pid": 7,
            "run_id": None,
            "traceparent": None,
            "manifest": None,
            **facts,
        }
        (folder / "invocation.json").write_text(json.dumps(content))
        os.utime(folder / "invocation.json", (NOON_S + 60 * minute + 9,) * 2)
        return folder

    def begin(self, invocation_id: str = "i1", minute: int = 0, **facts: Any) -> Path:
        return self.archive(invocation_id, minute, finished_at=None, exit_code=None, **facts)

    def keep(self, manifest: dict[str, Any]) -> str:
        (self.runs / "manifests").mkdir(exist_ok=True)
        (self.runs / f"manifests/{HASH}.json").write_text(json.dumps(manifest))
        return f"manifests/{HASH}.json"

    def write(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(lines)

    def collect(self, *, gone: bool = False) -> set[str]:
        def is_gone(host: str | None, pid: int | None, *_: int) -> bool:
            return gone and (host, pid) == ("a host", 7)

        with self.ledger.writing():
            return collect(self.ledger, self.folder, is_gone, say=self.said.append)

    def run_of_meltano(self, run_id: str, second: float) -> None:
        run = PipelineRun(
            run_id=run_id,
            trace_id="1" * 32,
            span_id="2" * 16,
            started_us=us(second),
            heard_us=us(second),
            job="daily",
            planned_steps=["tap-sentry", "target-duckdb", "dbt"],
        )
        with self.ledger.writing():
            self.ledger.save([run])

    def one(self, table: type[AnyRow], where: str = "true", *values: Any) -> AnyRow:
        [row] = self.ledger.rows(table, where, values)
        return row

    def node(self, unique_id: str) -> NodeRun:
        return self.one(NodeRun, "unique_id = ?", unique_id)

    def content(self) -> dict[str, list[Row]]:
        """All rows but the note of what has been read."""
        return {
            table.TABLE: self.ledger.rows(table, then=f"order by {', '.join(table.KEY)}")
            for table in TABLES
            if table is not SourceFile
        }


@pytest.fixture
def dbt(tmp_path: Path) -> Iterator[Dbt]:
    made = Dbt(tmp_path)
    yield made
    made.ledger.close()


class TestInvocation:
    def test_has_read_its_project_when_dbt_counts_what_is_in_it(self, dbt: Dbt) -> None:
        dbt.write(*opening(), event("FoundStats", 2.5, stat_line="2 models"))
        dbt.collect()
        assert dbt.one(DbtInvocation).parsed_us == us(2.5)
        dbt.write(*node_events(MODEL, 3))
        dbt.collect()
        assert dbt.one(DbtInvocation).parsed_us == us(2.5)

    def test_outside_of_meltano_is_a_run_of_its_own(self, dbt: Dbt) -> None:
        dbt.archive(arguments=["build", "--select", "orders"], exit_code=1)
        assert dbt.collect() == {"i1"}
        invocation = dbt.one(DbtInvocation)
        assert (invocation.command, invocation.environment) == ("build", "demo")
        assert (invocation.started_us, invocation.ended_us) == (us(0), us(9))
        run, step = dbt.one(PipelineRun), dbt.one(Step)
        assert (run.run_id, run.job, run.planned_steps) == (
            "i1",
            "dbt build --select orders",
            ["dbt"],
        )
        assert (run.host, run.pid, run.result) == ("a host", 7, Result.FAILURE)
        assert (run.trace_id, run.parent_span_id) == (identity.trace_id("i1"), None)
        assert (step.position, step.name, step.kind) == (0, "dbt:build", "command")
        assert (step.started_us, step.ended_us, step.result) == (us(0), us(9), Result.FAILURE)

    def test_goes_on_in_the_trace_of_its_caller(self, dbt: Dbt) -> None:
        dbt.archive(traceparent=f"00-{'c' * 32}-{'d' * 16}-01")
        dbt.collect()
        run = dbt.one(PipelineRun)
        assert (run.trace_id, run.parent_span_id) == ("c" * 32, "d" * 16)
        assert run.span_id == identity.span_id("c" * 32, "i1")

    def test_within_a_run_of_meltano_leaves_run_and_steps_to_that(self, dbt: Dbt) -> None:
        dbt.run_of_meltano(RUN, -5)
        dbt.archive(run_id=RUN)
        assert dbt.collect() == {RUN}
        assert dbt.one(DbtInvocation).run_id == RUN
        assert dbt.one(PipelineRun).job == "daily"
        assert dbt.ledger.rows(Step) == []

    @pytest.mark.parametrize(("minute", "expected"), [(0, RUN), (2, f"{RUN}.2"), (4, f"{RUN}.3")])
    def test_belongs_to_the_run_under_way_of_those_with_one_id(
        self, dbt: Dbt, minute: int, expected: str
    ) -> None:
        for run_id, second in [(RUN, -5), (f"{RUN}.2", 100), (f"{RUN}.3", 200)]:
            dbt.run_of_meltano(run_id, second)
        dbt.archive(minute=minute, run_id=RUN)
        assert dbt.collect() == {expected}

    def test_leaves_a_run_of_dbt_alone_by_meltano_as_it_is(self, dbt: Dbt) -> None:
        dbt.run_of_meltano(RUN, -5)
        run = dbt.one(PipelineRun)
        run.job, run.planned_steps = "dbt (nightly)", ["dbt"]
        run.arguments = ["run", "dbt", "--state-id-suffix", "nightly"]
        with dbt.ledger.writing():
            dbt.ledger.save([run])
        dbt.archive(run_id=RUN)
        dbt.collect()
        assert dbt.one(PipelineRun) == run
        assert dbt.ledger.rows(Step) == []

    def test_tells_of_a_run_whose_log_is_gone(self, dbt: Dbt) -> None:
        trace_id = identity.trace_id(RUN)
        itself = f"00-{trace_id}-{identity.span_id(trace_id, RUN)}-01"
        dbt.archive("i1", 0, run_id=RUN, traceparent=itself, arguments=["source", "freshness"])
        dbt.archive("i2", 1, run_id=RUN, traceparent=itself, exit_code=1)
        assert dbt.collect() == {RUN}
        run = dbt.one(PipelineRun)
        assert (run.trace_id, run.parent_span_id) == (trace_id, None)
        assert (run.started_us, run.ended_us, run.result) == (us(0), us(69), Result.FAILURE)
        steps = dbt.ledger.rows(Step, then="order by position")
        assert [step.name for step in steps] == ["dbt:source freshness", "dbt:build"]

    @pytest.mark.parametrize(
        ("exit_code", "result"),
        [
            (0, Result.SUCCESS),
            (1, Result.FAILURE),
            (2, Result.FAILURE),
            (130, Result.KILLED),
            (143, Result.KILLED),
            (-9, Result.KILLED),
        ],
    )
    def test_ended_as_its_exit_code_says(self, dbt: Dbt, exit_code: int, result: Result) -> None:
        dbt.archive(exit_code=exit_code)
        dbt.collect()
        assert dbt.one(DbtInvocation).result is dbt.one(PipelineRun).result is result

    def test_of_an_earlier_launcher_is_read_too(self, dbt: Dbt) -> None:
        folder = dbt.archive()
        facts = json.loads((folder / "invocation.json").read_text())
        for name in ("host", "pid", "target"):
            del facts[name]
        (folder / "invocation.json").write_text(json.dumps(facts))
        dbt.collect()
        assert dbt.one(DbtInvocation).result is Result.SUCCESS
        assert dbt.one(PipelineRun).pid is None

    def test_that_retries_names_the_newest_failure_before_it(self, dbt: Dbt) -> None:
        for minute, exit_code in enumerate([1, 1, 0]):
            dbt.archive(f"i{minute}", minute, exit_code=exit_code)
        dbt.archive("again", 3, arguments=["retry"])
        dbt.archive("later", 4, exit_code=1)
        dbt.collect()
        assert dbt.one(DbtInvocation, "command = 'retry'").retries == "i1"

    def test_says_which_node_failed_first(self, dbt: Dbt) -> None:
        folder = dbt.archive(exit_code=1)
        results = run_results(
            node_result(CHILD, 4, "error", message="no such column"),
            node_result(TEST, 2, "fail", message="Got 2 results", failures=2),
        )
        (folder / "run_results.json").write_text(json.dumps(results))
        dbt.collect()
        expected = f"2 nodes failed, first {TEST}: Got 2 results"
        assert dbt.one(DbtInvocation).error == dbt.one(PipelineRun).error == expected

    def test_that_no_folder_tells_of_is_told_by_the_log(self, dbt: Dbt) -> None:
        dbt.run_of_meltano(RUN, -5)
        dbt.write(*opening("within a run", "dbt build --select 'orders revenue'"))
        dbt.write(event("MainEncounteredError", 1, invocation_id="within a run", exc="Bad YAML"))
        dbt.write(event("CommandCompleted", 2, invocation_id="within a run", success=False))
        assert dbt.collect() == {RUN}
        invocation = dbt.one(DbtInvocation)
        assert invocation.arguments == ["build", "--select", "orders revenue"]
        assert (invocation.threads, invocation.target) == (2, "warehouse")
        assert (invocation.dbt_version, invocation.environment) == ("1.11.16", "demo")
        assert (invocation.result, invocation.error) == (Result.FAILURE, "Bad YAML")
        assert (invocation.started_us, invocation.ended_us) == (us(0.05), us(2))


class TestNode:
    def test_has_times_of_events_and_phases_of_artifacts(self, dbt: Dbt) -> None:
        folder = dbt.archive()
        result = node_result(MODEL, 1, message="OK", adapter_response={"rows_affected": 12})
        (folder / "run_results.json").write_text(json.dumps(run_results(result)))
        dbt.write(*opening(), *node_events(MODEL, 1))
        dbt.collect()
        node = dbt.node(MODEL)
        assert (node.resource_type, node.name, node.materialized) == ("model", "orders", "table")
        assert (node.started_us, node.ended_us) == (us(0.99), us(1.7))
        assert (node.compile_started_us, node.compile_ended_us) == (us(1), us(1.1))
        assert (node.execute_started_us, node.execute_ended_us) == (us(1.1), us(1.6))
        assert (node.status, node.message, node.rows_affected) == ("success", "OK", 12)
        assert (node.statements, node.statement_s) == (1, 0.25)
        assert node.relation == '"shop"."marts"."orders"'
        assert node.code_hash == "822ae07d4783158b"
        assert node.failures is None

    def test_without_a_log_has_the_times_of_its_phases(self, dbt: Dbt) -> None:
        folder = dbt.archive()
        (folder / "run_results.json").write_text(json.dumps(run_results(node_result(MODEL, 1))))
        dbt.collect()
        node = dbt.node(MODEL)
        assert (node.started_us, node.ended_us, node.statements) == (us(1), us(1.6), 0)

    @pytest.mark.parametrize(
        ("unique_id", "name"),
        [
            ("model.shop.orders.v2", "orders"),
            ("test.shop.unique_orders.1a2b", "unique_orders"),
            ("unit_test.shop.orders.adds_up", "adds_up"),
            ("source.shop.raw.orders", "orders"),
            ("odd", "odd"),
        ],
    )
    def test_has_the_name_within_its_id(self, dbt: Dbt, unique_id: str, name: str) -> None:
        folder = dbt.archive()
        results = run_results(node_result(unique_id, 1))
        (folder / "run_results.json").write_text(json.dumps(results))
        dbt.collect()
        assert dbt.node(unique_id).name == name

    def test_may_be_a_hook(self, dbt: Dbt) -> None:
        hook = {"unique_id": HOOK, "materialized": "view", "node_relation": {"relation_name": ""}}
        dbt.archive()
        dbt.write(
            *opening(),
            event("LogHookStartLine", 1, node_info=hook, statement="shop.on-run-start.0"),
            event("LogHookEndLine", 2, node_info=hook, status="success", execution_time=1.0),
        )
        dbt.collect()
        node = dbt.node(HOOK)
        assert (node.started_us, node.ended_us, node.status) == (us(1), us(2), "success")
        assert node.relation is None

    def test_a_failed_statement_is_counted_and_its_time_is_nobody_elses(self, dbt: Dbt) -> None:
        dbt.archive()
        dbt.write(
            *itertools.islice(node_events(MODEL, 1), 4),
            event("SQLQuery", 2, conn_name="list_shop_marts", sql="select 1"),
            event("SQLQueryStatus", 3, elapsed=1.0),
            event("SQLQueryStatus", 3, elapsed=1.0, thread="Thread-2"),
        )
        dbt.collect()
        assert (dbt.node(MODEL).statements, dbt.node(MODEL).statement_s) == (1, 0.0)

    @pytest.mark.parametrize("culprit", [MODEL, TEST])
    def test_that_was_skipped_says_what_failed_before_it(self, dbt: Dbt, culprit: str) -> None:
        status = "fail" if culprit == TEST else "error"
        folder = dbt.archive(exit_code=1, manifest=dbt.keep(MANIFEST))
        results = run_results(
            node_result("model.shop.unrelated", 0.5, "error"),
            node_result(culprit, 1, status),
            node_result(CHILD, 2, "skipped"),
        )
        (folder / "run_results.json").write_text(json.dumps(results))
        dbt.collect()
        node = dbt.node(CHILD)
        assert (node.status, node.started_us) == ("skipped", None)
        assert node.message == f"skipped because {culprit} ended with {status}"

    def test_that_was_skipped_by_its_own_unit_test_says_so(self, dbt: Dbt) -> None:
        unit_test = "unit_test.shop.orders.adds_up"
        declared = MANIFEST["nodes"][TEST] | {"unique_id": unit_test, "resource_type": "unit_test"}
        manifest = MANIFEST | {"unit_tests": {unit_test: declared}}
        folder = dbt.archive(exit_code=1, manifest=dbt.keep(manifest))
        results = run_results(node_result(unit_test, 1, "fail"), node_result(MODEL, 2, "skipped"))
        (folder / "run_results.json").write_text(json.dumps(results))
        dbt.collect()
        assert dbt.node(MODEL).message == f"skipped because {unit_test} ended with fail"


class TestFreshness:
    RESULT = "source.shop.raw.orders"

    def test_has_age_and_limits_in_seconds(self, dbt: Dbt) -> None:
        folder = dbt.archive(arguments=["source", "freshness"], exit_code=1)
        late = {
            "unique_id": self.RESULT,
            "status": "error",
            "max_loaded_at": iso(-7200),
            "snapshotted_at": iso(0),
            "max_loaded_at_time_ago_in_s": 7200.0,
            "criteria": {
                "warn_after": {"count": None, "period": None},
                "error_after": {"count": 90, "period": "minute"},
            },
            "timing": timing(1),
        }
        gone = {"unique_id": "source.shop.raw.x", "status": "runtime error", "error": "no table"}
        sources = {"metadata": {"generated_at": iso(2)}, "results": [late, gone]}
        (folder / "sources.json").write_text(json.dumps(sources))
        dbt.collect()
        row = dbt.one(FreshnessResult, "unique_id = ?", self.RESULT)
        assert (row.status, row.age_s) == ("error", 7200.0)
        assert (row.warn_after_s, row.error_after_s) == (None, 5400.0)
        assert (row.max_loaded_at_us, row.snapshotted_at_us) == (us(-7200), us(0))
        missing = dbt.one(FreshnessResult, "unique_id = 'source.shop.raw.x'")
        assert (missing.status, missing.error) == ("runtime error", "no table")
        assert dbt.node(self.RESULT).execute_ended_us == us(1.6)
        assert dbt.one(DbtInvocation).command == "source freshness"

    def test_of_a_killed_invocation_is_what_the_log_says(self, dbt: Dbt) -> None:
        dbt.begin(arguments=["source", "freshness"])
        node = {"unique_id": self.RESULT}
        dbt.write(event("LogFreshnessResult", 1, node_info=node, status="warn"))
        dbt.collect(gone=True)
        assert dbt.one(FreshnessResult).status == "warn"


class TestManifest:
    def test_gives_nodes_with_parents_and_owners_once(self, dbt: Dbt) -> None:
        path = dbt.keep(MANIFEST)
        dbt.archive("i1", 0, manifest=path)
        dbt.archive("i2", 1, manifest=path)
        dbt.collect()
        assert {row.manifest_hash for row in dbt.ledger.rows(DbtInvocation)} == {HASH}
        assert dbt.one(Manifest).project == "shop"
        assert len(dbt.ledger.rows(ManifestNode)) == 4
        child = dbt.one(ManifestNode, "unique_id = ?", CHILD)
        assert (child.depends_on, child.tags) == ([MODEL], ["daily"])
        assert (child.owner, child.path) == ("people@example.com", "models/revenue.sql")
        assert child.config == {"materialized": "view"}
        source = dbt.one(ManifestNode, "resource_type = 'source'")
        assert (source.identifier, source.owner) == ("orders_v2", "@data")

    def test_that_was_forgotten_is_still_named(self, dbt: Dbt) -> None:
        dbt.archive(manifest=f"manifests/{HASH}.json")
        dbt.collect()
        assert dbt.one(DbtInvocation).manifest_hash == HASH
        assert dbt.said == []


class TestReading:
    def whole(self, dbt: Dbt) -> None:
        """A build in which a model fails, a hook runs, and a node is skipped."""
        folder = dbt.archive(exit_code=1, manifest=dbt.keep(MANIFEST))
        results = run_results(
            node_result(MODEL, 1, "error", message="no such column", compiled_code=None),
            node_result(TEST, 3, "pass", failures=0, message=None),
            node_result(CHILD, 5, "skipped", compiled_code=None),
        )
        (folder / "run_results.json").write_text(json.dumps(results))
        child = {"unique_id": CHILD, "materialized": "view"}
        dbt.write(
            *opening(),
            *node_events(MODEL, 1, "error", message="no such column"),
            *node_events(TEST, 3, "pass"),
            event("NodeStart", 5, node_info=child),
            event("SkippingDetails", 5.1, node_info=child),
            event("CommandCompleted", 8, success=False),
        )

    @pytest.mark.parametrize("lines_before", [0, 4, 9, 12, 99])
    def test_gives_equal_rows_whatever_is_read_first(
        self, dbt: Dbt, tmp_path: Path, lines_before: int
    ) -> None:
        self.whole(dbt)
        dbt.collect()
        expected = dbt.content()
        assert len(expected["node_run"]) == 3
        lines = dbt.log.read_text().splitlines(keepends=True)
        other = Dbt(tmp_path / "another")
        other.write(*lines[:lines_before])
        other.collect()
        shutil.copytree(dbt.runs, other.runs, dirs_exist_ok=True)
        other.collect()
        other.write(*lines[lines_before:])
        other.collect()
        assert other.content() == expected
        other.ledger.close()

    def test_of_events_alone_gives_the_same_in_parts(self, dbt: Dbt, tmp_path: Path) -> None:
        lines = [*opening(), *node_events(MODEL, 1), *node_events(TEST, 2, "pass")]
        dbt.write(*lines)
        dbt.collect()
        other = Dbt(tmp_path / "another")
        for line in lines[:7], lines[7:10], lines[10:]:
            other.write(*line)
            other.collect()
        # Which statement it was that ended is known within one reading only.
        node = other.node(MODEL)
        assert (node.compile_started_us, node.execute_started_us) == (us(1), us(1.1))
        assert other.node(TEST) == dbt.node(TEST)
        other.ledger.close()

    def test_of_artifacts_corrects_what_a_part_of_the_log_said(self, dbt: Dbt) -> None:
        dbt.write(*opening(), *node_events(CHILD, 4, "error", message="no such column"))
        dbt.write(event("CommandCompleted", 8, success=False))
        dbt.collect()
        assert dbt.one(DbtInvocation).error == f"{CHILD}: no such column"
        folder = dbt.archive(exit_code=1)
        results = run_results(
            node_result(TEST, 2, "fail"), node_result(CHILD, 4, "error", message="no such column")
        )
        (folder / "run_results.json").write_text(json.dumps(results))
        dbt.collect()
        assert dbt.one(DbtInvocation).error == f"2 nodes failed, first {TEST}: fail"

    def test_twice_changes_nothing_and_is_no_news(self, dbt: Dbt) -> None:
        self.whole(dbt)
        assert dbt.collect() == {"i1"}
        before = dbt.content()
        assert dbt.collect() == set()
        assert dbt.content() == before

    def test_a_finished_folder_is_read_once(self, dbt: Dbt) -> None:
        folder = dbt.archive()
        dbt.collect()
        (folder / "invocation.json").write_text("no longer JSON")
        assert dbt.collect() == set()
        assert dbt.said == []

    def test_follows_a_log_that_turned_over(self, dbt: Dbt) -> None:
        dbt.archive()
        lines = [*opening(), *node_events(MODEL, 1)]
        dbt.write(*lines[:6])
        dbt.collect()
        dbt.write(lines[6])
        dbt.log.rename(dbt.log.with_name("dbt.log.1"))
        dbt.write(*lines[7:])
        dbt.collect()
        assert (dbt.node(MODEL).started_us, dbt.node(MODEL).ended_us) == (us(0.99), us(1.7))

    def test_passes_over_half_lines_unknown_kinds_and_text(self, dbt: Dbt) -> None:
        dbt.archive()
        begin, *rest = node_events(MODEL, 1)
        other, *_ = node_events(TEST, 1)
        dbt.write(
            "12:00:00  Running with dbt=1.11.16\n",
            event("AKindOfTomorrow", 0.5, node_info="not an object"),
            json.dumps({"info": {"name": "NodeStart"}}) + "\n",
            event("NodeStart", 0.5),
            event("NodeFinished", 0.5, node_info={"unique_id": 7}),
            begin[: len(begin) // 2] + other,  # died, and another process went on
            *rest,
            '{"data": {"args": ' + '{"a":' * 2000 + "\n",  # deeper than can be decoded
            '{"data"' * 2000 + "\n",
            begin[:40],
        )
        dbt.collect()
        assert dbt.node(TEST).started_us == us(0.99)
        assert dbt.node(MODEL).status == "success"

    def test_reads_lines_of_another_form(self, dbt: Dbt) -> None:
        dbt.archive()
        line = json.loads(next(node_events(MODEL, 1)))
        turned = {"info": line["info"], "data": line["data"] | {"new": [1]}}
        dbt.write(json.dumps(turned, separators=(",", ":")) + "\n")
        dbt.collect()
        assert dbt.node(MODEL).started_us == us(0.99)


class TestKilled:
    def killed(self, dbt: Dbt) -> None:
        dbt.begin(manifest=dbt.keep(MANIFEST))
        dbt.write(*opening(), *node_events(MODEL, 1), *node_events(TEST, 200, None))

    def test_is_under_way_while_its_process_is_there(self, dbt: Dbt) -> None:
        self.killed(dbt)
        dbt.collect()
        assert dbt.one(DbtInvocation).result is dbt.one(PipelineRun).result is None
        assert (dbt.node(TEST).status, dbt.node(TEST).ended_us) == (None, None)

    def test_ends_with_its_last_word_and_so_do_the_nodes_that_ran(self, dbt: Dbt) -> None:
        self.killed(dbt)
        dbt.collect()
        assert dbt.collect(gone=True) == {"i1"}
        invocation, run = dbt.one(DbtInvocation), dbt.one(PipelineRun)
        assert invocation.result is run.result is dbt.one(Step).result is Result.KILLED
        assert invocation.ended_us == run.ended_us == invocation.heard_us
        assert invocation.heard_us == us(200.2)
        assert dbt.node(MODEL).status == "success"
        node = dbt.node(TEST)
        assert (node.status, node.ended_us) == ("killed", invocation.ended_us)
        assert node.execute_started_us == us(200.105)
        # Never begun: no row.
        assert dbt.ledger.rows(NodeRun, "unique_id = ?", [CHILD]) == []
        assert invocation.manifest_hash == HASH

    def test_is_taken_back_when_there_is_an_end_after_all(self, dbt: Dbt) -> None:
        self.killed(dbt)
        dbt.collect(gone=True)
        dbt.write(*itertools.islice(node_events(TEST, 200, "pass"), 4, None))
        dbt.archive(finished_at=iso(205))
        assert dbt.collect(gone=True) == {"i1"}
        assert dbt.one(DbtInvocation).result is dbt.one(PipelineRun).result is Result.SUCCESS
        assert dbt.one(DbtInvocation).ended_us == us(205)
        assert (dbt.node(TEST).status, dbt.node(TEST).ended_us) == ("pass", us(200.7))

    def test_is_taken_back_when_it_is_heard_of_again(self, dbt: Dbt) -> None:
        self.killed(dbt)
        dbt.collect(gone=True)
        dbt.write(event("SQLQueryStatus", 201, elapsed=0.5))
        dbt.collect()
        assert dbt.one(DbtInvocation).result is dbt.one(PipelineRun).result is None
        assert (dbt.node(TEST).status, dbt.node(TEST).ended_us) == (None, None)

    def test_by_a_signal_that_dbt_heard_is_the_same_for_its_nodes(self, dbt: Dbt) -> None:
        dbt.archive(exit_code=130)
        dbt.write(*opening(), *node_events(TEST, 1, None))
        dbt.collect()
        assert (dbt.node(TEST).status, dbt.node(TEST).ended_us) == ("killed", us(9))

    def test_without_a_folder_goes_with_its_run(self, dbt: Dbt) -> None:
        dbt.run_of_meltano(RUN, -5)
        dbt.write(*opening("within a run"))
        dbt.collect()
        assert dbt.one(DbtInvocation).result is None
        run = dbt.one(PipelineRun)
        run.result, run.ended_us = Result.KILLED, us(3)
        with dbt.ledger.writing():
            dbt.ledger.save([run])
        assert dbt.collect() == {RUN}
        assert dbt.one(DbtInvocation).result is Result.KILLED

    def test_of_which_only_the_log_tells_goes_by_its_silence(self, dbt: Dbt) -> None:
        dbt.write(*opening(), *node_events(MODEL, 1, None))
        for gone, result in ((False, None), (True, Result.KILLED)):
            asked: list[Any] = []

            def is_gone(*facts: object, asked: list[Any] = asked, gone: bool = gone) -> bool:
                asked.append(facts)
                return gone

            with dbt.ledger.writing():
                collect(dbt.ledger, dbt.folder, is_gone)
            assert set(asked) == {(None, None, us(0.05), us(1.2))}
            assert dbt.one(DbtInvocation).result is result
            assert dbt.one(PipelineRun).result is result

    def test_does_not_come_back_when_the_ledger_forgot_it(self, dbt: Dbt) -> None:
        self.killed(dbt)
        dbt.collect(gone=True)
        with dbt.ledger.writing():
            for table in (DbtInvocation, PipelineRun, Step, NodeRun):
                dbt.ledger.execute(f"delete from {table.TABLE}")  # noqa: S608
        assert dbt.collect(gone=True) == set()


class TestBrokenFiles:
    def test_a_half_invocation_is_told_once(self, dbt: Dbt) -> None:
        folder = dbt.archive()
        (folder / "invocation.json").write_text('{"invocation_id": "i')
        assert dbt.collect() == dbt.collect() == set()
        [line] = dbt.said
        assert str(folder / "invocation.json") in line
        dbt.archive()  # somebody mended it
        assert dbt.collect() == {"i1"}

    @pytest.mark.parametrize("text", ['{"metadata": {', '{"metadata": {}, "results": 3}', ""])
    def test_a_half_artifact_is_told_once_and_the_rest_is_read(self, dbt: Dbt, text: str) -> None:
        folder = dbt.archive(exit_code=1)
        (folder / "run_results.json").write_text(text)
        dbt.write(*opening(), *node_events(MODEL, 1))
        dbt.collect()
        dbt.collect()
        [line] = dbt.said
        assert str(folder / "run_results.json") in line
        assert dbt.one(DbtInvocation).result is Result.FAILURE
        assert dbt.node(MODEL).status == "success"

    def test_a_half_manifest_is_told_and_not_named(self, dbt: Dbt) -> None:
        path = dbt.keep(MANIFEST)
        (dbt.runs / path).write_text('{"nodes": {"a": ')
        dbt.archive(manifest=path)
        dbt.collect()
        assert [str(dbt.runs / path) in line for line in dbt.said] == [True]
        assert dbt.one(DbtInvocation).manifest_hash is None

    def test_no_folder_at_all_is_nothing(self, dbt: Dbt) -> None:
        shutil.rmtree(dbt.folder)
        assert dbt.collect() == set()


class TestImport:
    def imported(self, dbt: Dbt, folder: Path) -> Imported:
        with dbt.ledger.writing():
            return import_artifacts(dbt.ledger, folder, "prod")

    def test_takes_every_folder_of_a_tree_once(self, dbt: Dbt, tmp_path: Path) -> None:
        for number in (1, 2):
            folder = tmp_path / f"old/run_{number}"
            folder.mkdir(parents=True)
            results = run_results(
                node_result(MODEL, 1), node_result(TEST, 3, "fail"), invocation_id=f"c{number}"
            )
            results["args"]["target"] = "production"
            (folder / "run_results.json").write_text(json.dumps(results))
            (folder / "manifest.json").write_text(json.dumps(MANIFEST))
        assert self.imported(dbt, tmp_path / "old") == Imported(2, 0, [])
        before = dbt.content()
        assert self.imported(dbt, tmp_path / "old") == Imported(0, 2, [])
        assert dbt.content() == before
        invocation = dbt.one(DbtInvocation, "invocation_id = 'c1'")
        assert (invocation.environment, invocation.target) == ("prod", "production")
        assert (invocation.started_us, invocation.ended_us) == (us(1), us(9))
        assert (invocation.result, invocation.arguments) == (Result.FAILURE, ["build"])
        run = dbt.one(PipelineRun, "run_id = 'c1'")
        assert (run.job, run.result, run.environment) == ("dbt build", Result.FAILURE, "prod")
        assert dbt.one(Step, "run_id = 'c1'").ended_us == us(9)
        assert len(dbt.ledger.rows(NodeRun)) == 4
        assert invocation.manifest_hash == dbt.one(Manifest).manifest_hash

    def test_reads_what_dbt_wrote_before_and_may_write_later(
        self, dbt: Dbt, tmp_path: Path
    ) -> None:
        old = run_results(node_result(MODEL, 1))
        old["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/run-results/v4.json"
        old["args"] = {"which": "run"}
        for name in ("relation_name", "compiled_code"):
            del old["results"][0][name]
        new = run_results(
            node_result(MODEL, 1, state_decision_id="x", adapter_response=None, thread_id=None),
            node_result(CHILD, 2, timing=None),
            invocation_id="new",
            invocation_started_at=iso(0.5),
        )
        for name, content in (("old", old), ("new", new)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "run_results.json").write_text(json.dumps(content))
        assert self.imported(dbt, tmp_path).invocations == 2
        assert dbt.one(DbtInvocation, "invocation_id = 'i1'").command == "run"
        assert dbt.one(DbtInvocation, "invocation_id = 'new'").started_us == us(0.5)

    def test_joins_artifacts_of_one_invocation_and_keeps_others_apart(
        self, dbt: Dbt, tmp_path: Path
    ) -> None:
        folder = tmp_path / "target"
        folder.mkdir()
        results = run_results(node_result(MODEL, 1))
        (folder / "run_results.json").write_text(json.dumps(results))
        sources = {
            "metadata": {"generated_at": iso(60), "invocation_id": "fresh"},
            "results": [{"unique_id": "source.shop.raw.orders", "status": "warn"}],
            "elapsed_time": 2.0,
        }
        (folder / "sources.json").write_text(json.dumps(sources))
        assert self.imported(dbt, folder).invocations == 2
        fresh = dbt.one(DbtInvocation, "invocation_id = 'fresh'")
        assert (fresh.command, fresh.result) == ("source freshness", Result.SUCCESS)
        assert dbt.one(FreshnessResult).status == "warn"

    def test_belongs_to_the_run_that_its_artifacts_name(self, dbt: Dbt, tmp_path: Path) -> None:
        dbt.run_of_meltano(RUN, -5)
        results = run_results(node_result(MODEL, 1), env={"MELTANO_RUN_ID": RUN})
        (tmp_path / "run_results.json").write_text(json.dumps(results))
        self.imported(dbt, tmp_path)
        assert dbt.one(DbtInvocation).run_id == RUN
        assert dbt.one(PipelineRun).job == "daily"

    def test_lists_what_cannot_be_read_and_takes_the_rest(self, dbt: Dbt, tmp_path: Path) -> None:
        contents = {
            "half": '{"metadata": {',
            "nameless": json.dumps({"metadata": {"generated_at": iso(1)}, "results": []}),
            "odd": json.dumps(run_results({"status": "success"}, invocation_id="odd")),
            "good": json.dumps(run_results(node_result(MODEL, 1))),
        }
        for name, text in contents.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "run_results.json").write_text(text)
        (tmp_path / "good/manifest.json").write_text("{")
        imported = self.imported(dbt, tmp_path)
        assert (imported.invocations, imported.already_known) == (1, 0)
        for name in ("half/run", "nameless/run", "odd/run", "good/manifest"):
            assert any(name in line for line in imported.unreadable), name
        assert len(imported.unreadable) == 4

    def test_of_an_archived_invocation_does_not_stand_in_its_way(
        self, dbt: Dbt, tmp_path: Path
    ) -> None:
        results = json.dumps(run_results(node_result(MODEL, 1)))
        (tmp_path / "run_results.json").write_text(results)
        self.imported(dbt, tmp_path)
        folder = dbt.archive(exit_code=2)
        (folder / "run_results.json").write_text(results)
        dbt.collect()
        invocation = dbt.one(DbtInvocation)
        assert (invocation.exit_code, invocation.environment) == (2, "demo")
