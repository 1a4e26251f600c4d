"""The page on trends: runs and days in numbers, goals, change points, what it says of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.choice import Choice, ChoiceError
from orchestrate.analyzer.report import Metric, Report, Tone, as_json
from orchestrate.analyzer.reports.trends import days as trends_days
from orchestrate.analyzer.reports.trends import report
from orchestrate.analyzer.reports.trends.days import Job
from orchestrate.ledger.model import Result
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.small_histories import LIMITS, declared, load, node, run

DAY = 86_400.0
# Runs begin at noon of 20 November: day 0.
FIRST = pd.Timestamp("2026-11-20T00:00Z")


def metric(found: Report, name: str) -> Metric:
    return next(metric for metric in found.metrics if metric.name == name)


def column(frame: pd.DataFrame, name: str) -> list[Any]:
    """Values of a column, None where they are not known."""
    return [None if pd.isna(value) else value for value in frame[name]]


def per_run(ledger: Ledger, rows: list[Any]) -> pd.DataFrame:
    return trends_days.per_run(load(ledger, rows, now_s=40 * DAY))


def daily(seconds: list[float], **fields: Any) -> list[Any]:
    """A run at noon of each day that takes so long and builds one model."""
    return [
        row
        for number, took in enumerate(seconds)
        for row in run(
            f"run-{number:04}", number * DAY, node("a", "success", 1, 2), seconds=took, **fields
        )
    ]


class TestRuns:
    def test_count_models_by_class_and_tests_apart(self, ledger: Ledger) -> None:
        rows = run(
            "one",
            0,
            node("built", "success", 1, 2),
            node("reused", "reused"),
            node("broken", "error", 2, 3),
            node("held_back", "skipped"),
            node("test.p.good", "pass", 3, 4),
            node("test.p.bad", "fail", 3, 4),
        )
        (found,) = per_run(ledger, rows).to_dict("records")
        classes = [found[name] for name in ("success", "reused", "no-op", "skipped", "error")]
        assert classes == [1, 1, 0, 1, 1]
        assert (found["tests"], found["tests_failed"]) == (2, 1)
        # 1 reused of 1 reused, 1 built and 1 that was tried: what was skipped is none of these.
        assert found["reuse_rate"] == pytest.approx(1 / 3)

    def test_that_only_skipped_have_no_reuse_rate(self, ledger: Ledger) -> None:
        found = per_run(ledger, run("one", 0, node("held_back", "skipped")))
        assert column(found, "reuse_rate") == [None]

    def test_without_dbt_have_no_time_of_dbt(self, ledger: Ledger) -> None:
        found = per_run(ledger, run("one", 0, command=None))
        assert column(found, "dbt_seconds") == [None]
        assert column(found, "success") == [0]

    def test_add_up_all_calls_of_dbt(self, ledger: Ledger) -> None:
        rows = run("one", 0, command=None)
        for number, (begin, end) in enumerate([(5, 9), (20, 50)]):
            call = records.invocation(run_id="one", started_us=records.at(begin))
            call.invocation_id, call.ended_us = f"call-{number}", records.at(end)
            rows.append(call)
        assert column(per_run(ledger, rows), "dbt_seconds") == [34]

    def test_under_way_are_neither_success_nor_failure(self, ledger: Ledger) -> None:
        rows = run("good", 0) + run("lost", 100, result=Result.KILLED)
        rows += run("now", 200, seconds=None, result=None)
        found = trends_days.success(per_run(ledger, rows))
        assert found is not None
        assert (found.part, found.whole) == (1, 2)

    def test_part_into_halves_by_time_where_anything_was_built(self, ledger: Ledger) -> None:
        rows = run("none", 0, command=None)
        for number in range(3):
            rows += run(f"built-{number}", 100 + number, node("a", "success", 1, 2))
        earlier, later = trends_days.halves(per_run(ledger, rows))
        assert column(earlier, "run_id") == ["built-0"]
        assert column(later, "run_id") == ["built-1", "built-2"]


class TestDays:
    def test_are_utc_days_without_a_gap(self, ledger: Ledger) -> None:
        # Noon + 11:59:59 is the same day, a second later is the next.
        rows = run("a", 0) + run("b", DAY / 2 - 1) + run("c", DAY / 2) + run("d", 3 * DAY)
        days = trends_days.per_day(per_run(ledger, rows), None)
        assert column(days, "day") == [FIRST + pd.Timedelta(days=number) for number in range(4)]
        assert column(days, "runs") == [2, 1, 0, 1]
        assert column(days, "success_rate") == [1, 1, None, 1]
        assert column(days, "reuse_rate") == [None] * 4

    def test_time_the_runs_of_one_job_that_succeeded(self, ledger: Ledger) -> None:
        rows = [
            row
            for number, took in enumerate([10, 20, 30, 40, 110])
            for row in run(f"good-{number}", number, seconds=took)
        ]
        rows += run("short", 50, seconds=1, result=Result.FAILURE)
        rows += run("other", 60, seconds=1, job="nightly")
        runs = per_run(ledger, rows)
        job = trends_days.main_job(runs)
        assert job == Job("prod", "hourly")
        days = trends_days.per_day(runs, job)
        assert column(days, "run_p50_seconds") == [30]
        # 0.95 x 4 = 3.8: four fifths of the way from 40 to 110.
        assert column(days, "run_p95_seconds") == [pytest.approx(96)]
        assert column(days, "succeeded") == [6]

    def test_have_no_durations_where_nothing_succeeded(self, ledger: Ledger) -> None:
        runs = per_run(ledger, run("bad", 0, result=Result.FAILURE))
        assert trends_days.main_job(runs) is None
        assert column(trends_days.per_day(runs, None), "run_p50_seconds") == [None]

    def test_pool_reuse_of_their_runs(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("x", "reused"))
        rows += run("b", 60, *[node(f"x{number}", "success", 1, 2) for number in range(3)])
        days = trends_days.per_day(per_run(ledger, rows), None)
        # 1 of 4, not the mean of 100 % and 0 %.
        assert column(days, "reuse_rate") == [0.25]

    def test_that_the_window_cuts_do_not_count_for_trends(self) -> None:
        days = pd.DataFrame({"day": pd.date_range(FIRST, periods=4, freq="D")})
        now = FIRST + pd.Timedelta(days=3, hours=6)
        whole = trends_days.whole(days, now, window=3)
        # Day 0 is cut by the begin, 3 days before now; day 3 is not over.
        assert column(whole, "day") == [FIRST + pd.Timedelta(days=number) for number in (1, 2)]
        # Of the first day nobody knows how long there was a ledger.
        assert len(trends_days.whole(days, now, window=0)) == 2


class TestTrends:
    def test_tell_better_from_worse(self, ledger: Ledger) -> None:
        runs = per_run(ledger, daily([100 + 5 * number for number in range(12)]))
        days = trends_days.per_day(runs, trends_days.main_job(runs))
        found = trends_days.trends(days).set_index("measure")
        assert found.loc["run time", ["verdict", "change_per_day", "unit"]].tolist() == [
            "worsening",
            pytest.approx(5),
            "seconds",
        ]
        assert found.loc["success rate", "verdict"] == "no clear trend"

    def test_of_a_growing_rate_are_better(self) -> None:
        days = pd.DataFrame({"reuse_rate": [number / 20 for number in range(12)]})
        for measure in trends_days.MEASURES[1:]:
            days[measure.column] = None
        found = trends_days.trends(days)
        assert found[["measure", "verdict"]].to_numpy().tolist() == [["reuse rate", "improving"]]

    def test_of_few_days_are_not_told(self, ledger: Ledger) -> None:
        runs = per_run(ledger, daily([100 + 5 * number for number in range(9)]))
        assert trends_days.trends(trends_days.per_day(runs, Job("prod", "hourly"))).empty


class TestChanges:
    def test_are_told_by_job_with_both_levels(self, ledger: Ledger) -> None:
        runs = per_run(ledger, daily([10.0] * 10 + [15.0] * 10))
        days = trends_days.per_day(runs, Job("prod", "hourly"))
        found = trends_days.changes(runs, days).query("measure == 'run time'")
        assert found[["of", "before", "after"]].to_numpy().tolist() == [["hourly (prod)", 10, 15]]
        assert column(found, "day") == [FIRST + pd.Timedelta(days=10)]
        assert column(found, "change") == [pytest.approx(0.5)]

    def test_from_nothing_have_no_share(self, ledger: Ledger) -> None:
        rows = [
            row
            for number in range(20)
            for row in run(
                f"run-{number:02}", number * DAY, node("a", "success" if number < 10 else "reused")
            )
        ]
        runs = per_run(ledger, rows)
        found = trends_days.changes(runs, trends_days.per_day(runs, None))
        assert found[["measure", "before", "after"]].to_numpy().tolist() == [["reuse rate", 0, 1]]
        assert column(found, "change") == [None]

    def test_do_not_count_days_that_are_cut(self, ledger: Ledger) -> None:
        runs = per_run(ledger, daily([10.0] * 10 + [15.0] * 10))
        days = trends_days.per_day(runs, Job("prod", "hourly"))
        assert trends_days.changes(runs, days.head(13)).empty


class TestCoverage:
    def test_is_told_of_each_project_since_it_was_read(self, ledger: Ledger) -> None:
        rows: list[Any] = [
            declared("source.p.s.a", manifest_hash="old", freshness=LIMITS),
            declared("source.p.s.b", manifest_hash="old", freshness=None),
            declared("model.p.c", manifest_hash="old"),
            declared("model.p.d", manifest_hash="old", materialized="ephemeral"),
            declared("source.p.s.a", manifest_hash="new", freshness=LIMITS),
            declared(
                "model.p.c",
                manifest_hash="new",
                freshness={"build_after": {"count": 4, "period": "hour"}},
            ),
            *run("one", 0, manifest_hash="old"),
            *run("two", 100, manifest_hash="old"),
            *run("three", 200, manifest_hash="new"),
            *run("four", 300, manifest_hash=None),
        ]
        found = trends_days.coverage(load(ledger, rows, now_s=1000))
        assert column(found, "manifest") == ["old", "new"]
        # Of the old one 1 of 3, the ephemeral model aside.
        counts = found[["calls", "covered", "nodes"]].to_numpy().tolist()
        assert counts == [[2, 1, 3], [1, 2, 2]]
        assert column(found, "coverage") == [pytest.approx(1 / 3), 1]

    def test_of_a_project_that_the_ledger_lacks_is_unknown(self, ledger: Ledger) -> None:
        found = trends_days.coverage(load(ledger, run("one", 0), now_s=100))
        assert column(found, "coverage") == [None]


class TestReport:
    def test_of_an_empty_history_says_what_to_do(self, ledger: Ledger) -> None:
        found = report(load(ledger, [], now_s=0), Choice())
        assert found.empty is not None
        assert "meltano run" in found.empty

    def test_without_dbt_knows_no_reuse_and_no_flaky_tests(self, ledger: Ledger) -> None:
        found = report(load(ledger, run("one", 0, command=None), now_s=100), Choice())
        names = ["Reuse rate", "Highest reuse", "Freshness coverage", "Flaky tests", "Idle threads"]
        assert [metric(found, name).value for name in names] == [None] * 5
        assert metric(found, "Success rate").value == 1
        as_json(found)

    def test_of_a_run_under_way_knows_no_success(self, ledger: Ledger) -> None:
        rows = run("now", 0, node("a", "success", 1, 2), seconds=None, result=None)
        found = report(load(ledger, rows, now_s=100), Choice())
        assert metric(found, "Success rate").value is None
        assert metric(found, "Median run").value is None
        as_json(found)

    def test_of_a_run_without_extraction_has_no_streams(self, ledger: Ledger) -> None:
        rows = [*run("one", 0, node("a", "success", 1, 2)), *run("two", 100)]
        found = report(load(ledger, rows, now_s=200), Choice())
        assert found.tables["extracted"].frame.empty

    def test_pools_reuse_and_tells_halves_and_extremes(self, ledger: Ledger) -> None:
        rows = run("a", 0, *[node(f"x{number}", "success", 1, 2) for number in range(4)])
        rows += run("b", 100, node("x0", "reused"), node("x1", "success", 1, 2))
        rows += run("c", 200, node("x0", "reused"), node("x1", "reused"))
        found = report(load(ledger, rows, now_s=300), Choice())
        # 0 of 4, then 1 of 2 and 2 of 2: 3 of 8 in all; later half 3 of 4.
        values = {
            name: metric(found, name).value
            for name in (
                "Reuse rate",
                "Highest reuse",
                "Lowest reuse",
                "Reuse, first half",
                "Reuse, second half",
            )
        }
        assert list(values.values()) == [0.375, 1, 0, 0, 0.75]
        assert metric(found, "Reuse rate").goal == 0.30
        assert "3 reused of 8" in metric(found, "Reuse rate").help

    def test_bounds_the_success_rate(self, ledger: Ledger) -> None:
        rows = [
            row
            for number in range(10)
            for row in run(
                f"run-{number}", number, result=Result.SUCCESS if number < 5 else Result.FAILURE
            )
        ]
        found = metric(report(load(ledger, rows, now_s=100), Choice()), "Success rate")
        # As in the tests of `rate`: 5 of 10.
        assert found.value == 0.5
        assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
        assert found.help == "5 of 10 runs that ended."

    def test_says_since_when_runs_are_slower(self, ledger: Ledger) -> None:
        history = load(ledger, daily([10.0] * 10 + [15.0] * 10), now_s=20 * DAY)
        said = report(history, Choice(days=0)).insights
        slower = next(one for one in said if "run time" in one.text)
        assert slower.tone is Tone.WARNING
        assert slower.text == (
            "The run time of hourly (prod) is 15.0 s since 2026-11-30, 10.0 s before: +50 %."
        )

    def test_takes_the_steps_of_a_job_together(self, ledger: Ledger) -> None:
        levels = [10.0] * 10 + [10.8] * 10 + [11.6] * 10
        said = report(load(ledger, daily(levels), now_s=30 * DAY), Choice(days=0)).insights
        # Each step is less than a tenth, both are 16 %.
        assert [one.text for one in said if "run time" in one.text] == [
            "The run time of hourly (prod) is 11.6 s since 2026-12-10, 10.0 s before: "
            "+16 % in 2 steps."
        ]

    def test_does_not_tell_small_changes(self, ledger: Ledger) -> None:
        history = load(ledger, daily([10.0] * 10 + [10.5] * 10), now_s=20 * DAY)
        found = report(history, Choice(days=0))
        assert "run time" in set(found.tables["changes"].frame["measure"])
        assert not [one for one in found.insights if "run time" in one.text]

    def test_counts_one_environment_of_several(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("x", "success", 1, 2)) + run(
            "b", 100, node("x", "reused"), environment="ci", result=Result.FAILURE
        )
        history = load(ledger, rows, now_s=200)
        choice = Choice(environment="ci")
        found = report(history.chosen(choice), choice)
        assert (metric(found, "Success rate").value, metric(found, "Reuse rate").value) == (0, 1)

    def test_of_an_unknown_run_is_an_error_in_one_line(self, ledger: Ledger) -> None:
        history = load(ledger, run("one", 0), now_s=100)
        with pytest.raises(ChoiceError, match=r"^run is 'nowhere': .* It may be 'last'") as error:
            report(history, Choice(run="nowhere"))
        assert "\n" not in str(error.value)
        with pytest.raises(ChoiceError, match=r"^other_run is 'nowhere'"):
            report(history, Choice(other_run="nowhere"))

    def test_says_everything_as_json(self, ledger: Ledger) -> None:
        rows = [
            *records.demo_like().nodes,
            *records.manifest(),
            records.run(),
            records.invocation(),
        ]
        found = as_json(report(load(ledger, rows, now_s=100), Choice()))
        assert set(found["tables"]) >= {"days", "runs", "flaky", "causes", "threads", "difference"}
