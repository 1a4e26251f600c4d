"""Instants as the ledger keeps them: whole microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def instant_us(text: object) -> int | None:
    """Microseconds of an ISO 8601 time; UTC if it names no offset. None of what is no time."""
    try:
        return microseconds(msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        return None


def microseconds(instant: datetime) -> int:
    """Microseconds of an instant; UTC if it names no offset."""
    return (utc(instant) - EPOCH) // _MICROSECOND


def utc(instant: datetime) -> datetime:
    """The instant, of UTC if it names no offset."""
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
