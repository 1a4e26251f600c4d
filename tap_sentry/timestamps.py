"""Instants as the tap writes them: UTC, six decimals, a `Z`; so text sorts like time."""

from __future__ import annotations

from datetime import datetime, timezone


def parse(text: str) -> datetime:
    """The instant that an ISO-8601 text names, in UTC; a text without zone is taken as UTC.

    Raises:
        ValueError: If the text is no date or date-time.
    """
    instant = datetime.fromisoformat(_with_offset(text.strip()))
    if instant.tzinfo is None:
        return instant.replace(tzinfo=timezone.utc)
    try:
        return instant.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"{text!r} lies outside the calendar") from None


def text(instant: datetime) -> str:
    """`2026-10-01T00:00:00.000000Z`, the form of bookmarks and date-time columns."""
    # Not strftime, whose years before 1000 have fewer digits.
    utc = instant.astimezone(timezone.utc).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


def seconds_text(instant: datetime) -> str:
    """`2026-10-01T00:00:00Z`, the form that every Sentry endpoint accepts; fractions are cut."""
    return f"{text(instant)[:19]}Z"


def duration_text(seconds: float) -> str:
    """`38 s`, `1 min 30 s` or `2 h 5 min`."""
    minutes = int(seconds + 0.5) // 60
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {int(seconds + 0.5) % 60} s" if minutes else f"{seconds:.0f} s"


def normalised(value: str) -> str:
    """The same instant in the form of `text`.

    Raises:
        ValueError: If the value is no date or date-time.
    """
    if value[-6:] == "+00:00":
        value = f"{value[:-6]}Z"
    if value[-1:] == "Z" and value[10:11] == "T":
        # The common forms need no rewriting, only a check.
        if len(value) == 27 and value[19] == "." and value[20:26].isdecimal():
            datetime.fromisoformat(value[:19])
            return value
        if len(value) == 20:
            datetime.fromisoformat(value[:19])
            return f"{value[:19]}.000000Z"
    return text(parse(value))


def _with_offset(value: str) -> str:
    # Python 3.10 reads neither a trailing Z nor fractions other than three or six digits.
    if value[-1:] in "Zz":
        value = f"{value[:-1]}+00:00"
    head, dot, tail = value.partition(".")
    if not dot:
        return value
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits[:6]:0<6}{tail[len(digits) :]}"
