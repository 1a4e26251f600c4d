"""Releases: the row of the list and the detail of one version."""

from __future__ import annotations

from tap_sentry.schemas.types import (
    ARRAY,
    DATETIME,
    INTEGER,
    OBJECT,
    STRING,
    described,
    record,
)

_COMMON = {
    "id": INTEGER,
    "version": STRING,
    "shortVersion": STRING,
    "status": STRING,
    "versionInfo": OBJECT,
    "ref": STRING,
    "url": STRING,
    "dateCreated": DATETIME,
    "dateStarted": DATETIME,
    "dateReleased": DATETIME,
    "data": OBJECT,
    "newGroups": INTEGER,
    "owner": OBJECT,
    "commitCount": INTEGER,
    "lastCommit": OBJECT,
    "deployCount": INTEGER,
    "lastDeploy": OBJECT,
    "authors": ARRAY,
    "projects": ARRAY,
    "firstEvent": DATETIME,
    "lastEvent": DATETIME,
    "currentProjectMeta": OBJECT,
    "userAgent": STRING,
    "adoptionStages": OBJECT,
}

RELEASE_ROW = record(_COMMON, keys=("version",))

RELEASE_DETAIL = record(
    {
        **_COMMON,
        "changedAt": described(
            DATETIME,
            "Newest of dateCreated, dateReleased, lastEvent and the last deploy; added by the tap.",
        ),
    },
    keys=("id",),
)
