"""Cron monitors and their check-ins; detectors and the workflows that alert on them."""

from __future__ import annotations

from tap_sentry.schemas.types import (
    ARRAY,
    BOOLEAN,
    DATETIME,
    NUMBER,
    OBJECT,
    STRING,
    described,
    record,
)

MONITOR = record(
    {
        "id": STRING,
        "slug": STRING,
        "name": STRING,
        "status": STRING,
        "isMuted": BOOLEAN,
        "isUpserting": BOOLEAN,
        "config": described(OBJECT, "Schedule, time zone, and the margins in minutes."),
        "dateCreated": DATETIME,
        "project": OBJECT,
        "environments": described(ARRAY, "State and last check-in in each environment."),
        "owner": OBJECT,
    },
    keys=("id",),
)

_NO_COMMAS = "A UUID, or digits."

MONITOR_CHECKIN = record(
    {
        "monitorId": described(STRING, f"{_NO_COMMAS} Added by the tap."),
        "monitorSlug": described(STRING, "Added by the tap."),
        "id": described(STRING, _NO_COMMAS),
        "environment": STRING,
        "status": described(STRING, "ok, error, missed, timeout, in_progress or unknown."),
        "duration": described(NUMBER, "Milliseconds."),
        "dateCreated": DATETIME,
        "dateAdded": DATETIME,
        "dateUpdated": DATETIME,
        "dateInProgress": DATETIME,
        "dateClock": DATETIME,
        "expectedTime": DATETIME,
        "monitorConfig": OBJECT,
        "groups": ARRAY,
    },
    keys=("monitorId", "id"),
)

DETECTOR = record(
    {
        "id": STRING,
        "projectId": STRING,
        "name": STRING,
        "description": STRING,
        "type": STRING,
        "enabled": BOOLEAN,
        "owner": OBJECT,
        "createdBy": STRING,
        "dateCreated": DATETIME,
        "dateUpdated": DATETIME,
        "workflowIds": ARRAY,
        "latestGroup": OBJECT,
        "dataSources": described(
            ARRAY, "What is watched; without headers and body of an uptime check's request."
        ),
        "conditionGroup": OBJECT,
        "config": OBJECT,
    },
    keys=("id",),
)

WORKFLOW = record(
    {
        "id": STRING,
        "organizationId": STRING,
        "name": STRING,
        "enabled": BOOLEAN,
        "owner": STRING,
        "createdBy": STRING,
        "dateCreated": DATETIME,
        "dateUpdated": DATETIME,
        "lastTriggered": DATETIME,
        "environment": STRING,
        "detectorIds": ARRAY,
        "triggers": OBJECT,
        "actionFilters": ARRAY,
        "config": OBJECT,
    },
    keys=("id",),
)
