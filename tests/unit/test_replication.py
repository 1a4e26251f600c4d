from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.replication import (
    END_LAG,
    SENTRYS_BEGINNING,
    Window,
    interval_s,
    window_to_sync,
    windows,
    windows_of_rows,
)
from tests.scripted import settings

UTC = timezone.utc
NOW = datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

whole_windows = st.builds(
    lambda start, seconds: Window(start, start + timedelta(seconds=seconds)),
    st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=0)
    ),
    st.integers(0, 100 * 86400),
)


def assert_cover(whole: Window, parts: Sequence[Window]) -> None:
    """The parts follow each other without gap or overlap, none is empty, and all is covered."""
    assert all(part.start < part.end for part in parts)
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))
    if whole.start < whole.end:
        assert (parts[0].start, parts[-1].end) == whole
    else:
        assert not parts


class TestWindows:
    @given(whole_windows, st.integers(3600, 50 * 86400))
    def test_cover_the_whole_once_in_order(self, whole: Window, width_s: int) -> None:
        width = timedelta(seconds=width_s)
        parts = list(windows(whole, width))
        assert_cover(whole, parts)
        assert all(part.end - part.start == width for part in parts[:-1])
        assert all(part.end - part.start <= width for part in parts)

    def test_of_nothing_are_none(self) -> None:
        assert list(windows(Window(NOW, NOW), DAY)) == []

    @pytest.mark.parametrize("width", [timedelta(0), -DAY])
    def test_need_a_width(self, width: timedelta) -> None:
        with pytest.raises(ValueError, match="positive"):
            list(windows(Window(NOW, NOW + DAY), width))


class TestHalves:
    @given(whole_windows)
    def test_cover_the_whole_at_a_whole_second(self, whole: Window) -> None:
        if whole.is_smallest:
            return
        older, newer = whole.halves()
        assert_cover(whole, [older, newer])
        assert older.end.microsecond == 0
        assert timedelta(0) <= (newer.end - newer.start) - (older.end - older.start) <= SECOND

    @given(whole_windows)
    def test_become_the_smallest_in_the_end(self, whole: Window) -> None:
        for _ in range(30):
            if whole.is_smallest:
                return
            whole = whole.halves()[1]
        raise AssertionError(whole)

    @pytest.mark.parametrize(("seconds", "is_smallest"), [(0, True), (1, True), (2, False)])
    def test_are_none_of_a_second(self, seconds: int, *, is_smallest: bool) -> None:
        assert Window(NOW, NOW + timedelta(seconds=seconds)).is_smallest is is_smallest


@st.composite
def counted_windows(draw: st.DrawFn) -> tuple[Window, list[tuple[datetime, int]], int]:
    """A window, Sentry's counts in even buckets that hold it, and the most rows of a part."""
    interval = draw(st.sampled_from([60, 3600, 86400]))
    counts = draw(st.lists(st.integers(0, 30), min_size=1, max_size=60))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    buckets = [(first + timedelta(seconds=interval * n), count) for n, count in enumerate(counts)]
    start_s = draw(st.integers(0, interval - 1))
    end_s = draw(st.integers(start_s, interval * len(counts)))
    whole = Window(first + timedelta(seconds=start_s), first + timedelta(seconds=end_s))
    return whole, buckets, draw(st.integers(1, 50))


class TestWindowsOfRows:
    @given(counted_windows())
    def test_cover_the_whole_once_in_order(
        self, case: tuple[Window, list[tuple[datetime, int]], int]
    ) -> None:
        whole, buckets, most = case
        assert_cover(whole, [part for part, _ in windows_of_rows(whole, buckets, most)])

    @given(counted_windows())
    def test_hold_no_more_rows_than_asked_for_unless_one_bucket_does(
        self, case: tuple[Window, list[tuple[datetime, int]], int]
    ) -> None:
        whole, buckets, most = case
        width = buckets[1][0] - buckets[0][0] if len(buckets) > 1 else DAY
        for part, _ in windows_of_rows(whole, buckets, most):
            inside = [n for at, n in buckets if at + width > part.start and at < part.end and n]
            assert sum(inside) <= most or len(inside) == 1

    @given(counted_windows())
    def test_come_with_the_rows_of_their_buckets(
        self, case: tuple[Window, list[tuple[datetime, int]], int]
    ) -> None:
        whole, buckets, most = case
        for part, rows in windows_of_rows(whole, buckets, most):
            start = part.start if part.start > whole.start else buckets[0][0]
            assert rows == sum(count for at, count in buckets if start <= at < part.end)

    @given(counted_windows())
    def test_are_as_few_as_can_be(
        self, case: tuple[Window, list[tuple[datetime, int]], int]
    ) -> None:
        whole, buckets, _ = case
        rows = sum(count for _, count in buckets)
        assert len(list(windows_of_rows(whole, buckets, rows))) <= 1

    def test_cover_the_whole_without_any_count(self) -> None:
        whole = Window(NOW, NOW + DAY)
        assert list(windows_of_rows(whole, [], 100)) == [(whole, 0)]

    def test_pay_no_heed_to_buckets_after_the_end(self) -> None:
        whole = Window(NOW, NOW + DAY)
        buckets = [(NOW - HOUR, 70), (NOW + HOUR, 20), (NOW + DAY, 500), (NOW + 2 * DAY, 500)]
        assert list(windows_of_rows(whole, buckets, 100)) == [(whole, 90)]


MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


class TestWindowToSync:
    def window(self, since: datetime | None = None, **changes: Any) -> Window | None:
        arguments: dict[str, Any] = {
            "now": NOW,
            "end_lag": END_LAG,
            "expires": True,
        }
        config = {name: changes.pop(name) for name in list(changes) if name in self.settings}
        return window_to_sync(since, settings=settings(**config), **{**arguments, **changes})

    settings = ("start_date", "end_date", "retention_days")
    end = NOW.replace(microsecond=0) - END_LAG

    def test_at_first_is_all_that_sentry_keeps(self) -> None:
        assert self.window() == Window(MIDNIGHT - 90 * DAY, self.end)

    def test_at_first_begins_at_start_date(self) -> None:
        found = self.window(start_date="2026-11-01")
        assert found == Window(datetime(2026, 11, 1, tzinfo=UTC), self.end)

    def test_never_begins_before_what_sentry_keeps(self) -> None:
        kept = Window(MIDNIGHT - 30 * DAY, self.end)
        assert self.window(start_date="2020-01-01", retention_days=30) == kept
        assert self.window(NOW - 80 * DAY, retention_days=30) == kept

    def test_of_rows_that_never_expire_begins_at_the_beginning(self) -> None:
        assert self.window(expires=False) == Window(SENTRYS_BEGINNING, self.end)
        found = self.window(expires=False, start_date="2015-01-01")
        assert found == Window(datetime(2015, 1, 1, tzinfo=UTC), self.end)

    def test_goes_on_from_an_instant_in_whole_seconds(self) -> None:
        found = self.window(datetime(2026, 11, 19, 8, 0, 0, 900_000, tzinfo=UTC))
        assert found == Window(datetime(2026, 11, 19, 8, tzinfo=UTC), self.end)

    def test_does_not_begin_before_start_date(self) -> None:
        found = self.window(datetime(2026, 11, 18, 23, tzinfo=UTC), start_date="2026-11-19")
        assert found == Window(datetime(2026, 11, 19, tzinfo=UTC), self.end)

    def test_follows_a_start_date_that_was_moved_past_that_instant(self) -> None:
        found = self.window(NOW - 30 * DAY, start_date="2026-11-15")
        assert found == Window(datetime(2026, 11, 15, tzinfo=UTC), self.end)

    def test_ends_at_end_date(self) -> None:
        found = self.window(start_date="2026-11-01", end_date="2026-11-02")
        assert found == Window(*(datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2)))

    def test_ends_at_now_less_the_lag_before_a_later_end_date(self) -> None:
        found = self.window(end_date="2027-01-01")
        assert found is not None
        assert found.end == self.end

    def test_ends_after_now_with_a_lag_below_zero(self) -> None:
        found = self.window(end_lag=-HOUR)
        assert found is not None
        assert found.end == NOW.replace(microsecond=0) + HOUR

    @pytest.mark.parametrize(
        "changes",
        [
            {"end_date": "2026-01-01"},  # expired
            {"start_date": "2027-01-01"},
            {"since": datetime(2026, 11, 10, tzinfo=UTC), "end_date": "2026-11-05"},
            {"since": NOW + 2 * HOUR},
            {"since": NOW},
        ],
    )
    def test_is_none_where_nothing_is_to_be_read(self, changes: dict[str, Any]) -> None:
        assert self.window(**changes) is None

    @given(
        age=st.none() | st.timedeltas(-400 * DAY, 2 * DAY),
        end_lag=st.timedeltas(-HOUR, HOUR),
        expires=st.booleans(),
    )
    def test_never_leaves_out_what_came_after_that_instant(
        self, age: timedelta | None, end_lag: timedelta, *, expires: bool
    ) -> None:
        since = None if age is None else NOW + age
        found = self.window(since, end_lag=end_lag, expires=expires)
        if found is None:
            assert since is not None
            assert since >= NOW - end_lag - SECOND
            return
        assert found.start < found.end
        assert (found.start.microsecond, found.end.microsecond) == (0, 0)
        assert NOW - end_lag - SECOND < found.end <= NOW - end_lag
        if since is not None:
            assert found.start <= max(since, NOW - 90 * DAY if expires else SENTRYS_BEGINNING)


class TestIntervalS:
    @given(whole_windows)
    def test_never_asks_for_more_buckets_than_sentry_gives(self, whole: Window) -> None:
        seconds = (whole.end - whole.start).total_seconds()
        assert seconds / interval_s(whole) <= 2000

    @pytest.mark.parametrize(
        ("width", "interval"),
        [
            (timedelta(0), 60),
            (HOUR, 60),
            (2000 * timedelta(minutes=1), 60),
            (2000 * timedelta(minutes=1) + SECOND, 300),
            (30 * DAY, 1800),
            (90 * DAY, 7200),
            (2000 * DAY, 86400),
            (9999 * DAY, 86400),
        ],
    )
    def test_is_the_finest_that_will_do(self, width: timedelta, interval: int) -> None:
        assert interval_s(Window(NOW, NOW + width)) == interval
