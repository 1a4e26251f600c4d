from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry import timestamps

UTC = timezone.utc
ZONES = [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))]
# A day from either end, so that no offset leads out of the calendar.
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from(ZONES))
in_our_time = st.datetimes(
    datetime(2008, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from(ZONES)
)

TENTH = datetime(2026, 10, 1, 12, 30, 5, tzinfo=UTC)


class TestText:
    @given(instants)
    def test_reads_back_as_the_same_instant(self, instant: datetime) -> None:
        assert timestamps.parse(timestamps.text(instant)) == instant

    @given(instants, instants)
    def test_sorts_like_time(self, one: datetime, other: datetime) -> None:
        assert (timestamps.text(one) < timestamps.text(other)) == (one < other)

    @given(in_our_time)
    def test_always_has_the_same_length(self, instant: datetime) -> None:
        assert len(timestamps.text(instant)) == len("2026-10-01T00:00:00.000000Z")

    def test_is_utc_with_six_decimals(self) -> None:
        instant = datetime(2026, 10, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        assert timestamps.text(instant) == "2026-10-01T00:00:00.000000Z"

    def test_of_the_zero_time_of_go_has_four_digits_of_year(self) -> None:
        assert timestamps.normalised("0001-01-01T00:00:00+00:00") == "0001-01-01T00:00:00.000000Z"


class TestSecondsText:
    def test_cuts_fractions(self) -> None:
        instant = TENTH.replace(microsecond=999_999)
        assert timestamps.seconds_text(instant) == "2026-10-01T12:30:05Z"

    def test_is_utc(self) -> None:
        instant = TENTH.astimezone(timezone(-timedelta(hours=8)))
        assert timestamps.seconds_text(instant) == "2026-10-01T12:30:05Z"


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-10-01T12:30:05Z",
            "2026-10-01T12:30:05z",
            "2026-10-01T12:30:05",
            "2026-10-01 12:30:05",
            "2026-10-01T12:30:05+00:00",
            "2026-10-01T18:00:05+05:30",
            "2026-10-01T04:30:05-08:00",
            " 2026-10-01T12:30:05Z\n",
        ],
    )
    def test_reads_every_way_to_write_an_instant(self, text: str) -> None:
        assert timestamps.parse(text) == TENTH

    @pytest.mark.parametrize(
        ("fraction", "microseconds"),
        [
            (".1", 100_000),
            (".123", 123_000),
            (".123456", 123_456),
            (".123456789", 123_456),
            (".000001", 1),
            (".9999999", 999_999),
        ],
    )
    @pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
    def test_reads_fractions_of_any_length(
        self, fraction: str, microseconds: int, zone: str
    ) -> None:
        found = timestamps.parse(f"2026-10-01T12:30:05{fraction}{zone}")
        assert found == TENTH.replace(microsecond=microseconds)

    def test_takes_a_date_as_its_midnight(self) -> None:
        assert timestamps.parse("2026-10-01") == datetime(2026, 10, 1, tzinfo=UTC)

    @given(instants)
    def test_gives_utc(self, instant: datetime) -> None:
        assert timestamps.parse(instant.isoformat()).tzinfo is UTC

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Z",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-10-01T25:00:00Z",
            "1790000000.5",
        ],
    )
    def test_refuses_what_is_no_date(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            timestamps.parse(text)

    @pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"])
    def test_refuses_what_lies_outside_the_calendar(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            timestamps.parse(text)

    @given(st.text())
    def test_raises_nothing_but_value_errors(self, text: str) -> None:
        try:
            timestamps.parse(text)
        except ValueError:
            return


class TestNormalised:
    @pytest.mark.parametrize(
        "value",
        [
            "2026-10-01T12:30:05Z",
            "2026-10-01T12:30:05.000000Z",
            "2026-10-01T12:30:05.000Z",
            "2026-10-01T12:30:05+00:00",
            "2026-10-01T14:30:05.000000000+02:00",
            "2026-10-01T12:30:05",
        ],
    )
    def test_writes_one_instant_in_one_way(self, value: str) -> None:
        assert timestamps.normalised(value) == "2026-10-01T12:30:05.000000Z"

    @given(in_our_time)
    def test_changes_nothing_the_second_time(self, instant: datetime) -> None:
        once = timestamps.normalised(instant.isoformat())
        assert timestamps.normalised(once) == once == timestamps.text(instant)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "never",
            "notadate..T..time..Z",  # as long as one without fraction
            "notadate..T..time...000000Z",  # as long as one with
            "2026-99-99T99:99:99Z",
            "2026-99-99T99:99:99.000000Z",
        ],
    )
    def test_refuses_what_is_no_date(self, value: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            timestamps.normalised(value)
