"""The page `extraction`: its endpoints, waits, retries and figures."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer.charts import extraction as charts
from orchestrate.analyzer.reports.extraction import requests as extraction_requests
from orchestrate.ledger.model import Retry
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.extraction_rows import (
    demo,
    load,
    row,
    run,
    said,
    step,
    sync,
    total,
)


class TestEndpoints:
    def test_shares_are_of_the_endpoint_and_of_all_steps(self, ledger: Ledger) -> None:
        rows = [run(0), step(0, 10), run(1), step(1, 30)]
        rows += [total(0, requests=8, retries=1, waited_s=2, answering_s=4, quota_used=0.2)]
        rows += [total(1, requests=2, retries=1, waited_s=3, answering_s=1, quota_used=0.6)]
        found = row(said(ledger, rows), "endpoints", endpoint="issues")
        assert found["requests"] == 10
        assert found["retry_share"] == pytest.approx(2 / 10)
        assert found["waited_share"] == pytest.approx(5 / 40)
        assert found["seconds_per_answer"] == pytest.approx(5 / 10)
        assert found["quota_used"] == pytest.approx(0.6)
        assert found["median_quota_used"] == pytest.approx(0.4)
        assert found["headroom"] == pytest.approx(0.4)

    def test_the_taps_own_limit_asks_nothing(self, ledger: Ledger) -> None:
        found = row(said(ledger, demo()), "endpoints", endpoint="rate_limit")
        assert found["waited_seconds"] == 1.5
        assert pd.isna(found["seconds_per_answer"])
        assert pd.isna(found["retry_share"])
        assert pd.isna(found["quota_used"])

    def test_a_wait_is_never_longer_than_its_step(self, ledger: Ledger) -> None:
        rows = [run(0), step(0, 10), total(0, "issues", waited_s=8), total(0, "stats", waited_s=9)]
        held = extraction_requests.held_back(load(ledger, rows))
        # 17 s of waits side by side, in a step of 10 s.
        assert (held.low, held.high, held.step_seconds) == (9, 10, 10)

    def test_a_step_without_an_end_is_left_out(self, ledger: Ledger) -> None:
        rows = [run(0, result=None, ended_us=None), step(0, None), total(0, waited_s=8)]
        held = extraction_requests.held_back(load(ledger, rows))
        assert held == (0, 0, 0)

    def test_retries_are_counted_by_reason(self, ledger: Ledger) -> None:
        rows = [
            Retry(
                run_id="run-0",
                position=0,
                number=number,
                at_us=records.at(number),
                endpoint="issues",
                reason=reason,
                wait_s=wait_s,
            )
            for number, (reason, wait_s) in enumerate([("429", 1.0), ("503", 2.0), ("503", 4.0)])
        ]
        found = said(ledger, [run(0), total(0, retries=3), *rows])
        assert list(found.tables["retries"].frame["reason"]) == ["503", "429"]
        assert row(found, "retries", reason="503")["waited_seconds"] == 6

    def test_days_are_those_of_utc_on_which_runs_began(self, ledger: Ledger) -> None:
        # Noon, and 13 hours later: the next day.
        rows = [run(0), total(0), sync(0, 5), run(13), total(13, requests=9), sync(13, 7)]
        found = said(ledger, rows)
        days = found.tables["requests_by_day"].frame
        assert list(days["day"].dt.day) == [20, 21]
        assert list(days["requests"]) == [4, 9]
        assert list(found.tables["rows_by_day"].frame["rows"]) == [5, 7]


class TestCharts:
    def test_draw_what_there_is(self, ledger: Ledger) -> None:
        tables = {name: table.frame for name, table in said(ledger, demo()).tables.items()}
        assert len(charts.rows_by_day(tables["rows_by_day"]).data) == 4
        # Three endpoints, each with requests and with waits.
        assert len(charts.requests_by_day(tables["requests_by_day"]).data) == 6
        assert not charts.quotas(tables["requests_by_day"]).data
        points = charts.plans(tables["plans"]).data[0]
        assert list(points.customdata[0]) == [120, 120]

    def test_what_is_beside_the_largest_six_is_one_bar(self, ledger: Ledger) -> None:
        rows = [run(0), *(sync(0, rows, f"stream {rows}") for rows in range(1, 10))]
        figure = charts.rows_by_day(said(ledger, rows).tables["rows_by_day"].frame)
        assert [bar.name for bar in figure.data][:2] == ["stream 9", "stream 8"]
        # The streams of 1, 2 and 3 rows.
        assert (figure.data[-1].name, list(figure.data[-1].y)) == ("others", [6])
