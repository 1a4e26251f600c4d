"""Releases: the row of the list, the detail of one version, its commits and its deploys."""

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

_CHANGED_AT = described(DATETIME, "The release's, see `release`; added by the tap.")

RELEASE_COMMIT = record(
    {
        "version": described(STRING, "The release's; added by the tap."),
        "id": described(STRING, "The commit's hash: hexadecimal digits."),
        "message": STRING,
        "dateCreated": DATETIME,
        "author": OBJECT,
        "repository": OBJECT,
        "pullRequest": OBJECT,
        "suspectCommitType": STRING,
        "releases": ARRAY,
        "changedAt": _CHANGED_AT,
    },
    keys=("version", "id"),
)

RELEASE_DEPLOY = record(
    {
        "version": described(STRING, "The release's; added by the tap."),
        "id": described(STRING, "Digits."),
        "environment": STRING,
        "name": STRING,
        "url": STRING,
        "dateStarted": DATETIME,
        "dateFinished": DATETIME,
        "changedAt": _CHANGED_AT,
    },
    keys=("version", "id"),
)
