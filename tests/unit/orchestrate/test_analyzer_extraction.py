"""The page `extraction`: its numbers, streams and plans. Runs are an hour apart, from NOON on."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.report import Tone, as_json
from orchestrate.analyzer.reports.extraction import report
from orchestrate.analyzer.reports.extraction import streams as extraction_streams
from orchestrate.ledger.model import Result, Row, SkippedPart
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.extraction_rows import (
    HOUR_S,
    demo,
    load,
    row,
    run,
    said,
    sync,
    texts,
    total,
    value,
)


class TestMetrics:
    def test_count_rows_and_requests_of_all_streams(self, ledger: Ledger) -> None:
        found = said(ledger, demo())
        assert value(found, "Rows") == 120 + 250 + 1 + 6
        # To endpoints: 7 + 3. Of streams 3 each, hence 377 rows of 12 requests.
        assert value(found, "Requests") == 10
        assert value(found, "Rows per request") == pytest.approx(377 / 12)
        assert value(found, "Asked again") == pytest.approx(2 / 10)
        assert value(found, "Oldest bookmark") == 3600 + 60
        assert value(found, "Skipped parts") == 2

    def test_hold_back_lies_between_longest_wait_and_sum_of_waits(self, ledger: Ledger) -> None:
        found = said(ledger, demo())
        held = next(metric for metric in found.metrics if metric.name == "Held back at most")
        # Waits of 6.5 s (issues) and 1.5 s (the tap's own limit), in a step from 1 to 30 s.
        assert held.low == pytest.approx(6.5 / 29)
        assert held.high == pytest.approx(8 / 29)

    def test_answers_are_the_mean_of_all_requests(self, ledger: Ledger) -> None:
        rows = [
            run(0),
            total(0, "issues", requests=4, answering_s=2.0),
            total(0, "stats", requests=1, answering_s=0.5),
        ]
        assert value(said(ledger, rows), "Seconds per answer") == pytest.approx(2.5 / 5)

    def test_what_nobody_knows_is_none(self, ledger: Ledger) -> None:
        found = said(ledger, [run(0), sync(0, 5, requests=None, bookmark_us=None)])
        for name in (
            "Rows per request",
            "Seconds per answer",
            "Asked again",
            "Held back at most",
            "Most used quota",
            "Plan of rows off by",
            "Oldest bookmark",
        ):
            assert value(found, name) is None, name
        assert as_json(found)["tables"]["streams"][0]["requests"] is None


class TestNothingToTell:
    def test_an_empty_ledger_says_what_to_run(self, ledger: Ledger) -> None:
        found = said(ledger, [])
        assert found.empty
        assert "meltano run tap-sentry target-duckdb" in found.empty

    def test_runs_of_dbt_alone_say_so(self, ledger: Ledger) -> None:
        found = said(ledger, [run(0), run(1)])
        assert found.empty
        assert "None of the 2 runs extracted" in found.empty

    def test_a_stream_under_way_has_no_result_and_no_duration(self, ledger: Ledger) -> None:
        rows = [run(0, ended_us=None, result=None), sync(0, 7, ended_us=None, result=None)]
        stream = row(said(ledger, rows), "streams", stream="events")
        assert pd.isna(stream["last_result"])
        assert pd.isna(stream["median_seconds"])

    def test_a_killed_run_is_told(self, ledger: Ledger) -> None:
        rows = [run(0, result=Result.KILLED), sync(0, 7, ended_us=None, result=Result.KILLED)]
        assert "events of demo ended with killed" in texts(said(ledger, rows), Tone.BAD)


class TestStreams:
    def test_each_environment_has_its_own_row(self, ledger: Ledger) -> None:
        rows = [run(0, "demo"), sync(0, 5), run(1, "prod"), sync(1, 7)]
        found = said(ledger, rows, now_s=2 * HOUR_S)
        assert row(found, "streams", environment="demo")["rows"] == 5
        # Prod's bookmark is 300 s before its run, which began an hour before now.
        assert row(found, "streams", environment="prod")["lag_seconds"] == HOUR_S + 300

    def test_one_environment_among_several_is_counted_alone(self, ledger: Ledger) -> None:
        history = load(ledger, [run(0, "demo"), sync(0, 5), run(1, "prod"), sync(1, 7)])
        choice = choose({"environment": "prod"})
        assert value(report(history.chosen(choice), choice), "Rows") == 7

    def test_the_sparkline_has_the_newest_20_oldest_first(self, ledger: Ledger) -> None:
        rows = [row for number in range(25) for row in (run(number), sync(number, number))]
        stream = row(said(ledger, rows), "streams", stream="events")
        assert stream["last_20"] == list(range(5, 25))
        assert stream["syncs"] == 25

    def test_a_bookmark_left_by_three_syncs_does_not_move(self, ledger: Ledger) -> None:
        rows = [run(number) for number in range(5)]
        rows += [sync(number, 1, bookmark_us=records.at(-900)) for number in range(1, 5)]
        rows += [sync(0, 1)]
        found = said(ledger, rows, now_s=5 * HOUR_S)
        # The first of the four with it may have moved it there.
        assert row(found, "streams", stream="events")["unmoved_syncs"] == 3
        assert "events of demo does not move" in texts(found, Tone.WARNING)
        assert "5 h 15 min ago" in texts(found, Tone.WARNING)

    def test_a_bookmark_that_moves_is_no_news(self, ledger: Ledger) -> None:
        rows = [row for number in range(5) for row in (run(number), sync(number, 1))]
        found = said(ledger, rows)
        assert row(found, "streams", stream="events")["unmoved_syncs"] == 0
        assert "does not move" not in texts(found, Tone.WARNING)

    def test_no_rows_are_unusual_where_all_before_had_some(self, ledger: Ledger) -> None:
        rows = [row for number in range(5) for row in (run(number), sync(number, 9))]
        found = said(ledger, [*rows, run(5), sync(5, 0)])
        assert row(found, "streams", stream="events")["unusual"].startswith("0 rows; 5 of the 5")
        assert "events in demo ended well without a row" in texts(found, Tone.WARNING)

    @pytest.mark.parametrize(
        "before", [[9, 9, 9, 9], [9, 0, 9, 9, 9]], ids=["few before", "one of five without rows"]
    )
    def test_no_rows_are_usual_otherwise(self, ledger: Ledger, before: list[int]) -> None:
        counts = [*before, 0]
        rows = [
            row for place, count in enumerate(counts) for row in (run(place), sync(place, count))
        ]
        assert row(said(ledger, rows), "streams", stream="events")["unusual"] == ""

    def test_rows_that_were_not_stored_are_told_of_good_syncs_only(self, ledger: Ledger) -> None:
        rows = [run(0), sync(0, 100, stored_rows=97), run(1)]
        rows += [sync(1, 50, stored_rows=0, result=Result.FAILURE)]
        found = said(ledger, rows)
        assert row(found, "streams", stream="events")["not_stored"] == 3
        assert "3 rows were read and not stored" in texts(found, Tone.BAD)

    def test_skipped_parts_are_counted_once_with_their_reason(self, ledger: Ledger) -> None:
        parts = [
            SkippedPart(run_id=f"run-{number}", position=0, stream="spans", part=part, reason="400")
            for number, part in ((0, "a"), (1, "a"), (1, "b"))
        ]
        found = said(ledger, [run(0), sync(0, 1, "spans"), run(1), sync(1, 1, "spans"), *parts])
        skipped = row(found, "skipped", stream="spans")
        assert (skipped["parts"], skipped["runs"]) == (2, 2)
        assert row(found, "streams", stream="spans")["skipped_parts"] == 2
        assert "Sentry would not give 2 parts: 2 of spans: 400." in texts(found, Tone.WARNING)

    def test_skipped_parts_are_those_of_the_environment(self, ledger: Ledger) -> None:
        part = SkippedPart(run_id="run-0", position=0, stream="spans", part="a", reason="400")
        rows = [run(0), sync(0, 1, "spans"), run(1, environment="dev"), sync(1, 1, "spans"), part]
        listed = said(ledger, rows).tables["streams"].frame.set_index("environment")
        assert listed["skipped_parts"].to_dict() == {"demo": 1, "dev": 0}


class TestPlans:
    def planned(self, ledger: Ledger, pairs: list[tuple[int, int]]) -> extraction_streams.PlanError:
        rows: list[Row] = []
        for number, (planned, real) in enumerate(pairs):
            rows += [run(number), sync(number, real, planned_rows=planned)]
        syncs = extraction_streams.syncs(load(ledger, rows))
        return extraction_streams.plan_error(syncs, "rows")

    def test_too_much_and_too_little_cancel_out_in_the_signed_error_only(
        self, ledger: Ledger
    ) -> None:
        # 200 planned; +10 and -20: signed -10 of 200, absolute 30 of 200.
        found = self.planned(ledger, [(100, 110), (100, 80)])
        assert (found.planned, found.real, found.plans) == (200, 190, 2)
        assert found.signed == pytest.approx(-0.05)
        assert found.absolute == pytest.approx(0.15)
        assert (found.higher, found.lower) == (1, 1)

    def test_a_plan_of_nothing_has_no_share(self, ledger: Ledger) -> None:
        found = self.planned(ledger, [(0, 5)])
        assert found.signed is None
        assert found.absolute is None

    def test_four_of_four_on_one_side_are_a_bias(self, ledger: Ledger) -> None:
        # Wilson's interval of 4 of 4 begins at 4 / (4 + 1.96 ** 2) = 0.51.
        assert self.planned(ledger, [(100, 110)] * 4).is_biased

    def test_three_of_three_may_be_chance(self, ledger: Ledger) -> None:
        # It begins at 3 / (3 + 1.96 ** 2) = 0.44.
        assert not self.planned(ledger, [(100, 110)] * 3).is_biased

    def test_a_small_error_is_no_bias_however_often(self, ledger: Ledger) -> None:
        assert not self.planned(ledger, [(100, 104)] * 30).is_biased

    def test_a_bias_is_told_with_its_numbers(self, ledger: Ledger) -> None:
        rows: list[Row] = []
        for number in range(6):
            rows += [run(number), sync(number, 120, planned_rows=100)]
        told = texts(said(ledger, rows), Tone.WARNING)
        assert "Plans of rows are too low by 20 % of what was planned" in told
        assert "600 rows planned, 720 came in 6 syncs" in told

    def test_syncs_that_failed_do_not_count(self, ledger: Ledger) -> None:
        rows = [run(0), sync(0, 100, planned_rows=100), run(1)]
        rows += [sync(1, 3, planned_rows=100, result=Result.FAILURE)]
        found = said(ledger, rows)
        assert value(found, "Plan of rows off by") == 0
        assert len(found.tables["plans"].frame) == 1
