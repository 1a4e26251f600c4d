"""The page `models`: what is said of all nodes and of one."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.choice import ChoiceError
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.model_runs import (
    FACTS,
    HOUR_S,
    LEFT,
    MART,
    MATCH,
    PART,
    SEED,
    SOURCE,
    STAGED,
    UNIQUE,
    Runs,
    decided,
    described,
    looked,
    metric,
    ran,
    texts,
)


@pytest.fixture
def runs(ledger: Ledger) -> Runs:
    return Runs(ledger)


class TestConfiguration:
    def test_reads_limits_in_minutes_hours_and_days(self, runs: Runs) -> None:
        runs.add()
        source, facts = runs.node(SOURCE), runs.node(FACTS)
        assert source["warn_after_seconds"] == 30 * 60
        assert source["error_after_seconds"] == 24 * 3_600
        assert facts["build_after_seconds"] == 4 * 3_600
        assert facts["updates_on"] == "all"

    def test_takes_an_empty_freshness_for_none(self, runs: Runs) -> None:
        runs.add()
        assert pd.isna(runs.node(STAGED)["build_after_seconds"])

    def test_tells_where_a_node_is_and_whose(self, runs: Runs) -> None:
        runs.add()
        facts = runs.node(FACTS)
        assert (facts["package"], facts["owner"], facts["folder"]) == (
            "sentry",
            "Ana",
            "models/marts",
        )
        assert facts["tags"] == ["marts", "nightly"]
        assert (facts["materialized"], facts["contract"]) == ("table", True)
        assert runs.node(MART)["contract"] is False
        assert runs.node(SEED)["contract"] is None  # only models have contracts


class TestResults:
    def test_takes_quantiles_of_what_went_well(self, runs: Runs) -> None:
        for seconds in (1, 2, 3, 4):
            runs.add(ran(FACTS, seconds=seconds))
        runs.add(ran(FACTS, "error", 100))
        facts = runs.node(FACTS)
        assert facts["median_seconds"] == 2.5
        # Between 1 and 4: 1 + 0.95 * 3.
        assert facts["p95_seconds"] == pytest.approx(3.85)
        assert facts["last_seconds"] == 4
        assert facts["last_durations"] == [1, 2, 3, 4, 100]
        assert facts["seconds"] == 110
        assert facts["results"] == 5

    def test_keeps_the_last_good_build_behind_a_failure(self, runs: Runs) -> None:
        runs.add(ran(FACTS, rows_affected=7))
        runs.add(ran(FACTS, "error", message="no"))
        facts = runs.node(FACTS)
        assert (facts["node_class"], facts["status"], facts["message"]) == ("error", "error", "no")
        assert facts["last_built_at"] == pd.Timestamp("2026-11-20 12:00:12", tz="UTC")
        assert facts["rows_affected"] == 7

    def test_writes_a_sign_for_each_of_the_last_results(self, runs: Runs) -> None:
        runs.add(ran(FACTS))
        runs.add(ran(FACTS, "error"))
        runs.add(ran(FACTS, "skipped"))
        runs.add(ran(FACTS, "reused"))
        runs.add(ran(FACTS), decided(FACTS, "build", "input", outcome="identical"))
        runs.add(ran(FACTS, None))
        assert runs.node(FACTS)["last_classes"] == "✓✕–↻=·"  # noqa: RUF001

    def test_looks_at_twenty_results(self, runs: Runs) -> None:
        runs.add(ran(FACTS, "error"))
        for seconds in range(20):
            runs.add(ran(FACTS, seconds=seconds))
        facts = runs.node(FACTS)
        assert facts["last_classes"] == "✓" * 20
        assert facts["last_durations"] == list(range(20))

    def test_goes_by_when_dbt_began_rather_than_by_ids(self, runs: Runs) -> None:
        runs.count = 10  # i10 comes before i9 in the ledger, and i11 before both in time
        runs.add(ran(FACTS, "error"))
        runs.count = 9
        runs.add(ran(FACTS))
        assert runs.node(FACTS)["last_classes"] == "✓✕"

    def test_keeps_apart_what_was_not_selected_skipped_or_is_never_built(self, runs: Runs) -> None:
        runs.add(ran(FACTS, "error"), ran(MART, "skipped"))
        assert runs.node(LEFT)["node_class"] == "not selected"
        assert runs.node(MART)["node_class"] == "skipped"
        assert pd.isna(runs.node(PART)["node_class"])  # ephemeral

    def test_knows_no_duration_of_a_node_that_was_killed(self, runs: Runs) -> None:
        killed = ran(FACTS, "killed")
        killed.ended_us = None
        runs.add(killed)
        facts = runs.node(FACTS)
        assert facts["node_class"] == "error"
        assert pd.isna(facts["median_seconds"])
        assert pd.isna(facts["seconds"])
        assert facts["last_durations"] == []

    def test_tells_why_it_was_reused(self, runs: Runs) -> None:
        runs.add(ran(FACTS), decided(FACTS, "build", "new", detail="no good build is noted"))
        runs.add(ran(FACTS, "reused"), decided(FACTS, "reuse", "unchanged"))
        assert runs.node(FACTS)["why"] == "unchanged: nothing has changed"

    def test_tells_what_the_planner_would_have_done(self, runs: Runs) -> None:
        runs.add(ran(FACTS), decided(FACTS, "reuse", "unchanged", mode="shadow"))
        assert runs.node(FACTS)["why"] == "unchanged: nothing has changed (shadow: it would reuse)"

    def test_takes_dbts_word_for_reuse_without_a_planner(self, runs: Runs) -> None:
        runs.add(ran(FACTS, "reused", message="No new data"), ran(MART, message="made"))
        assert runs.node(FACTS)["why"] == "No new data"
        assert pd.isna(runs.node(MART)["why"])

    def test_takes_a_look_at_freshness_for_the_result_of_a_source(self, runs: Runs) -> None:
        runs.add(looked("error", 90_000, 30))
        runs.add(looked("pass", 60, HOUR_S + 30))
        source = runs.node(SOURCE)
        assert (source["node_class"], source["status"], source["results"]) == ("success", "pass", 2)
        assert pd.isna(source["last_built_at"])

    def test_lists_errors_before_skipped_and_those_before_the_rest(self, runs: Runs) -> None:
        runs.add(ran(MART, "skipped"), ran(FACTS, "error"), ran(STAGED))
        assert list(runs.report().tables["nodes"].frame["unique_id"][:2]) == [FACTS, MART]


class TestTests:
    def test_counts_a_test_for_each_node_it_reads(self, runs: Runs) -> None:
        runs.add(ran(UNIQUE, "pass"), ran(MATCH, "fail"))
        facts, staged = runs.node(FACTS), runs.node(STAGED)
        assert (facts["tests"], facts["failing_tests"]) == (2, 1)
        assert (staged["tests"], staged["failing_tests"]) == (1, 1)
        assert metric(runs.report(), "Failing tests") == 1

    def test_lets_a_failure_stand_while_nobody_asks_again(self, runs: Runs) -> None:
        runs.add(ran(UNIQUE, "fail"))
        runs.add(ran(UNIQUE, "skipped"))
        assert runs.node(FACTS)["failing_tests"] == 1
        runs.add(ran(UNIQUE, "pass"))
        assert runs.node(FACTS)["failing_tests"] == 0

    def test_does_not_let_one_environment_answer_for_another(self, runs: Runs) -> None:
        runs.add(ran(UNIQUE, "fail"))
        runs.add(ran(UNIQUE, "pass"), environment="dev")
        assert metric(runs.report(), "Failing tests") == 1
        assert metric(runs.report(environment="dev"), "Failing tests") == 0

    def test_are_unknown_while_nobody_asks(self, runs: Runs) -> None:
        runs.add(ran(FACTS))
        assert pd.isna(runs.node(FACTS)["failing_tests"])
        assert runs.node(MART)["failing_tests"] == 0  # it has none
        assert metric(runs.report(), "Failing tests") is None
        assert metric(runs.report(package=["other"]), "Failing tests") == 0
        assert metric(runs.report(model="facts"), "Failing tests of it") is None
        assert metric(runs.report(model="mart"), "Failing tests of it") == 0

    def test_says_which_fail(self, runs: Runs) -> None:
        runs.add(ran(UNIQUE, "fail"), ran(MATCH, "warn"))
        assert "1 of 2 tests fail: unique_facts." in texts(runs.report().insights)


class TestFilters:
    @pytest.mark.parametrize(
        ("chosen", "left"),
        [
            ({"package": ["other"]}, {MART}),
            ({"owner": ["Ana", "Bo"]}, {FACTS, MART}),
            ({"tag": ["nightly", "staging"]}, {FACTS, STAGED}),
            ({"node_class": ["error"]}, {FACTS}),
            ({"search": "FACTS"}, {FACTS, UNIQUE, MATCH}),
            ({"search": "s", "owner": ["Ana"], "package": ["sentry"]}, {FACTS}),
        ],
        ids=["package", "owners", "tags", "class", "search", "together"],
    )
    def test_leave_what_has_all_that_is_chosen(
        self, runs: Runs, chosen: dict[str, Any], left: set[str]
    ) -> None:
        runs.add(ran(FACTS, "error"), ran(MART))
        found = runs.report(**chosen)
        assert set(found.tables["nodes"].frame["unique_id"]) == left
        assert metric(found, "Nodes") == len(left)

    def test_refuse_what_no_node_has(self, runs: Runs) -> None:
        runs.add()
        with pytest.raises(ChoiceError) as caught:
            runs.report(owner=["Cleo"])
        assert str(caught.value) == "owner is 'Cleo': no node has it. It may be 'Ana', 'Bo'."

    def test_say_what_to_do_when_they_leave_nothing(self, runs: Runs) -> None:
        runs.add()
        found = runs.report(search="nowhere")
        assert "Choose fewer filters" in texts(found.insights)
        assert metric(found, "Reuse rate") is None


class TestGroups:
    def test_add_up_their_nodes(self, runs: Runs) -> None:
        runs.add(ran(FACTS, seconds=3), ran(MART, seconds=5), ran(STAGED, seconds=1))
        runs.add(ran(FACTS, "reused"), ran(MART, "skipped"), ran(UNIQUE, "fail", seconds=1))
        frame = runs.report(group_by="package").tables["groups"].frame.set_index("group")
        sentry, other = frame.loc["sentry"], frame.loc["other"]
        assert sentry["nodes"] == 8  # all but the mart
        # The source and the facts declare a freshness, of source, stg, facts and left.
        assert (sentry["declared"], sentry["declarable"], sentry["coverage"]) == (2, 4, 0.5)
        assert sentry["seconds"] == 5  # facts 3, stg 1, the test 1
        assert sentry["failing_tests"] == 1
        # Built: facts and stg; reused: facts.
        assert (sentry["reused"], sentry["decided"]) == (1, 3)
        assert sentry["reuse_rate"] == pytest.approx(1 / 3)
        # Skipped is neither built nor reused.
        assert (other["reused"], other["decided"], other["reuse_rate"]) == (0, 1, 0)

    def test_have_a_node_in_the_group_of_each_of_its_tags(self, runs: Runs) -> None:
        runs.add()
        frame = runs.report(group_by="tag").tables["groups"].frame.set_index("group")
        assert frame["nodes"].to_dict() == {"(none)": 6, "marts": 2, "nightly": 1, "staging": 1}

    @pytest.mark.parametrize(
        ("by", "expected"),
        [
            ("owner", {"(none)": 7, "Ana": 1, "Bo": 1}),
            ("folder", {"models/marts": 5, "models/staging": 2, "seeds": 1, "tests": 1}),
            ("materialized", {"(none)": 3, "ephemeral": 1, "seed": 1, "table": 3, "view": 1}),
        ],
    )
    def test_go_by_what_was_chosen(self, runs: Runs, by: str, expected: dict[str, int]) -> None:
        runs.add()
        frame = runs.report(group_by=by).tables["groups"].frame.set_index("group")
        assert frame["nodes"].to_dict() == expected

    def test_do_not_know_what_nobody_ran(self, runs: Runs) -> None:
        runs.add()
        (group,) = (
            runs.report(group_by="package", package=["other"])
            .tables["groups"]
            .frame.to_dict("records")
        )
        assert pd.isna(group["seconds"])
        assert group["reuse_rate"] is None


class TestNumbers:
    def test_tell_reuse_and_coverage_with_what_they_are_of(self, runs: Runs) -> None:
        runs.add(ran(FACTS), ran(MART, "reused"), ran(STAGED, "error"), ran(SEED, "skipped"))
        found = runs.report()
        assert metric(found, "Reuse rate") == pytest.approx(1 / 3)  # of facts, mart and stg
        # Source and facts, of a source and four models that are built.
        assert metric(found, "Freshness coverage") == pytest.approx(2 / 5)
        helps = {one.name: one.help for one in found.metrics}
        assert helps["Reuse rate"].startswith("1 of 3 times")
        assert helps["Freshness coverage"].startswith("2 of 5 models and sources")

    def test_count_limits_that_only_a_look_at_the_source_tells(self, runs: Runs) -> None:
        bare = described(SOURCE)
        runs.ledger.save([bare])
        runs.add(looked("pass", 60, 0))
        # The look's 30 minutes, and the cadence of the facts, of a source and four models.
        assert metric(runs.report(), "Freshness coverage") == pytest.approx(2 / 5)

    def test_count_what_no_run_asked_for(self, runs: Runs) -> None:
        runs.add(ran(FACTS), ran(MART), ran(STAGED))
        found = runs.report()
        assert metric(found, "Not selected") == 2  # left and the seed; the ephemeral one is neither
        assert "2 of 6 models, seeds and snapshots were in none of the 1 runs" in texts(
            found.insights
        )

    def test_say_that_environments_are_mixed(self, runs: Runs) -> None:
        runs.add(ran(FACTS))
        runs.add(ran(FACTS, "error"), environment="dev")
        assert "2 environments together (dev, prod)" in texts(runs.report().insights)
        alone = runs.report(environment="prod")
        assert "together" not in texts(alone.insights)
        assert runs.node(FACTS, environment="prod")["node_class"] == "success"

    def test_say_what_is_built_and_never_reused(self, runs: Runs) -> None:
        runs.add(ran(FACTS, seconds=90), ran(STAGED, seconds=1), ran(MART, "reused"))
        assert (
            "2 of 6 models, seeds and snapshots were built and never reused; facts took longest, "
            "1 min 30 s in 1 runs." in texts(runs.report().insights)
        )


class TestOneNode:
    def test_is_found_by_name_or_unique_id(self, runs: Runs) -> None:
        runs.add(ran(FACTS))
        for model in ("facts", FACTS):
            frame = runs.report(model=model).tables["node_configuration"].frame
            values = dict(zip(frame["key"], frame["value"], strict=True))
            assert values["unique_id"] == FACTS
            assert values["build_after"] == "4 h"
            assert values["contract"] == '{"enforced": true}'
            assert "meta" not in values  # empty

    def test_must_be_the_only_one_of_its_name(self, runs: Runs) -> None:
        runs.ledger.save([described("source.sentry.app.facts")])
        runs.add()
        with pytest.raises(ChoiceError, match=f"2 nodes are named so.*{FACTS}, source.sentry.app"):
            runs.report(model="facts")

    def test_must_be_there(self, runs: Runs) -> None:
        runs.add()
        with pytest.raises(ChoiceError, match=r"model is 'fact': no node.* Near it are facts\."):
            runs.report(model="fact")

    def test_lists_its_runs_the_newest_first(self, runs: Runs) -> None:
        runs.add(ran(FACTS, seconds=3))
        runs.add(ran(FACTS, "reused"), decided(FACTS, "reuse", "unchanged"))
        frame = runs.report(model="facts").tables["node_runs"].frame
        assert list(frame["node_class"]) == ["reused", "success"]
        assert list(frame["run_id"]) == ["r1", "r0"]
        # Nobody began what was reused: it is of when dbt was called.
        assert frame["at"][0] == pd.Timestamp("2026-11-20 13:00:05", tz="UTC")
        assert (frame["reason"][0], frame["node_seconds"][1]) == ("unchanged", 3)

    def test_tells_what_the_planner_said_last(self, runs: Runs) -> None:
        runs.add(decided(FACTS, "reuse", "unchanged"))
        runs.add(decided(FACTS, "build", "input", mode="shadow", detail="stg has other rows"))
        assert (
            "The planner decided at 2026-11-20 13:00 UTC to build facts, in the shadow, so that it "
            "was built all the same. Its reason is input: stg has other rows."
        ) in texts(runs.report(model="facts").insights)

    def test_tells_how_it_failed(self, runs: Runs) -> None:
        runs.add(ran(FACTS, "error", message=records.DATABASE_ERROR))
        runs.add(ran(FACTS))
        said = texts(runs.report(model="facts").insights)
        assert "facts failed in 1 of 2 results, last at 2026-11-20 12:00 UTC: Binder Error" in said

    def test_counts_time_until_now(self, runs: Runs) -> None:
        runs.add(ran(FACTS, seconds=20))
        # Built until 12:00:30; now is 13:00.
        assert metric(runs.report(model="facts"), "Since it went well") == 3_570
        assert metric(runs.report(model="left"), "Since it went well") is None
        assert metric(runs.report(model="left"), "Median duration") is None
        assert "None of the 1 runs of this window asked for left." in texts(
            runs.report(model="left").insights
        )

    def test_has_its_tests_the_failing_first(self, runs: Runs) -> None:
        runs.add(ran(UNIQUE, "fail", failures=3))
        found = runs.report(model="facts")
        frame = found.tables["node_tests"].frame
        assert list(frame["name"]) == ["unique_facts", "facts_match_stg"]
        assert frame["failures"][0] == 3
        assert frame["severity"][0] == "ERROR"
        assert pd.isna(frame["status"][1])  # never asked
        assert metric(found, "Failing tests of it") == 1

    def test_tells_the_age_of_a_source(self, runs: Runs) -> None:
        runs.add(looked("warn", 2_400, 30))
        found = runs.report(model="issues")
        # Loaded 2,400 s before 12:00:30; now is 13:00: 3,600 - 30 + 2,400.
        assert metric(found, "Age of its newest rows") == 5_970
        assert "were 40 min old: warn (warn_after is 30 min, error_after is 1 d)" in texts(
            found.insights
        )
        assert list(found.tables["node_freshness"].frame["status"]) == ["warn"]

    def test_knows_no_age_of_a_source_that_could_not_be_asked(self, runs: Runs) -> None:
        runs.add(looked("runtime error", None, 30))
        found = runs.report(model="issues")
        assert metric(found, "Age of its newest rows") is None
        assert metric(found, "Last result") == "error"


class TestLineage:
    def test_goes_two_levels_each_way(self, runs: Runs) -> None:
        runs.ledger.save([described("model.sentry.far", MART), described("model.sentry.off", LEFT)])
        runs.add()
        frame = runs.report(model="part").tables["node_lineage"].frame
        levels = dict(zip(frame["unique_id"], frame["level"], strict=True))
        # The facts read stg too, which stands where `part` sees it; `far` is three levels away.
        assert levels == {SOURCE: -2, STAGED: -1, PART: 0, FACTS: 1, MART: 2}
        reads = dict(zip(frame["unique_id"], frame["reads"], strict=True))
        assert reads[FACTS] == [STAGED, PART]

    def test_stands_at_the_nearer_level(self, runs: Runs) -> None:
        runs.add()
        frame = runs.report(model="facts").tables["node_lineage"].frame
        levels = dict(zip(frame["unique_id"], frame["level"], strict=True))
        # stg is read by the facts, and by `part` before them.
        assert levels == {SOURCE: -2, STAGED: -1, PART: -1, FACTS: 0, MART: 1}
