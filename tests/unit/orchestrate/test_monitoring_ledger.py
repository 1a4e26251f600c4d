"""What the ledger's metrics are, worked out by hand from small ledgers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrate.ledger import pruning
from orchestrate.ledger.model import (
    ForgottenTotal,
    PipelineRun,
    Record,
    RequestTotal,
    Result,
    SkippedPart,
    Step,
    StreamSync,
)
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import dbt, from_ledger, runs
from orchestrate.monitoring.model import Kind
from tests.unit.orchestrate import records
from tests.unit.orchestrate.records import RUN_ID, at

DAY_S = 86_400
PIPELINE = "tap-sentry target-duckdb dbt:build"
DEMO = {"environment": "demo"}
OF_RUN = {**DEMO, "pipeline": PIPELINE}
NOON_S = records.NOON_US / 1e6
NOW_US = at(300)
Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


def fill(ledger: Ledger, *found: Record) -> None:
    with ledger.writing():
        for one in found:
            ledger.save([one.run, *one.steps, *one.streams, *one.requests, *one.retries])
            ledger.save([*one.skipped, *one.invocations, *one.nodes, *one.freshness])
            ledger.save([*one.manifest_nodes, *one.logs])


def measured(ledger: Ledger, kind: Kind | None = None, now_us: int = NOW_US) -> Found:
    """All samples by name and labels; a second one of the same labels is a fault."""
    found: Found = {}
    for family in from_ledger.newest(ledger, now_us):
        for sample in family.samples:
            labels = frozenset(zip(family.labels, sample.labels, strict=True))
            key = (family.metric.name, labels)
            assert key not in found
            if kind in {None, family.kind}:
                found[key] = sample.value
    return found


def value(ledger: Ledger, name: str, **labels: str) -> float | None:
    return measured(ledger).get((name, frozenset(labels.items())))


def values(ledger: Ledger, name: str, label: str, **labels: str) -> dict[str, float]:
    """Of the samples with these labels, the values by one more label."""
    found = {}
    for (metric, all_labels), number in measured(ledger).items():
        if metric == name and labels.items() <= all_labels:
            found[dict(all_labels)[label]] = number
    return found


def a_run(run_id: str, begin: float, end: float | None, **fields: Any) -> Record:
    """A run of nothing between two instants in seconds."""
    facts: dict[str, Any] = {
        "started_us": at(begin),
        "heard_us": at(begin + 1 if end is None else end),
        "ended_us": None if end is None else at(end),
        "result": None if end is None else Result.SUCCESS,
    }
    return Record(run=records.run(run_id, **(facts | fields)))


def a_sync(
    run_id: str, begin: float, end: float | None, rows: dict[str, int], **fields: Any
) -> Record:
    """A run whose only step reads these streams; without an end it is at work."""
    found = a_run(run_id, begin, end, **fields)
    found.steps = [
        Step(
            run_id=run_id,
            position=0,
            name="tap-sentry target-duckdb",
            kind="extract_load",
            started_us=found.run.started_us,
            ended_us=found.run.ended_us,
            result=found.run.result,
        )
    ]
    found.streams = [
        StreamSync(
            run_id=run_id,
            position=0,
            stream=stream,
            started_us=found.run.started_us,
            ended_us=found.run.ended_us,
            rows=count,
            stored_rows=count,
            requests=2,
            bookmark_us=found.run.started_us,
            result=found.run.result,
        )
        for stream, count in rows.items()
    ]
    return found


def totals(run_id: str, **fields: Any) -> RequestTotal:
    return RequestTotal(run_id=run_id, position=0, endpoint="project events", **fields)


class TestRuns:
    def test_are_counted_by_result_and_the_others_are_zero(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like(), a_run("b", 100, 130), a_run("c", 200, 210))
        assert values(ledger, "runs_total", "result", **OF_RUN) == {
            "success": 2,
            "failure": 1,
            "timeout": 0,
            "killed": 0,
        }
        assert value(ledger, "run_seconds_total", **OF_RUN) == 60 + 30 + 10

    def test_the_last_one_is_the_one_that_ended_last(self, ledger: Ledger) -> None:
        # Saved the wrong way round, as an import does.
        fill(ledger, a_run("b", 100, 130, result=Result.TIMEOUT), records.demo_like())
        assert value(ledger, "last_run_start_timestamp_seconds", **OF_RUN) == NOON_S + 100
        assert value(ledger, "last_run_end_timestamp_seconds", **OF_RUN) == NOON_S + 130
        assert value(ledger, "last_run_duration_seconds", **OF_RUN) == 30
        assert values(ledger, "last_run_result", "result", **OF_RUN) == {
            "success": 0,
            "failure": 0,
            "timeout": 1,
            "killed": 0,
        }

    def test_the_last_success_outlives_a_failure(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", -500, -400), records.demo_like())
        assert value(ledger, "last_success_timestamp_seconds", **OF_RUN) == NOON_S - 400

    def test_without_a_success_there_is_no_last_one(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        assert value(ledger, "last_success_timestamp_seconds", **OF_RUN) is None

    def test_one_under_way_is_active_and_has_not_ended(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", -500, -400), a_run("b", 100, None))
        assert value(ledger, "run_active", **OF_RUN) == 1
        assert value(ledger, "last_run_start_timestamp_seconds", **OF_RUN) == NOON_S + 100
        assert value(ledger, "last_run_end_timestamp_seconds", **OF_RUN) == NOON_S - 400
        assert values(ledger, "runs_total", "result", **OF_RUN)["success"] == 1

    def test_one_that_took_no_time_is_not_active(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", 100, 100))
        assert value(ledger, "run_active", **OF_RUN) == 0

    def test_one_that_hangs_stays_active_while_later_ones_come_and_go(self, ledger: Ledger) -> None:
        fill(ledger, a_run("hangs", 0, None), a_run("refused", 100, 101, result=Result.FAILURE))
        assert value(ledger, "run_active", **OF_RUN) == 1

    def test_a_killed_one_is_counted_as_killed_and_not_active(self, ledger: Ledger) -> None:
        record = records.killed()
        record.run.ended_us = at(43)  # as `collect` seals it
        fill(ledger, record)
        assert values(ledger, "runs_total", "result", **OF_RUN)["killed"] == 1
        assert value(ledger, "run_active", **OF_RUN) == 0
        assert value(ledger, "last_run_duration_seconds", **OF_RUN) == 43

    def test_environments_stay_apart(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", 0, 10), a_run("b", 20, 50, environment="prod"))
        for environment, seconds in (("demo", 10), ("prod", 30)):
            labels = {"environment": environment, "pipeline": PIPELINE}
            assert value(ledger, "last_run_duration_seconds", **labels) == seconds

    def test_without_an_environment_have_an_empty_label(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", 0, 10, environment=None))
        labels = {"environment": "", "pipeline": PIPELINE}
        assert value(ledger, "last_run_duration_seconds", **labels) == 10

    def test_that_only_look_are_none(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", 0, None, job="observe:collect", planned_steps=["observe:collect"]))
        assert measured(ledger) == {}

    def test_of_dbt_alone_bear_its_command_and_not_the_sql_it_was_given(
        self, ledger: Ledger
    ) -> None:
        record = records.only_dbt()
        record.run.job = "dbt show --inline select email from users"
        record.run.planned_steps = ["dbt"]
        step = Step(
            run_id=record.run.run_id,
            position=0,
            name="dbt:show",
            kind="command",
            started_us=at(32),
            ended_us=at(58),
            result=Result.SUCCESS,
        )
        record.steps = [step]
        fill(ledger, record)
        assert set(values(ledger, "last_run_duration_seconds", "pipeline")) == {"dbt show"}
        assert "select" not in str(measured(ledger))

    def test_of_longer_than_35_days_ago_are_counted_but_no_more_the_last(
        self, ledger: Ledger
    ) -> None:
        fill(ledger, a_sync("a", -35 * DAY_S, -34 * DAY_S, {"events": 7}))
        pipeline, stream = _labels(pipeline=PIPELINE), _labels(stream="events")
        assert measured(ledger, now_us=at(-1))["last_run_duration_seconds", pipeline] == DAY_S
        assert measured(ledger, Kind.GAUGE, at(1)) == {}
        counted = measured(ledger, now_us=at(1))
        assert counted["run_seconds_total", pipeline] == DAY_S
        assert counted["stream_rows_total", stream] == 7

    def test_of_a_clock_that_was_ahead_are_not_the_last(self, ledger: Ledger) -> None:
        fill(ledger, a_run("a", 0, 10), a_run("b", 365 * DAY_S, 366 * DAY_S))
        assert value(ledger, "last_success_timestamp_seconds", **OF_RUN) == NOON_S + 10
        assert value(ledger, "runs_total", **OF_RUN, result="success") == 2

    def test_of_no_ledger_yet_are_no_samples_of_every_metric(self, ledger: Ledger) -> None:
        found = list(from_ledger.newest(ledger, NOW_US))
        assert [family.samples for family in found] == [()] * len(found)
        assert len(found) == sum(len(query.metrics) for query in from_ledger.QUERIES)


class TestSteps:
    def test_have_their_time_and_whether_they_succeeded(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        assert values(ledger, "last_step_duration_seconds", "step", **OF_RUN) == {
            "tap-sentry target-duckdb": 29,
            "dbt:build": 28,
        }
        assert values(ledger, "last_step_success", "step", **OF_RUN) == {
            "tap-sentry target-duckdb": 1,
            "dbt:build": 0,
        }

    def test_under_way_leave_those_of_the_run_before(self, ledger: Ledger) -> None:
        fill(ledger, a_sync("a", 0, 10, {}), a_sync("b", 100, None, {}))
        step = "tap-sentry target-duckdb"
        assert value(ledger, "last_step_duration_seconds", **OF_RUN, step=step) == 10


class TestStreams:
    def test_have_their_rows_requests_and_times(self, ledger: Ledger) -> None:
        record = records.demo_like()
        record.streams[0].stored_rows = 118
        fill(ledger, record)
        expected = {
            "stream_rows_total": 120,
            "stream_stored_rows_total": 118,
            "stream_last_rows": 120,
            "stream_last_stored_rows": 118,
            "stream_last_requests": 3,
            "stream_last_planned_rows": 120,
            "stream_last_planned_requests": 3,
            "stream_last_duration_seconds": 6,
            "stream_last_success_timestamp_seconds": NOON_S + 9,
            "stream_bookmark_timestamp_seconds": NOON_S - 60,
            "stream_last_skipped_parts": 1,
        }
        for name, number in expected.items():
            assert value(ledger, name, **DEMO, stream="events") == number, name

    def test_without_a_plan_have_none(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        assert value(ledger, "stream_last_planned_rows", **DEMO, stream="issues") is None

    def test_add_up_over_runs_and_the_last_stands_alone(self, ledger: Ledger) -> None:
        fill(ledger, a_sync("b", 100, 110, {"events": 5}), a_sync("a", 0, 10, {"events": 300}))
        assert value(ledger, "stream_rows_total", **DEMO, stream="events") == 305
        assert value(ledger, "stream_last_rows", **DEMO, stream="events") == 5

    def test_of_no_rows_are_zero_and_not_missing(self, ledger: Ledger) -> None:
        fill(ledger, a_sync("a", 0, 10, {"events": 300}), a_sync("b", 100, 110, {"events": 0}))
        assert value(ledger, "stream_last_rows", **DEMO, stream="events") == 0

    def test_of_a_run_under_way_are_counted_but_not_yet_the_last(self, ledger: Ledger) -> None:
        at_work = a_sync("b", 100, None, {"events": 40})
        at_work.streams[0].stored_rows = 0  # the target is behind the tap
        fill(ledger, a_sync("a", 0, 10, {"events": 300}), at_work)
        assert value(ledger, "stream_rows_total", **DEMO, stream="events") == 340
        assert value(ledger, "stream_last_rows", **DEMO, stream="events") == 300
        assert value(ledger, "stream_last_stored_rows", **DEMO, stream="events") == 300
        bookmark = value(ledger, "stream_bookmark_timestamp_seconds", **DEMO, stream="events")
        assert bookmark == NOON_S

    def test_that_the_last_good_run_left_out_are_no_more_late(self, ledger: Ledger) -> None:
        fill(
            ledger,
            a_sync("a", 0, 10, {"events": 3, "users": 2}),
            a_sync("b", 100, 110, {"events": 3}),
        )
        assert set(values(ledger, "stream_bookmark_timestamp_seconds", "stream")) == {"events"}
        assert value(ledger, "stream_rows_total", **DEMO, stream="users") == 2

    def test_that_a_failed_run_did_not_come_to_are_late(self, ledger: Ledger) -> None:
        fill(
            ledger,
            a_sync("a", 0, 10, {"events": 3, "users": 2}),
            a_sync("b", 100, 110, {"events": 3}, result=Result.FAILURE),
        )
        found = values(ledger, "stream_last_success_timestamp_seconds", "stream")
        assert found == {"events": NOON_S + 10, "users": NOON_S + 10}

    def test_are_not_complete_before_the_target_has_stored_them(self, ledger: Ledger) -> None:
        broken = a_sync("b", 100, 110, {"events": 3}, result=Result.FAILURE)
        for stream in broken.streams:
            stream.result = Result.SUCCESS  # the tap came to its end, then the target broke
        fill(ledger, a_sync("a", 0, 10, {"events": 3}), broken)
        found = {
            name: value(ledger, f"stream_{name}_timestamp_seconds", **DEMO, stream="events")
            for name in ("bookmark", "last_success")
        }
        assert found == {"bookmark": NOON_S, "last_success": NOON_S + 10}

    def test_skipped_parts_are_those_of_the_last_run(self, ledger: Ledger) -> None:
        first = a_sync("a", 0, 10, {"events": 3, "users": 2})
        first.skipped = [
            SkippedPart(run_id="a", position=0, stream="events", part=part, reason="403")
            for part in ("project payments", "project shop")
        ]
        fill(ledger, first)
        assert values(ledger, "stream_last_skipped_parts", "stream") == {"events": 2, "users": 0}
        fill(ledger, a_sync("b", 100, 110, {"events": 3, "users": 2}))
        assert values(ledger, "stream_last_skipped_parts", "stream") == {"events": 0, "users": 0}


class TestRequests:
    def test_add_up_by_endpoint_over_runs(self, ledger: Ledger) -> None:
        first, second = a_run("a", 0, 10), a_run("b", 100, 110)
        first.requests = [totals("a", requests=7, retries=2, waited_s=6.5, answering_s=1.25)]
        second.requests = [totals("b", requests=3, waited_s=0.5, answering_s=0.75)]
        fill(ledger, first, second)
        labels = {**DEMO, "endpoint": "project events"}
        assert value(ledger, "api_requests_total", **labels) == 10
        assert value(ledger, "api_retries_total", **labels) == 2
        assert value(ledger, "api_wait_seconds_total", **labels) == 7
        assert value(ledger, "api_answering_seconds_total", **labels) == 2

    def test_the_quota_is_the_last_that_the_server_told(self, ledger: Ledger) -> None:
        first, second = a_run("a", 0, 10), a_run("b", 100, 110)
        quota = {"quota_requests": 40, "quota_window_s": 1.0, "quota_used": 0.875}
        first.requests = [totals("a", requests=7, **quota)]
        second.requests = [totals("b", requests=3)]
        fill(ledger, first, second)
        labels = {**DEMO, "endpoint": "project events"}
        assert value(ledger, "api_quota_requests", **labels) == 40
        assert value(ledger, "api_quota_window_seconds", **labels) == 1
        assert value(ledger, "api_quota_used_ratio", **labels) == 0.875

    def test_without_limits_from_the_server_have_no_quota(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        assert values(ledger, "api_quota_requests", "endpoint") == {}
        waited = values(ledger, "api_wait_seconds_total", "endpoint", **DEMO)
        assert waited == {"organization issues": 6.5, "organization events": 0, "rate_limit": 1.5}


class TestDbt:
    def test_invocations_are_counted_by_result_and_the_others_are_zero(
        self, ledger: Ledger
    ) -> None:
        fill(ledger, records.demo_like())
        found = values(ledger, "dbt_invocations_total", "result", **DEMO, command="build")
        assert found == {"success": 0, "failure": 1, "timeout": 0, "killed": 0}

    def test_one_under_way_is_not_counted_yet(self, ledger: Ledger) -> None:
        record = records.demo_like()
        record.invocations = [records.invocation(ended_us=None, result=None)]
        fill(ledger, record)
        assert values(ledger, "dbt_invocations_total", "result") == {}

    def test_models_have_their_times_failures_and_skips(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        seconds = values(ledger, "dbt_model_last_duration_seconds", "model", **DEMO)
        assert seconds["fct_activity"] == 6
        assert seconds["team_names"] == 1  # a seed
        assert "mart_release" not in seconds  # skipped
        assert "counts" not in seconds  # a test
        failed = values(ledger, "dbt_model_failed", "model", **DEMO)
        assert [name for name, bad in failed.items() if bad] == ["dim_release"]
        skipped = values(ledger, "dbt_model_skipped", "model", **DEMO)
        assert [name for name, is_skipped in skipped.items() if is_skipped] == ["mart_release"]
        built = values(ledger, "dbt_model_last_success_timestamp_seconds", "model", **DEMO)
        assert built["fct_activity"] == NOON_S + 50
        assert not {"dim_release", "mart_release"} & set(built)

    def test_a_skipped_model_keeps_the_time_that_it_last_took(self, ledger: Ledger) -> None:
        record = records.demo_like()
        for found in record.nodes:
            if found.status == "skipped":
                found.started_us = found.ended_us = at(40)
        fill(ledger, record)
        seconds = values(ledger, "dbt_model_last_duration_seconds", "model", **DEMO)
        assert "mart_release" not in seconds

    def test_models_are_looked_for_in_the_last_50_builds_and_in_all_for_the_past(
        self, ledger: Ledger
    ) -> None:
        def build(number: int, name: str) -> Record:
            found = a_run(f"r{number}", number, number + 1)
            call = records.invocation(started_us=at(number), manifest_hash=None)
            call.invocation_id, call.run_id = f"i{number}", f"r{number}"
            found.invocations = [call]
            node = records.demo_like().nodes[0]
            node.invocation_id, node.unique_id, node.name = f"i{number}", f"model.{name}", name
            node.resource_type, node.status, node.ended_us = "model", "success", at(number + 1)
            found.nodes = [node]
            return found

        fill(ledger, build(0, "rare"), *(build(number, "often") for number in range(1, 51)))
        assert set(values(ledger, "dbt_model_failed", "model")) == {"often"}
        (query,) = [
            query
            for query in dbt.QUERIES
            if "dbt_model_last_success_timestamp_seconds" in {each.name for each in query.metrics}
        ]
        past = [
            family.samples[0].labels[1]
            for _, changed in from_ledger.changes(ledger, query, 0)
            for family in changed
        ]
        assert past == ["rare", *["often"] * 50]

    def test_a_retry_makes_a_failed_model_good(self, ledger: Ledger) -> None:
        again = records.retried()
        found = again.invocations[0]
        found.started_us, found.heard_us, found.ended_us = at(100), at(110), at(110)
        again.nodes[0].ended_us = at(105)
        fill(ledger, records.demo_like(), again)
        model = {**DEMO, "model": "dim_release"}
        assert value(ledger, "dbt_model_failed", **model) == 0
        assert value(ledger, "dbt_model_last_success_timestamp_seconds", **model) == NOON_S + 105

    def test_a_model_at_work_when_dbt_was_killed_failed(self, ledger: Ledger) -> None:
        fill(ledger, records.killed())
        failed = values(ledger, "dbt_model_failed", "model", **DEMO)
        assert {name for name, bad in failed.items() if bad} == {
            "dim_release",
            "dim_project",
            "int_activity",
        }
        seconds = values(ledger, "dbt_model_last_duration_seconds", "model", **DEMO)
        assert "int_activity" not in seconds
        found = values(ledger, "dbt_invocations_total", "result", **DEMO, command="build")
        assert found["killed"] == 1

    def test_tests_have_their_verdicts_rows_and_times(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        failed = values(ledger, "dbt_test_failed", "test", **DEMO)
        assert failed == {
            "not_null_stg_issues": 0,
            "accepted_stg_events": 0,
            "counts": 0,
            "unique_mart_health": 1,
        }
        warned = values(ledger, "dbt_test_warned", "test", **DEMO)
        assert [name for name, bad in warned.items() if bad] == ["accepted_stg_events"]
        rows = values(ledger, "dbt_test_failing_rows", "test", **DEMO)
        assert (rows["unique_mart_health"], rows["accepted_stg_events"], rows["counts"]) == (
            3,
            1,
            0,
        )
        test = {**DEMO, "test": "unique_mart_health"}
        assert value(ledger, "dbt_test_last_duration_seconds", **test) == 1

    def test_a_skipped_test_keeps_its_last_verdict(self, ledger: Ledger) -> None:
        later = records.retried()
        later.invocations[0].started_us = later.invocations[0].heard_us = at(100)
        later.invocations[0].ended_us = at(110)
        skipped = {"status": "skipped", "invocation_id": later.invocations[0].invocation_id}
        later.nodes = [records.node("test.sentry.unique_mart_health", None, None, **skipped)]
        fill(ledger, records.demo_like(), later)
        assert value(ledger, "dbt_test_failed", **DEMO, test="unique_mart_health") == 1

    def test_what_left_the_project_fails_no_more(self, ledger: Ledger) -> None:
        later = records.retried()
        newer = later.invocations[0]
        newer.started_us, newer.heard_us, newer.ended_us = at(100), at(110), at(110)
        newer.manifest_hash, later.nodes = "newer", []
        later.manifest_nodes = [
            msgspec.structs.replace(found, manifest_hash="newer")
            for found in records.manifest()
            if found.name not in {"dim_release", "unique_mart_health"}
        ]
        fill(ledger, records.demo_like(), later)
        assert set(values(ledger, "dbt_model_failed", "model").values()) == {0}
        assert set(values(ledger, "dbt_test_failed", "test").values()) == {0}

    def test_nodes_count_where_no_manifest_is_known(self, ledger: Ledger) -> None:
        record = records.demo_like()
        record.invocations = [records.invocation(manifest_hash=None)]
        record.manifest_nodes = []
        fill(ledger, record)
        assert value(ledger, "dbt_model_failed", **DEMO, model="dim_release") == 1

    @pytest.mark.parametrize("command", ["docs generate", "compile", "list"])
    def test_what_does_not_run_nodes_says_nothing_of_them(
        self, ledger: Ledger, command: str
    ) -> None:
        record = records.only_dbt()
        record.invocations[0].command = command
        fill(ledger, record)
        assert values(ledger, "dbt_model_last_duration_seconds", "model") == {}
        assert values(ledger, "dbt_test_failed", "test") == {}
        found = values(ledger, "dbt_invocations_total", "result", command=command)
        assert found["success"] == 1

    def test_sources_have_dbts_verdict(self, ledger: Ledger) -> None:
        record = records.freshness()
        record.freshness[0].status = "warn"
        fill(ledger, record)
        warned = values(ledger, "dbt_source_warned", "source", **DEMO)
        assert warned == {"sentry.issues": 1, "sentry.events": 0}
        failed = values(ledger, "dbt_source_failed", "source", **DEMO)
        assert failed == {"sentry.issues": 0, "sentry.events": 1}

    def test_sources_whose_age_could_not_be_told_failed(self, ledger: Ledger) -> None:
        record = records.freshness()
        record.freshness[0].status = "runtime error"
        fill(ledger, record)
        assert value(ledger, "dbt_source_failed", **DEMO, source="sentry.issues") == 1

    def test_sources_that_left_the_project_are_no_more_late(self, ledger: Ledger) -> None:
        record = records.freshness()
        record.manifest_nodes = [
            found
            for found in records.manifest()
            if found.unique_id != "source.sentry.sentry.events"
        ]
        fill(ledger, record)
        assert values(ledger, "dbt_source_failed", "source", **DEMO) == {"sentry.issues": 0}


class TestCountersThroughPruning:
    def prune(self, ledger: Ledger, now_s: float, **options: Any) -> None:
        pruning.prune(
            ledger,
            at(now_s),
            log_days=1,
            run_days=30,
            before=lambda run_ids: from_ledger.remember(ledger, run_ids),
            **options,
        )

    def test_stay_what_they_were_and_go_on_from_there(self, ledger: Ledger) -> None:
        old, new = records.demo_like(), a_sync("b", 20 * DAY_S, 20 * DAY_S + 30, {"events": 5})
        new.requests = [totals("b", requests=3, retries=1, waited_s=0.25, answering_s=0.5)]
        fill(ledger, old, new)
        before = measured(ledger, Kind.COUNTER)
        assert before["stream_rows_total", _labels(stream="events")] == 125

        self.prune(ledger, 31 * DAY_S)
        assert [run.run_id for run in ledger.rows(PipelineRun)] == ["b"]
        assert measured(ledger, Kind.COUNTER) == before

        self.prune(ledger, 31 * DAY_S)  # nothing more to go
        assert measured(ledger, Kind.COUNTER) == before

        fill(ledger, a_sync("c", 40 * DAY_S, 40 * DAY_S + 10, {"events": 2}))
        more = measured(ledger, Kind.COUNTER)
        assert more["stream_rows_total", _labels(stream="events")] == 127
        assert more["run_seconds_total", _labels(pipeline=PIPELINE)] == 60 + 30 + 10

        self.prune(ledger, 51 * DAY_S)
        assert [run.run_id for run in ledger.rows(PipelineRun)] == ["c"]
        assert measured(ledger, Kind.COUNTER) == more

        self.prune(ledger, 99 * DAY_S)
        assert ledger.rows(PipelineRun) == []
        assert measured(ledger, Kind.COUNTER) == more
        assert measured(ledger, Kind.GAUGE) == {}

    def test_a_dry_run_remembers_nothing(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        before = measured(ledger)
        self.prune(ledger, 99 * DAY_S, dry_run=True)
        assert ledger.rows(ForgottenTotal) == []
        assert measured(ledger) == before

    def test_nothing_is_remembered_of_what_failed_to_go(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        before = measured(ledger)

        def refuse(run_ids: str) -> None:
            from_ledger.remember(ledger, run_ids)
            raise InterruptedError

        with pytest.raises(InterruptedError):
            pruning.prune(ledger, at(99 * DAY_S), 1, 30, before=refuse)
        assert ledger.rows(ForgottenTotal) == []
        assert measured(ledger) == before


def _labels(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset({**DEMO, **labels}.items())


class TestChanges:
    def test_come_in_their_order_and_add_up_to_what_is_now(self, ledger: Ledger) -> None:
        fill(ledger, a_run("b", 100, 130), a_run("a", 0, 10), a_run("c", 50, None))
        query = next(q for q in runs.QUERIES if q.metrics[0].name == "run_seconds_total")
        found = list(from_ledger.changes(ledger, query, 0))
        assert [(at_us, family.samples[0].value) for at_us, (family,) in found] == [
            (at(10), 10),
            (at(130), 30),
        ]

    def test_of_before_the_instant_asked_for_are_left_out(self, ledger: Ledger) -> None:
        fill(ledger, a_run("b", 100, 130), a_run("a", 0, 10))
        query = next(q for q in runs.QUERIES if q.metrics[0].name == "run_seconds_total")
        assert [at_us for at_us, _ in from_ledger.changes(ledger, query, at(50))] == [at(130)]

    def test_of_gauges_are_what_each_then_was(self, ledger: Ledger) -> None:
        fill(ledger, records.demo_like())
        query = next(q for q in dbt.QUERIES if q.metrics[0].name == "dbt_test_failed")
        verdicts = {
            at_us: (family.samples[0].labels[1], family.samples[0].value)
            for at_us, (family, *_) in from_ledger.changes(ledger, query, 0)
        }
        assert verdicts[at(55)] == ("unique_mart_health", 1)
        assert verdicts[at(37.5)] == ("not_null_stg_issues", 0)
        assert RUN_ID not in str(verdicts)
