"""Dates as Sentry writes them and the date ranges it accepts."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from tap_sentry.demo.exchange import Request, bad_request
from tap_sentry.demo.timeline import DAY_S, HOUR_S, horizon

DEFAULT_RANGE_S = 90 * DAY_S
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S}
_ACCEPTED = re.compile(
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?)?(Z|\+00:00)?", flags=re.IGNORECASE
)


class Range(NamedTuple):
    """Half-open, epoch seconds; `explicit` when the client asked for it."""

    start: float
    end: float
    explicit: bool = True


def seconds(moment: float) -> str:
    """Whole seconds with a `Z`."""
    return f"{_utc(int(moment)):%Y-%m-%dT%H:%M:%S}Z"


def microseconds(moment: float) -> str:
    """Six digits and a `Z`, as rows of the relational database have."""
    return f"{_utc(moment):%Y-%m-%dT%H:%M:%S.%f}Z"


def with_offset(moment: float) -> str:
    """Whole seconds and `+00:00`, as Explore writes them."""
    return f"{_utc(int(moment)):%Y-%m-%dT%H:%M:%S}+00:00"


def _utc(moment: float) -> datetime:
    # datetime.fromtimestamp rounds; the epoch plus a difference keeps microseconds stable.
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment)


def parsed(text: str) -> float:
    """Epoch seconds of a date that Sentry accepts.

    Raises:
        ValueError: If it is in another form, such as an offset other than UTC.
    """
    if not _ACCEPTED.fullmatch(text):
        raise ValueError(f"{text} is not a date")
    plain = re.sub(r"(Z|\+00:00)$", "", text, flags=re.IGNORECASE)
    form = "%Y-%m-%d" + ("T%H:%M:%S" if "T" in plain.upper() else "")
    if "." in plain:
        form += ".%f"
    return datetime.strptime(plain.upper(), form).replace(tzinfo=timezone.utc).timestamp()


def duration(text: str) -> int:
    """Seconds of `30d`, `90m` or plain `3600`.

    Raises:
        ValueError: If it is no such text.
    """
    found = re.fullmatch(r"(\d+)([smhdw]?)", text)
    if not found:
        raise ValueError(f"{text} is not a period")
    return int(found[1]) * _UNITS[found[2]]


def date_range(
    request: Request, now: float, *, prefix: str = "", message: str = "", keep_old: bool = False
) -> Range:
    """The range that the parameters ask for, its start clipped to the retention.

    Args:
        request: Read for `statsPeriod`, `statsPeriodStart`, `statsPeriodEnd`, `start`, `end`.
        now: The present, epoch seconds.
        prefix: Put before each complaint.
        message: Said instead of each complaint.
        keep_old: Give an empty range for one wholly before the retention, as issue lists do.
    """
    try:
        found = _asked(request, now)
    except ValueError as error:
        raise bad_request(message or f"{prefix}{error}") from None
    if found is None:
        return Range(max(now - DEFAULT_RANGE_S, horizon(now)), now + 1, explicit=False)
    start, end = found
    if end <= horizon(now) and not keep_old:
        raise bad_request("Invalid date range. Please try a more recent date range.")
    return Range(max(start, horizon(now)), end)


def hourly_buckets(request: Request, within: Range) -> range:
    """Starts of the buckets of a series in whole hours, its ends rounded outwards.

    Sessions and usage have no finer grain; a bucket is a day at most and divides one.
    """
    try:
        width = duration(request.get("interval") or "1h")
    except ValueError as error:
        raise bad_request(f"Invalid interval: {error}") from None
    if not width or width % HOUR_S:
        raise bad_request("The interval has to be a multiple of the minimum interval of one hour.")
    if DAY_S % width:
        raise bad_request("The interval should divide one day without a remainder.")
    return range(int(within.start // width) * width, -int(-within.end // width) * width, width)


def _asked(request: Request, now: float) -> tuple[float, float] | None:
    period = request.get("statsPeriod")
    if period:
        return now - _period(period), now + 1
    if request.get("statsPeriodStart") and request.get("statsPeriodEnd"):
        return (
            now - _period(request.get("statsPeriodStart") or ""),
            now - _period(request.get("statsPeriodEnd") or ""),
        )
    start, end = request.get("start"), request.get("end")
    if not start and not end:
        return None
    if not start or not end:
        raise ValueError("start and end are both required")
    bounds = int(_date(start)), int(_date(end))  # sub-second bounds are cut off
    if bounds[0] >= bounds[1]:
        raise ValueError("start must be before end")
    return bounds


def _period(text: str) -> int:
    try:
        return duration(text)
    except ValueError:
        raise ValueError("Invalid statsPeriod: '" + text + "'") from None


def _date(text: str) -> float:
    try:
        return parsed(text)
    except ValueError:
        raise ValueError(f"{text} is not a valid ISO8601 date query") from None
