"""A record of the ledger as spans: the tree, the links, how each ended, and when."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrate.ledger import identity
from orchestrate.ledger.model import Manifest, Record, Result, Step
from orchestrate.tracing.events import LOG_LIMIT
from orchestrate.tracing.lineage import Lineage
from orchestrate.tracing.model import Kind, Span, Status
from orchestrate.tracing.nodes import relation_names, spans_of
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records
from tests.unit.orchestrate.records import at

EXAMPLES = {
    "demo": records.demo_like,
    "killed": records.killed,
    "only dbt": records.only_dbt,
    "retried": records.retried,
    "freshness": records.freshness,
}
example = pytest.mark.parametrize("record", [build() for build in EXAMPLES.values()], ids=EXAMPLES)


def named(found: list[Span], name: str) -> Span:
    """The one span of that name."""
    [span] = [span for span in found if span.name == name]
    return span


def links(found: list[Span], name: str, kind: str = "data") -> dict[str, str]:
    """What a span's links of a type name, to the names of the spans that they lead to."""
    names = {span.span_id: span.name for span in found}
    return {
        link.attributes["link.upstream.id"].rpartition(".")[2]: names.get(link.span_id, "elsewhere")
        for link in named(found, name).links
        if link.attributes["link.type"] == kind
    }


def seconds(span: Span) -> tuple[float, float]:
    return (span.started_us - at(0)) / 1e6, (span.ended_us - at(0)) / 1e6


def built_then_tested() -> Record:
    """The tests of `demo_like` in an invocation of their own: `dbt:run dbt:test`."""
    record = records.demo_like()
    tests = records.invocation(started_us=at(53.9), command="test")
    tests.invocation_id = "tests"
    for node in record.nodes:
        if node.resource_type == "test":
            node.invocation_id = "tests"
    record.invocations.append(tests)
    return record


class TestTree:
    def test_is_run_step_stream_and_run_step_invocation_node_phase(self) -> None:
        found = spans(records.demo_like())
        names = {span.span_id: span.name for span in found}
        above = {span.name: names.get(span.parent_id or "") for span in found}
        run = "RUN tap-sentry target-duckdb dbt:build"
        assert found[0].name == run
        assert above[run] is None
        assert above["tap-sentry target-duckdb"] == above["dbt:build"] == run
        assert above["sync issues"] == "tap-sentry target-duckdb"
        assert above["dbt build"] == "dbt:build"
        assert above["model int_activity"] == "dbt build"
        phases = [
            span for span in found if span.parent_id == named(found, "model stg_issues").span_id
        ]
        assert [phase.name for phase in phases] == ["compile", "execute"]
        assert len(found) == 1 + 2 + 4 + 1 + 14 + 2 * 13

    def test_has_the_invocation_below_the_run_where_there_is_no_step(self) -> None:
        run, invocation, *_ = spans(records.only_dbt())
        assert (run.name, invocation.name) == ("RUN dbt build", "dbt build")
        assert invocation.parent_id == run.span_id
        assert invocation.span_id != run.span_id

    def test_has_each_invocation_below_the_step_at_work_then(self) -> None:
        record = records.demo_like()
        first, second = (
            record.invocations[0],
            records.invocation(started_us=at(61), ended_us=at(65)),
        )
        second.invocation_id = "another"
        again = records.node("model.sentry.fct_errors", 62, 63, invocation_id="another")
        record.nodes.append(again)
        record.invocations = [second, first]
        record.run.ended_us = at(70)
        later = Step(run_id=records.RUN_ID, position=2, name="", kind="command", started_us=at(60))
        record.steps.append(later)
        found = spans(record)
        unnamed = named(found, "command")
        one, other = [span for span in found if span.name == "dbt build"]
        assert one.parent_id == named(found, "dbt:build").span_id
        assert other.parent_id == unnamed.span_id
        nodes = [span for span in found if span.name == "model fct_errors"]
        assert [span.parent_id for span in nodes] == [one.span_id, other.span_id]
        # What it reads ran in the first invocation only.
        assert nodes[0].links == nodes[1].links != []

    def test_has_the_reading_of_the_project_below_the_invocation(self) -> None:
        record = records.demo_like()
        record.invocations[0].parsed_us = at(34.5)
        found = spans(record)
        parse = named(found, "parse")
        assert parse.parent_id == named(found, "dbt build").span_id
        assert (seconds(parse), parse.status) == ((32, 34.5), Status.UNSET)
        assert len({span.span_id for span in found}) == len(found)

    def test_has_an_invocation_below_the_run_that_no_step_was_at_work_for(self) -> None:
        record = records.demo_like()
        record.steps[1].ended_us = at(31.5)
        found = spans(record)
        assert named(found, "dbt build").parent_id == found[0].span_id

    def test_hangs_below_the_span_of_the_caller(self) -> None:
        record = records.demo_like()
        record.run.trace_id, record.run.parent_span_id = "1" * 32, "2" * 16
        found = spans(record)
        assert found[0].parent_id == "2" * 16
        assert {span.trace_id for span in found} == {"1" * 32}

    @example
    def test_names_spans_as_identity_says_and_each_once(self, record: Record) -> None:
        found = spans(record)
        run, trace_id = record.run, record.run.trace_id
        ids = [span.span_id for span in found]
        expected = {run.span_id}
        for step in record.steps:
            expected.add(identity.span_id(trace_id, run.run_id, "step", step.position))
        for stream in record.streams:
            step_names = (run.run_id, "step", stream.position)
            expected.add(identity.span_id(trace_id, *step_names, "stream", stream.stream))
        for invocation in record.invocations:
            expected.add(identity.span_id(trace_id, "dbt", invocation.invocation_id))
        for node in record.nodes:
            names = ("dbt", node.invocation_id, node.unique_id)
            expected.add(identity.span_id(trace_id, *names))
            if node.compile_started_us:
                expected.add(identity.span_id(trace_id, *names, "compile"))
            if node.execute_started_us:
                expected.add(identity.span_id(trace_id, *names, "execute"))
        assert len(ids) == len(set(ids))
        assert set(ids) == expected
        assert spans(record) == found

    def test_takes_a_run_of_which_only_the_beginning_is_known(self) -> None:
        run = records.run(ended_us=None, result=None, heard_us=at(0), job="")
        [found] = spans(Record(run=run))
        assert (found.name, found.status, seconds(found)) == ("RUN", Status.UNSET, (0, 0))

    def test_kinds_are_server_for_the_run_and_internal_for_the_rest(self) -> None:
        run, *others = spans(records.demo_like())
        assert run.kind is Kind.SERVER
        assert {span.kind for span in others} == {Kind.INTERNAL}


class TestTimes:
    @example
    def test_of_parents_cover_those_of_their_children(self, record: Record) -> None:
        found = spans(record)
        by_id = {span.span_id: span for span in found}
        for span in found[1:]:
            parent = by_id[span.parent_id or ""]
            assert parent.started_us <= span.started_us <= span.ended_us <= parent.ended_us

    def test_of_children_stay_true_where_a_parent_was_told_shorter(self) -> None:
        record = records.demo_like()
        record.run.ended_us, record.steps[1].ended_us = at(50), at(51)
        record.invocations[0].started_us = at(36)
        record.nodes[0].compile_started_us = at(34)
        found = spans(record)
        assert seconds(named(found, "seed team_names")) == (34, 36)
        assert seconds(named(found, "test unique_mart_health")) == (54, 55)
        assert seconds(named(found, "dbt build")) == (34, 58)
        assert seconds(named(found, "dbt:build")) == (31, 58)
        assert seconds(found[0]) == (0, 58)

    def test_of_what_was_killed_end_with_the_last_word(self) -> None:
        found = spans(records.killed())
        for name in ("dbt:build", "dbt build", "model int_activity"):
            assert seconds(named(found, name))[1] == 43
        assert seconds(found[0]) == (0, 43)
        assert seconds(named(found, "model stg_issues")) == (35, 37)

    def test_of_a_stream_without_any_are_those_of_its_step(self) -> None:
        record = records.demo_like()
        record.streams[0].started_us = record.streams[0].ended_us = None
        assert seconds(named(spans(record), "sync events")) == (1, 30)

    def test_of_a_skipped_node_are_the_instant_when_what_it_waited_for_had_ended(self) -> None:
        record = records.demo_like()
        assert seconds(named(spans(record), "model mart_release")) == (40, 40)
        skipped = next(node for node in record.nodes if node.status == "skipped")
        skipped.started_us, skipped.ended_us = at(41), at(41.5)
        assert seconds(named(spans(record), "model mart_release")) == (41, 41)

    def test_of_nodes_skipped_one_after_another_are_one_instant(self) -> None:
        record = records.demo_like()
        for node in record.nodes:
            if node.name in {"int_activity", "fct_activity", "fct_errors", "mart_health"}:
                node.status = "skipped"
                node.started_us = node.ended_us = node.compile_started_us = None
                node.execute_started_us = None
        found = spans(record)
        # stg_events is tested until 39 s, the unit test of int_activity ends at 39.5 s.
        assert seconds(named(found, "model int_activity")) == (39.5, 39.5)
        assert seconds(named(found, "model fct_errors")) == (39.5, 39.5)
        assert seconds(named(found, "model mart_health")) == (42, 42)

    def test_of_a_skipped_node_without_a_manifest_are_the_begin_of_dbt(self) -> None:
        record = records.demo_like()
        record.manifest_nodes = []
        assert seconds(named(spans(record), "model mart_release")) == (32, 32)


class TestStatus:
    def test_is_ok_for_what_was_declared_a_success(self) -> None:
        found = spans(records.only_dbt())
        assert {span.status for span in found if span.name not in {"compile", "execute"}} == {
            Status.OK
        }

    def test_is_the_error_of_what_failed_up_to_the_run(self) -> None:
        found = spans(records.demo_like())
        failed = {span.name: span for span in found if span.status is Status.ERROR}
        assert set(failed) == {
            "RUN tap-sentry target-duckdb dbt:build",
            "dbt:build",
            "dbt build",
            "model dim_release",
            "test unique_mart_health",
        }
        messages = {name: span.status_message for name, span in failed.items()}
        assert messages["dbt:build"] == "`dbt build` failed with exit code: 1"
        assert messages["test unique_mart_health"] == "Got 3 results, configured to fail if != 0"
        assert messages["model dim_release"] == (
            "Database Error in model dim_release (models/dim_release.sql)"
        )
        types = {name: span.attributes["error.type"] for name, span in failed.items()}
        assert types == {
            "RUN tap-sentry target-duckdb dbt:build": "exit_code_1",
            "dbt:build": "exit_code_1",
            "dbt build": "exit_code_1",
            "model dim_release": "error",
            "test unique_mart_health": "fail",
        }

    def test_of_skipped_and_warned_is_unset_and_the_word_is_an_attribute(self) -> None:
        found = spans(records.demo_like())
        for name, word, result in (
            ("model mart_release", "skipped", "skip"),
            ("test accepted_stg_events", "warn", "success"),
        ):
            span = named(found, name)
            assert (span.status, span.status_message) == (Status.UNSET, "")
            assert span.attributes["dbt.node.status"] == word
            assert span.attributes["cicd.pipeline.task.run.result"] == result
            assert "error.type" not in span.attributes

    def test_of_what_was_killed_is_an_error_of_that_type(self) -> None:
        found = spans(records.killed())
        names = {span.name for span in found if span.attributes.get("error.type") == "killed"}
        assert names == {
            "RUN tap-sentry target-duckdb dbt:build",
            "dbt:build",
            "dbt build",
            "model int_activity",
            "model dim_project",
        }
        run = found[0]
        assert (run.status, run.status_message) == (Status.ERROR, "killed")
        assert run.attributes["cicd.pipeline.result"] == "error"
        assert named(found, "sync issues").status is Status.OK

    def test_of_what_is_under_way_is_unset(self) -> None:
        record = records.killed()
        record.run.result = record.steps[1].result = record.invocations[0].result = None
        for node in record.nodes:
            node.status = None if node.status == "killed" else node.status
        found = spans(record)
        for name in ("dbt:build", "dbt build", "model int_activity"):
            span = named(found, name)
            assert span.status is Status.UNSET
            assert "error.type" not in span.attributes
            assert "cicd.pipeline.task.run.result" not in span.attributes

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ("Extractor failed", "extractor_failed"),
            ("Extractor and loader failed", "extractor_and_loader_failed"),
            ("tap-sentry exited with exit code: -15", "exit_code_-15"),
            ("something else", "_OTHER"),
            (None, "_OTHER"),
        ],
    )
    def test_types_of_a_failed_step_are_few(self, error: str | None, kind: str) -> None:
        record = records.demo_like()
        step = record.steps[0]
        step.result, step.error = Result.FAILURE, error
        assert named(spans(record), "tap-sentry target-duckdb").attributes["error.type"] == kind

    def test_of_a_run_that_timed_out_says_so(self) -> None:
        run = records.run(result=Result.TIMEOUT)
        [found] = spans(Record(run=run))
        assert (
            found.attributes["error.type"] == found.attributes["cicd.pipeline.result"] == "timeout"
        )
        assert found.status is Status.ERROR


class TestDataLinks:
    def test_lead_to_every_parent_of_a_node(self) -> None:
        found = spans(records.demo_like())
        assert links(found, "model int_activity") == {
            "stg_issues": "model stg_issues",
            "stg_events": "model stg_events",
        }
        assert links(found, "model mart_health") == {
            "fct_activity": "model fct_activity",
            "fct_errors": "model fct_errors",
            "team_names": "seed team_names",
        }
        assert links(found, "test unique_mart_health") == {"mart_health": "model mart_health"}

    def test_say_how_the_upstream_ended(self) -> None:
        found = spans(records.demo_like())
        [link] = named(found, "model mart_release").links
        assert link.trace_id == found[0].trace_id
        assert link.attributes == {
            "link.type": "data",
            "link.upstream.id": "model.sentry.dim_release",
            "link.upstream.status": "error",
        }

    def test_lead_from_a_source_to_the_stream_that_filled_it(self) -> None:
        found = spans(records.demo_like())
        assert links(found, "model stg_issues") == {"issues": "sync issues"}

    def test_lead_to_the_newest_stream_where_several_steps_had_it(self) -> None:
        record = records.demo_like()
        again = Step(
            run_id=records.RUN_ID,
            position=3,
            name="tap-sentry target-duckdb",
            kind="extract_load",
            started_us=at(30),
            ended_us=at(31),
        )
        record.steps.insert(0, again)
        later = records.stream("ISSUES", 30, 31)
        later.position = 3
        record.streams.append(later)
        assert links(spans(record), "model stg_issues") == {"issues": "sync ISSUES"}

    def test_go_through_an_ephemeral_model_that_never_runs(self) -> None:
        found = spans(records.demo_like())
        assert links(found, "model dim_project") == {"projects": "sync projects"}

    def test_go_through_metrics_and_semantic_models_that_never_run(self) -> None:
        record = records.demo_like()
        above = "model.sentry.mart_health"
        for name in ("semantic_model.sentry.s", "metric.sentry.m", "saved_query.sentry.weekly"):
            record.manifest_nodes.append(records.described(name, [above]))
            above = name
        record.nodes.append(records.node("saved_query.sentry.weekly", 56, 57))
        assert links(spans(record), "saved_query weekly") == {"mart_health": "model mart_health"}

    def test_lead_to_what_an_earlier_invocation_of_the_run_built(self) -> None:
        record = built_then_tested()
        found = spans(record)
        assert links(found, "test unique_mart_health") == {"mart_health": "model mart_health"}
        [link] = named(found, "test unique_mart_health").links
        assert link.attributes["link.upstream.status"] == "success"

    @pytest.mark.parametrize("change", [{"status": "skipped"}, {"resource_type": "source"}])
    def test_are_left_out_to_what_an_earlier_invocation_did_not_build(self, change: Any) -> None:
        record = built_then_tested()
        [mart] = [node for node in record.nodes if node.name == "mart_health"]
        for name, value in change.items():
            setattr(mart, name, value)
        assert links(spans(record), "test unique_mart_health") == {}

    def test_lead_to_the_newest_of_several_earlier_invocations(self) -> None:
        record = built_then_tested()
        first = records.invocation(started_us=at(20), command="run")
        first.invocation_id = "first"
        record.invocations.append(first)
        mart = "model.sentry.mart_health"
        record.nodes.append(records.node(mart, 21, 22, invocation_id="first"))
        [link] = named(spans(record), "test unique_mart_health").links
        names = ("dbt", records.INVOCATION_ID, mart)
        assert link.span_id == identity.span_id(record.run.trace_id, *names)

    def test_are_left_out_to_a_later_invocation(self) -> None:
        record = built_then_tested()
        record.invocations[0].started_us = at(60)
        assert links(spans(record), "test unique_mart_health") == {}

    def test_lead_from_a_source_to_the_stream_of_an_earlier_run(self) -> None:
        record = records.only_dbt()
        earlier = records.stream("ISSUES", -3000, -2990)
        earlier.run_id = records.EARLIER_RUN_ID
        trace_id = identity.trace_id(records.EARLIER_RUN_ID)
        record.fed_before, record.fed_traces = [earlier], {records.EARLIER_RUN_ID: trace_id}
        [link] = named(spans(record), "model stg_issues").links
        names = (records.EARLIER_RUN_ID, "step", 0, "stream", "ISSUES")
        assert (link.trace_id, link.span_id) == (trace_id, identity.span_id(trace_id, *names))
        assert link.attributes == {
            "link.type": "data",
            "link.upstream.id": "source.sentry.sentry.issues",
            "link.upstream.status": "success",
        }

    def test_lead_to_the_stream_of_the_run_rather_than_to_that_of_an_earlier_one(self) -> None:
        record = records.demo_like()
        earlier = records.stream("issues", -3000, -2990)
        earlier.run_id = records.EARLIER_RUN_ID
        record.fed_before, record.fed_traces = [earlier], {records.EARLIER_RUN_ID: "1" * 32}
        assert links(spans(record), "model stg_issues") == {"issues": "sync issues"}

    def test_are_left_out_to_what_did_not_run(self) -> None:
        record = records.demo_like()
        record.nodes = [node for node in record.nodes if node.name != "stg_issues"]
        record.streams = [stream for stream in record.streams if stream.stream != "projects"]
        found = spans(record)
        assert links(found, "model int_activity") == {"stg_events": "model stg_events"}
        assert links(found, "model dim_project") == {}

    def test_are_left_out_to_a_stream_that_came_after(self) -> None:
        record = records.demo_like()
        record.steps[0].started_us, record.steps[0].ended_us = at(70), at(99)
        assert links(spans(record), "model stg_issues") == {}

    def test_take_the_manifest_of_the_invocation(self) -> None:
        record = records.demo_like()
        record.invocations[0].manifest_hash = "another"
        assert links(spans(record), "model int_activity") == {}

    def test_of_a_unit_test_are_none_since_its_model_runs_after_it(self) -> None:
        assert links(spans(records.demo_like()), "unit_test counts") == {}

    def test_end_where_ephemeral_models_name_each_other(self) -> None:
        record = records.demo_like()
        described = {node.name: node for node in record.manifest_nodes}
        described["stg_projects"].depends_on = ["model.sentry.stg_projects"]
        assert links(spans(record), "model dim_project") == {}

    def test_lead_from_the_check_of_a_sources_age_to_its_stream(self) -> None:
        record = records.freshness()
        build = records.demo_like()
        record.steps, record.streams = build.steps[:1], build.streams
        assert links(spans(record), "source issues") == {"issues": "sync issues"}


class TestLinksBetweenRuns:
    def test_lead_to_the_previous_run_of_the_job(self) -> None:
        record = records.demo_like()
        assert record.previous
        [link] = spans(record)[0].links
        assert (link.trace_id, link.span_id) == (record.previous.trace_id, record.previous.span_id)
        assert link.attributes == {
            "link.type": "previous",
            "link.upstream.id": records.EARLIER_RUN_ID,
            "link.upstream.status": "success",
        }

    def test_lead_to_the_run_that_was_given_the_same_id(self) -> None:
        record = records.demo_like()
        record.run.run_id += ".2"
        record.previous, record.repeats = None, records.run(result=Result.KILLED)
        [link] = spans(record)[0].links
        assert link.attributes["link.type"] == "retry"
        assert link.attributes["link.upstream.status"] == "error"
        assert link.span_id == record.repeats.span_id

    def test_lead_from_a_retry_of_dbt_to_the_invocation_in_the_other_trace(self) -> None:
        earlier = spans(records.demo_like())
        [link] = named(spans(records.retried()), "dbt retry").links
        there = named(earlier, "dbt build")
        assert (link.trace_id, link.span_id) == (there.trace_id, there.span_id)
        assert link.attributes == {
            "link.type": "retry",
            "link.upstream.id": records.INVOCATION_ID,
        }

    def test_are_left_out_where_the_retried_invocation_is_not_known(self) -> None:
        record = records.retried()
        record.retried = {}
        assert named(spans(record), "dbt retry").links == []


class TestEvents:
    def test_of_the_step_are_its_retries_and_warnings_in_their_order(self) -> None:
        step = named(spans(records.demo_like()), "tap-sentry target-duckdb")
        assert [(event.name, (event.at_us - at(0)) / 1e6) for event in step.events] == [
            ("http.retry", 12),
            ("log", 12),
            ("http.retry", 15),
            ("http.requests", 30),
            ("http.requests", 30),
            ("http.requests", 30),
            ("singer.skipped", 30),
        ]
        assert step.events[0].attributes == {
            "singer.endpoint": "organization issues",
            "singer.retry.reason": "429 Too Many Requests",
            "singer.retry.wait_s": 2.5,
        }
        assert step.attributes["singer.requests"] == 10
        assert step.attributes["singer.waited_s"] == 8.0

    def test_of_the_step_say_how_often_each_endpoint_was_asked_and_held_back(self) -> None:
        step = named(spans(records.demo_like()), "tap-sentry target-duckdb")
        found = {
            event.attributes.pop("singer.endpoint"): event.attributes
            for event in step.events
            if event.name == "http.requests"
        }
        assert found == {
            "organization issues": {
                "singer.requests": 7,
                "singer.retries": 2,
                "singer.waited_s": 6.5,
            },
            "organization events": {
                "singer.requests": 3,
                "singer.retries": 0,
                "singer.waited_s": 0.0,
            },
            "rate_limit": {"singer.requests": 0, "singer.retries": 0, "singer.waited_s": 1.5},
        }

    def test_of_a_skipped_part_is_on_its_stream_or_on_the_step_without_one(self) -> None:
        found = spans(records.demo_like())
        [event] = named(found, "sync events").events
        assert event.attributes["singer.skipped.part"] == "project payments"
        step = named(found, "tap-sentry target-duckdb")
        assert [
            event.attributes.get("singer.stream")
            for event in step.events
            if event.name == "singer.skipped"
        ] == ["workflows"]

    def test_of_the_log_are_on_the_step_at_work_and_else_on_the_run(self) -> None:
        found = spans(records.demo_like())
        [last] = named(found, "dbt:build").events
        assert last.attributes == {
            "meltano.log.level": "error",
            "meltano.log.source": "meltano",
            "meltano.log.text": "Block run completed",
        }
        [after] = found[0].events
        assert after.attributes["meltano.log.text"] == "Run invocation could not be completed"

    def test_of_the_log_belong_to_the_step_that_ends_not_to_the_next(self) -> None:
        record = records.demo_like()
        record.steps[0].ended_us = record.steps[1].started_us = at(31)
        record.logs = [records.log(1, 31, "error", "meltano", "Block run completed")]
        found = spans(record)
        assert named(found, "dbt:build").events == []
        assert named(found, "tap-sentry target-duckdb").events[-1].name == "log"

    def test_of_the_log_are_bounded_and_those_left_out_counted(self) -> None:
        record = records.demo_like()
        record.logs = [
            records.log(number, 40, "WARNING", "dbt", f"line {number}") for number in range(60)
        ]
        step = named(spans(record), "dbt:build")
        assert len(step.events) == LOG_LIMIT
        assert step.events[0].attributes["meltano.log.text"] == "line 0"
        assert step.attributes["meltano.log.dropped"] == 60 - LOG_LIMIT
        record.logs = record.logs[:LOG_LIMIT]
        assert "meltano.log.dropped" not in named(spans(record), "dbt:build").attributes

    def test_of_a_broken_node_is_the_exception_without_its_sql(self) -> None:
        [event] = named(spans(records.demo_like()), "model dim_release").events
        assert (event.name, event.at_us) == ("exception", at(40))
        assert event.attributes["exception.type"] == "Database Error"
        assert "Binder Error" in event.attributes["exception.message"]
        assert "compiled code at" in event.attributes["exception.message"]
        assert "select" not in event.attributes["exception.message"]
        assert "^" not in event.attributes["exception.message"]

    def test_of_a_failed_test_is_none_since_nothing_broke(self) -> None:
        assert named(spans(records.demo_like()), "test unique_mart_health").events == []

    def test_never_hold_sql_of_the_log(self) -> None:
        record = records.demo_like()
        record.logs = [
            records.log(1, 40, "error", "dbt", "  LINE 4: select secret_column from releases"),
            records.log(2, 40, "error", "dbt", "Binder Error\n  LINE 4: select 1\n     ^"),
        ]
        [event] = named(spans(record), "dbt:build").events
        assert event.attributes["meltano.log.text"] == "Binder Error"

    def test_of_the_invocation_are_the_ages_of_sources(self) -> None:
        found = spans(records.freshness())
        fresh, stale = sorted(
            named(found, "dbt source freshness").events,
            key=lambda event: event.attributes["dbt.freshness.age_s"],
        )
        assert fresh.attributes["dbt.freshness.status"] == "pass"
        assert stale.attributes == {
            "dbt.node.unique_id": "source.sentry.sentry.events",
            "dbt.freshness.status": "error",
            "dbt.freshness.age_s": 400_000.0,
            "dbt.freshness.warn_after_s": 86_400.0,
            "dbt.freshness.error_after_s": 172_800.0,
        }
        assert named(found, "source events").status is Status.ERROR


class TestLive:
    """What is sent when a node ends must be what the ledger gives when all is over."""

    @pytest.mark.parametrize("build", [records.demo_like, records.freshness, records.only_dbt])
    def test_spans_of_a_node_are_those_of_the_replay(self, build: Any) -> None:
        whole = build()
        later = {span.span_id: span for span in spans(whole)}
        under_way = build()
        invocation = under_way.invocations[0]
        invocation.ended_us = invocation.result = invocation.exit_code = None
        invocation.error = None
        under_way.run.ended_us = under_way.run.result = under_way.run.error = None
        under_way.freshness = []
        for step in under_way.steps[1:]:
            step.ended_us = step.result = step.error = None
        done = under_way.nodes
        for number, node in enumerate(done, 1):
            under_way.nodes = done[:number]
            for heard in (node.ended_us or at(40), at(58)):
                under_way.run.heard_us = invocation.heard_us = heard
                now = spans_of(Lineage(under_way, invocation), node)
                assert now == [later[span.span_id] for span in now]

    def test_spans_of_a_node_are_it_and_its_phases(self) -> None:
        record = records.demo_like()
        found = spans_of(Lineage(record, record.invocations[0]), record.nodes[0])
        assert [span.name for span in found] == ["seed team_names", "compile", "execute"]
        assert {span.parent_id for span in found[1:]} == {found[0].span_id}


class TestWarehouse:
    def attributes(self, record: Record, name: str) -> dict[str, Any]:
        return named(spans(record), name).attributes

    def test_is_named_by_the_relation_of_a_node(self) -> None:
        found = self.attributes(records.demo_like(), "model stg_issues")
        assert found["db.namespace"] == "warehouse|main"
        assert found["db.collection.name"] == "stg_issues"
        assert found["db.operation.name"] == "CREATE VIEW"

    @pytest.mark.parametrize(
        ("adapter", "system"),
        [
            ("duckdb", "duckdb"),
            ("postgres", "postgresql"),
            ("snowflake", "snowflake"),
            (None, "duckdb"),
        ],
    )
    def test_is_the_one_that_the_manifest_names(self, adapter: str | None, system: str) -> None:
        record = records.demo_like()
        record.manifests = [
            Manifest(manifest_hash="another", project="other", adapter="trino"),
            Manifest(manifest_hash=records.MANIFEST_HASH, project="sentry", adapter=adapter),
        ]
        for name in ("model stg_issues", "dbt build"):
            assert self.attributes(record, name)["db.system.name"] == system

    def test_has_no_statement_where_that_depends(self) -> None:
        found = self.attributes(records.demo_like(), "model fct_activity")
        assert found["dbt.node.materialized"] == "incremental"
        assert "db.operation.name" not in found

    @pytest.mark.parametrize(
        ("relation", "names"),
        [
            ('"warehouse"."main"."issues"', ["warehouse", "main", "issues"]),
            ('"a.b"."with ""quotes"""', ["a.b", 'with "quotes"']),
            ("`project`.`set`.`table`", ["project", "set", "table"]),
            ("main.issues", ["main", "issues"]),
            ("", []),
            (None, []),
        ],
    )
    def test_relations_are_told_apart(self, relation: str | None, names: list[str]) -> None:
        assert relation_names(relation) == names


class TestTestsThatHoldBack:
    """`dbt build` runs the tests of a node before what reads it."""

    def awaited(self, record: Record, name: str) -> list[str]:
        found = named(spans(record), name).attributes.get("dbt.node.awaited_tests", [])
        return [test.removesuffix(".counts").rpartition(".")[2] for test in found]

    def test_are_those_of_the_parents_and_a_models_own_unit_tests(self) -> None:
        record = records.demo_like()
        staging = ["accepted_stg_events", "not_null_stg_issues"]
        assert self.awaited(record, "model int_activity") == [*staging, "int_activity"]
        assert self.awaited(record, "unit_test counts") == staging
        assert self.awaited(record, "model dim_release") == ["accepted_stg_events"]
        assert self.awaited(record, "model fct_errors") == []
        assert self.awaited(record, "model mart_health") == []

    def test_hold_back_models_not_exposures_or_tests(self) -> None:
        record = records.demo_like()
        [described] = [found for found in record.manifest_nodes if found.name == "dim_release"]
        described.resource_type = "exposure"
        [ran] = [found for found in record.nodes if found.name == "dim_release"]
        ran.resource_type = "exposure"
        assert self.awaited(record, "exposure dim_release") == []
        assert self.awaited(record, "test accepted_stg_events") == []

    def test_are_not_those_that_ended_later(self) -> None:
        record = records.demo_like()
        [test] = [found for found in record.nodes if found.name == "not_null_stg_issues"]
        test.ended_us = at(45)
        assert "not_null_stg_issues" not in self.awaited(record, "model int_activity")

    def test_of_several_nodes_hold_back_only_what_is_after_all_of_them(self) -> None:
        record = records.demo_like()
        [test] = [node for node in record.manifest_nodes if node.name == "not_null_stg_issues"]
        test.depends_on = ["model.sentry.stg_issues", "seed.sentry.team_names"]
        assert "not_null_stg_issues" not in self.awaited(record, "model int_activity")
        test.depends_on = ["model.sentry.stg_issues", "model.sentry.stg_events"]
        assert "not_null_stg_issues" in self.awaited(record, "model int_activity")
        assert "not_null_stg_issues" not in self.awaited(record, "model dim_release")
