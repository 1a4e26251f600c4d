"""Error events as Sentry lists them: the short row and what all forms share."""

from __future__ import annotations

from typing import Any

from tap_sentry.demo.catalogue import family
from tap_sentry.demo.dates import seconds
from tap_sentry.demo.events import Event
from tap_sentry.demo.organization_rows import secret

Row = dict[str, Any]

BROWSERS = ("Chrome 142.0", "Firefox 145.0", "Safari 19.1", "Edge 142.0", "Mobile Safari 19.1")
_SYSTEMS = ("Windows 11", "macOS 15.4", "Linux", "iOS 19.1", "Android 16")
PAGES = ("/", "/search", "/cart", "/checkout/confirm", "/products/blue-mug", "/account")
RUNTIMES = {"python": "CPython 3.13.1", "go": "go 1.25.3", "javascript": "node 24.1.0"}


def language(event: Event) -> str:
    return family(event.issue.project.platform)


def trace_id(event: Event) -> str:
    return secret(f"trace of {event.id}")


def transaction(event: Event) -> str:
    if event.issue.project.slug == "storefront":
        return PAGES[event.dice % len(PAGES)]
    return event.issue.culprit


def message(event: Event) -> str:
    """What was raised; some developers put their users' addresses into it."""
    if event.user and event.dice % 5 == 0:
        return f"{event.issue.message} (user {event.user.email})"
    return event.issue.message


def user_tag(event: Event) -> str | None:
    """The user as Sentry's tag names one: by id, or by address where the app sends no id."""
    if event.user is None:
        return None
    if event.issue.project.slug == "mobile-app":
        return f"email:{event.user.email}"
    return f"id:{event.user.id}"


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
    who = user_tag(event)
    if who:
        found["user"] = who
    if language(event) == "javascript":
        found["browser"] = BROWSERS[number % 5]
        found["browser.name"] = BROWSERS[number % 5].rsplit(" ", 1)[0]
        found["os"] = _SYSTEMS[number // 5 % 5]
        found["url"] = f"https://shop.example.com{PAGES[number % len(PAGES)]}"
    else:
        found["runtime"] = RUNTIMES[language(event)]
        found["server_name"] = f"{project.slug}-{number % 4 + 1}.example.com"
    return [{"key": key, "value": value} for key, value in sorted(found.items())]


def user(event: Event) -> Row | None:
    if event.user is None:
        return None
    return {
        "id": event.user.id,
        "email": event.user.email,
        "username": event.user.username,
        "ip_address": event.user.ip_address,
        "name": event.user.name,
        "geo": {"country_code": event.user.country},
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
        "message": message(event) if language(event) == "python" else "",
        "title": title(event),
        "location": location(event),
        "culprit": issue.culprit,
        "user": user(event),
        "tags": tags(event),
        "platform": language(event),
        "dateCreated": seconds(event.timestamp),
        "crashFile": None,
        "metadata": metadata(event),
    }


def metadata(event: Event) -> Row:
    issue = event.issue
    return {
        "type": issue.type,
        "value": issue.message,
        "filename": issue.filename,
        "function": issue.culprit,
        "in_app_frame_mix": "mixed",
    }
