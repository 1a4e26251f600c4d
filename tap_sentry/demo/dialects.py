"""Servers that speak Sentry's API otherwise: a self-hosted one of 2024, and GlitchTip."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

from tap_sentry.demo.exchange import Answer, Links, Request, bad_request, not_found

FULL_PER_PAGE = 10  # bodies of events come in small pages, whatever was asked for
OLDER_FULL_PER_PAGE = 100
GLITCHTIP_PER_PAGE = 50
_FRONT_PAGE = "<!doctype html><html><head><title>GlitchTip</title></head><body></body></html>"
_RECENT = frozenset({"detectors", "events-timeseries", "project-keys", "replays", "workflows"})
_NOT_IN_GLITCHTIP = _RECENT | {"events", "monitors", "sessions", "stats_v2"}
_OLD_DATASETS = ("discover", "errors", "metrics", "metricsEnhanced", "profiles", "spansIndexed",
                 "transactions")  # fmt: skip


class Dialect:
    """Today's Sentry; what other servers do otherwise is overridden."""

    has_limits = True
    full_per_page = FULL_PER_PAGE

    def understood(self, request: Request) -> Request:
        """The request in the words of today's Sentry."""
        return request

    def refusal(self, request: Request) -> Answer | None:
        """The answer to what this server does not have; None where it answers like Sentry.

        Raises:
            ApiError: 400 and 404.
        """
        return None

    def unknown(self) -> Answer:
        """The answer to a path that nobody knows.

        Raises:
            ApiError: 404.
        """
        raise not_found()

    def link(self, request: Request, links: Links) -> str:
        """The Link header."""
        return links.header(request.url_without_cursor())


class Older(Dialect):
    """A self-hosted Sentry of 2024: no limits, dates ignored in `P/events/`, no spans."""

    has_limits = False
    full_per_page = OLDER_FULL_PER_PAGE

    def understood(self, request: Request) -> Request:
        if not _is_project_events(request.segments):
            return request
        unknown = {"start", "end", "statsPeriod", "sample"}
        return replace(request, query=tuple(p for p in request.query if p[0] not in unknown))

    def refusal(self, request: Request) -> Answer | None:
        place = _below_organization(request.segments)
        if place is None:
            return None
        if place[0] in _RECENT:
            raise not_found()
        if any(not value.lstrip("-").isdigit() for value in request.all("project") if value):
            raise bad_request("Invalid project parameter. Values must be numbers.")
        if place == ["events"]:
            if (request.get("dataset") or "discover") not in _OLD_DATASETS:
                raise bad_request(f"dataset must be one of: {', '.join(_OLD_DATASETS)}")
            if request.get("sampling"):
                raise bad_request(f"sampling mode: {request.get('sampling')} is not supported")
        return None


class GlitchTip(Dialect):
    """GlitchTip: pages by `limit`, cursors in base64, its front page for what it does not know.

    Its Link header is a Python set's text, braces and quotes included.
    https://gitlab.com/glitchtip/glitchtip-backend/-/blob/master/glitchtip/api/pagination.py
    """

    has_limits = False

    def understood(self, request: Request) -> Request:
        kept = [p for p in request.query if p[0] not in {"cursor", "limit", "per_page"}]
        limit = request.get("limit") or ""
        size = str(min(int(limit), 100) if limit.isdigit() and int(limit) else GLITCHTIP_PER_PAGE)
        kept += [("limit", size), ("per_page", size)]
        cursor = request.get("cursor")
        if cursor:
            kept.append(("cursor", _decoded(cursor)))
        return replace(request, query=tuple(kept))

    def refusal(self, request: Request) -> Answer | None:
        place = _below_organization(request.segments)
        if place is None:
            return None
        issue_events = place[0] == "issues" and place[2:3] == ["events"]
        return self.unknown() if issue_events or place[0] in _NOT_IN_GLITCHTIP else None

    def unknown(self) -> Answer:
        return Answer(body=_FRONT_PAGE, content_type="text/html; charset=utf-8")

    def link(self, request: Request, links: Links) -> str:
        entries = []
        for relation, cursor, results in (
            ("previous", links.previous, links.has_previous),
            ("next", links.next, links.has_next),
        ):
            if not results:
                url = f"{request.base}{request.path}?{urlencode(request.query)}"
                entries.append(f'<{url}>; rel="{relation}"; results="false"')
                continue
            token = _encoded(cursor)
            url = f"{request.url_without_cursor()}&{urlencode({'cursor': token})}"
            entries.append(f'<{url}>; rel="{relation}"; results="true"; cursor="{token}"')
        return str({", ".join(entries)})


DIALECTS: dict[str, Dialect] = {"sentry": Dialect(), "older": Older(), "glitchtip": GlitchTip()}


def _below_organization(segments: list[str]) -> list[str] | None:
    """The path below `/api/0/organizations/{organization}/`, None for any other path."""
    is_below = segments[:3] == ["api", "0", "organizations"] and len(segments) > 4
    return segments[4:] if is_below else None


def _is_project_events(segments: list[str]) -> bool:
    return segments[2:3] == ["projects"] and segments[5:] == ["events"]


def _encoded(cursor: str) -> str:
    """A cursor whose text ends in `=`, as most of GlitchTip's do."""
    token = {"p": cursor} if (len(cursor) + 2) % 3 else {"o": "0", "p": cursor}
    return base64.b64encode(urlencode(token, safe=":").encode()).decode()


def _decoded(cursor: str) -> str:
    try:
        found = parse_qs(base64.b64decode(cursor, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return "undecodable"
    return found.get("p", ["undecodable"])[0]
