"""The overview: its numbers, the last runs, and what it says when there is little to tell."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.report import Report, Tone, as_json
from orchestrate.analyzer.reports.overview import report
from orchestrate.ledger.model import Row, Step
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.small_histories import (
    HOUR,
    LIMITS,
    decision,
    declared,
    load,
    metric,
    node,
    rows_of,
    run,
    said,
)

ISSUES = declared("source.p.s.issues", freshness=LIMITS)
FACT = declared("model.p.fact", "source.p.s.issues")


def of(
    ledger: Ledger, rows: Iterable[Row], *, now_s: float = HOUR, jobs: Iterable[str] = ()
) -> Report:
    return report(load(ledger, rows, now_s=now_s, jobs=jobs), Choice())


class TestLittle:
    def test_without_a_run_says_what_to_do(self, ledger: Ledger) -> None:
        found = of(ledger, [])
        assert found.empty is not None
        assert "meltano run" in found.empty
        assert not found.metrics

    def test_without_dbt_has_dashes_and_no_zeros(self, ledger: Ledger) -> None:
        found = of(ledger, run("a", 0, command=None, streams={"issues": (30.0, 5)}))
        unknown = {one.name for one in found.metrics if one.value is None}
        assert unknown == {
            "Newest bookmark",
            "Models within SLO",
            "Reuse rate",
            "Freshness declared",
            "Failing tests",
            "Planner's errors",
        }
        assert metric(found, "Data age").value == HOUR - 30

    def test_without_extraction_has_no_age(self, ledger: Ledger) -> None:
        found = of(ledger, run("a", 0, node("fact", "success", 1, 2)))
        assert metric(found, "Data age").value is None
        assert metric(found, "Reuse rate").value == 0  # known: 1 built, 0 reused

    def test_of_a_running_run_tells_when_it_was_heard_of(self, ledger: Ledger) -> None:
        found = of(ledger, run("a", 0, seconds=None, result=None))
        assert metric(found, "Last run").value == "running"
        assert metric(found, "Since last run").value == HOUR - 5
        assert metric(found, "Success rate").value is None

    def test_is_all_plain_objects_in_json(self, ledger: Ledger) -> None:
        found = as_json(of(ledger, run("a", 0, seconds=None, result="killed")))
        assert found["tables"]["runs"][0]["result"] == "killed"
        assert found["tables"]["runs"][0]["started_at"] == "2026-11-20T12:00:00+00:00"


class TestMetrics:
    def test_count_the_runs_that_ended(self, ledger: Ledger) -> None:
        rows = [
            *run("a", 0),
            *run("b", 100, result="failure"),
            *run("c", 200, result="killed", seconds=None),
            *run("d", 300, seconds=None, result=None),
        ]
        found = metric(of(ledger, rows), "Success rate")
        assert found.value == 1 / 3
        assert found.help == "1 of 3 runs that ended."

    def test_tell_the_age_of_rows_and_of_the_newest_bookmark(self, ledger: Ledger) -> None:
        rows = [*run("a", 0, command=None), records.stream("issues", 3, 9, rows=4)]
        rows[-1].run_id = "a"  # type: ignore[attr-defined]
        found = of(ledger, rows, now_s=100)
        assert metric(found, "Data age").value == 91
        assert metric(found, "Newest bookmark").value == 160  # it stands at -60 s

    def test_judge_models_where_runs_come_by_schedule(self, ledger: Ledger) -> None:
        """In prod one model is late, one idle; dev, where people run it by hand, does not count."""
        other = declared("model.p.quiet", "source.p.s.quiet")
        project = [ISSUES, FACT, other, declared("source.p.s.quiet", freshness=LIMITS)]
        built = [node("fact", "success", 10, 20), node("quiet", "success", 10, 20)]
        by_hand = [node("fact", "success", 10, 20)]
        rows = [
            *run("a", 0, *built, streams={"issues": (HOUR, 1), "quiet": (5.0, 1)}),
            *run("b", 0, *by_hand, environment="dev", job="by hand", trigger="cli"),
        ]
        told = of(ledger, [*project, *rows], now_s=3 * HOUR, jobs=["hourly"])
        found = metric(told, "Models within SLO")
        assert found.value == 0.5
        assert found.help == "1 of 2 models and snapshots with a limit (prod)."

    def test_judge_all_where_nothing_comes_by_schedule(self, ledger: Ledger) -> None:
        rows = run("b", 0, node("fact", "success", 10, 20), environment="dev", trigger="cli")
        found = metric(of(ledger, [ISSUES, FACT, *rows]), "Models within SLO")
        assert (found.value, found.help) == (1, "1 of 1 models and snapshots with a limit (dev).")

    def test_have_goals_where_there_are_some(self, ledger: Ledger) -> None:
        found = of(ledger, [ISSUES, FACT, *run("a", 0, node("fact", "reused"))])
        assert {one.name: one.goal for one in found.metrics if one.goal} == {
            "Reuse rate": 0.3,
            "Freshness declared": 0.8,
        }
        assert metric(found, "Freshness declared").value == 0.5  # the source of the two

    def test_bound_the_planners_errors(self, ledger: Ledger) -> None:
        decided = [decision("fact", "reuse", "identical")]
        found = metric(of(ledger, run("a", 0, decided=decided)), "Planner's errors")
        assert (found.value, found.low) == (0, 0)
        assert found.high == pytest.approx(0.793451, abs=1e-6)  # 3.8415 by 4.8415


class TestTests:
    def test_that_fail_are_those_whose_last_verdict_is_bad(self, ledger: Ledger) -> None:
        project = [FACT, *(declared(f"test.p.{one}", "model.p.fact") for one in ("a", "b", "c"))]
        rows = [
            *run("a", 0, node("test.p.a", "fail", 1, 2), node("test.p.b", "pass", 1, 2)),
            *run("b", 100, node("test.p.a", "pass", 101, 102), node("test.p.b", "fail", 101, 102)),
            # Held back, killed or reused: no new verdict, or that of before.
            *run("c", 200, node("test.p.b", "skipped"), node("test.p.c", "reused")),
        ]
        found = of(ledger, [*project, *rows])
        assert metric(found, "Failing tests").value == 1
        assert [row["name"] for row in rows_of(found, "failing_tests")] == ["b"]
        assert "1 of 3 tests fail now: b (prod)." in said(found, Tone.BAD)

    def test_that_left_the_project_do_not_count(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("test.p.gone", "fail", 1, 2))
        found = of(ledger, [FACT, *rows])
        assert metric(found, "Failing tests").value is None
        assert not rows_of(found, "failing_tests")

    def test_count_where_nobody_knows_the_project(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("test.p.any", "fail", 1, 2), manifest_hash=None)
        assert metric(of(ledger, rows), "Failing tests").value == 1

    def test_of_two_environments_are_two(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("test.p.any", "fail", 1, 2), manifest_hash=None)
        rows += run("b", 0, node("test.p.any", "pass", 1, 2), manifest_hash=None, environment="dev")
        found = of(ledger, rows)
        assert said(found, Tone.BAD) == ["1 of 2 tests in 2 places fail now: any (prod)."]

    def test_that_warn_do_not_fail(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("test.p.any", "warn", 1, 2), manifest_hash=None)
        found = of(ledger, rows)
        assert metric(found, "Failing tests").value == 0
        assert "1 of 1 tests warn: any (prod)." in said(found, Tone.WARNING)


class TestRuns:
    def test_have_what_broke_first_as_their_cause(self, ledger: Ledger) -> None:
        late, first = node("late", "error", 30, 40), node("first", "error", 10, 20)
        first.message = records.DATABASE_ERROR
        rows = [
            *run("a", 0, late, first, result="failure", error="Run invocation failed"),
            *run("b", 100, result="failure", error="Run invocation failed", command=None),
            *run("c", 200, result="killed", seconds=None, command=None),
            *run("d", 300),
        ]
        step = Step(
            run_id="b", position=0, name="tap", kind="extract_load", started_us=1, error="it broke"
        )
        found = rows_of(of(ledger, [*rows, step]), "runs")
        binder = 'Binder Error: Referenced column "secret_column" not found in FROM clause!'
        assert {row["run_id"]: row["cause"] for row in found} == {
            "d": None,
            "c": None,
            "b": "step tap: it broke",
            "a": f"model first: {binder} (and 1 more)",
        }

    def test_are_the_newest_sixty(self, ledger: Ledger) -> None:
        rows = [row for n in range(61) for row in run(f"r{n}", n * 100, command=None)]
        found = rows_of(of(ledger, rows, now_s=7000), "runs")
        assert (len(found), found[0]["run_id"], found[-1]["run_id"]) == (60, "r60", "r1")
