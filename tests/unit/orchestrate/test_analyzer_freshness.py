"""How old data is and may be: limits own and inherited, late apart from idle and unknown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.reports import freshness
from orchestrate.analyzer.reports.places import newest, places
from orchestrate.analyzer.reports.slo import loads, slo
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.small_histories import (
    HOUR,
    LIMITS,
    decision,
    declared,
    load,
    measured,
    node,
    run,
)

ISSUES = declared("source.p.s.issues", freshness=LIMITS)
FACT = declared("model.p.fact", "source.p.s.issues")


def state(ledger: Ledger, rows: list[Any], now_s: float, name: str = "fact") -> dict[str, Any]:
    """The row of a node in the table of freshness."""
    found = slo(load(ledger, rows, now_s=now_s)).set_index("name")
    row: dict[str, Any] = found.loc[name].to_dict()
    return row


class TestLimits:
    @pytest.mark.parametrize(
        ("count", "period", "seconds"),
        [(30, "minute", 1_800), (2, "hour", 7_200), (3, "day", 259_200), (0, "hour", 0)],
    )
    def test_know_all_periods_of_dbt(self, count: int, period: str, seconds: float) -> None:
        assert freshness.seconds({"count": count, "period": period}) == seconds

    @pytest.mark.parametrize(
        "told",
        [None, {}, {"count": 2}, {"period": "hour"}, {"count": 2, "period": "week"}, "2 hours"],
        ids=str,
    )
    def test_are_unknown_where_half_is_told(self, told: object) -> None:
        assert freshness.seconds(told) is None

    def test_are_the_first_that_is_reached(self) -> None:
        both = {**LIMITS, "error_after": {"count": 1, "period": "hour"}}
        assert freshness.limit({"freshness": both}) == HOUR
        assert freshness.limit({"freshness": None}) is None
        assert freshness.limit({}) is None

    def test_are_not_the_cadence(self) -> None:
        config = {"freshness": {"build_after": {"count": 4, "period": "hour"}}}
        assert freshness.limit(config) is None
        assert freshness.cadence(config) == 4 * HOUR

    def test_are_inherited_from_the_tightest_source_however_far_above(self, ledger: Ledger) -> None:
        hour = {"warn_after": {"count": 1, "period": "hour"}}
        project = [
            ISSUES,
            declared("source.p.s.events", freshness=hour),
            declared("source.p.s.users"),
            declared("model.p.stg", "source.p.s.issues"),
            declared("model.p.both", "model.p.stg", "source.p.s.events"),
            declared("model.p.own", "model.p.both", freshness=LIMITS),
            declared("model.p.people", "source.p.s.users"),
        ]
        nodes = load(ledger, [*project, *run("a", 0)], now_s=HOUR).project
        assert freshness.limits(nodes.set_index("unique_id", drop=False), {}) == {
            "source.p.s.issues": (2 * HOUR, "declared"),
            "source.p.s.events": (HOUR, "declared"),
            "model.p.stg": (2 * HOUR, "source issues"),
            "model.p.both": (HOUR, "source events"),
            "model.p.own": (2 * HOUR, "declared"),
        }

    def test_of_a_source_may_be_told_by_its_measurement_alone(self, ledger: Ledger) -> None:
        told = measured("users", 0, warn_after_s=600.0, error_after_s=900.0)
        project = [declared("source.p.s.users"), declared("model.p.fact", "source.p.s.users")]
        rows = [*project, *run("a", 0, node("fact", "success", 10, 20), fresh=[told])]
        assert state(ledger, rows, 100)["limit_seconds"] == 600

    def test_end_where_nodes_depend_on_each_other_in_a_circle(self) -> None:
        nodes = pd.DataFrame({"unique_id": ["m.a", "m.b"], "depends_on": [["m.b"], ["m.a"]]})
        assert freshness.sources_above(nodes) == {"m.a": frozenset(), "m.b": frozenset()}


class TestLoads:
    def test_are_of_streams_that_stored_rows(self, ledger: Ledger) -> None:
        streams = {"Issues": (50.0, 3), "users": (60.0, 0)}
        later = run("b", 100, command=None, streams={"issues": (150.0, 0)})
        found = loads(load(ledger, [*run("a", 0, streams=streams), *later], now_s=HOUR))
        assert found["stream"].tolist() == ["issues"]
        assert found["loaded_at"].tolist() == [pd.Timestamp("2026-11-20 12:00:50Z")]

    def test_of_a_run_that_is_gone_are_at_the_latest_when_it_was_heard_of(
        self, ledger: Ledger
    ) -> None:
        rows = run("a", 0, seconds=None, result="killed", streams={"issues": (None, 3)})
        found = loads(load(ledger, rows, now_s=HOUR))
        assert found["loaded_at"].tolist() == [pd.Timestamp("2026-11-20 12:00:05Z")]


class TestState:
    """The source may be 2 hours old. Whatever happened, it is looked at 3 hours after noon."""

    def test_is_ok_within_the_limit_although_there_is_newer_data(self, ledger: Ledger) -> None:
        built = run("a", 2 * HOUR, node("fact", "success", 2 * HOUR, 2 * HOUR + 9))
        loaded = run("b", 2.5 * HOUR, command=None, streams={"issues": (2.5 * HOUR, 1)})
        found = state(ledger, [ISSUES, FACT, *built, *loaded], 3 * HOUR)
        assert (found["state"], found["age_seconds"]) == ("ok", HOUR)

    def test_is_late_beyond_the_limit_with_newer_data_upstream(self, ledger: Ledger) -> None:
        built = run("a", 0, node("fact", "success", 10, 20))
        loaded = run("b", HOUR, command=None, streams={"issues": (HOUR, 1)})
        found = state(ledger, [ISSUES, FACT, *built, *loaded], 3 * HOUR)
        # From the begin of the build: what was loaded after that is not in it.
        assert (found["state"], found["age_seconds"]) == ("late", 3 * HOUR - 10)
        assert found["limit_from"] == "source issues"

    def test_is_idle_beyond_the_limit_if_nothing_moved(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"issues": (5.0, 1)})
        rows += run("b", HOUR, command=None, streams={"issues": (HOUR, 0)})
        assert state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)["state"] == "idle"

    def test_is_late_if_the_data_came_while_it_was_built(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"issues": (15.0, 1)})
        assert state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)["state"] == "late"

    def test_is_unknown_beyond_the_limit_if_nobody_knows_of_loads(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 10, 20))
        assert state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)["state"] == "unknown"

    def test_is_unknown_without_a_good_build(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "error", 10, 20), streams={"issues": (5.0, 1)})
        rows += run("b", HOUR, node("fact", "skipped"))
        found = state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)
        assert found["state"] == "unknown"
        assert pd.isna(found["age_seconds"])

    def test_has_no_say_without_a_limit(self, ledger: Ledger) -> None:
        project = [declared("source.p.s.users"), declared("model.p.fact", "source.p.s.users")]
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"users": (HOUR, 1)})
        assert state(ledger, [*project, *rows], 3 * HOUR)["state"] == "no limit"

    def test_of_a_model_with_a_cadence_alone_is_that_it_has_no_limit(self, ledger: Ledger) -> None:
        paced = {"build_after": {"count": 1, "period": "minute"}}
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"users": (HOUR, 1)})
        project = [
            declared("source.p.s.users"),
            declared("model.p.fact", "source.p.s.users", freshness=paced),
        ]
        found = state(ledger, [*project, *rows], 3 * HOUR)
        assert (found["state"], found["cadence_seconds"]) == ("no limit", 60)

    def test_of_a_view_is_never_late(self, ledger: Ledger) -> None:
        view = declared("model.p.fact", "source.p.s.issues", materialized="view")
        rows = run("a", 0, node("fact", "success", 10, 20))
        rows += run("b", HOUR, command=None, streams={"issues": (HOUR, 1)})
        assert state(ledger, [ISSUES, view, *rows], 3 * HOUR)["state"] == "idle"

    def test_moves_on_by_a_reuse_that_was_proven(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"issues": (5.0, 1)})
        rows += run(
            "b",
            2 * HOUR,
            node("fact", "reused"),
            streams={"issues": (1.9 * HOUR, 1)},
            decided=[decision("fact", "reuse", mode="on")],
        )
        found = state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)
        assert (found["state"], found["age_seconds"]) == ("ok", HOUR)

    def test_does_not_move_on_by_a_cadence(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"issues": (5.0, 1)})
        rows += run(
            "b",
            2 * HOUR,
            node("fact", "reused"),
            streams={"issues": (1.9 * HOUR, 1)},
            decided=[decision("fact", "reuse", mode="on", reason="build_after")],
        )
        found = state(ledger, [ISSUES, FACT, *rows], 3 * HOUR)
        assert (found["state"], found["age_seconds"]) == ("late", 3 * HOUR - 10)
        assert found["reused_at"] == pd.Timestamp("2026-11-20 14:00:00Z")

    def test_of_a_source_counts_from_its_newest_rows(self, ledger: Ledger) -> None:
        rows = run("a", 0, streams={"issues": (5.0, 1)}, fresh=[measured("issues", HOUR)])
        found = state(ledger, [ISSUES, FACT, *rows], 3 * HOUR, "issues")
        # 3 h - 1 h: what dbt measured is newer than the stream's load; exactly 2 h is in time.
        assert (found["state"], found["age_seconds"]) == ("ok", 2 * HOUR)
        assert state(ledger, [], 3 * HOUR + 1, "issues")["state"] == "late"

    def test_of_a_source_that_nobody_measured_is_unknown(self, ledger: Ledger) -> None:
        rows = run("a", 0, fresh=[measured("issues", None)])
        assert state(ledger, [ISSUES, FACT, *rows], HOUR, "issues")["state"] == "unknown"

    def test_leaves_out_ephemeral_models_and_tests(self, ledger: Ledger) -> None:
        project = [
            declared("model.p.fact", "source.p.s.issues", materialized="ephemeral"),
            declared("test.p.unique_fact", "model.p.fact"),
        ]
        found = slo(load(ledger, [ISSUES, *project, *run("a", 0)], now_s=HOUR))
        assert found["name"].tolist() == ["issues"]


class TestPlaces:
    def test_are_judged_apart(self, ledger: Ledger) -> None:
        """Loads of prod say nothing of dev, nor a build in one of the other."""
        rows = run("a", 0, node("fact", "success", 10, 20), streams={"issues": (HOUR, 1)})
        rows += run(
            "b",
            0,
            node("fact", "success", 10, 20),
            environment="dev",
            streams={"issues": (5.0, 1)},
        )
        found = slo(load(ledger, [ISSUES, FACT, *rows], now_s=3 * HOUR))
        models = found[found["kind"] == "model"].set_index("environment")["state"]
        assert models.to_dict() == {"prod": "late", "dev": "idle"}

    def test_have_the_project_that_was_read_there_last(self, ledger: Ledger) -> None:
        rows = [
            *run("a", 0, manifest_hash="old"),
            *run("b", 100, manifest_hash="new"),
            *run("c", 200, manifest_hash=None),
            *run("d", 50, environment="dev", manifest_hash=None),
        ]
        found = places(load(ledger, rows, now_s=HOUR)).set_index("environment")["manifest_hash"]
        assert found.to_dict() == {"prod": "new", "dev": None}

    def test_have_the_last_result_of_each_node(self, ledger: Ledger) -> None:
        rows = run("b", 100, node("fact", "reused"), node("other", "error", 110, 111))
        rows += run("a", 0, node("fact", "success", 10, 20), node("other", "success", 20, 30))
        history = load(ledger, rows, now_s=HOUR)
        found = newest(history, history.nodes).set_index("name")
        assert found["status"].to_dict() == {"fact": "reused", "other": "error"}
        assert found.loc["fact", "at"] == pd.Timestamp("2026-11-20 12:01:40Z")

    def test_of_no_runs_are_none(self, ledger: Ledger) -> None:
        history = load(ledger, [], now_s=HOUR)
        assert places(history).empty
        assert slo(history).empty
        assert freshness.coverage(history).empty

    def test_of_runs_without_dbt_are_none(self, ledger: Ledger) -> None:
        rows = run("a", 0, command=None, streams={"issues": (5.0, 1)})
        assert slo(load(ledger, rows, now_s=HOUR)).empty


class TestCoverage:
    def test_counts_what_is_declared_on_the_node_itself(self, ledger: Ledger) -> None:
        paced = {"build_after": {"count": 1, "period": "day", "updates_on": "all"}}
        project = [
            ISSUES,
            FACT,
            declared("model.p.paced", "source.p.s.issues", freshness=paced),
            declared("model.p.inline", "source.p.s.issues", materialized="ephemeral"),
            declared("seed.p.names"),
        ]
        found = freshness.coverage(load(ledger, [*project, *run("a", 0)], now_s=HOUR))
        found = found.set_index("name")
        assert found["has_limit"].to_dict() == {"fact": False, "issues": True, "paced": False}
        assert found["cadence_seconds"].dropna().to_dict() == {"paced": 24 * HOUR}
