"""Time windows, oldest first, and where a sync begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from tap_sentry.settings import Settings

# Sentry takes the newest 90 s for incomplete; rows still arrive for a while after that.
END_LAG = timedelta(minutes=5)

# No row of any Sentry is older.
SENTRYS_BEGINNING = datetime(2008, 1, 1, tzinfo=timezone.utc)

# Sentry's buckets for a series of counts, and how many it gives at most in one answer.
_INTERVALS_S = (60, 300, 900, 1800, 3600, 7200, 10800, 14400, 43200, 86400)
_MOST_BUCKETS = 2000


class Window(NamedTuple):
    """A half-open range of time, [start, end)."""

    start: datetime
    end: datetime

    def halves(self) -> tuple[Window, Window]:
        """The older and the newer half, cut at a whole second."""
        half = timedelta(seconds=(self.end - self.start) // timedelta(seconds=2))
        return Window(self.start, self.start + half), Window(self.start + half, self.end)

    @property
    def is_smallest(self) -> bool:
        """True where Sentry, which reads whole seconds, could not tell the halves apart."""
        return self.end - self.start < timedelta(seconds=2)


def window_to_sync(
    since: datetime | None,
    *,
    now: datetime,
    end_lag: timedelta,
    expires: bool,
    settings: Settings,
) -> Window | None:
    """What a sync has to read: from an instant or the beginning, up to now less the lag.

    Bounds are whole seconds; rows that expire are not asked for beyond Sentry's retention.
    None if there is nothing to read, as with an `end_date` that lies before that instant.
    """
    oldest = SENTRYS_BEGINNING
    if expires:
        # A whole day, since buckets of counts divide one; what is forgotten does not come anyway.
        oldest = now - timedelta(days=settings.retention_days)
        oldest = oldest.replace(hour=0, minute=0, second=0)
    start = max(settings.start_date or oldest, oldest)
    if since is not None:
        start = max(start, since)
    start = start.replace(microsecond=0)
    end = min(settings.end_date or now - end_lag, now - end_lag).replace(microsecond=0)
    return Window(start, end) if start < end else None


def windows(whole: Window, width: timedelta) -> Iterator[Window]:
    """Cut a window into such of one width, oldest first; the last may be shorter.

    Raises:
        ValueError: If the width is not positive.
    """
    if width <= timedelta(0):
        raise ValueError(f"width must be positive, not {width}")
    start = whole.start
    while start < whole.end:
        end = min(start + width, whole.end)
        yield Window(start, end)
        start = end


def interval_s(whole: Window) -> int:
    """The finest bucket, in seconds, with which Sentry can count a window in one answer."""
    seconds = (whole.end - whole.start).total_seconds()
    return next(
        (interval for interval in _INTERVALS_S if seconds / interval <= _MOST_BUCKETS),
        _INTERVALS_S[-1],
    )


def is_whole_buckets(window: Window, interval_s: int) -> bool:
    """Whether a window begins and ends where a bucket of Sentry's does."""
    return not any(instant.timestamp() % interval_s for instant in window)


def windows_of_rows(
    whole: Window, counts: Iterable[tuple[datetime, int]], most_rows: float
) -> Iterator[tuple[Window, int]]:
    """Cut a window so that each part holds about `most_rows` rows or fewer, oldest first.

    Gives each part with its rows.

    Args:
        whole: What to cut.
        counts: Rows per bucket, as (start of the bucket, rows), oldest first. Buckets may
            begin before the window.
        most_rows: A single bucket with more rows becomes a part of its own.
    """
    start, rows = whole.start, 0
    for bucket, count in counts:
        if bucket >= whole.end:
            break
        if rows and count and rows + count > most_rows and bucket > start:
            yield Window(start, bucket), rows
            start, rows = bucket, 0
        rows += count
    if start < whole.end:
        yield Window(start, whole.end), rows
