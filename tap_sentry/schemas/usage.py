"""Sums per bucket of time: what Sentry took in or turned away, and the health of releases.

Sentry answers with groups and a series for each; the tap makes a row of each value that is not 0.
"""

from __future__ import annotations

from tap_sentry.schemas.types import (
    DATETIME,
    INTEGER,
    NUMBER,
    STRING,
    described,
    record,
)

_ID = described(STRING, "Made by the tap of the row's group and timestamp: the same in every run.")

USAGE_OUTCOME = record(
    {
        "id": _ID,
        "project": described(INTEGER, "The project's id."),
        "category": described(STRING, "Kind of data, such as error, span or attachment."),
        "outcome": described(STRING, "accepted, filtered, rate_limited, invalid and the like."),
        "reason": described(STRING, "Why, where it was not accepted."),
        "timestamp": described(DATETIME, "Start of the hour, UTC."),
        "quantity": described(INTEGER, "sum(quantity): bytes of attachments, else how many."),
        "times_seen": described(INTEGER, "sum(times_seen): how often something came in."),
    },
    keys=("id",),
)

RELEASE_HEALTH = record(
    {
        "id": _ID,
        "project": described(INTEGER, "The project's id."),
        "release": described(STRING, "The release's version."),
        "environment": STRING,
        "timestamp": described(DATETIME, "Start of the day, UTC."),
        "sessions": described(INTEGER, "sum(session)."),
        "users": described(
            INTEGER, "count_unique(user) of that day; sums over days count people repeatedly."
        ),
        "crash_free_session_rate": described(NUMBER, "crash_free_rate(session), 0 to 1."),
        "crash_free_user_rate": described(NUMBER, "crash_free_rate(user), 0 to 1."),
    },
    keys=("id",),
)
