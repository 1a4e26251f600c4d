"""Issues as the organization's issue list gives them, and the detail of one."""

from __future__ import annotations

from tap_sentry.schemas.types import (
    ARRAY,
    BOOLEAN,
    DATETIME,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    described,
    record,
)

ISSUE = record(
    {
        "id": STRING,
        "shortId": STRING,
        "shareId": STRING,
        "title": STRING,
        "culprit": STRING,
        "permalink": STRING,
        "logger": STRING,
        "level": STRING,
        "status": STRING,
        "statusDetails": OBJECT,
        "substatus": STRING,
        "isPublic": BOOLEAN,
        "platform": STRING,
        "priority": STRING,
        "priorityLockedAt": DATETIME,
        "seerFixabilityScore": NUMBER,
        "seerAutofixLastTriggered": DATETIME,
        "seerExplorerAutofixLastTriggered": DATETIME,
        "project": OBJECT,
        "type": STRING,
        "issueType": STRING,
        "issueCategory": STRING,
        "metadata": OBJECT,
        "numComments": INTEGER,
        "assignedTo": OBJECT,
        "isBookmarked": BOOLEAN,
        "isSubscribed": BOOLEAN,
        "subscriptionDetails": OBJECT,
        "hasSeen": BOOLEAN,
        "annotations": ARRAY,
        "isUnhandled": BOOLEAN,
        "count": described(STRING, "Number of events over the issue's whole life, as text."),
        "userCount": INTEGER,
        "firstSeen": DATETIME,
        "lastSeen": DATETIME,
        "derivedData": OBJECT,
        "lifetime": OBJECT,
        "fullPassAt": described(
            DATETIME,
            "When the last pass over all issues began. One that later passes no longer list, "
            "though it was last seen within the retention, was deleted or merged.",
        ),
    },
    keys=("id",),
)

ISSUE_DETAIL = record(
    {
        **{
            name: column
            for name, column in ISSUE["properties"].items()
            if name not in {"lifetime", "fullPassAt"}
        },
        "lastSeen": described(DATETIME, "As the list had it, by which the details are read."),
        "firstRelease": OBJECT,
        "lastRelease": OBJECT,
        "tags": described(ARRAY, "Keys of tags with the number of their values."),
        "activity": described(ARRAY, "The newest hundred of what people did with the issue."),
        "openPeriods": described(ARRAY, "From when until when it was open, the latest first."),
        "seenBy": ARRAY,
        "participants": ARRAY,
        "userReportCount": INTEGER,
    },
    keys=("id",),
)
