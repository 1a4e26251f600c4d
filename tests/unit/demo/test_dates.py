from __future__ import annotations

import pytest

from tap_sentry.demo import dates
from tap_sentry.demo.exchange import ApiError, Request
from tests.unit.demo.client import NOW

EPOCH_S = NOW.timestamp()


def asked(**query: str) -> dates.Range:
    request = Request("GET", "https://demo.invalid", "/", tuple(query.items()))
    return dates.date_range(request, EPOCH_S, prefix="Invalid date range: ")


class TestParsed:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00Z",
            "2026-11-20T12:00:00.000000+00:00",
        ],
    )
    def test_reads_utc(self, text: str) -> None:
        assert dates.parsed(text) == EPOCH_S

    def test_reads_a_day(self) -> None:
        assert dates.parsed("2026-11-20") == EPOCH_S - 12 * 3600

    @pytest.mark.parametrize(
        "text", ["2026-11-20T12:00:00+02:00", "yesterday", "2026-13-01", "20.11.2026", ""]
    )
    def test_refuses_the_rest(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"\w|is not"):
            dates.parsed(text)


class TestWritten:
    def test_in_three_ways(self) -> None:
        assert dates.seconds(EPOCH_S + 0.99) == "2026-11-20T12:00:00Z"
        assert dates.microseconds(EPOCH_S + 0.25) == "2026-11-20T12:00:00.250000Z"
        assert dates.with_offset(EPOCH_S) == "2026-11-20T12:00:00+00:00"


class TestRange:
    def test_defaults_to_all_that_is_kept(self) -> None:
        start, _, explicit = asked()
        assert not explicit
        assert start == EPOCH_S - 30 * 86_400 - 12 * 3600

    def test_is_half_open_and_cut_to_seconds(self) -> None:
        found = asked(start="2026-11-19T00:00:00.7Z", end="2026-11-20T00:00:00.7Z")
        assert (found.start, found.end) == (EPOCH_S - 36 * 3600, EPOCH_S - 12 * 3600)

    def test_prefers_a_period(self) -> None:
        found = asked(statsPeriod="2h", start="2026-01-01", end="2026-01-02")
        assert found.start == EPOCH_S - 7200

    def test_knows_relative_ranges(self) -> None:
        found = asked(statsPeriodStart="2d", statsPeriodEnd="1d")
        assert (found.start, found.end) == (EPOCH_S - 2 * 86_400, EPOCH_S - 86_400)

    def test_moves_an_old_start_without_a_word(self) -> None:
        found = asked(start="2020-01-01T00:00:00Z", end="2026-11-20T00:00:00Z")
        assert found.start == EPOCH_S - 30 * 86_400 - 12 * 3600

    @pytest.mark.parametrize(
        ("query", "complaint"),
        [
            ({"start": "2026-11-19"}, "Invalid date range: start and end are both required"),
            (
                {"start": "2026-11-19", "end": "2026-11-19"},
                "Invalid date range: start must be before end",
            ),
            ({"start": "x", "end": "y"}, "Invalid date range: x is not a valid"),
            ({"statsPeriod": "soon"}, "Invalid date range: Invalid statsPeriod"),
            (
                {"start": "2020-01-01", "end": "2020-01-02"},
                "Invalid date range. Please try a more recent date range.",
            ),
        ],
    )
    def test_is_refused_with_words(self, query: dict[str, str], complaint: str) -> None:
        with pytest.raises(ApiError) as caught:
            asked(**query)
        assert caught.value.answer.status == 400
        assert caught.value.answer.body["detail"].startswith(complaint)
