"""Error events: the short row of a listing and, with `fetch_event_details`, the whole body."""

from __future__ import annotations

from tap_sentry.schemas.types import (
    ARRAY,
    DATETIME,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    described,
    record,
)

EVENT = record(
    {
        "eventID": described(STRING, "32 hexadecimal digits, unique within a project."),
        "id": STRING,
        "projectID": described(STRING, "Digits."),
        "groupID": described(STRING, "Id of the issue the event belongs to."),
        "event.type": described(STRING, "Filled from `type` where the body names it so."),
        "message": STRING,
        "title": STRING,
        "location": STRING,
        "culprit": STRING,
        "user": OBJECT,
        "tags": ARRAY,
        "platform": STRING,
        "dateCreated": DATETIME,
        "crashFile": STRING,
        "metadata": OBJECT,
        "sample_weight": described(NUMBER, "Events that this row stands for; 1 without sampling."),
        # Only with fetch_event_details:
        "dateReceived": DATETIME,
        "size": INTEGER,
        "contexts": OBJECT,
        "context": OBJECT,
        "entries": ARRAY,
        "errors": ARRAY,
        "dist": STRING,
        "sdk": OBJECT,
        "packages": OBJECT,
        "occurrence": OBJECT,
        "fingerprints": ARRAY,
        "groupingConfig": OBJECT,
        "startTimestamp": NUMBER,
        "endTimestamp": NUMBER,
        "measurements": OBJECT,
        "breakdowns": OBJECT,
        "_meta": OBJECT,
    },
    keys=("projectID", "eventID"),
)

# Columns that Explore's table has as well, with its names for them, and those that it lacks or,
# as `message`, fills otherwise.
EXPLORED = {
    "eventID": "id",
    "id": "id",
    "projectID": "project.id",
    "groupID": "issue.id",
    "event.type": "event.type",
    "title": "title",
    "location": "location",
    "culprit": "culprit",
    "platform": "platform",
    "dateCreated": "timestamp",
}
NOT_EXPLORED = ("message", "user", "tags", "crashFile", "metadata")
