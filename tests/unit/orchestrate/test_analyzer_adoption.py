"""Who uses the reuse planner, and what it would be worth to the others."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer import loading
from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.overview import adoption
from orchestrate.ledger.model import Row
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.small_histories import (
    HOUR,
    LIMITS,
    decision,
    declared,
    load,
    node,
    run,
)

DAY = 24 * HOUR


def planned(run_id: str, second: float, mode: str, **fields: object) -> list[Row]:
    """A run whose one model was reused, or would have been."""
    told = decision("fact", "reuse", "identical" if mode == "shadow" else None, mode=mode)
    done = node("fact", "reused") if mode == "on" else node("fact", "success", second, second + 9)
    return run(run_id, second, done, decided=[told], **fields)  # type: ignore[arg-type]


def opportunities(history: History, days: int) -> pd.DataFrame:
    return adoption.opportunities(history, adoption.jobs(history, days), days)


class TestPlanner:
    def test_is_on_in_the_shadow_or_off(self, ledger: Ledger) -> None:
        rows = [
            *planned("a", 0, "on"),
            *planned("b", 100, "shadow"),
            *run("c", 200, node("fact", "success", 210, 220)),
            *run("d", 300, command="test"),
            *run("e", 400, command=None),
        ]
        found = adoption.dbt_runs(load(ledger, rows, now_s=HOUR)).set_index("run_id")["planner"]
        assert found.to_dict() == {"a": "on", "b": "shadow", "c": "off"}

    def test_is_on_where_dbt_itself_reused(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "reused"), command="build")
        assert adoption.dbt_runs(load(ledger, rows, now_s=HOUR))["planner"].tolist() == ["on"]

    @pytest.mark.parametrize(
        ("state_aware", "planner"), [(True, "on"), (False, "off"), (None, "unknown")], ids=str
    )
    def test_is_what_dbt_cloud_says_of_the_job(
        self, ledger: Ledger, state_aware: bool | None, planner: str
    ) -> None:
        with ledger.writing():
            ledger.save(run("a", 0, node("fact", "success", 1, 2)))
        found = loading.load(
            ledger.path,
            days=0,
            now_us=records.at(HOUR),
            state_aware={("prod", "hourly"): state_aware},
        )
        assert adoption.dbt_runs(found)["planner"].tolist() == [planner]
        assert not found.chosen(choose({"planner": ["shadow"]})).runs.size
        assert len(found.chosen(choose({"planner": [planner]})).runs) == 1

    @pytest.mark.parametrize("result", [None, "killed"], ids=str)
    def test_is_unknown_of_a_run_that_did_not_end(self, ledger: Ledger, result: str | None) -> None:
        rows = run("a", 0, seconds=None, result=result)
        assert adoption.dbt_runs(load(ledger, rows, now_s=HOUR))["planner"].tolist() == ["unknown"]

    def test_is_counted_by_type_of_job_with_its_share_of_those_that_tell(
        self, ledger: Ledger
    ) -> None:
        rows = [
            *planned("a", 0, "on"),
            *run("b", 100),
            *run("c", 200, result="killed"),
            *run("d", 300, job="check", trigger="ci", result="killed"),
        ]
        history = load(ledger, rows, now_s=HOUR, jobs=["hourly"])
        found = adoption.by(adoption.dbt_runs(history), ["job_type"]).set_index("job_type")
        hourly = found.loc["scheduled"]
        assert (hourly["runs"], hourly["on"], hourly["off"], hourly["unknown"]) == (3, 1, 1, 1)
        assert hourly["share_on"] == 0.5  # 1 of the 2 that tell
        assert pd.isna(found.loc["ci", "share_on"])

    def test_of_no_runs_is_no_row(self, ledger: Ledger) -> None:
        history = load(ledger, [], now_s=HOUR)
        assert adoption.by(adoption.dbt_runs(history), ["job_type"]).empty


class TestReuseRate:
    def test_takes_skipped_for_neither_and_failed_for_built(self, ledger: Ledger) -> None:
        nodes = [
            node("reused", "reused"),
            node("built", "success", 1, 2),
            node("failed", "error", 2, 3),
            node("held_back", "skipped"),
            node("test.p.unique_built", "pass", 3, 4),
        ]
        found = adoption.reuse_rate(load(ledger, run("a", 0, *nodes), now_s=HOUR))
        assert found is not None
        assert (found.part, found.whole) == (1, 3)

    def test_is_unknown_without_dbt(self, ledger: Ledger) -> None:
        assert adoption.reuse_rate(load(ledger, run("a", 0, command=None), now_s=HOUR)) is None


class TestShadowErrors:
    def test_are_reuses_whose_content_changed(self, ledger: Ledger) -> None:
        decided = [
            decision("right", "reuse", "identical"),
            decision("wrong", "reuse", "changed"),
            decision("a_view", "reuse"),  # it has no rows of its own: not judged
            decision("built", "build", "changed"),
        ]
        found = adoption.shadow_errors(load(ledger, run("a", 0, decided=decided), now_s=HOUR))
        assert found is not None
        assert (found.part, found.whole) == (1, 2)

    def test_have_an_upper_bound_where_none_was_seen(self, ledger: Ledger) -> None:
        decided = [decision(f"m{number}", "reuse", "identical") for number in range(100)]
        found = adoption.shadow_errors(load(ledger, run("a", 0, decided=decided), now_s=HOUR))
        assert found is not None
        # Wilson's bound with none of n: z squared, 3.8415, by n + 3.8415.
        assert (found.share, found.low) == (0, 0)
        assert found.high == pytest.approx(0.036994, abs=1e-6)

    def test_are_unknown_where_nothing_was_judged(self, ledger: Ledger) -> None:
        assert adoption.shadow_errors(load(ledger, planned("a", 0, "on"), now_s=HOUR)) is None


class TestDays:
    @pytest.mark.parametrize(
        ("now_s", "days", "covered"),
        [(2 * DAY, 30, 2.0), (2 * DAY, 0, 2.0), (60 * DAY, 30, 30.0), (HOUR, 30, 1.0)],
    )
    def test_count_from_the_first_run(
        self, ledger: Ledger, now_s: float, days: int, covered: float
    ) -> None:
        assert load(ledger, run("a", 0), now_s=now_s).span_days(days) == covered


class TestJobs:
    def test_have_their_runs_results_and_rates(self, ledger: Ledger) -> None:
        rows = [
            *run("a", 0, seconds=10),
            *run("b", DAY, seconds=30, result="failure"),
            *run("c", 1.5 * DAY, seconds=20),
            *run("d", 1.9 * DAY, seconds=None, result=None),
        ]
        (job,) = adoption.jobs(load(ledger, rows, now_s=2 * DAY), 30).to_dict("records")
        assert (job["runs"], job["runs_per_day"]) == (4, 2)  # 4 in 2 days
        assert job["success_rate"] == 2 / 3  # the running one has not ended
        assert job["median_seconds"] == 20
        assert job["last_result"] == "running"
        assert job["last_at"] == pd.Timestamp("2026-11-22 09:36:00Z")

    def test_count_more_runs_than_any_number_that_could_be_fetched(self, ledger: Ledger) -> None:
        rows = [row for n in range(96) for row in run(f"r{n}", n * HOUR, command=None)]
        (job,) = adoption.jobs(load(ledger, rows, now_s=96 * HOUR), 30).to_dict("records")
        assert job["runs_per_day"] == 24

    def test_of_one_name_in_two_environments_are_two(self, ledger: Ledger) -> None:
        rows = [*planned("a", 0, "on"), *run("b", 100, environment="dev")]
        found = adoption.jobs(load(ledger, rows, now_s=HOUR), 30).set_index("environment")
        assert found["planner"].to_dict() == {"prod": "on", "dev": "off"}

    def test_use_the_planner_as_in_the_newest_run_that_tells(self, ledger: Ledger) -> None:
        rows = [
            *run("a", 0),
            *planned("b", 100, "on"),
            *run("c", 200, seconds=None, result="killed"),
        ]
        (job,) = adoption.jobs(load(ledger, rows, now_s=HOUR), 30).to_dict("records")
        assert (job["planner"], job["share_on"]) == ("on", 0.5)

    def test_are_of_four_classes_by_planner_and_freshness(self, ledger: Ledger) -> None:
        limited = [declared("source.p.s.issues", freshness=LIMITS)]
        limited += [declared("model.p.fact", "source.p.s.issues")]
        bare = [declared("model.p.fact", manifest_hash="bare")]
        rows = [
            *planned("a", 0, "on", job="both"),
            *planned("b", 100, "on", job="planner", manifest_hash="bare"),
            *planned("c", 200, "shadow", job="freshness"),
            *planned("d", 300, "shadow", job="neither", manifest_hash="bare"),
            *run("e", 400, job="extracts", command=None),
            *run("f", 500, job="gone", seconds=None, result="killed"),
        ]
        found = adoption.jobs(load(ledger, [*limited, *bare, *rows], now_s=HOUR), 30)
        assert found.set_index("job")["coverage"].to_dict() == {
            "both": "both",
            "planner": "planner only",
            "freshness": "freshness only",
            "neither": "neither",
            "extracts": "no dbt",
            "gone": "unknown",
        }
        counted = found.set_index("job").loc["both"]
        assert (counted["models"], counted["with_limit"]) == (1, 1)


class TestOpportunities:
    def test_are_measured_where_runs_in_the_shadow_compared(self, ledger: Ledger) -> None:
        """Of 400 s in each shadow run 300 s changed nothing; 2 runs a day of any kind: 600 s."""
        rows = []
        for number, mode in enumerate(("shadow", "shadow", "off", "off")):
            at = number * DAY / 2
            decided = [
                decision("same", "reuse", "identical"),
                decision("also_same", "build", "identical", reason="input"),
                decision("new", "build", "changed", reason="input"),
            ]
            rows += run(
                f"r{number}",
                at,
                node("same", "success", at, at + 200),
                node("also_same", "success", at, at + 100),
                node("new", "success", at, at + 100),
                decided=decided if mode == "shadow" else [],
            )
        (job,) = opportunities(load(ledger, rows, now_s=2 * DAY), 30).to_dict("records")
        assert job["saved_node_seconds_per_day"] == pytest.approx(600)
        assert job["node_seconds_per_day"] == pytest.approx(800)  # 4 x 400 s in 2 days
        assert (job["certainty"], job["priority"], job["planner"]) == ("measured", "high", "off")
        assert job["basis"] == "4 of 6 builds in 2 shadow runs changed nothing"

    def test_are_nothing_where_all_that_was_compared_changed(self, ledger: Ledger) -> None:
        decided = [decision("new", "build", "changed", reason="input")]
        rows = run("a", 0, node("new", "success", 0, 100), decided=decided)
        (job,) = opportunities(load(ledger, rows, now_s=DAY), 30).to_dict("records")
        assert (job["saved_node_seconds_per_day"], job["priority"]) == (0, "low")

    def test_are_estimated_by_the_share_that_is_reused_elsewhere(self, ledger: Ledger) -> None:
        """Where it is on, 3 of 4 nodes are reused: of 100 s in a day, 75 s."""
        reused = [node(f"m{number}", "reused") for number in range(3)]
        told = [decision("m0", "reuse", mode="on")]
        rows = run("a", 0, *reused, node("m3", "success", 0, 7), decided=told)
        rows += run("b", 10, node("m0", "success", 10, 110), job="nightly")
        (job,) = opportunities(load(ledger, rows, now_s=DAY), 30).to_dict("records")
        assert job["job"] == "nightly"
        assert job["saved_node_seconds_per_day"] == 75
        assert (job["certainty"], job["priority"]) == ("estimated", "medium")
        assert job["basis"] == "where the planner is on, 3 of 4 nodes were reused"

    def test_are_unknown_where_the_planner_never_worked(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("m0", "success", 0, 100))
        (job,) = opportunities(load(ledger, rows, now_s=DAY), 30).to_dict("records")
        assert pd.isna(job["saved_node_seconds_per_day"])
        assert (job["certainty"], job["priority"]) == ("unknown", "unknown")
        assert "DBT_REUSE=shadow" in job["basis"]

    def test_count_no_failed_and_no_skipped_work(self, ledger: Ledger) -> None:
        nodes = [node("broken", "error", 0, 50), node("held_back", "skipped", 0, 9)]
        rows = [*run("a", 0, *nodes), *planned("b", 100, "on", job="other")]
        (job,) = opportunities(load(ledger, rows, now_s=DAY), 30).to_dict("records")
        assert (job["node_seconds_per_day"], job["saved_node_seconds_per_day"]) == (0, 0)

    def test_are_none_where_all_jobs_use_it_or_build_nothing(self, ledger: Ledger) -> None:
        rows = [*planned("a", 0, "on"), *run("b", 100, job="extracts", command=None)]
        assert opportunities(load(ledger, rows, now_s=DAY), 30).empty
