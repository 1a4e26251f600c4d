"""What became of an issue as Sentry tells it: activity, status details, open periods, priority.

https://github.com/getsentry/sentry/blob/master/src/sentry/types/activity.py
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tap_sentry.demo import issue_assignments, releases
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.issue_assignments import STAFF
from tap_sentry.demo.issues import ONGOING_AFTER_S, Issue, StatusChange
from tap_sentry.demo.organization_rows import user
from tap_sentry.demo.people import Member
from tap_sentry.demo.release_rows import version_info
from tap_sentry.demo.seen import SeenIssue
from tap_sentry.demo.timeline import DAY_S

Row = dict[str, Any]
SHOWN = 100  # of the newest activities
PRIORITIES = {"low": 25, "medium": 50, "high": 75}
_CONDITIONS = ("ignoreCount", "ignoreDuration", "ignoreUntil", "ignoreUserCount",
               "ignoreUserWindow", "ignoreWindow", "ignoreUntilEscalating")  # fmt: skip
_DETAILS = set(_CONDITIONS) - {"ignoreDuration", "ignoreUntilEscalating"}
_ARCHIVED_FOR_MIN = 90 * 24 * 60  # longer than any event of the issue is visible


class Act(NamedTuple):
    """An entry of the activity; Sentry itself did it when `by` is None."""

    at: float
    type: str
    by: Member | None
    data: Row


class Resolution(NamedTuple):
    """How an issue was resolved: its activity, and what `statusDetails` says of it."""

    type: str
    data: Row
    details: Row


def activity(seen: SeenIssue, now: float) -> list[Row]:
    """The newest hundred of what happened to an issue, latest first.

    Sentry numbers the first sighting 0 and puts it last.
    https://github.com/getsentry/sentry/blob/master/src/sentry/models/activity.py
    """
    rows = [
        _row(int(seen.issue.id) * 100 + position, act, now)
        for position, act in enumerate(_acts(seen, now))
        if act.at <= now
    ]
    priority = initial_priority(seen.issue)
    sighting = Act(seen.first_seen, "first_seen", None, {"priority": priority})
    return [*rows[::-1], _row(0, sighting, now)][:SHOWN]


def status_details(seen: SeenIssue, now: float) -> Row:
    """Why an issue is resolved or archived; empty when it is open.

    Who did it, which Sentry adds, is told by the activity alone.

    https://github.com/getsentry/sentry/blob/master/src/sentry/api/serializers/models/group.py
    """
    issue = seen.issue
    position = sum(change.at <= now for change in issue.changes[1:])
    change = issue.changes[position]
    if change.status == "resolved":
        return resolution(issue, position, now).details
    if change.substatus == "archived_until_condition_met":
        asked = _conditions(issue, change)
        return {name: asked[name] for name in asked if name in _DETAILS}
    return {}


def open_periods(seen: SeenIssue, now: float) -> list[Row]:
    """Times from the first sighting or a regression to the resolution, latest first.

    Durations are in seconds, as text.
    """
    periods: list[Row] = []
    start: float | None = None
    for change in seen.issue.changes:
        if change.at > now:
            break
        if start is None:
            start = change.at if periods else seen.first_seen
            periods.append(_period(start, None, last_checked=seen.last_seen))
        if change.status == "resolved":
            periods[-1] = _period(start, change.at, last_checked=change.at)
            start = None
    return periods[::-1]


def _period(start: float, end: float | None, *, last_checked: float) -> Row:
    return {
        "start": microseconds(start),
        "end": None if end is None else microseconds(end),
        "duration": None if end is None else str(round(end - start, 6)),
        "isOpen": end is None,
        "lastChecked": microseconds(last_checked),
    }


def initial_priority(issue: Issue) -> str:
    """What Sentry makes of the level: `low`, `medium` or `high`."""
    if issue.level in {"info", "warning"}:
        return "low"
    return "high" if issue.level == "fatal" else "medium"


def priority(issue: Issue, now: float) -> str:
    """The priority at a time: one step up after an escalation.

    https://github.com/getsentry/sentry/blob/master/src/sentry/issues/priority.py
    """
    escalated = any(c.substatus == "escalating" and c.at <= now for c in issue.changes)
    return _raised(issue) if escalated else initial_priority(issue)


def resolution(issue: Issue, position: int, now: float) -> Resolution:
    """How the change at a position resolved an issue: at once, in a release, or in the next one.

    The next release is named as soon as it exists.
    https://github.com/getsentry/sentry/blob/master/src/sentry/api/helpers/group_index/update.py
    """
    change, slug = issue.changes[position], issue.project.slug
    running = releases.running(slug, change.at)
    way = (issue.number + position) % 4
    if running is None or way == 0:
        return Resolution("set_resolved", {}, {})
    # What waits for the next release does not come back under the current one.
    if way == 1 and position == len(issue.changes) - 1:
        later = (r for r in releases.between(change.at, now) if slug in r.project_slugs)
        version = next((release.version for release in later), "")
        details: Row = {"inRelease": version} if version else {"inNextRelease": True}
        data = {"version": version, "current_release_version": running.version}
        return Resolution("set_resolved_in_release", data, details)
    named = {"version": running.version}
    return Resolution("set_resolved_in_release", named, {"inRelease": running.version})


def _row(number: int, act: Act, now: float) -> Row:
    return {
        "id": str(number),
        "user": user(act.by, now) if act.by else None,
        "type": act.type,
        "data": act.data,
        "dateCreated": microseconds(act.at),
    }


def _acts(seen: SeenIssue, now: float) -> list[Act]:
    """All that happens to an issue but its first sighting, oldest first, what is to come too."""
    issue = seen.issue
    found = [
        act
        for position in range(1, len(issue.changes))
        for act in _acts_of_change(seen, position, now)
    ]
    for given in issue_assignments.assignments(issue):
        kind = "assigned" if given.to else "unassigned"
        found.append(Act(given.at, kind, given.by, issue_assignments.activity_data(issue, given)))
    return sorted(found, key=lambda act: act.at)


def _acts_of_change(seen: SeenIssue, position: int, now: float) -> list[Act]:
    issue = seen.issue
    change = issue.changes[position]
    if change.status == "resolved":
        how = resolution(issue, position, now)
        return [Act(change.at, how.type, _actor(issue, position), how.data)]
    if change.status == "ignored":
        data = _conditions(issue, change)
        return [Act(change.at, "set_ignored", _actor(issue, position), data)]
    if change.substatus == "ongoing":
        data = {"after_days": int(ONGOING_AFTER_S // DAY_S)}
        return [Act(change.at, "auto_set_ongoing", None, data)]
    if change.substatus == "regressed":
        return [Act(change.at, "set_regression", None, _regression(seen, position, now))]
    found = [Act(change.at, "set_escalating", None, _caused_by(seen, position))]
    if _raised(issue) != initial_priority(issue):
        data = {"priority": _raised(issue), "reason": "escalating"}
        found.append(Act(change.at, "set_priority", None, data))
    return found


def _actor(issue: Issue, position: int) -> Member:
    """Who made a change that only people make."""
    return STAFF[(int(issue.id) + position) % len(STAFF)]


def _raised(issue: Issue) -> str:
    return "medium" if initial_priority(issue) == "low" else "high"


def _conditions(issue: Issue, change: StatusChange) -> Row:
    """Until what an issue is archived; durations and windows in minutes, nothing is forever.

    https://github.com/getsentry/sentry/blob/master/src/sentry/issues/status_change.py
    """
    data: Row = dict.fromkeys(_CONDITIONS)
    if change.substatus == "archived_until_escalating":
        data["ignoreUntilEscalating"] = True
    elif change.substatus == "archived_until_condition_met":
        data["ignoreCount"] = 1000
        if issue.release is not None:
            until = microseconds(change.at + _ARCHIVED_FOR_MIN * 60)
            data |= {"ignoreDuration": _ARCHIVED_FOR_MIN, "ignoreUntil": until}
        else:
            data["ignoreWindow"] = 60
            if issue.project.errors_share >= 0.2:
                data |= {"ignoreUserCount": 500, "ignoreUserWindow": 24 * 60}
    return data


def _regression(seen: SeenIssue, position: int, now: float) -> Row:
    """The event that reopened an issue, its release, and in which it should have been resolved.

    https://github.com/getsentry/sentry/blob/master/src/sentry/event_manager.py
    """
    issue = seen.issue
    change = issue.changes[position]
    running = releases.running(issue.project.slug, change.at)
    data: Row = {**_caused_by(seen, position), "version": running.version if running else ""}
    resolved = resolution(issue, position - 1, now)
    if running and "version" in resolved.data:
        data["follows_semver"] = "major" in version_info(running.version)["version"]
        data["resolved_in_version"] = resolved.data["version"]
    return data


def _caused_by(seen: SeenIssue, position: int) -> Row:
    """The last event between the change before and this one, empty when it is not visible."""
    before, change = seen.issue.changes[position - 1 : position + 1]
    between = [event for event in seen.events if before.at <= event.timestamp <= change.at]
    latest = max(between, key=lambda event: event.timestamp, default=None)
    return {"event_id": latest.id} if latest else {}
