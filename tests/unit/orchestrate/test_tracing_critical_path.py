"""The chain of work that decided when a run ended, each worked out by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrate.ledger.model import NodeRun, Record
from orchestrate.tracing.critical_path import SegmentKind, critical_path
from orchestrate.tracing.model import Span
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records
from tests.unit.orchestrate.records import at, node

Told = tuple[str, str, float, float]


def told(record: Record) -> list[Told]:
    """The path as names, kinds and seconds."""
    found = spans(record)
    names = {span.span_id: span.name for span in found}
    return [
        (
            names[segment.span_id],
            segment.kind.value,
            (segment.started_us - at(0)) / 1e6,
            (segment.ended_us - at(0)) / 1e6,
        )
        for segment in critical_path(found)
    ]


def within_dbt(*nodes: NodeRun) -> list[Told]:
    """The path between begin and end of an invocation, 32 and 58 s, that ran these nodes."""
    record = records.only_dbt()
    record.nodes = list(nodes)
    first, *path, last = told(record)
    assert (first[0], last[0]) == (INVOCATION, INVOCATION)
    return path


SECOND: dict[str, Any] = {"thread": "Thread-2 (worker)"}
INVOCATION = "dbt build"


class TestRun:
    def test_goes_back_through_steps_streams_and_nodes_to_its_begin(self) -> None:
        run, pair = "RUN tap-sentry target-duckdb dbt:build", "tap-sentry target-duckdb"
        step = "dbt:build"
        assert told(records.demo_like()) == [
            (run, "overhead", 0, 1),
            (pair, "overhead", 1, 3),
            ("sync events", "work", 3, 9),
            ("sync issues", "work", 9, 24),
            ("sync organization", "work", 24, 25),
            ("sync projects", "work", 25, 28),
            (pair, "overhead", 28, 30),
            (run, "overhead", 30, 31),
            (step, "overhead", 31, 32),
            (INVOCATION, "overhead", 32, 35),
            ("seed team_names", "work", 35, 36),
            ("model stg_events", "wait for thread", 36, 36.5),
            ("model stg_events", "work", 36.5, 38.5),
            ("test accepted_stg_events", "work", 38.5, 39),
            ("unit_test counts", "wait for dependency", 39, 39.25),
            ("unit_test counts", "work", 39.25, 39.5),
            ("model int_activity", "work", 39.5, 44),
            ("model fct_activity", "work", 44, 50),
            ("model mart_health", "work", 50, 54),
            ("test unique_mart_health", "work", 54, 55),
            (INVOCATION, "overhead", 55, 58),
            (step, "overhead", 58, 59),
            (run, "overhead", 59, 60),
        ]  # fmt: skip

    def test_of_a_killed_one_ends_with_what_was_at_work_longest(self) -> None:
        found = told(records.killed())
        assert found[-1] == ("model int_activity", "work", 39.5, 43)

    def test_without_any_part_is_work_of_the_run(self) -> None:
        assert told(Record(run=records.run(job="tap"))) == [("RUN tap", "work", 0, 60)]

    def test_of_no_spans_is_empty(self) -> None:
        assert critical_path([]) == []

    def test_below_the_span_of_a_caller_begins_with_the_run(self) -> None:
        record = records.demo_like()
        record.run.parent_span_id = "2" * 16
        assert told(record)[0] == ("RUN tap-sentry target-duckdb dbt:build", "overhead", 0, 1)

    def test_takes_streams_that_overlap_by_the_one_that_ended_last(self) -> None:
        record = records.demo_like()
        record.streams = [
            records.stream("issues", 2, 20),
            records.stream("issue_hashes", 3, 25),
            records.stream("events", 25.5, 29),
        ]
        names = [(name, kind, begin, end) for name, kind, begin, end in told(record) if begin < 30]
        assert names[2:] == [
            ("sync issue_hashes", "work", 3, 25),
            ("tap-sentry target-duckdb", "overhead", 25, 25.5),
            ("sync events", "work", 25.5, 29),
            ("tap-sentry target-duckdb", "overhead", 29, 30),
        ]


class TestNodes:
    def test_wait_for_the_dependency_that_ended_last(self) -> None:
        assert within_dbt(
            node("model.sentry.stg_issues", 34, 36),
            node("model.sentry.stg_events", 34, 40, **SECOND),
            node("model.sentry.int_activity", 41, 50),
        ) == [
            ("model stg_events", "work", 34, 40),
            ("model int_activity", "wait for dependency", 40, 41),
            ("model int_activity", "work", 41, 50),
        ]

    def test_wait_for_the_thread_where_that_was_busy_longer(self) -> None:
        assert within_dbt(
            node("model.sentry.stg_issues", 34, 36),
            node("model.sentry.stg_events", 34, 37, **SECOND),
            node("seed.sentry.team_names", 37, 45),
            node("model.sentry.int_activity", 45.5, 50),
        ) == [
            ("model stg_issues", "work", 34, 36),
            ("seed team_names", "wait for thread", 36, 37),
            ("seed team_names", "work", 37, 45),
            ("model int_activity", "wait for thread", 45, 45.5),
            ("model int_activity", "work", 45.5, 50),
        ]

    def test_wait_for_the_dependency_where_both_ended_together(self) -> None:
        found = within_dbt(
            node("seed.sentry.team_names", 34, 40),
            node("model.sentry.stg_issues", 34, 40, **SECOND),
            node("model.sentry.int_activity", 41, 50),
        )
        assert ("model stg_issues", "work", 34, 40) in found
        assert ("model int_activity", "wait for dependency", 40, 41) in found

    def test_wait_for_the_test_of_what_they_read(self) -> None:
        found = within_dbt(
            node("model.sentry.stg_issues", 34, 36),
            node("test.sentry.not_null_stg_issues", 36, 44, **SECOND),
            node("model.sentry.int_activity", 44, 50),
        )
        assert found == [
            ("model stg_issues", "work", 34, 36),
            ("test not_null_stg_issues", "work", 36, 44),
            ("model int_activity", "work", 44, 50),
        ]

    def test_come_after_hooks_and_hooks_after_them(self) -> None:
        hook = "operation.sentry.sentry-on-run-{}-0"
        found = within_dbt(
            node(hook.format("start"), 33, 34, thread="main"),
            node("model.sentry.stg_issues", 35, 40),
            node("model.sentry.stg_events", 35, 45, **SECOND),
            node(hook.format("end"), 46, 47, thread="main"),
        )
        assert found == [
            ("operation sentry-on-run-start-0", "work", 33, 34),
            ("model stg_events", "wait for dependency", 34, 35),
            ("model stg_events", "work", 35, 45),
            ("operation sentry-on-run-end-0", "wait for dependency", 45, 46),
            ("operation sentry-on-run-end-0", "work", 46, 47),
        ]

    def test_come_after_the_reading_of_the_project(self) -> None:
        record = records.only_dbt()
        record.invocations[0].parsed_us = at(33.5)
        record.nodes = [node("model.sentry.stg_issues", 34, 57)]
        assert told(record) == [
            ("parse", "work", 32, 33.5),
            (INVOCATION, "overhead", 33.5, 34),
            ("model stg_issues", "work", 34, 57),
            (INVOCATION, "overhead", 57, 58),
        ]

    def test_that_were_skipped_decide_nothing(self) -> None:
        record = records.demo_like()
        record.nodes = record.nodes[:8]
        [skipped] = [found for found in record.nodes if found.status == "skipped"]
        skipped.started_us = at(57)
        names = {name for name, *_ in told(record)}
        assert "model mart_release" not in names
        assert {"model dim_release", "model stg_events"} <= names

    def test_may_begin_before_a_dependency_is_written_down_as_ended(self) -> None:
        assert within_dbt(
            node("model.sentry.stg_issues", 34, 36.25),
            node("model.sentry.int_activity", 36, 50, **SECOND),
        ) == [
            ("model stg_issues", "work", 34, 36),
            ("model int_activity", "work", 36, 50),
        ]

    def test_without_a_thread_go_by_dependencies_alone(self) -> None:
        found = within_dbt(
            node("seed.sentry.team_names", 34, 40, thread=None),
            node("model.sentry.stg_issues", 42, 50, thread=None),
        )
        assert found == [("model stg_issues", "work", 42, 50)]


RUNS = st.lists(
    st.tuples(
        st.sampled_from(sorted(found.unique_id for found in records.nodes())),
        st.integers(20, 70),
        st.integers(0, 20),
        st.sampled_from(["Thread-1", "Thread-2", None]),
        st.sampled_from(["success", "skipped", "killed", None]),
    ),
    unique_by=lambda found: found[0],
)


class TestSegments:
    @given(RUNS, st.none() | st.integers(20, 70))
    def test_add_up_to_the_run_whatever_the_ledger_was_told(
        self, drawn: Any, parsed: int | None
    ) -> None:
        record = records.demo_like()
        record.invocations[0].parsed_us = parsed and at(parsed)
        record.nodes = [
            node(name, begin, begin + length, thread=thread, status=status)
            for name, begin, length, thread, status in drawn
        ]
        found = spans(record)
        by_id: dict[str | None, Span] = {span.span_id: span for span in found}
        for span in found[1:]:
            parent = by_id[span.parent_id]
            assert parent.started_us <= span.started_us <= span.ended_us <= parent.ended_us
        path = critical_path(found)
        assert path[0].started_us == found[0].started_us
        assert path[-1].ended_us == found[0].ended_us
        assert all(one.ended_us == other.started_us for one, other in pairwise(path))
        assert all(segment.seconds > 0 for segment in path)

    @pytest.mark.parametrize("build", [records.demo_like, records.killed, records.freshness])
    def test_of_work_and_waiting_lie_within_the_spans_they_name(self, build: Any) -> None:
        found = spans(build())
        by_id = {span.span_id: span for span in found}
        for segment in critical_path(found):
            span = by_id[segment.span_id]
            if segment.kind in {SegmentKind.WORK, SegmentKind.OVERHEAD}:
                assert span.started_us <= segment.started_us < segment.ended_us <= span.ended_us
            else:
                assert segment.ended_us == span.started_us
