"""The endpoints about how the shop is run: crons, alerts, keys, replays, legacy feedback."""

from __future__ import annotations

from tap_sentry.demo import alert_rows, dates, issue_rows, monitors, paging, project_keys
from tap_sentry.demo.calls import Call
from tap_sentry.demo.exchange import Answer, ApiError, bad_request, not_found
from tap_sentry.demo.monitors import Monitor, check_in_row, monitor_row
from tap_sentry.demo.replays import replay_row
from tap_sentry.demo.user_reports import report_row

_RANGE = "Invalid date range: "
_ALWAYS_IN_REPLAYS = ("id", "project_id")


def list_monitors(call: Call) -> Answer:
    world = call.world
    projects = {project.slug: project for project in call.projects()}
    rows = [
        monitor_row(monitor, projects[monitor.project], world.check_ins(monitor), world.now)
        for monitor in monitors.monitors(projects.values())
    ]
    rows.sort(key=monitors.severity)
    shown, links = call.page(rows)
    return Answer(body=list(shown), links=links)


def monitor(call: Call) -> Answer:
    found, world = _monitor(call), call.world
    project = next(p for p in world.projects() if p.slug == found.project)
    return Answer(body=monitor_row(found, project, world.check_ins(found), world.now))


def list_check_ins(call: Call) -> Answer:
    now = call.world.now
    within = dates.date_range(call.request, now, prefix=_RANGE)
    runs = call.world.check_ins(_monitor(call))
    runs = [run for run in runs if within.start <= run.added < within.end]
    shown, links = call.page(runs)
    return Answer(body=[check_in_row(run, now) for run in shown], links=links)


def list_detectors(call: Call) -> Answer:
    newest = {seen.issue.project.id: seen for seen in reversed(call.world.issues())}
    latest = {
        project_id: issue_rows.issue(seen, call.request.base, call.world.now, stats_period="")
        for project_id, seen in newest.items()
    }
    shown, links = call.page(alert_rows.detectors(call.projects(), latest))
    return Answer(body=list(shown), links=links)


def list_workflows(call: Call) -> Answer:
    births = [seen.first_seen for seen in call.world.issues() if seen.issue.level == "fatal"]
    shown, links = call.page(alert_rows.workflows(call.projects(), max(births, default=None)))
    return Answer(body=list(shown), links=links)


def list_organization_keys(call: Call) -> Answer:
    return _keys(call, project_keys.project_keys(call.world.projects()))


def list_project_keys(call: Call) -> Answer:
    return _keys(call, project_keys.project_keys([call.project()]))


def list_replays(call: Call) -> Answer:
    world, request = call.world, call.request
    if not world.has_replays:
        return Answer(404, "", content_type="text/html; charset=utf-8")
    within = dates.date_range(request, world.now, prefix=_RANGE)
    projects = {project.id for project in call.projects()}
    environments = set(request.all("environment"))
    found = [
        replay
        for replay in world.replays()
        if replay.project_id in projects
        and within.start <= int(replay.timestamp) < within.end
        and (not environments or replay.environment in environments)
    ]
    order = request.get("sort") or request.get("orderBy") or "-started_at"
    if order.lstrip("-") != "started_at":
        raise bad_request(f"Invalid sort: {order}")
    if not order.startswith("-"):
        found.reverse()
    shown, links = paging.by_offset(request, found, paging.per_page(request))
    rows = [replay_row(replay, world.now) for replay in shown]
    fields = request.all("field")
    if fields:
        wanted = {*_ALWAYS_IN_REPLAYS, *fields}
        rows = [{name: value for name, value in row.items() if name in wanted} for row in rows]
    return Answer(body={"data": rows}, links=links)


def list_user_reports(call: Call) -> Answer:
    """The page is cut first and `status` thins it afterwards, so that it may even be empty."""
    request, world = call.request, call.world
    status = request.get("status")
    if status not in {None, "", "unresolved"}:
        raise ApiError(400, {"status": "Invalid status choice"})
    reports = world.user_reports(call.project().id)
    shown, links = paging.by_score(
        request, reports, paging.per_page(request), lambda report: int(report.written * 1000)
    )
    rows = [(report, world.issue(report.event.issue.id)) for report in shown]
    if status != "":
        rows = [(report, seen) for report, seen in rows if seen and seen.status == "unresolved"]
    body = [
        report_row(report, issue_rows.issue(seen, request.base, world.now) if seen else None)
        for report, seen in rows
    ]
    return Answer(body=body, links=links)


def _monitor(call: Call) -> Monitor:
    for candidate in call.world.monitors():
        if call.parts[0] in {candidate.id, candidate.slug}:
            return candidate
    raise not_found()


def _keys(call: Call, rows: list[project_keys.Row]) -> Answer:
    status = call.request.get("status")
    if status not in {None, "", "active", "inactive"}:
        raise ApiError(400, {"status": [f'"{status}" is not a valid choice.']})
    if status:
        rows = [row for row in rows if row["isActive"] == (status == "active")]
    shown, links = call.page(rows)
    return Answer(body=list(shown), links=links)
