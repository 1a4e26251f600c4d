"""Whole error events: the full row, one event, and what its body tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.event_rows import (
    BROWSERS,
    PAGES,
    RUNTIMES,
    language,
    location,
    message,
    metadata,
    tags,
    title,
    trace_id,
    user,
)
from tap_sentry.demo.events import Event
from tap_sentry.demo.organization_rows import secret
from tap_sentry.demo.release_rows import release_reference

Row = dict[str, Any]

_SDKS = {
    "python": ("sentry.python.django", "2.44.0"),
    "go": ("sentry.go", "0.36.2"),
    "javascript": ("sentry.javascript.react", "10.22.0"),
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
        "message": message(event) if language(event) == "python" else "",
        "title": title(event),
        "location": location(event),
        "user": user(event),
        "contexts": _contexts(event),
        "sdk": {"name": sdk, "version": version},
        "context": {"feature": "demo"} if event.dice % 9 == 0 else {},
        "packages": {"django": "5.2.8"} if language(event) == "python" else {},
        "type": "error",
        "metadata": metadata(event),
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


def _contexts(event: Event) -> Row:
    trace = {
        "trace_id": trace_id(event),
        "span_id": secret(f"span of {event.id}")[:16],
        "op": "http.server" if language(event) != "javascript" else "pageload",
        "status": "internal_error",
        "type": "trace",
    }
    if language(event) == "javascript":
        name, version = BROWSERS[event.dice % 5].rsplit(" ", 1)
        return {"trace": trace, "browser": {"name": name, "version": version, "type": "browser"}}
    name, version = RUNTIMES[language(event)].split(" ")
    return {"trace": trace, "runtime": {"name": name, "version": version, "type": "runtime"}}


def _entries(event: Event) -> list[Row]:
    issue = event.issue
    line = event.issue.number % 300 + 12
    exception = {
        "type": issue.type,
        "value": message(event),
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
            "data": {"method": "GET", "url": PAGES[step], "status_code": 200},
            "event_id": None,
        }
        for step in (3, 2, 1)
    ]
    if event.user:
        crumbs.append(
            {
                "type": "default",
                "timestamp": microseconds(event.timestamp - 1),
                "level": "info",
                "message": f"Signed in as {event.user.name} <{event.user.email}>",
                "category": "auth",
                "data": {"username": event.user.username},
                "event_id": None,
            }
        )
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
    """The request that failed, with what it tells of its sender."""
    headers = [["Host", "shop.example.com"], ["User-Agent", "Mozilla/5.0"]]
    row: Row = {
        "method": "GET",
        "url": f"https://shop.example.com{PAGES[event.dice % len(PAGES)]}",
        "query": [["page", "2"]] if event.dice % 4 == 0 else [],
        "fragment": None,
        "data": None,
        "headers": headers,
        "cookies": [],
        "env": None,
        "inferredContentType": None,
        "apiTarget": None,
    }
    if event.user:
        session = secret(f"session of {event.user.id}")
        headers += [
            ["Authorization", f"Bearer {session}"],
            ["X-Forwarded-For", event.user.ip_address],
        ]
        row["cookies"] = [["email", event.user.email], ["session", session]]
        row["env"] = {"REMOTE_ADDR": event.user.ip_address}
        row["query"].append(["account", event.user.email])
        if event.dice % 2:
            row |= {
                "method": "POST",
                "data": {"name": event.user.name, "email": event.user.email, "quantity": 1},
                "inferredContentType": "application/json",
            }
    return row


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
