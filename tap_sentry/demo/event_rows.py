"""Error events as Sentry serializes them: the short row, the full row, one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tap_sentry.demo.catalogue import family
from tap_sentry.demo.dates import microseconds, seconds
from tap_sentry.demo.events import Event
from tap_sentry.demo.organization_rows import secret
from tap_sentry.demo.release_rows import release_reference

Row = dict[str, Any]

_BROWSERS = ("Chrome 142.0", "Firefox 145.0", "Safari 19.1", "Edge 142.0", "Mobile Safari 19.1")
_SYSTEMS = ("Windows 11", "macOS 15.4", "Linux", "iOS 19.1", "Android 16")
_PAGES = ("/", "/search", "/cart", "/checkout/confirm", "/products/blue-mug", "/account")
_RUNTIMES = {"python": "CPython 3.13.1", "go": "go 1.25.3", "javascript": "node 24.1.0"}
_SDKS = {
    "python": ("sentry.python.django", "2.44.0"),
    "go": ("sentry.go", "0.36.2"),
    "javascript": ("sentry.javascript.react", "10.22.0"),
}


def language(event: Event) -> str:
    return family(event.issue.project.platform)


def trace_id(event: Event) -> str:
    return secret(f"trace of {event.id}")


def transaction(event: Event) -> str:
    if event.issue.project.slug == "storefront":
        return _PAGES[event.dice % len(_PAGES)]
    return event.issue.culprit


def tags(event: Event) -> list[Row]:
    """Tags by key, as Sentry sorts them."""
    project, number = event.issue.project, event.dice
    found = {
        "environment": event.environment,
        "handled": "yes" if event.issue.handled else "no",
        "level": event.issue.level,
        "mechanism": "generic" if event.issue.handled else "onerror",
        "transaction": transaction(event),
    }
    if event.release:
        found["release"] = event.release
    if event.user:
        found["user"] = f"id:{event.user.id}"
    if language(event) == "javascript":
        found["browser"] = _BROWSERS[number % 5]
        found["browser.name"] = _BROWSERS[number % 5].rsplit(" ", 1)[0]
        found["os"] = _SYSTEMS[number // 5 % 5]
        found["url"] = f"https://shop.example.com{_PAGES[number % len(_PAGES)]}"
    else:
        found["runtime"] = _RUNTIMES[language(event)]
        found["server_name"] = f"{project.slug}-{number % 4 + 1}.example.com"
    return [{"key": key, "value": value} for key, value in sorted(found.items())]


def user(event: Event) -> Row | None:
    if event.user is None:
        return None
    country = ("US", "DE", "FR", "BR", "JP")[int(event.user.id) % 5]
    return {
        "id": event.user.id,
        "email": event.user.email,
        "username": event.user.username,
        "ip_address": f"203.0.113.{int(event.user.id) % 250 + 1}",
        "name": event.user.name,
        "geo": {"country_code": country},
        "data": None,
    }


def title(event: Event) -> str:
    return event.issue.title


def location(event: Event) -> str | None:
    return event.issue.filename if language(event) != "go" else None


def event_row(event: Event) -> Row:
    """A row of an event list; the store keeps whole seconds."""
    issue = event.issue
    return {
        "id": event.id,
        "event.type": "error",
        "groupID": issue.id,
        "eventID": event.id,
        "projectID": issue.project.id,
        "message": f"{issue.message}" if language(event) == "python" else "",
        "title": title(event),
        "location": location(event),
        "culprit": issue.culprit,
        "user": user(event),
        "tags": tags(event),
        "platform": language(event),
        "dateCreated": seconds(event.timestamp),
        "crashFile": None,
        "metadata": _metadata(event),
    }


def full_event_row(event: Event) -> Row:
    """The body of an event as lists with `full=true` and the detail share it.

    `type` instead of `event.type`, and dates with microseconds.
    """
    issue = event.issue
    sdk, version = _SDKS[language(event)]
    return {
        "id": event.id,
        "groupID": issue.id,
        "eventID": event.id,
        "projectID": issue.project.id,
        "size": 2000 + event.dice % 9000,
        "entries": _entries(event),
        "dist": None,
        "message": issue.message if language(event) == "python" else "",
        "title": title(event),
        "location": location(event),
        "user": user(event),
        "contexts": _contexts(event),
        "sdk": {"name": sdk, "version": version},
        "context": {"feature": "demo"} if event.dice % 9 == 0 else {},
        "packages": {"django": "5.2.8"} if language(event) == "python" else {},
        "type": "error",
        "metadata": _metadata(event),
        "tags": tags(event),
        "platform": language(event),
        "dateReceived": microseconds(event.received),
        "errors": (
            [{"type": "js_no_source", "message": "Source file was not found", "data": {}}]
            if language(event) == "javascript" and event.dice % 6 == 0
            else []
        ),
        "occurrence": None,
        "_meta": {"entries": {}, "message": None, "user": None, "contexts": None, "tags": {}},
        "crashFile": None,
        "culprit": issue.culprit,
        "dateCreated": microseconds(event.timestamp),
        "fingerprints": [secret(issue.id)],
        "groupingConfig": {"id": "newstyle:2023-01-11", "enhancements": ""},
    }


def event_detail(event: Event, among: Sequence[Event], now: float) -> Row:
    """One event with its neighbours in the issue; `among` is the issue's events, oldest first."""
    ids = [other.id for other in among]
    position = ids.index(event.id) if event.id in ids else 0
    return {
        **full_event_row(event),
        "release": release_reference(event.release, now) if event.release else None,
        "userReport": None,
        "sdkUpdates": [],
        "resolvedWith": [],
        "nextEventID": ids[position + 1] if position + 1 < len(ids) else None,
        "previousEventID": ids[position - 1] if position else None,
    }


def _metadata(event: Event) -> Row:
    issue = event.issue
    return {
        "type": issue.type,
        "value": issue.message,
        "filename": issue.filename,
        "function": issue.culprit,
        "in_app_frame_mix": "mixed",
    }


def _contexts(event: Event) -> Row:
    trace = {
        "trace_id": trace_id(event),
        "span_id": secret(f"span of {event.id}")[:16],
        "op": "http.server" if language(event) != "javascript" else "pageload",
        "status": "internal_error",
        "type": "trace",
    }
    if language(event) == "javascript":
        name, version = _BROWSERS[event.dice % 5].rsplit(" ", 1)
        return {"trace": trace, "browser": {"name": name, "version": version, "type": "browser"}}
    name, version = _RUNTIMES[language(event)].split(" ")
    return {"trace": trace, "runtime": {"name": name, "version": version, "type": "runtime"}}


def _entries(event: Event) -> list[Row]:
    issue = event.issue
    line = event.issue.number % 300 + 12
    exception = {
        "type": issue.type,
        "value": issue.message,
        "mechanism": {"type": "generic", "handled": issue.handled},
        "threadId": None,
        "module": None,
        "rawStacktrace": None,
        "stacktrace": {
            "frames": [
                _frame("vendor/dispatch", "dispatch", 88, in_app=False),
                _frame(issue.filename, issue.culprit, line, in_app=True),
            ],
            "framesOmitted": None,
            "registers": None,
            "hasSystemFrames": True,
        },
    }
    crumbs = [
        {
            "type": "http",
            "timestamp": microseconds(event.timestamp - 2 - step),
            "level": "info",
            "message": None,
            "category": "httplib",
            "data": {"method": "GET", "url": _PAGES[step], "status_code": 200},
            "event_id": None,
        }
        for step in (3, 2, 1)
    ]
    entries: list[Row] = [
        {
            "type": "exception",
            "data": {"values": [exception], "hasSystemFrames": True, "excOmitted": None},
        },
        {"type": "breadcrumbs", "data": {"values": crumbs}},
    ]
    if issue.project.slug != "batch-worker":
        entries.append({"type": "request", "data": _request(event)})
    return entries


def _request(event: Event) -> Row:
    return {
        "method": "GET",
        "url": f"https://shop.example.com{_PAGES[event.dice % len(_PAGES)]}",
        "query": [["page", "2"]] if event.dice % 4 == 0 else [],
        "fragment": None,
        "data": None,
        "headers": [["User-Agent", "Mozilla/5.0"], ["Host", "shop.example.com"]],
        "cookies": [],
        "env": None,
        "inferredContentType": None,
        "apiTarget": None,
    }


def _frame(filename: str, function: str, line: int, *, in_app: bool) -> Row:
    return {
        "filename": filename,
        "absPath": f"/srv/{filename}",
        "module": filename.rsplit("/", 1)[-1].partition(".")[0],
        "package": None,
        "platform": None,
        "instructionAddr": None,
        "symbolAddr": None,
        "function": function,
        "rawFunction": None,
        "symbol": None,
        "context": [[line - 1, "    # before"], [line, "    raise"], [line + 1, ""]],
        "lineNo": line,
        "colNo": None,
        "inApp": in_app,
        "trust": None,
        "errors": None,
        "lock": None,
        "sourceLink": None,
        "vars": {} if in_app else None,
    }
