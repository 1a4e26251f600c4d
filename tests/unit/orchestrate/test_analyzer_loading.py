"""The analyzer's frames: what of the ledger is in them, and what a choice leaves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from orchestrate.analyzer import loading, sources
from orchestrate.analyzer.choice import ChoiceError, choose
from orchestrate.analyzer.history import History
from orchestrate.ledger.meltano.schedules import Schedule
from orchestrate.ledger.model import DbtInvocation, NodeRun, PipelineRun, ReuseDecision, Row
from orchestrate.ledger.store import Ledger, LedgerError
from tests.unit.orchestrate import records

DAY_US = 86_400_000_000
NOW_US = records.at(3600)


def load(ledger: Ledger, rows: list[Row], *, days: int = 0, now_us: int = NOW_US) -> History:
    with ledger.writing():
        ledger.save(rows)
    return loading.load(ledger.path, days=days, now_us=now_us)


def all_rows() -> list[Row]:
    record = records.demo_like()
    lists = [getattr(record, name) for name in ("steps", "streams", "requests", "retries")]
    lists += [record.skipped, record.invocations, record.nodes, record.manifest_nodes]
    return [record.run, *(row for rows in lists for row in rows)]


def other(run_id: str, started_us: int, **fields: object) -> list[Row]:
    """Another run with one model built in it."""
    invocation_id = f"{run_id}-dbt"
    run = records.run(run_id, started_us=started_us, ended_us=started_us + 1_000_000, **fields)
    invocation = msgspec.structs.replace(
        records.invocation(run_id=run_id, started_us=started_us), invocation_id=invocation_id
    )
    return [run, invocation, records.node("model.sentry.a", 1, 2, invocation_id=invocation_id)]


class TestFrames:
    def test_have_every_row_of_a_run(self, ledger: Ledger) -> None:
        history = load(ledger, all_rows())
        record = records.demo_like()
        assert len(history.runs) == 1
        assert len(history.steps) == len(record.steps)
        assert len(history.streams) == len(record.streams)
        assert len(history.requests) == len(record.requests)
        assert len(history.retries) == len(record.retries)
        assert len(history.skipped) == len(record.skipped)
        assert len(history.nodes) == len(record.nodes)
        assert history.manifest(records.MANIFEST_HASH)["unique_id"].is_unique
        assert len(history.project) == len(record.manifest_nodes)

    def test_have_instants_in_utc_and_durations_in_seconds(self, ledger: Ledger) -> None:
        history = load(ledger, all_rows())
        run = history.runs.iloc[0]
        assert run["started_at"] == pd.Timestamp("2026-11-20 12:00:00Z")
        assert run["run_seconds"] == 60
        seed = history.nodes[history.nodes["name"] == "team_names"].iloc[0]
        assert seed["node_seconds"] == 1
        assert history.retries["at"].iloc[0] == pd.Timestamp("2026-11-20 12:00:12Z")
        assert history.invocations["arguments"].iloc[0].tolist() == ["build"]

    def test_know_the_package_and_the_class_of_a_node(self, ledger: Ledger) -> None:
        nodes = load(ledger, all_rows()).nodes.set_index("name")
        assert nodes.loc["dim_release", "node_class"] == "error"
        assert nodes.loc["mart_release", "node_class"] == "skipped"
        assert nodes.loc["accepted_stg_events", "node_class"] == "success"  # it warned
        assert nodes.loc["unique_mart_health", "node_class"] == "error"
        assert set(nodes["package"]) == {"sentry"}

    def test_tell_messages_of_what_did_not_go_well(self, ledger: Ledger) -> None:
        nodes = load(ledger, all_rows()).nodes.set_index("name")
        assert nodes.loc["dim_release", "message"] == records.DATABASE_ERROR
        assert pd.isna(nodes.loc["team_names", "message"])

    def test_of_an_empty_ledger_have_their_columns(self, ledger: Ledger) -> None:
        empty, full = load(ledger, []), None
        full = load(ledger, all_rows())
        for name in ("runs", "nodes", "streams", "decisions", "freshness"):
            assert list(getattr(empty, name).columns) == list(getattr(full, name).columns)
            assert len(getattr(empty, name)) == 0
        assert empty.newest_manifest is None
        assert len(empty.project) == 0

    def test_count_a_run_under_way_up_to_what_was_heard_last(self, ledger: Ledger) -> None:
        run = records.run(ended_us=None, result=None, heard_us=records.at(42))
        runs = load(ledger, [run]).runs
        assert runs["result"].tolist() == ["running"]
        assert runs["run_seconds"].tolist() == [42]
        assert runs["ended_at"].isna().all()

    def test_leave_out_nodes_that_other_commands_only_list(self, ledger: Ledger) -> None:
        rows = [records.run(), records.invocation(command="docs"), *records.nodes()]
        assert len(load(ledger, rows).nodes) == 0

    def test_hold_the_runs_of_more_than_one_chunk(self, ledger: Ledger) -> None:
        rows = [row for number in range(600) for row in other(f"run-{number}", number * 1000)]
        told: list[tuple[int, int]] = []
        with ledger.writing():
            ledger.save(rows)
        history = loading.load(
            ledger.path, days=0, now_us=NOW_US, progress=lambda *at: told.append(at)
        )
        assert len(history.runs) == len(history.nodes) == 600
        assert set(history.nodes["run_id"]) == set(history.runs["run_id"])
        assert told == [(250, 600), (500, 600), (600, 600)]


class TestWindow:
    def test_holds_the_runs_that_began_in_it(self, ledger: Ledger) -> None:
        rows = [*other("old", NOW_US - 2 * DAY_US), *other("new", NOW_US - DAY_US)]
        history = load(ledger, rows, days=1)
        assert history.runs["run_id"].tolist() == ["new"]
        assert set(history.nodes["run_id"]) == {"new"}
        assert history.total_runs == 2


class TestDecisions:
    def test_of_the_planner_are_told_with_the_node_that_was_built(self, ledger: Ledger) -> None:
        planned = msgspec.structs.replace(
            records.invocation(command="compile"), invocation_id="planning"
        )
        said = [
            ReuseDecision(
                invocation_id="planning",
                unique_id=f"model.sentry.{name}",
                mode="shadow",
                decision=decision,
                reason=reason,
                outcome=outcome,
            )
            for name, decision, reason, outcome in (
                ("fct_errors", "reuse", "unchanged", "identical"),
                ("fct_activity", "build", "input", "changed"),
            )
        ]
        nodes = load(ledger, [*all_rows(), planned, *said]).nodes.set_index("name")
        assert nodes.loc["fct_errors", "node_class"] == "no-op"
        assert nodes.loc["fct_errors", "decision"] == "reuse"
        assert nodes.loc["fct_activity", "node_class"] == "success"
        assert nodes.loc["fct_activity", "reason"] == "input"
        assert pd.isna(nodes.loc["mart_health", "mode"])

    def test_hold_for_the_target_and_the_build_that_they_were_made_for(
        self, ledger: Ledger
    ) -> None:
        rows: list[Row] = [records.run("r")]
        for second, name, target in ((0, "a", "x"), (9, "b", "y"), (19, "c", "x")):
            made = records.invocation(target=target, started_us=records.at(second))
            rows.append(msgspec.structs.replace(made, invocation_id=name, run_id="r"))
            built = records.node("model.sentry.a", second, second + 5, invocation_id=name)
            rows.append(built)
        told = {"mode": "shadow", "decision": "reuse", "reason": "unchanged"}
        rows.append(
            ReuseDecision(
                invocation_id="a", unique_id="model.sentry.a", outcome="identical", **told
            )
        )
        nodes = load(ledger, rows).nodes.set_index("invocation_id")
        # On y nobody planned; c built once more what was compared after a.
        assert nodes["node_class"].to_dict() == {"a": "no-op", "b": "success", "c": "success"}
        assert pd.isna(nodes.loc["b", "reason"])

    def test_of_another_run_are_not_told(self, ledger: Ledger) -> None:
        said = ReuseDecision(
            invocation_id="b-dbt",
            unique_id="model.sentry.a",
            mode="shadow",
            decision="reuse",
            reason="unchanged",
            outcome="identical",
        )
        nodes = load(ledger, [*other("a", 1000), *other("b", 2000), said]).nodes
        assert nodes["node_class"].tolist() == ["success", "no-op"]


class TestReusedNodes:
    def test_are_nodes_of_the_invocation_that_planned(self, ledger: Ledger) -> None:
        reused = NodeRun(
            invocation_id=records.INVOCATION_ID,
            unique_id="model.sentry.a",
            resource_type="model",
            name="a",
            status="reused",
            message="nothing it reads changed",
        )
        nodes = load(ledger, [records.run(), records.invocation(command="compile"), reused]).nodes
        assert nodes["node_class"].tolist() == ["reused"]
        assert nodes["message"].tolist() == ["nothing it reads changed"]


class TestChoice:
    @pytest.fixture
    def history(self, ledger: Ledger) -> History:
        rows = [
            *other("a", 1000, environment="prod", job="hourly"),
            *other("b", 2000, environment="prod", job="nightly", trigger="ci"),
            *other("c", 3000, environment="dev", job="hourly"),
        ]
        for row in rows:
            if isinstance(row, DbtInvocation) and row.run_id == "b":
                row.target = "sample"
        with ledger.writing():
            ledger.save(rows)
        schedule = Schedule("every-hour", "hourly", "0 * * * *")
        return loading.load(ledger.path, days=0, now_us=NOW_US, schedules=[schedule])

    @pytest.mark.parametrize(
        ("given", "left"),
        [
            ({}, "abc"),
            ({"environment": "prod"}, "ab"),
            ({"job": ["hourly"]}, "ac"),
            ({"job_type": ["ci"]}, "b"),
            ({"job_type": ["scheduled"], "environment": "dev"}, "c"),
            ({"target": "sample"}, "b"),
            ({"result": ["failure"]}, ""),
        ],
    )
    def test_leaves_its_runs_and_their_parts(
        self, history: History, given: dict[str, object], left: str
    ) -> None:
        found = history.chosen(choose(given))
        assert "".join(found.runs["run_id"]) == left
        assert "".join(found.nodes["run_id"]) == left

    def test_of_a_target_leaves_out_the_runs_other_invocations(self, ledger: Ledger) -> None:
        second = msgspec.structs.replace(
            records.invocation(target="sample"), invocation_id="second"
        )
        rows = [*all_rows(), second, records.node("model.sentry.a", 1, 2, invocation_id="second")]
        found = load(ledger, rows).chosen(choose({"target": "sample"}))
        assert found.invocations["invocation_id"].tolist() == ["second"]
        assert found.nodes["name"].tolist() == ["a"]
        assert len(found.streams) == 4  # of the run, whatever dbt's target

    def test_of_what_no_run_has_is_refused(self, history: History) -> None:
        with pytest.raises(ChoiceError, match=r"job is 'weekly': no run has it.*'hourly'"):
            sources.check(history, choose({"job": ["weekly"]}))
        with pytest.raises(ChoiceError, match=r"environment is 'test'"):
            sources.check(history, choose({"environment": "test"}))


class TestJobType:
    @pytest.mark.parametrize(
        ("trigger", "job", "expected"),
        [
            ("ci", "hourly", "ci"),
            ("merge", "hourly", "merge"),
            ("cli", "hourly", "scheduled"),  # by cron, which leaves no trigger
            ("schedule", "any", "scheduled"),
            ("cli", "any", "other"),
            ("", "", "other"),
        ],
    )
    def test_is_of_the_trigger_or_else_of_the_schedules(
        self, trigger: str, job: str, expected: str
    ) -> None:
        assert loading.job_type(trigger, job, {"hourly"}) == expected


class TestVersion:
    def test_differs_when_a_run_was_added_or_went_on(self, ledger: Ledger) -> None:
        load(ledger, [records.run(ended_us=None)])
        first = loading.version(ledger.path)
        assert loading.version(ledger.path) == first
        load(ledger, [records.run(heard_us=records.at(90))])
        second = loading.version(ledger.path)
        load(ledger, [records.run("another")])
        assert len({first, second, loading.version(ledger.path)}) == 3


class TestSources:
    def test_are_the_ledger_here_and_those_of_dbt_cloud(self, tmp_path: Path) -> None:
        Ledger(tmp_path / "dbt_cloud/123.db").close()
        assert list(sources.sources(tmp_path)) == ["local", "dbt_cloud/123"]

    def test_of_another_name_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ChoiceError, match=r"source is 'mine': there is no such ledger"):
            sources.source(tmp_path, "mine")

    def test_that_are_no_ledger_are_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.db").write_text("junk " * 1000)
        with pytest.raises(LedgerError, match="not a database"):
            sources.history(tmp_path, choose({}))
        assert "not a database" in (sources.collect_new(tmp_path) or "")

    def test_know_no_schedules_where_there_is_no_project(self, tmp_path: Path) -> None:
        assert sources.known_schedules(tmp_path / "output") == ()


def test_no_run_id_is_lost_on_the_way(ledger: Ledger) -> None:
    """A frame of parts has no run that the frame of runs lacks."""
    history = load(ledger, [*all_rows(), *other("x", 5000)])
    runs = set(history.runs["run_id"])
    for name in ("steps", "nodes", "streams", "requests", "retries", "skipped", "invocations"):
        assert set(getattr(history, name)["run_id"]) <= runs
    assert isinstance(all_rows()[0], PipelineRun)
