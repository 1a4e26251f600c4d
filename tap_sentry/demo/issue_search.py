"""The organization's issue list: search terms, date windows, score cursors, hidden categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tap_sentry.demo import dates, paging, search
from tap_sentry.demo.catalogue import Project
from tap_sentry.demo.exchange import Answer, Request, bad_request
from tap_sentry.demo.issue_assignments import assignee
from tap_sentry.demo.issue_rows import issue as issue_row
from tap_sentry.demo.seen import SeenIssue
from tap_sentry.demo.world import World

MAX_HITS = 1000
_PERIODS = {"": "", "24h": "24h", "14d": "14d", "auto": "24h"}
_SCORES: dict[str, Callable[[SeenIssue], int]] = {
    "date": lambda seen: int(seen.last_seen) * 1000,
    "new": lambda seen: int(seen.first_seen * 1000),
    "freq": lambda seen: len(seen.events),
    "user": lambda seen: seen.user_count,
}
_SCORES |= dict.fromkeys(("trends", "recommended", "inbox"), _SCORES["date"])
_IS = {
    "unresolved": ("status", "unresolved"), "resolved": ("status", "resolved"),
    "ignored": ("status", "ignored"), "archived": ("status", "ignored"),
    "new": ("substatus", "new"), "ongoing": ("substatus", "ongoing"),
    "escalating": ("substatus", "escalating"), "regressed": ("substatus", "regressed"),
    "archived_until_escalating": ("substatus", "archived_until_escalating"),
    "archived_until_condition_met": ("substatus", "archived_until_condition_met"),
    "archived_forever": ("substatus", "archived_forever"),
}  # fmt: skip


def list_issues(request: Request, world: World, projects: Sequence[Project]) -> Answer:
    """Answer of `O/issues/`.

    The page is cut first and hidden categories leave it afterwards, so that it may be short or
    even empty while more follow.
    """
    now = world.now
    period = request.get("groupStatsPeriod")
    if period not in {None, *_PERIODS}:
        raise bad_request("Invalid groupStatsPeriod: must be one of '', 24h, 14d, auto")
    score = _SCORES.get(request.get("sort") or "date")
    if score is None:
        raise bad_request(f"Sort '{request.get('sort')}' is not supported.")
    within = dates.date_range(request, now, keep_old=True)
    query = request.get("query")
    conditions = search.terms("is:unresolved" if query is None else query)
    if not projects:
        return Answer(body=[])
    hit = _direct_hit(world, (query or "").strip())
    if hit is not None:
        return Answer(
            body=[issue_row(hit, request.base, now)], headers={"X-Sentry-Direct-Hit": "1"}
        )
    matches = _matches(request, world, projects, conditions, within)
    matches.sort(key=lambda seen: (score(seen), int(seen.issue.id)), reverse=True)
    size = paging.limit(request)
    page, links = paging.by_score(request, matches, size, score)
    shown = [seen for seen in page if _is_shown(seen, conditions)]
    whole = {seen.issue.id: seen for seen in world.all_issues()}
    body = [
        issue_row(
            whole[seen.issue.id],
            request.base,
            now,
            windowed=seen if within.explicit else None,
            stats_period=_PERIODS["24h" if period is None else period],
            collapse=request.all("collapse"),
            expand=request.all("expand"),
        )
        for seen in shown
    ]
    hits = {"X-Hits": str(min(len(matches), MAX_HITS)), "X-Max-Hits": str(MAX_HITS)}
    return Answer(body=body, links=links, headers=hits)


def _direct_hit(world: World, query: str) -> SeenIssue | None:
    """The issue that a query names outright: by an event's id or by its own short one."""
    event_id = query.replace("-", "").lower()
    if len(event_id) == 32:
        for event in world.events():
            if event.id == event_id:
                return world.issue(event.issue.id)
    return next((s for s in world.issues() if s.issue.short_id == query.upper()), None)


def _matches(
    request: Request,
    world: World,
    projects: Sequence[Project],
    conditions: list[search.Term],
    within: dates.Range,
) -> list[SeenIssue]:
    ids = {project.id for project in projects}
    groups = set(request.all("group"))
    environments = set(request.all("environment"))
    found = []
    for seen in world.all_issues():
        if seen.issue.project.id not in ids:
            continue
        if groups and seen.issue.id not in groups:
            continue
        if not groups and not all(_holds(seen, term, world.now) for term in conditions):
            continue
        narrowed = _narrowed(seen, within, environments)
        if narrowed is not None:
            found.append(narrowed)
    return found


def _narrowed(seen: SeenIssue, within: dates.Range, environments: set[str]) -> SeenIssue | None:
    """The issue as the window shows it, None when it has no event there."""
    if not within.explicit and not environments:
        return seen
    if not seen.events:
        return seen if within.start <= int(seen.last_seen) < within.end else None
    events = tuple(
        event
        for event in seen.events
        if within.start <= int(event.timestamp) < within.end
        and (not environments or event.environment in environments)
    )
    if not events:
        return None
    first = seen.first_seen if events[0] is seen.events[0] else events[0].timestamp
    return replace(
        seen,
        events=events,
        count=len(events),
        first_seen=max(first, seen.first_seen),
        last_seen=events[-1].timestamp,
    )


def _is_shown(seen: SeenIssue, conditions: list[search.Term]) -> bool:
    if seen.issue.category != "feedback":
        return True
    return any(term.key == "issue.category" and not term.negated for term in conditions)


def _holds(seen: SeenIssue, term: search.Term, now: float) -> bool:
    if not term.key:
        return term.values[0].lower() in f"{seen.issue.title} {seen.issue.culprit}".lower()
    if term.key == "is":
        return any(_is(seen, value, now) for value in term.values) != term.negated
    if term.key == "has":
        return (_value(seen, term.values[0]) is not None) != term.negated
    return term.holds(_value(seen, term.key))


def _is(seen: SeenIssue, word: str, now: float) -> bool:
    if word in {"assigned", "unassigned"}:
        return (assignee(seen.issue, now) is None) == (word == "unassigned")
    if word not in _IS:
        raise bad_request(f"Invalid value for 'is' search, valid values are {sorted(_IS)}")
    name, wanted = _IS[word]
    return bool(getattr(seen, name) == wanted)


def _value(seen: SeenIssue, key: str) -> Any:
    issue = seen.issue
    values: dict[str, Any] = {
        "lastSeen": int(seen.last_seen),
        "firstSeen": seen.first_seen,
        "timesSeen": seen.count,
        "age": seen.first_seen,
        "level": issue.level,
        "issue": issue.short_id,
        "issue.id": issue.id,
        "issue.category": issue.category,
        "issue.type": issue.category,
        "issue.priority": "medium",
        "project": issue.project.slug,
        "project.id": int(issue.project.id),
        "firstRelease": issue.release.version if issue.release else None,
        "error.type": issue.type,
        "title": issue.title,
        "message": issue.message,
    }
    if key in values:
        return values[key]
    latest = seen.events[-1] if seen.events else None
    if latest is None:
        return None
    return {"environment": latest.environment, "release": latest.release}.get(key)
