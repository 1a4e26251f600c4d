"""Which work decided when runs ended; one run's threads; one run beside another."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.trends import path as trends_path
from orchestrate.analyzer.reports.trends import run as trends_run
from orchestrate.ledger.model import NodeRun, Result, Step, StreamSync
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.critical_path import critical_path
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records
from tests.unit.orchestrate.small_histories import declared, load, node, run


def whole(ledger: Ledger, rows: list[Any]) -> History:
    return load(ledger, rows, now_s=100_000)


def on(thread: int, name: str, begin: float | None, end: float | None) -> NodeRun:
    found = node(name, "pass" if name.startswith("test") else "success", begin, end)
    found.thread = f"Thread-{thread}"
    return found


def step(run_id: str, position: int, begin: float, end: float | None, **fields: Any) -> Step:
    facts = {"name": "tap target", "kind": "extract_load", "result": Result.SUCCESS, **fields}
    ended = None if end is None else records.at(end)
    return Step(
        run_id=run_id, position=position, started_us=records.at(begin), ended_us=ended, **facts
    )


class TestPath:
    def names(self, ledger: Ledger, rows: list[Any]) -> list[str]:
        return sorted(trends_path.path(whole(ledger, rows))["name"])

    def test_goes_by_what_a_node_reads(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            declared("model.p.slow"),
            declared("model.p.fast"),
            declared("model.p.mart", "model.p.slow", "model.p.fast"),
        ]
        # The mart follows `fast` on its thread, but waited for `slow`.
        rows += run("r", 0, on(1, "slow", 1, 9), on(2, "fast", 1, 3), on(2, "mart", 9, 10))
        assert self.names(ledger, rows) == ["mart", "slow"]

    def test_goes_by_the_node_before_on_the_thread(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            declared("model.p.a"),
            declared("model.p.b"),
            declared("model.p.c", "model.p.a"),
        ]
        # c was ready at 2, and began when thread 2 was free.
        rows += run("r", 0, on(1, "a", 1, 2), on(2, "b", 1, 5), on(2, "c", 5, 6))
        assert self.names(ledger, rows) == ["b", "c"]

    def test_goes_by_the_test_that_held_a_node_back(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            declared("model.p.a"),
            declared("test.p.check", "model.p.a"),
            declared("model.p.b", "model.p.a"),
        ]
        rows += run("r", 0, on(1, "a", 1, 2), on(1, "test.p.check", 2, 7), on(2, "b", 7, 8))
        assert self.names(ledger, rows) == ["a", "b", "check"]

    def test_without_a_project_goes_by_threads(self, ledger: Ledger) -> None:
        rows = run("r", 0, on(1, "a", 1, 2), on(1, "b", 2, 4), on(2, "c", 1, 3), manifest_hash=None)
        assert self.names(ledger, rows) == ["a", "b"]

    def test_is_walked_in_each_call_of_dbt(self, ledger: Ledger) -> None:
        rows = run("r", 0, on(1, "a", 1, 2)) + run("s", 60, on(1, "a", 61, 62), on(2, "b", 61, 63))
        found = trends_path.path(whole(ledger, rows))
        assert found[["run_id", "name"]].to_numpy().tolist() == [["r", "a"], ["s", "b"]]

    def test_has_no_nodes_that_never_worked(self, ledger: Ledger) -> None:
        rows = run("r", 0, node("a", "skipped"), node("b", "reused"), node("c", "killed", 1, None))
        assert self.names(ledger, rows) == []

    def test_is_that_of_the_trace(self, ledger: Ledger) -> None:
        record = records.demo_like()
        rows = [record.run, *record.invocations, *record.nodes, *record.manifest_nodes]
        found = spans(record)
        by_id = {span.span_id: span.attributes.get("dbt.node.unique_id") for span in found}
        of_trace = {by_id[part.span_id] for part in critical_path(found)} - {None}
        path = trends_path.path(whole(ledger, rows))
        assert set(path["unique_id"]) == of_trace
        assert "model.sentry.fct_activity" in of_trace


class TestDeciding:
    def test_adds_up_to_the_time_of_the_runs(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            *run("r", 0, on(1, "a", 35, 45), on(2, "b", 35, 38)),
            step("r", 0, 1, 31),
            step("r", 1, 31, 59, name="dbt:build", kind="command"),
        ]
        found = trends_path.deciding(whole(ledger, rows)).set_index("name")
        # Of 60 s the tap had 30, a 10 on the path, and 20 are left; b waited for nobody.
        assert found["seconds"].to_dict() == {
            "tap target": 30,
            "starting, waiting, ending": 20,
            "a": 10,
        }
        assert found.loc["a", "share"] == pytest.approx(1 / 6)
        assert found.loc["a", "kind"] == "model"

    def test_counts_runs_that_a_part_decided(self, ledger: Ledger) -> None:
        rows = run("r", 0, on(1, "a", 1, 5), on(2, "b", 1, 3))
        rows += run("s", 60, on(1, "a", 61, 63), on(2, "b", 61, 68))
        found = trends_path.deciding(whole(ledger, rows)).set_index("name")
        assert found.loc[["a", "b"], "runs"].tolist() == [1, 1]
        assert found.loc[["a", "b"], "seconds"].tolist() == [4, 7]

    def test_of_no_runs_is_nothing(self, ledger: Ledger) -> None:
        assert trends_path.deciding(whole(ledger, [])).empty

    def test_looks_at_runs_that_have_ended(self, ledger: Ledger) -> None:
        rows = run("r", 0) + run("now", 60, seconds=None, result=None)
        found = trends_path.newest(whole(ledger, rows))
        assert found.runs["run_id"].tolist() == ["r"]


class TestFind:
    @pytest.fixture
    def runs(self, ledger: Ledger) -> pd.DataFrame:
        rows = [*run("aaaa-1111-00001234", 0), *run("aaaa-2222-00005678", 60)]
        return whole(ledger, rows).runs

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("last", "aaaa-2222-00005678"),
            ("aaaa-1111-00001234", "aaaa-1111-00001234"),
            ("aaaa-1", "aaaa-1111-00001234"),
            ("1234", "aaaa-1111-00001234"),
            ("00005", "aaaa-2222-00005678"),
        ],
    )
    def test_takes_what_a_person_may_type(self, runs: pd.DataFrame, asked: str, found: str) -> None:
        assert trends_run.find(runs, asked) == found

    @pytest.mark.parametrize(
        ("asked", "wrong"),
        [
            ("aaaa", "2 runs have that"),
            ("34", "no run of"),
            ("", "no run of"),
            ("zzzz", "no run of"),
        ],
        ids=["ambiguous", "two digits", "nothing", "unknown"],
    )
    def test_refuses_what_is_not_one_run(self, runs: pd.DataFrame, asked: str, wrong: str) -> None:
        with pytest.raises(ChoiceError, match=wrong):
            trends_run.find(runs, asked)

    def test_has_no_last_run_where_there_is_none(self, runs: pd.DataFrame) -> None:
        with pytest.raises(ChoiceError, match="no run is left"):
            trends_run.find(runs.head(0), "last")

    def test_knows_the_run_before_of_the_same_job(self, ledger: Ledger) -> None:
        rows = run("a", 0) + run("b", 60, job="nightly") + run("c", 120, environment="ci")
        rows += run("d", 180)
        runs = whole(ledger, rows).runs
        assert trends_run.before(runs, "d") == "a"
        assert trends_run.before(runs, "a") is None


class TestThreads:
    def test_have_bars_and_an_idle_share(self, ledger: Ledger) -> None:
        rows = run("r", 0, on(1, "a", 1, 5), on(2, "b", 1, 3), on(1, "c", 5, 11))
        history = whole(ledger, rows)
        worked = trends_run.bars(history)
        assert worked[["thread", "name", "seconds"]].to_numpy().tolist() == [
            ["Thread-1", "a", 4],
            ["Thread-2", "b", 2],
            ["Thread-1", "c", 6],
        ]
        assert worked["is_critical"].tolist() == [True, False, True]
        # 2 threads from 1 to 11 s are 20 s, at work 12 s of them.
        assert trends_run.idle(history, worked) == pytest.approx(0.4)

    def test_that_dbt_was_given_count_without_work_too(self, ledger: Ledger) -> None:
        rows: list[Any] = run("r", 0, on(1, "a", 1, 5))
        rows[1].threads = 4
        history = whole(ledger, rows)
        # 4 s of 4 threads x 4 s.
        assert trends_run.idle(history, trends_run.bars(history)) == 0.75

    def test_without_work_are_unknown(self, ledger: Ledger) -> None:
        history = whole(ledger, run("r", 0, node("a", "skipped"), node("b", "killed", 1, None)))
        worked = trends_run.bars(history)
        assert worked.empty
        assert trends_run.idle(history, worked) is None


class TestDifference:
    def test_tells_slower_faster_new_and_gone(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            *run(
                "then",
                0,
                node("slow", "success", 1, 3),
                node("fast", "success", 3, 9),
                node("like", "success", 9, 10),
                node("gone", "success", 10, 11),
                node("left", "success", 11, 12),
            ),
            step("then", 0, 0, 10),
            *run(
                "now",
                100,
                node("slow", "success", 101, 105),
                node("fast", "success", 105, 106),
                node("like", "success", 106, 107.09),
                node("new", "success", 108, 109),
                node("left", "reused"),
                seconds=90,
            ),
            step("now", 0, 100, 125),
        ]
        history = whole(ledger, rows)
        found = trends_run.difference(history.of(["now"]), history.of(["then"]))
        changes = dict(zip(found["name"], found["change"], strict=True))
        # `like` took 0.09 s longer: noise.
        assert changes == {
            "hourly": "slower",
            "tap target": "slower",
            "fast": "faster",
            "slow": "slower",
            "gone": "gone",
            "new": "new",
            "left": "other class",
            "like": "same",
        }
        by_name = found.set_index("name")
        assert by_name.loc["tap target", ["before_seconds", "seconds"]].tolist() == [10, 25]
        assert by_name.loc["fast", "change_seconds"] == -5
        assert pd.isna(by_name.loc["new", "change_seconds"])
        assert by_name.loc["left", ["class_before", "class"]].tolist() == ["success", "reused"]
        # The run itself first, then by size.
        assert found["name"].tolist()[:3] == ["hourly", "tap target", "fast"]

    def test_keeps_nodes_of_the_same_name_apart(self, ledger: Ledger) -> None:
        rows = run(
            "then", 0, node("model.p.a", "success", 1, 2), node("model.q.a", "success", 2, 5)
        )
        rows += run(
            "now", 60, node("model.p.a", "success", 61, 62), node("model.q.a", "success", 62, 65)
        )
        history = whole(ledger, rows)
        found = trends_run.difference(history.of(["now"]), history.of(["then"]))
        assert found.loc[found["kind"] == "model", "change"].tolist() == ["same", "same"]

    def test_tells_rows_and_requests_by_stream(self, ledger: Ledger) -> None:
        rows = run("then", 0, command=None) + run("now", 60, command=None)
        for run_id, stream, count, requests in (
            ("then", "issues", 10, 2),
            ("then", "spans", 7, None),
            ("now", "issues", 25, 3),
            ("now", "users", 1, 1),
        ):
            told = StreamSync(run_id=run_id, position=0, stream=stream, rows=count)
            told.requests, told.stored_rows = requests, count
            rows.append(told)
        history = whole(ledger, rows)
        found = trends_run.extracted(history.of(["now"]), history.of(["then"])).set_index("stream")
        assert found.index.tolist() == ["issues", "spans", "users"]
        assert found.loc["issues", ["rows_before", "rows", "change_rows"]].tolist() == [10, 25, 15]
        assert found.loc["issues", ["requests_before", "requests"]].tolist() == [2, 3]
        assert pd.isna(found.loc["spans", "requests_before"])
        assert pd.isna(found.loc["users", "change_rows"])
