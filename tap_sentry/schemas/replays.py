"""What users saw and said: session replays and feedback."""

from __future__ import annotations

from tap_sentry.schemas.types import (
    ARRAY,
    BOOLEAN,
    DATETIME,
    INTEGER,
    OBJECT,
    STRING,
    described,
    record,
)

REPLAY = record(
    {
        "id": STRING,
        "project_id": STRING,
        "started_at": described(DATETIME, "May be null once a replay is archived."),
        "finished_at": DATETIME,
        "duration": described(INTEGER, "Seconds."),
        "environment": STRING,
        "platform": STRING,
        "releases": ARRAY,
        "dist": STRING,
        "user": OBJECT,
        "os": OBJECT,
        "browser": OBJECT,
        "device": OBJECT,
        "sdk": OBJECT,
        "tags": OBJECT,
        "urls": ARRAY,
        "error_ids": ARRAY,
        "trace_ids": ARRAY,
        "activity": described(INTEGER, "0 to 10."),
        "count_dead_clicks": INTEGER,
        "count_rage_clicks": INTEGER,
        "count_errors": INTEGER,
        "count_warnings": INTEGER,
        "count_infos": INTEGER,
        "count_segments": INTEGER,
        "count_urls": INTEGER,
        "is_archived": BOOLEAN,
        "has_viewed": described(BOOLEAN, "By the token's own user."),
    },
    keys=("id",),
)

USER_FEEDBACK = record(
    {
        "id": STRING,
        "projectId": described(STRING, "Added by the tap."),
        "eventID": STRING,
        "name": STRING,
        "email": STRING,
        "comments": STRING,
        "dateCreated": DATETIME,
        "user": OBJECT,
        "event": OBJECT,
        "issue": OBJECT,
    },
    keys=("id",),
)
