"""Which endpoint answers a path, behind which scopes and under which rate limit."""

from __future__ import annotations

from typing import Any, NamedTuple

from tap_sentry.demo import api, operations
from tap_sentry.demo.access import Access
from tap_sentry.demo.calls import Call, Endpoint
from tap_sentry.demo.catalogue import ORGANIZATION_ID, ORGANIZATION_SLUG
from tap_sentry.demo.dialects import Dialect
from tap_sentry.demo.exchange import Answer, ApiError, Request
from tap_sentry.demo.sessions import sessions
from tap_sentry.demo.usage import usage
from tap_sentry.demo.world import World

_ORG = ("org:read",)
_PROJECT = ("project:read",)
_EVENT = ("event:read",)
_ALERTS = ("org:read", "alerts:read")
_CRONS = ("project:read", "alerts:read")
_RELEASE = ("project:read", "project:releases", "org:ci")


class View(NamedTuple):
    """An endpoint with its path, the name of its rate limit and the scopes of which any opens it.

    In a path `ORG` stands for the organization's slug or id and `*` for a variable part.
    """

    limit: str
    path: str
    scopes: tuple[str, ...]
    endpoint: Endpoint

    def variables(self, asked: list[str]) -> tuple[str, ...] | None:
        """The variable parts of a path that this view answers, None for any other path."""
        wanted = self.path.split("/")
        if len(wanted) != len(asked):
            return None
        for part, given in zip(wanted, asked, strict=True):
            if part == "ORG":
                fits = given in {ORGANIZATION_ID, ORGANIZATION_SLUG}
            else:
                fits = bool(given) and part in {"*", given}
            if not fits:
                return None
        return tuple(given for part, given in zip(wanted, asked, strict=True) if part == "*")


VIEWS: tuple[View, ...] = (
    View("default", "organizations", _ORG, api.list_organizations),
    View("default", "organizations/ORG", _ORG, api.organization),
    View("default", "organizations/ORG/projects", _ORG, api.list_projects),
    View("default", "organizations/ORG/teams", _ORG, api.list_teams),
    View("default", "organizations/ORG/members", ("member:read",), api.list_members),
    View("default", "organizations/ORG/environments", _ORG, api.list_environments),
    View("issues", "organizations/ORG/issues", _EVENT, api.search_issues),
    View("issue", "organizations/ORG/issues/*", _EVENT, api.issue),
    View("default", "organizations/ORG/issues/*/events", _EVENT, api.list_issue_events),
    View("issue_event", "organizations/ORG/issues/*/events/*", _EVENT, api.issue_event),
    View("explore", "organizations/ORG/events", _ORG, api.explore_events),
    View("timeseries", "organizations/ORG/events-timeseries", _ORG, api.explore_timeseries),
    View("releases", "organizations/ORG/releases", _RELEASE, api.list_releases),
    View("default", "organizations/ORG/releases/*", _RELEASE, api.release),
    View("default", "organizations/ORG/releases/*/commits", _RELEASE, api.list_commits),
    View("default", "organizations/ORG/releases/*/deploys", _RELEASE, api.list_deploys),
    View("default", "organizations/ORG/monitors", _ALERTS, operations.list_monitors),
    View("default", "organizations/ORG/monitors/*", _CRONS, operations.monitor),
    View("default", "organizations/ORG/monitors/*/checkins", _CRONS, operations.list_check_ins),
    View("default", "organizations/ORG/detectors", _ALERTS, operations.list_detectors),
    View("default", "organizations/ORG/workflows", _ALERTS, operations.list_workflows),
    View("default", "organizations/ORG/project-keys", _ORG, operations.list_organization_keys),
    View("stats", "organizations/ORG/stats_v2", _ORG, usage),
    View("default", "organizations/ORG/sessions", _ORG, sessions),
    View("default", "organizations/ORG/replays", _ORG, operations.list_replays),
    View("default", "projects/ORG/*", _PROJECT, api.project),
    View("default", "projects/ORG/*/keys", _PROJECT, operations.list_project_keys),
    View("default", "projects/ORG/*/user-feedback", _PROJECT, operations.list_user_reports),
    View("project_events", "projects/ORG/*/events", _PROJECT, api.list_project_events),
    View("default", "projects/ORG/*/events/*", _PROJECT, api.project_event),
)


def view_of(request: Request) -> tuple[View, tuple[str, ...]] | None:
    """The view that answers a path and the path's variable parts, decoded."""
    parts = request.segments
    if parts[:2] != ["api", "0"]:
        return None
    for view in VIEWS:
        variables = view.variables(parts[2:])
        if variables is not None:
            return view, variables
    return None


def auth_information(request: Request, access: Access) -> Answer:
    """Answer of `/api/0/`, the one page that tells a token's scopes."""
    scopes = access.scopes(request)
    auth = None if scopes is None else {"scopes": sorted(scopes)}
    user: dict[str, Any] | None = None
    if scopes is not None:
        user = {"id": "90101", "name": "Demo", "username": "demo", "email": "demo@example.com"}
    return Answer(body={"version": "0", "auth": auth, "user": user})


def answer(request: Request, world: World, access: Access, dialect: Dialect) -> Answer:
    """What Sentry would answer, errors included; limits and faults come on top of it."""
    try:
        if request.path.rstrip("/") == "/api/0":
            return auth_information(request, access)
        found = view_of(request)
        if not request.path.endswith("/") or found is None:
            access.demand(request, ())
            return dialect.unknown()
        if request.method not in {"GET", "HEAD"}:
            return Answer(405, {"detail": f'Method "{request.method}" not allowed.'})
        view, parts = found
        access.demand(request, view.scopes)
        refusal = dialect.refusal(request)
        return refusal or view.endpoint(Call(request, world, parts, dialect.full_per_page))
    except ApiError as error:
        return error.answer
