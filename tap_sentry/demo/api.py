"""The endpoints: one function each, from a request and the world to an answer."""

from __future__ import annotations

from tap_sentry.demo import (
    dates,
    event_bodies,
    event_rows,
    explore,
    organization_rows,
    paging,
    release_rows,
)
from tap_sentry.demo.calls import Call
from tap_sentry.demo.events import Event
from tap_sentry.demo.exchange import Answer, Links, bad_request, not_found
from tap_sentry.demo.issue_rows import issue_detail
from tap_sentry.demo.issue_search import list_issues
from tap_sentry.demo.releases import Release
from tap_sentry.demo.seen import SeenIssue
from tap_sentry.demo.timeseries import timeseries


def list_organizations(call: Call) -> Answer:
    rows, links = call.page([organization_rows.organization(call.request.base)])
    return Answer(body=list(rows), links=links)


def organization(call: Call) -> Answer:
    return Answer(body=organization_rows.organization_detail(call.request.base))


def list_projects(call: Call) -> Answer:
    now = call.world.now
    projects = call.world.projects()
    query = (call.request.get("query") or "").lower()
    if query:
        projects = [p for p in projects if query in p.slug or query in p.name.lower()]
    if call.request.flag("all_projects"):
        return Answer(body=[organization_rows.project_summary(p, now) for p in projects])
    shown, links = call.page(projects)
    return Answer(body=[organization_rows.project_summary(p, now) for p in shown], links=links)


def project(call: Call) -> Answer:
    found = call.project()
    detail = organization_rows.project_detail(found, call.world.now, call.request.base)
    return Answer(body=detail)


def list_teams(call: Call) -> Answer:
    detailed = call.request.get("detailed") != "0"
    shown, links = call.page(call.world.teams())
    projects = call.world.projects()
    rows = [organization_rows.team(team, projects, detailed=detailed) for team in shown]
    return Answer(body=rows, links=links)


def list_members(call: Call) -> Answer:
    shown, links = call.page(call.world.members())
    return Answer(
        body=[organization_rows.member(one, call.world.now) for one in shown], links=links
    )


def list_environments(call: Call) -> Answer:
    visibility = call.request.get("visibility") or "visible"
    if visibility not in {"all", "hidden", "visible"}:
        raise bad_request("Invalid value for 'visibility', valid values are: all, hidden, visible")
    return Answer(body=[] if visibility == "hidden" else organization_rows.environments())


def search_issues(call: Call) -> Answer:
    return list_issues(call.request, call.world, call.projects())


def issue(call: Call) -> Answer:
    seen = _issue(call, call.parts[0])
    collapse = call.request.all("collapse")
    return Answer(body=issue_detail(seen, call.request.base, call.world.now, collapse))


def list_issue_events(call: Call) -> Answer:
    seen = _issue(call, call.parts[0])
    within = dates.date_range(call.request, call.world.now)
    events = _inside(list(seen.events[::-1]), within)
    environments = call.request.all("environment")
    if environments:
        events = [event for event in events if event.environment in environments]
    events.sort(key=lambda event: (int(event.timestamp), event.id), reverse=True)
    if call.request.flag("sample"):
        # By a hash of the id, which is not the id's own order.
        events.sort(key=lambda event: organization_rows.secret(event.id))
    return _event_page(call, events)


def issue_event(call: Call) -> Answer:
    seen = _issue(call, call.parts[0])
    name = call.parts[1]
    picked = {"latest": seen.events[-1:], "oldest": seen.events[:1]}
    picked["recommended"] = picked["latest"]
    events = picked.get(name) or tuple(event for event in seen.events if event.id == name)
    if not events:
        raise not_found()
    return Answer(body=event_bodies.event_detail(events[0], seen.events, call.world.now))


def list_project_events(call: Call) -> Answer:
    found = call.project()
    events = call.world.events(found.id)
    within = dates.date_range(
        call.request, call.world.now, message="Invalid date range parameters provided"
    )
    if within.explicit:
        events = _inside(events, within)
    if call.request.flag("sample"):
        events = call.world.remember(
            ("sample", found.id, within.explicit and within),
            lambda: sorted(events, key=lambda event: event.id),
        )
    text = (call.request.get("query") or "").lower()
    if text:
        events = [e for e in events if text in f"{e.issue.title} {e.issue.message}".lower()]
    return _event_page(call, events)


def project_event(call: Call) -> Answer:
    found = call.project()
    event_id = call.parts[1].replace("-", "").lower()
    for event in call.world.events(found.id):
        if event.id == event_id:
            seen = _issue(call, event.issue.id)
            return Answer(body=event_bodies.event_detail(event, seen.events, call.world.now))
    raise not_found()


def explore_events(call: Call) -> Answer:
    return explore.events_table(call.request, call.world, call.projects())


def explore_timeseries(call: Call) -> Answer:
    return timeseries(call.request, call.world, call.projects())


def list_releases(call: Call) -> Answer:
    projects = call.projects()
    if not projects:
        return Answer(body=[])
    within = dates.date_range(call.request, call.world.now, prefix="Invalid date range: ")
    status = call.request.get("status")
    text = (call.request.get("query") or "").lower()
    slugs = {project.slug for project in projects}
    rows = [
        release
        for release in call.world.releases()
        if slugs.intersection(release.project_slugs)
        and (not within.explicit or within.start <= release.created < within.end)
        and text in release.version.lower()
    ]
    if status != "":
        archived = status == "archived"
        rows = [release for release in rows if release.is_archived == archived]
    shown, links = call.page(rows)
    return Answer(body=[release_rows.release_row(r, call.world) for r in shown], links=links)


def release(call: Call) -> Answer:
    return Answer(body=release_rows.release_row(_release(call), call.world))


def list_commits(call: Call) -> Answer:
    of = _release(call)
    size = paging.per_page(call.request)
    asked = paging.cursor(call.request) or paging.Cursor(0, 0)
    # The integer-key cursor: its value is the sort key of the row that starts the page.
    first = max(0, asked.value + asked.offset)
    last = first + size
    links = Links(
        asked=str(asked),
        previous=str(paging.Cursor(max(0, first - size), 0, True)),
        has_previous=first > 0,
        next=str(paging.Cursor(last, 0)),
        has_next=last < len(of.commits),
    )
    rows = [release_rows.commit_row(c, of, call.world.now) for c in of.commits[first:last]]
    return Answer(body=rows, links=links)


def list_deploys(call: Call) -> Answer:
    now = dates.seconds(call.world.now)
    deploys = [d for d in release_rows.deploys_of(_release(call)) if d["dateFinished"] <= now]
    shown, links = call.page(deploys)
    return Answer(body=list(shown), links=links)


def _inside(events: list[Event], within: dates.Range) -> list[Event]:
    return [event for event in events if within.start <= int(event.timestamp) < within.end]


def _event_page(call: Call, events: list[Event]) -> Answer:
    full = call.request.flag("full")
    size = paging.per_page(call.request)
    shown, links = paging.by_offset(
        call.request, events, min(size, call.full_per_page) if full else size
    )
    row = event_bodies.full_event_row if full else event_rows.event_row
    return Answer(body=[row(event) for event in shown], links=links)


def _issue(call: Call, issue_id: str) -> SeenIssue:
    seen = call.world.issue(issue_id)
    if seen is None:
        raise not_found()
    return seen


def _release(call: Call) -> Release:
    for candidate in call.world.releases():
        if candidate.version == call.parts[0]:
            return candidate
    raise not_found()
