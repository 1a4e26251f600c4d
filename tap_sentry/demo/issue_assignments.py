"""Who issues are given to: by Sentry or by a member, taken back, given to another."""

from __future__ import annotations

from typing import Any, NamedTuple

from tap_sentry.demo import catalogue
from tap_sentry.demo.catalogue import Team
from tap_sentry.demo.issues import Issue
from tap_sentry.demo.people import MEMBERS, Member
from tap_sentry.demo.timeline import HOUR_S, dice

Row = dict[str, Any]
STAFF = [member for member in MEMBERS if member.state == "active"]


class Assignment(NamedTuple):
    """One handing over.

    Attributes:
        at: When, epoch seconds.
        to: Who has the issue from then on; None when it is taken from somebody.
        by: The member who did it, None for Sentry: a team by an ownership rule, a member because
            of a suspect commit.
    """

    at: float
    to: Member | Team | None
    by: Member | None


def assignments(issue: Issue) -> list[Assignment]:
    """All that ever happen to an issue, oldest first, in the first day after its birth."""
    number = int(issue.id)
    random = dice(0, "assignments", issue.number)
    to = _last_assignee(issue)
    triager: Member | None = STAFF[number // 2 % len(STAFF)]
    found: list[Assignment] = []
    at = round(issue.born + (0.2 + 4 * random.random()) * HOUR_S, 6)
    if number // 3 % 6 == 0:
        first = STAFF[(number + 5) % len(STAFF)]
        found = [Assignment(at, first, triager)]
        at = round(at + (1 + 5 * random.random()) * HOUR_S, 6)
        found.append(Assignment(at, None, first))
        at = round(at + (0.1 + 3 * random.random()) * HOUR_S, 6)
    elif number % 4:
        at, triager = round(issue.born + 2 + 3 * random.random(), 6), None
    return [*found, Assignment(at, to, triager)] if to else found


def assignee(issue: Issue, now: float) -> Member | Team | None:
    """Who has an issue at a time, epoch seconds."""
    past = [assignment for assignment in assignments(issue) if assignment.at <= now]
    return past[-1].to if past else None


def assigned_to(issue: Issue, now: float) -> Row | None:
    """The field `assignedTo` of an issue."""
    owner = assignee(issue, now)
    if owner is None:
        return None
    if isinstance(owner, Team):
        return {"type": "team", "id": owner.id, "name": owner.name}
    return {"type": "user", "id": owner.user_id, "name": owner.name, "email": owner.email}


def activity_data(issue: Issue, assignment: Assignment) -> Row:
    """The `data` of an activity `assigned`, empty for `unassigned`.

    https://github.com/getsentry/sentry/blob/master/src/sentry/models/groupassignee.py
    """
    to = assignment.to
    if to is None:
        return {}
    by_sentry = assignment.by is None
    if isinstance(to, Member):
        data: Row = {"assignee": to.user_id, "assigneeEmail": to.email, "assigneeType": "user"}
        return data | ({"integration": "suspectCommitter"} if by_sentry else {})
    rule = {
        "integration": "projectOwnership",
        "rule": f"path:{issue.project.slug}/* #{to.slug}",
    }
    data = {"assignee": to.id, "assigneeEmail": None, "assigneeType": "team"}
    return data | (rule if by_sentry else {})


def _last_assignee(issue: Issue) -> Member | Team | None:
    number = int(issue.id)
    if number % 3 == 0:
        return None
    if number % 3 == 1:
        return next(team for team in catalogue.TEAMS if team.slug == issue.project.team)
    return STAFF[number % len(STAFF)]
