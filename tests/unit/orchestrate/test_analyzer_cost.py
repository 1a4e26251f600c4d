"""Page "cost": every number worked out by hand. At 3.60 an hour a second costs 0.001."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from orchestrate.analyzer import report as reports
from orchestrate.analyzer.choice import Choice, choose
from orchestrate.analyzer.report import Report, Tone
from orchestrate.analyzer.reports.cost import report
from orchestrate.analyzer.reports.cost.metrics import forecast
from orchestrate.analyzer.reports.cost.work import work
from orchestrate.ledger.model import Result, Row, Step
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.analyzer_rows import (
    DAY,
    NOW,
    all_rows,
    called,
    decision,
    load,
    model,
    reused,
    run,
)


def priced(**others: object) -> Choice:
    return choose({"machine_hour": 3.6, "days": 0, **others})


def found(ledger: Ledger, rows: Sequence[Row], **others: object) -> Report:
    choice = priced(**others)
    return report(load(ledger, rows).chosen(choice), choice)


def values(said: Report) -> dict[str, object]:
    return {metric.name: metric.value for metric in said.metrics}


def metric(said: Report, name: str) -> reports.Metric:
    return next(metric for metric in said.metrics if metric.name == name)


def parts(said: Report, column: str = "machine_seconds") -> dict[str, object]:
    frame = said.tables["parts"].frame
    return {
        part: pytest.approx(amount)
        for part, amount in zip(frame["part"], frame[column], strict=True)
    }


def built_alone(*seconds: float) -> list[Row]:
    """Runs of 100 s, one after the other, each with one build of the model `a` in so many."""
    rows: list[Row] = []
    for number, lasting in enumerate(seconds):
        begin, run_id = 1000.0 * number, f"built-{number}"
        rows += [run(run_id, begin, begin + 100), called(run_id, begin, begin + 100)]
        rows.append(model(run_id, "a", begin + 10, begin + 10 + lasting))
    return rows


def planned(begin: float = 50_000.0, *more: Row) -> list[Row]:
    """A run of 20 s in which the planner compiled for 2 s and reused the model `a`."""
    plan = called("reused", begin, begin + 2, "-plan", command="compile")
    build = called("reused", begin + 2, begin + 20)
    return [run("reused", begin, begin + 20), plan, build, *reused("reused-plan", "a"), *more]


# Nodes run from 35 to 55 s. dim_release failed: 39-39.25 alone, 39.25-39.5 and 39.5-40 as one
# of two: 0.25 + 0.125 + 0.25; unique_mart_health: 54-55 alone. dbt runs from 32 to 58.
DEMO = {
    "extract and load": 29.0,
    "built and tested": 20 - 1.625,
    "failed": 1.625,
    "dbt itself": 26.0 - 20.0,
    "starting and the rest": 60 - 29.0 - 26.0,
}


class TestParts:
    def test_are_what_the_wall_clock_was_spent_on(self, ledger: Ledger) -> None:
        said = found(ledger, all_rows(records.demo_like()))
        assert parts(said) == DEMO
        assert parts(said, "cost") == {name: seconds / 1000 for name, seconds in DEMO.items()}
        assert values(said)["Total cost"] == pytest.approx(0.060)
        assert values(said)["Machine hours"] == pytest.approx(60 / 3600)

    def test_of_a_killed_run_count_what_was_at_work_as_failed(self, ledger: Ledger) -> None:
        # Killed at 43: int_activity 39.5-40 as one of two, 40-43 as one of two: 1.75; dim_project
        # 40-43: 1.5; and dim_release 0.625. dbt from 32, its nodes from 35, extraction 1-30.
        assert parts(found(ledger, all_rows(records.killed()))) == {
            "extract and load": 29.0,
            "built and tested": 8 - 3.875,
            "failed": 3.875,
            "dbt itself": 3.0,
            "starting and the rest": 43 - 29.0 - 11.0,
        }

    def test_of_a_run_under_way_go_up_to_what_was_last_heard(self, ledger: Ledger) -> None:
        rows = [
            run("now", 0, 30, ended_us=None, result=None),
            called("now", 10, 30, ended_us=None, result=None),
            model("now", "a", 12, 20),
            model("now", "b", 20, None, status=None),
        ]
        said = found(ledger, rows)
        assert parts(said)["under way"] == 10.0
        assert parts(said)["built and tested"] == 8.0
        assert values(said)["Cost per run"] is None
        assert values(said)["Total cost"] == pytest.approx(0.030)

    def test_count_a_load_that_did_not_succeed_as_failed(self, ledger: Ledger) -> None:
        step = Step(
            run_id="r",
            position=0,
            name="tap-sentry target-duckdb",
            kind="extract_load",
            started_us=records.at(2),
            ended_us=records.at(9),
            result=Result.FAILURE,
        )
        said = found(ledger, [run("r", 0, 10, result=Result.FAILURE), step])
        assert parts(said) == {"failed": 7.0, "starting and the rest": 3.0}
        assert values(said)["Failed work"] == pytest.approx(0.007)

    def test_have_nothing_of_dbt_in_a_run_without_it(self, ledger: Ledger) -> None:
        rows = [row for row in all_rows(records.demo_like()) if not hasattr(row, "invocation_id")]
        said = found(ledger, rows)
        assert parts(said) == {"extract and load": 29.0, "starting and the rest": 31.0}
        assert said.tables["models"].frame.empty
        assert values(said)["Proven saving, net"] == 0.0

    def test_have_nothing_of_extraction_where_dbt_ran_alone(self, ledger: Ledger) -> None:
        said = found(ledger, all_rows(records.only_dbt()))
        assert set(parts(said)) == {"built and tested", "dbt itself"}
        assert sum(said.tables["parts"].frame["machine_seconds"]) == pytest.approx(26.0)

    def test_add_up_to_the_wall_clock_of_each_run(self, ledger: Ledger) -> None:
        rows = [*all_rows(records.demo_like()), *built_alone(1, 30, 250), *planned()]
        done = work(load(ledger, rows), priced())
        sums = done.entries.groupby("run")["seconds"].sum()
        assert sums.tolist() == pytest.approx(done.runs["run_seconds"].tolist())

    def test_leave_out_what_was_skipped_or_reused(self, ledger: Ledger) -> None:
        skipped = model("r", "b", 3, 8, status="skipped")
        rows = [run("r", 0, 10), called("r", 0, 10), model("r", "a", 1, 3), skipped]
        said = found(ledger, rows)
        assert parts(said) == {"built and tested": 2.0, "dbt itself": 8.0}
        by_class = said.tables["classes"].frame.set_index("node_class")
        assert by_class.loc["skipped", ["nodes", "machine_seconds", "cost"]].tolist() == [1, 0, 0]

    def test_take_no_time_from_nodes_that_have_none(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 10), called("r", 0, 10)]
        rows.append(model("r", "a", None, None, status="error"))
        assert parts(found(ledger, rows)) == {"dbt itself": 10.0}


class TestPrices:
    def test_of_requests_are_added(self, ledger: Ledger) -> None:
        # 7 + 3 requests at 100.00 for 1,000.
        said = found(ledger, all_rows(records.demo_like()), request_price=100)
        assert values(said)["Requests to Sentry"] == 10
        assert values(said)["Total cost"] == pytest.approx(1.060)
        assert parts(said, "cost")["Sentry requests"] == 1.0

    def test_of_a_warehouse_hold_for_seconds_in_which_nodes_run(self, ledger: Ledger) -> None:
        # A machine for 60 - 20 s; a warehouse at 2 * 1.80 an hour for 20 s, and up to a minute.
        said = found(ledger, all_rows(records.demo_like()), warehouse_size="Small", credit=1.8)
        assert parts(said, "cost")["minimum charge"] == 0.040
        assert values(said)["Total cost"] == pytest.approx(0.040 + 0.020 + 0.040)

    def test_of_a_warehouse_rise_with_its_size(self, ledger: Ledger) -> None:
        # A minute: 1/60 of the credits of an hour, at 3.00 each; the machine 40 s.
        sizes = found(ledger, all_rows(records.demo_like()), credit=3).tables["sizes"].frame
        assert sizes["credits"].tolist() == pytest.approx([2**size / 60 for size in range(8)])
        assert sizes["dbt_cost"].tolist() == pytest.approx([2**size / 20 for size in range(8)])
        assert sizes["total_cost"].iloc[0] == pytest.approx(0.05 + 0.040)
        assert not sizes["chosen"].any()

    @pytest.mark.parametrize(("gap", "billed"), [(59, 60.0), (61, 120.0)], ids=["soon", "late"])
    def test_of_a_warehouse_hold_for_each_time_it_resumes(
        self, ledger: Ledger, gap: int, billed: float
    ) -> None:
        rows: list[Row] = [run("r", 0, 200)]
        for name, begin in (("-1", 0), ("-2", 10 + gap)):
            rows.append(called("r", begin, begin + 10, name))
            rows.append(model(f"r{name}", f"a{name}", begin, begin + 10))
        sizes = found(ledger, rows).tables["sizes"].frame
        assert sizes["billed_seconds"].iloc[0] == billed

    @pytest.mark.parametrize(
        ("currency", "sign"),
        [("USD", "$"), ("EUR", "€"), ("GBP", "£"), ("CAD", "CA$"), ("AUD", "A$")],
    )
    def test_are_in_the_currency_chosen_and_not_converted(
        self, ledger: Ledger, currency: str, sign: str
    ) -> None:
        said = found(ledger, all_rows(records.demo_like()), currency=currency)
        assert said.currency == currency
        assert values(said)["Total cost"] == pytest.approx(0.060)
        texts = [insight.text for insight in said.insights]
        texts += [metric.help for metric in said.metrics]
        money = [text for text in texts if "0.0600" in text]
        assert money
        assert all(f" {sign}0.0600" in text for text in money)


class TestVain:
    def test_failed_work_is_a_cost(self, ledger: Ledger) -> None:
        said = found(ledger, all_rows(records.demo_like()))
        assert values(said)["Failed work"] == pytest.approx(0.001625)
        runs = said.tables["runs"].frame
        assert runs["failed_cost"].tolist() == pytest.approx([0.001625])
        [text] = [one.text for one in said.insights if "Failed work" in one.text]
        assert "2.7 %" in text  # 1.625 of 60
        assert "2 nodes" in text

    def test_much_of_it_is_a_warning(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 10), called("r", 0, 10), model("r", "a", 0, 5, status="error")]
        tones = [one.tone for one in found(ledger, rows).insights if "Failed" in one.text]
        assert tones == [Tone.WARNING]

    def test_a_build_is_in_vain_only_where_contents_prove_it(self, ledger: Ledger) -> None:
        rows: list[Row] = [run("r", 0, 20), called("r", 0, 20)]
        for place, outcome in enumerate(("identical", "changed", None)):
            rows.append(model("r", f"m{place}", 4 * place, 4 * place + place + 1))
            if outcome:
                rows.append(decision("r", f"m{place}", mode="shadow", outcome=outcome))
        said = found(ledger, rows)
        assert values(said)["Changed nothing"] == pytest.approx(0.001)
        assert "1 builds" in metric(said, "Changed nothing").help
        assert "of 2" in metric(said, "Changed nothing").help

    def test_a_status_that_did_nothing_is_not_in_vain(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 20), called("r", 0, 20), model("r", "a", 0, 4, status="no-op")]
        said = found(ledger, [*rows, decision("r", "a", outcome="changed")])
        assert values(said)["Changed nothing"] == 0.0

    def test_nobody_knows_where_nothing_was_compared(self, ledger: Ledger) -> None:
        said = found(ledger, built_alone(1, 2))
        assert values(said)["Changed nothing"] is None
        assert any("no contents were compared" in one.text for one in said.insights)


class TestSaving:
    def test_is_what_a_node_usually_takes_less_planning(self, ledger: Ledger) -> None:
        # Builds of 1 to 5 s: median 3, quartiles 2 and 4. Planning took 2 s.
        said = found(ledger, [*built_alone(5, 1, 4, 2, 3), *planned()])
        net = metric(said, "Proven saving, net")
        assert [net.value, net.low, net.high] == pytest.approx([0.001, 0.0, 0.002])
        assert values(said)["Planning"] == pytest.approx(0.002)
        assert values(said)["Return on planning"] == pytest.approx(0.5)
        assert values(said)["Saving unknown"] == 0
        savings = said.tables["savings"].frame.set_index("kind")
        assert savings.loc["proven", "middle_seconds"] == pytest.approx(3.0)

    def test_counts_seconds_of_the_machine_and_not_of_threads(self, ledger: Ledger) -> None:
        # Two models on two threads for 6 s each: 3 s of the machine each.
        both = [model("b", "a", 10, 16), model("b", "other", 10, 16)]
        said = found(ledger, [run("b", 0, 20), called("b", 0, 20), *both, *planned()])
        savings = said.tables["savings"].frame.set_index("kind")
        assert savings.loc["proven", "middle_seconds"] == pytest.approx(3.0)

    def test_is_less_than_nothing_where_planning_took_longer(self, ledger: Ledger) -> None:
        said = found(ledger, [*built_alone(0.5), *planned()])
        assert values(said)["Proven saving, net"] == pytest.approx(-0.0015)
        assert any(one.tone is Tone.WARNING and "more than" in one.text for one in said.insights)

    def test_is_unknown_for_what_was_never_built(self, ledger: Ledger) -> None:
        said = found(ledger, planned())
        assert values(said)["Proven saving, net"] is None
        assert values(said)["Return on planning"] is None
        assert values(said)["Saving unknown"] == 1

    def test_is_not_taken_from_builds_in_another_target(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 10), called("r", 0, 10, target="sample"), model("r", "a", 0, 5)]
        assert values(found(ledger, [*rows, *planned()]))["Saving unknown"] == 1

    def test_is_not_taken_from_builds_that_failed(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 10), called("r", 0, 10), model("r", "a", 0, 5, status="error")]
        assert values(found(ledger, [*rows, *planned()]))["Saving unknown"] == 1

    def test_keeps_apart_what_was_only_put_off(self, ledger: Ledger) -> None:
        rows = [*built_alone(3), run("r", 9000, 9010), called("r", 9000, 9010)]
        said = found(ledger, [*rows, *reused("r", "a", "build_after")])
        assert values(said)["Deferred"] == pytest.approx(0.003)
        assert values(said)["Proven saving, net"] == 0.0

    def test_is_not_claimed_without_a_reason(self, ledger: Ledger) -> None:
        rows = [*built_alone(3), run("r", 9000, 9010), called("r", 9000, 9010)]
        said = found(ledger, [*rows, *reused("r", "a", None)])
        assert values(said)["Proven saving, net"] == 0.0
        assert "1 were reused without a reason" in metric(said, "Saving unknown").help

    def test_is_none_of_what_was_skipped(self, ledger: Ledger) -> None:
        rows = [run("r", 9000, 9010), called("r", 9000, 9010)]
        rows.append(model("r", "a", None, None, status="skipped"))
        said = found(ledger, [*built_alone(3), *rows])
        assert said.tables["savings"].frame["nodes"].sum() == 0

    def test_subtracts_planning_in_the_shadow_too(self, ledger: Ledger) -> None:
        shadow = [
            run("s", 60_000, 60_010),
            called("s", 60_000, 60_004, "-plan", command="compile"),
            called("s", 60_004, 60_010),
            model("s", "a", 60_005, 60_009),
            decision("s-plan", "a", mode="shadow", outcome="identical"),
        ]
        # Builds of 4, 4 and 4 s; planning 2 s and 4 s.
        said = found(ledger, [*built_alone(4, 4), *planned(), *shadow])
        assert values(said)["Proven saving, net"] == pytest.approx(0.004 - 0.006)
        assert any("$0.0040 of it in the shadow" in one.text for one in said.insights)

    def test_counts_a_plan_without_a_call_of_its_own_from_the_step_on(self, ledger: Ledger) -> None:
        step = Step(
            run_id="r",
            position=0,
            name="dbt:build",
            kind="command",
            started_us=records.at(9002),
            ended_us=records.at(9020),
            result=Result.SUCCESS,
        )
        rows = [run("r", 9000, 9021), step, called("r", 9007, 9018), *reused("r", "a")]
        said = found(ledger, [*built_alone(8), *rows])
        assert parts(said)["planning reuse"] == 5.0
        assert values(said)["Proven saving, net"] == pytest.approx(0.008 - 0.005)

    def test_of_a_warehouse_is_nothing_within_a_minute_billed_anyhow(self, ledger: Ledger) -> None:
        rows = [*built_alone(5), *planned(50_000.0, model("reused", "b", 50_003, 50_010))]
        said = found(ledger, rows, warehouse_size="X-Small", credit=3.6)
        assert values(said)["Proven saving, net"] == 0.0
        assert values(said)["Planning"] == 0.0

    def test_of_a_warehouse_is_what_goes_beyond_the_minute(self, ledger: Ledger) -> None:
        # Without planning 50 s for b and 25 s for a: 75 s. So it was 50 + 2 s: billed 60.
        rows: list[Row] = [*built_alone(25), run("r", 9000, 9100)]
        rows += [called("r", 9000, 9002, "-plan", command="compile"), *reused("r-plan", "a")]
        rows += [called("r", 9002, 9100), model("r", "b", 9010, 9060)]
        said = found(ledger, rows, warehouse_size="X-Small", credit=3.6)
        assert values(said)["Proven saving, net"] == pytest.approx(0.015)


class TestTables:
    def test_list_runs_and_jobs_with_what_they_cost(self, ledger: Ledger) -> None:
        rows = [run("a", 0, 10), run("b", 100, 130), run("c", 200, 205, "nightly")]
        choice = priced()
        said = report(load(ledger, rows, jobs="hourly"), choice)
        assert said.tables["runs"].frame["run_id"].tolist() == ["c", "b", "a"]
        jobs = said.tables["jobs"].frame
        assert jobs["job"].tolist() == ["hourly", "nightly"]
        assert jobs["type"].tolist() == ["scheduled", "other"]
        assert jobs["runs"].tolist() == [2, 1]
        assert jobs["cost"].tolist() == pytest.approx([0.040, 0.005])
        assert jobs["cost_per_run"].tolist() == pytest.approx([0.020, 0.005])
        assert jobs["cost_per_day"].tolist() == pytest.approx([0.0040, 0.0005])
        assert values(said)["Cost per run"] == pytest.approx(0.015)
        assert values(said)["Median run"] == pytest.approx(0.010)
        assert values(said)["Cost per day"] == pytest.approx(0.0045)

    def test_count_only_the_environment_chosen(self, ledger: Ledger) -> None:
        rows = [run("a", 0, 10), run("b", 0, 30, environment="dev")]
        assert values(found(ledger, rows, environment="dev"))["Total cost"] == pytest.approx(0.030)

    def test_list_models_by_cost(self, ledger: Ledger) -> None:
        rows = [run("r", 0, 20), called("r", 0, 20), model("r", "a", 0, 2)]
        rows += [
            model("r", "b", 2, 8, status="error"),
            model("r", "c", None, None, status="skipped"),
        ]
        models = found(ledger, rows).tables["models"].frame.set_index("name")
        assert list(models.index) == ["b", "a", "c"]
        assert models["cost"].tolist() == pytest.approx([0.006, 0.002, 0.0])
        assert models["failed_cost"].tolist() == pytest.approx([0.006, 0.0, 0.0])
        assert models["builds"].tolist() == [1, 1, 0]
        assert models["share_of_cost"].tolist() == pytest.approx([0.3, 0.1, 0.0])  # of 0.020
        assert pd.isna(models.loc["c", "seconds_per_build"])
        assert models["saved_seconds"].isna().all()

    def test_have_days_without_runs_too(self, ledger: Ledger) -> None:
        # Noon of the 20th, a quiet 21st, two on the 22nd; it is noon of the 23rd.
        rows = [
            run("a", 0, 10),
            run("b", 2 * DAY, 2 * DAY + 5),
            run("c", 2 * DAY + 60, 2 * DAY + 66),
        ]
        choice = priced()
        frame = report(load(ledger, rows, now=3 * DAY), choice).tables["days"].frame
        assert frame["runs"].tolist() == [1, 0, 2, 0]
        assert frame["cost"].tolist() == pytest.approx([0.010, 0, 0.011, 0])
        # The day of the first run may have begun before, and today goes on.
        assert frame["is_complete"].tolist() == [False, True, True, False]
        assert str(frame["day"].iloc[0]) == "2026-11-20 00:00:00+00:00"

    def test_tell_kinds_of_steps(self, ledger: Ledger) -> None:
        steps = found(ledger, all_rows(records.demo_like())).tables["steps"].frame
        assert steps["kind"].tolist() == ["extract and load", "dbt", "other"]
        assert steps["machine_seconds"].tolist() == pytest.approx([29.0, 26.0, 5.0])
        assert steps["failed_cost"].tolist() == pytest.approx([0.0, 0.001625, 0.0])

    def test_go_out_as_json_without_numbers_that_json_lacks(self, ledger: Ledger) -> None:
        said = reports.as_json(found(ledger, [*built_alone(1), *planned()]))
        assert said["tables"]["models"][0]["name"] == "a"
        assert "NaN" not in str(said)


class TestForecast:
    def test_is_thirty_times_the_mean(self) -> None:
        # Ten days of 1 or 3: mean 2, standard deviation sqrt(10 / 9) = 1.054093;
        # 1.96 * 1.054093 * sqrt(30 + 900 / 10) = 22.632.
        expected, low, high = forecast(pd.Series([1.0, 3.0] * 5)) or (0, 0, 0)
        assert expected == pytest.approx(60.0)
        assert [low, high] == pytest.approx([37.368, 82.632], abs=1e-3)

    def test_has_no_bounds_below_nothing(self) -> None:
        _, low, _ = forecast(pd.Series([0.0] * 9 + [10.0])) or (0, 1, 0)
        assert low == 0.0

    def test_is_unknown_with_less_than_a_week(self) -> None:
        assert forecast(pd.Series([1.0] * 6)) is None
        assert forecast(pd.Series([1.0] * 7)) == (30.0, 30.0, 30.0)

    def test_is_shown_with_its_bounds(self, ledger: Ledger) -> None:
        # A run of 10 s each day, for nine whole days after the first.
        rows = [run(f"r{day}", day * DAY, day * DAY + 10) for day in range(10)]
        month = metric(found(ledger, rows), "Forecast for 30 days")
        assert [month.value, month.low, month.high] == pytest.approx([0.3, 0.3, 0.3])


class TestDays:
    @pytest.mark.parametrize(
        ("begin", "chosen", "expected"),
        [(0.0, 0, 10.0), (0.0, 30, 10.0), (0.0, 7, 7.0), (NOW - 60, 0, 1.0)],
        ids=["all there is", "a young ledger", "the window", "one at least"],
    )
    def test_are_those_that_the_runs_span(
        self, ledger: Ledger, begin: float, chosen: int, expected: float
    ) -> None:
        history = load(ledger, [run("r", begin, begin + 1)])
        assert history.span_days(chosen) == pytest.approx(expected)


class TestNothing:
    def test_says_what_to_do(self, ledger: Ledger) -> None:
        said = found(ledger, [])
        assert said.empty is not None
        assert "meltano run" in said.empty
        assert not said.metrics

    def test_costs_nothing_where_prices_are_nothing(self, ledger: Ledger) -> None:
        said = found(ledger, all_rows(records.demo_like()), machine_hour=0)
        assert values(said)["Total cost"] == 0.0
        assert said.tables["parts"].frame["share_of_cost"].isna().all()
        assert values(said)["Return on planning"] is None
