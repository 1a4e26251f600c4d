"""Issues as Sentry serializes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from tap_sentry.demo import catalogue, issue_activity
from tap_sentry.demo.dates import microseconds, seconds
from tap_sentry.demo.event_rows import tags
from tap_sentry.demo.issue_assignments import STAFF, assigned_to
from tap_sentry.demo.organization_rows import user
from tap_sentry.demo.people import END_USERS
from tap_sentry.demo.release_rows import release_reference
from tap_sentry.demo.seen import SeenIssue
from tap_sentry.demo.timeline import DAY_S, HOUR_S
from tap_sentry.demo.user_reports import report_on

Row = dict[str, Any]


def issue(
    seen: SeenIssue,
    base: str,
    now: float,
    *,
    windowed: SeenIssue | None = None,
    stats_period: str = "24h",
    collapse: Collection[str] = (),
    expand: Collection[str] = (),
) -> Row:
    """A row of the issue list.

    Args:
        seen: The issue's whole life.
        base: Scheme and host for links.
        now: The present, epoch seconds.
        windowed: The same issue inside the asked date range, which then gives the figures.
        stats_period: `24h`, `14d`, or empty for no sparkline.
        collapse: Parts to leave out.
        expand: Parts to add.
    """
    figures = windowed or seen
    row = _base(seen, base, now) | _figures(figures)
    row["isUnhandled"] = not seen.issue.handled
    if "stats" not in collapse and stats_period:
        row["stats"] = {stats_period: series(figures, stats_period, now)}
    if "lifetime" not in collapse:
        row["lifetime"] = {**_figures(seen), "stats": None}
    if "filtered" not in collapse:
        row["filtered"] = None
    if "unhandled" in collapse:
        del row["isUnhandled"]
    return row | {name: value for name, value in _extras(seen).items() if name in expand}


def issue_detail(seen: SeenIssue, base: str, now: float, collapse: Collection[str] = ()) -> Row:
    """One issue with its activity, tags and releases."""
    row = _base(seen, base, now) | _figures(seen) | {"isUnhandled": not seen.issue.handled}
    number = int(seen.issue.id)
    if "stats" not in collapse:
        row["stats"] = {"24h": series(seen, "24h", now), "30d": series(seen, "30d", now)}
    if "release" not in collapse:
        versions = [event.release for event in seen.events if event.release]
        row["firstRelease"] = release_reference(versions[0], now) if versions else None
        row["lastRelease"] = release_reference(versions[-1], now) if versions else None
    if "tags" not in collapse:
        keys = Counter(tag["key"] for event in seen.events for tag in tags(event))
        row["tags"] = [
            {"key": key, "name": key.replace("_", " ").title(), "totalValues": count}
            for key, count in sorted(keys.items())
        ]
    row["activity"] = issue_activity.activity(seen, now)
    row["openPeriods"] = issue_activity.open_periods(seen, now)
    row["seenBy"] = [
        {**user(member, now), "lastSeen": microseconds(seen.last_seen)}
        for member in STAFF[number % 3 : number % 3 + 2]
    ]
    row["participants"] = [user(STAFF[number % len(STAFF)], now)] if number % 4 == 0 else []
    reports = [report for event in seen.events if (report := report_on(event))]
    row["userReportCount"] = sum(report.written <= now for report in reports)
    row["pluginActions"], row["pluginIssues"], row["pluginContexts"] = [], [], []
    return row


def series(seen: SeenIssue, period: str, now: float) -> list[list[int]]:
    """Events per bucket: hours of a day, days of two weeks or of 30 days."""
    width, count = {"24h": (HOUR_S, 24), "14d": (DAY_S, 14), "30d": (DAY_S, 30)}[period]
    last = int(now // width) * width
    buckets = Counter(int(event.timestamp // width) * width for event in seen.events)
    starts = range(last - (count - 1) * width, last + 1, width)
    return [[start, buckets[start]] for start in starts]


def _base(seen: SeenIssue, base: str, now: float) -> Row:
    issue = seen.issue
    number = int(issue.id)
    project = issue.project
    return {
        "id": issue.id,
        "shareId": None,
        "shortId": issue.short_id,
        "title": issue.title,
        "culprit": issue.culprit or None,
        "permalink": f"{base}/organizations/{catalogue.ORGANIZATION_SLUG}/issues/{issue.id}/",
        "logger": None,
        "level": issue.level,
        "status": seen.status,
        "statusDetails": issue_activity.status_details(seen, now),
        "substatus": seen.substatus,
        "isPublic": False,
        "platform": catalogue.family(project.platform),
        "priority": issue_activity.priority(issue, now),
        "priorityLockedAt": None,
        "seerFixabilityScore": round(number % 97 / 97, 4) if number % 5 else None,
        "seerAutofixLastTriggered": None,
        "seerExplorerAutofixLastTriggered": None,
        "project": {
            "id": project.id,
            "name": project.name,
            "slug": project.slug,
            "platform": project.platform,
        },
        "type": issue.category,
        "issueType": issue.category,
        "issueCategory": issue.category,
        "metadata": _metadata(seen),
        "numComments": number % 3 if number % 7 == 0 else 0,
        "assignedTo": assigned_to(issue, now),
        "isBookmarked": False,
        "isSubscribed": number % 6 == 0,
        "subscriptionDetails": {"reason": "assigned"} if number % 6 == 0 else None,
        "hasSeen": number % 2 == 0,
        "annotations": (
            [{"displayName": f"SHOP-{number % 900 + 100}", "url": "https://tracker.example.com/"}]
            if number % 11 == 0
            else []
        ),
    }


def _figures(seen: SeenIssue) -> Row:
    return {
        "count": str(seen.count),
        "userCount": seen.user_count,
        "firstSeen": microseconds(seen.first_seen),
        "lastSeen": seconds(seen.last_seen),
    }


def _metadata(seen: SeenIssue) -> Row:
    issue = seen.issue
    if issue.category == "feedback":
        writer = END_USERS[issue.number % len(END_USERS)]
        return {
            "title": issue.title,
            "message": issue.message,
            "contact_email": writer.email,
            "name": writer.name,
            "source": "new_feedback_envelope",
        }
    return {
        "type": issue.type,
        "value": issue.message,
        "filename": issue.filename,
        "function": issue.culprit,
        "in_app_frame_mix": "mixed",
        "initial_priority": issue_activity.PRIORITIES[issue_activity.initial_priority(issue)],
        "title": None,
    }


def _extras(seen: SeenIssue) -> Row:
    """Parts that a list shows only when asked to expand them."""
    return {
        "inbox": {
            "reason": 0,
            "reason_details": None,
            "date_added": microseconds(seen.first_seen),
        },
        "owners": None,
        "latestEventHasAttachments": False,
        "integrationIssues": [],
        "sentryAppIssues": [],
    }
