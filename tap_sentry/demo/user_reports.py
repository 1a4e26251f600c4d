"""Legacy user feedback: what users wrote into the dialog after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.events import Event
from tap_sentry.demo.people import Person

Row = dict[str, Any]

_PROJECTS = frozenset({"storefront", "mobile-app", "checkout-api"})
_COMMENTS = (
    "It broke when I pressed pay. Please write to {email}.",
    "The page stayed white, twice now.",
    "My basket is empty again! {name}",
    "Works on my other phone, not on this one.",
    "I was charged but got no order. Call me back, ask for {name}.",
)


@dataclass(frozen=True)
class UserReport:
    """A report on an event; `written` is epoch seconds."""

    event: Event
    writer: Person
    written: float

    @property
    def id(self) -> str:
        return str(int(self.event.id[:8], 16) + 1)


def report_on(event: Event) -> UserReport | None:
    """The report that an event's user wrote, if one did."""
    number = event.dice
    if event.user is None or event.issue.project.slug not in _PROJECTS or number % 13:
        return None
    return UserReport(event, event.user, round(event.received + 30 + number % 1700, 3))


def report_row(report: UserReport, issue: Row | None) -> Row:
    writer, event = report.writer, report.event
    comments = _COMMENTS[event.dice // 13 % len(_COMMENTS)]
    return {
        "id": report.id,
        "eventID": event.id,
        "name": writer.name,
        "email": writer.email,
        "comments": comments.format(name=writer.name, email=writer.email),
        "dateCreated": microseconds(report.written),
        "user": {
            "id": writer.id,
            "username": writer.username,
            "email": writer.email,
            "name": writer.name,
            "ipAddress": writer.ip_address,
            "avatarUrl": None,
        },
        "event": {"id": event.id, "eventID": event.id},
        "issue": issue,
    }
