"""When quotas are used up, and how much more work fits. Runs are a day apart, the first at NOON."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer import loading
from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.report import Report, Tone
from orchestrate.analyzer.reports.extraction import report
from orchestrate.ledger.model import RequestTotal, Row, StreamSync
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

DAY_S = 86_400


def said(ledger: Ledger, used: list[float], **fields: object) -> Report:
    """Of runs on consecutive days that used so much of a quota; now is noon of the day after."""
    facts: dict[str, object] = {"requests": 10, "quota_requests": 40, "quota_window_s": 1.0}
    rows: list[Row] = []
    for day, share in enumerate(used):
        at_us = records.at(day * DAY_S)
        rows += [
            records.run(f"run-{day}", started_us=at_us, ended_us=at_us, heard_us=at_us),
            RequestTotal(
                run_id=f"run-{day}",
                position=0,
                endpoint="stats",
                quota_used=share,
                **(facts | fields),  # type: ignore[arg-type]
            ),
            StreamSync(run_id=f"run-{day}", position=0, stream="projects", rows=6),
            StreamSync(run_id=f"run-{day}", position=0, stream="events", rows=94),
        ]
    with ledger.writing():
        ledger.save(rows)
    now_us = records.at(len(used) * DAY_S)
    return report(loading.load(ledger.path, days=0, now_us=now_us), choose({}))


def only(found: Report, table: str) -> pd.Series:
    frame = found.tables[table].frame
    assert len(frame) == 1
    return frame.iloc[0]


class TestForecast:
    def test_a_steady_rise_has_a_date(self, ledger: Ledger) -> None:
        # 30 % on the 20th, and 2 points more each day: 100 % after 35 days, at the begin of the
        # 25th of December. A day's share counts from its begin.
        found = said(ledger, [0.30 + 0.02 * day for day in range(12)])
        forecast = only(found, "forecast")
        assert forecast["verdict"] == "rising"
        assert forecast["used_per_day"] == pytest.approx(0.02)
        limit = pd.Timestamp("2026-12-25", tz="UTC")
        assert abs(forecast["reaches_limit_at"] - limit) < pd.Timedelta(seconds=2)
        assert forecast["earliest_at"] <= forecast["reaches_limit_at"] <= forecast["latest_at"]
        notes = [one.text for one in found.insights if one.tone is Tone.WARNING]
        assert any("stats will have used up its quota on about 2026-12-2" in one for one in notes)

    def test_a_level_has_no_trend_and_no_date(self, ledger: Ledger) -> None:
        forecast = only(said(ledger, [0.4, 0.5] * 8), "forecast")
        assert forecast["verdict"] == "no clear trend"
        assert pd.isna(forecast["reaches_limit_at"])

    def test_a_fall_has_no_date(self, ledger: Ledger) -> None:
        forecast = only(said(ledger, [0.9 - 0.02 * day for day in range(12)]), "forecast")
        assert forecast["verdict"] == "falling"
        assert pd.isna(forecast["reaches_limit_at"])

    def test_few_days_say_how_many_there_are(self, ledger: Ledger) -> None:
        forecast = only(said(ledger, [0.1, 0.2, 0.3]), "forecast")
        assert forecast["verdict"] == "too few days: 2 of 10"  # the first one may be cut
        assert forecast["used_per_day"] is None

    def test_a_quota_that_is_used_up_is_at_its_limit(self, ledger: Ledger) -> None:
        assert only(said(ledger, [0.5, 1.0]), "forecast")["verdict"] == "at its limit already"

    def test_so_is_one_whose_line_is_beyond_it(self, ledger: Ledger) -> None:
        # 45 %, then 5 points a day, 0.95 at the tenth; 1.0 is passed a day later, before now.
        forecast = only(said(ledger, [0.45 + 0.05 * day for day in range(11)]), "forecast")
        assert forecast["verdict"] == "at its limit already"

    def test_a_rise_too_slow_for_five_years_has_no_date(self, ledger: Ledger) -> None:
        forecast = only(said(ledger, [0.1 + 0.0001 * day for day in range(12)]), "forecast")
        assert forecast["verdict"] == "rising"
        assert pd.isna(forecast["reaches_limit_at"])

    def test_without_quotas_there_is_nothing_to_forecast(self, ledger: Ledger) -> None:
        found = said(ledger, [0.5], quota_requests=None, quota_window_s=None)
        assert len(found.tables["forecast"].frame) == 1
        with ledger.writing():
            ledger.execute("update request_total set quota_used = null")
        history = loading.load(ledger.path, days=0, now_us=records.at(DAY_S))
        assert report(history, choose({})).tables["forecast"].frame.empty


class TestWhatIf:
    def test_says_how_many_projects_and_rows_more_fit(self, ledger: Ledger) -> None:
        # 40 % of the quota by 6 projects and 100 rows: 2.5 times as much fits, 9 projects more.
        found = only(said(ledger, [0.4] * 3), "what_if")
        assert found["fits_times"] == pytest.approx(2.5)
        assert (found["projects"], found["more_projects"]) == (6, 9)
        assert (found["rows_per_run"], found["more_rows_per_run"]) == (100, 150)

    def test_says_how_long_ten_times_as_much_takes_at_least(self, ledger: Ledger) -> None:
        # 100 requests, of which 40 leave at once, and 60 at 40 in a second.
        found = only(said(ledger, [0.25]), "what_if")
        assert found["least_seconds_at_10x"] == pytest.approx(1.5)

    def test_a_used_up_quota_has_room_for_nothing(self, ledger: Ledger) -> None:
        found = only(said(ledger, [1.0]), "what_if")
        assert (found["fits_times"], found["more_projects"]) == (1, 0)

    def test_a_quota_that_nobody_used_has_no_bound(self, ledger: Ledger) -> None:
        found = only(said(ledger, [0.0]), "what_if")
        assert found["fits_times"] is None
        assert found["more_projects"] is None

    def test_without_a_known_limit_the_seconds_are_unknown(self, ledger: Ledger) -> None:
        found = only(said(ledger, [0.5], quota_requests=None, quota_window_s=None), "what_if")
        assert pd.isna(found["least_seconds_at_10x"])
