"""Session replays of the storefront: recorded around errors and for some page loads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tap_sentry.demo import event_rows
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.events import Event
from tap_sentry.demo.organization_rows import secret
from tap_sentry.demo.people import Person
from tap_sentry.demo.spans import Span
from tap_sentry.demo.timeline import DAY_S, HOUR_S, dice

Row = dict[str, Any]

PROJECT = "storefront"
_SEGMENT_S = 5
_ARCHIVED_AFTER_S = 2 * DAY_S


@dataclass(frozen=True)
class Replay:
    """A recorded visit; `timestamp` is its start and `ended` its end, epoch seconds."""

    id: str
    project_id: str
    timestamp: float
    ended: float
    environment: str
    release: str | None
    user: Person | None
    trace_id: str
    error: Event | None

    @property
    def received(self) -> float:
        """When its first segment arrived."""
        return self.timestamp + _SEGMENT_S

    @property
    def number(self) -> int:
        return int(self.id[:8], 16)


def hour_of_replays(
    seed: int, hour: int, events: Iterable[Event], spans: Iterable[Span]
) -> list[Replay]:
    """The replays that begin in an hour since the epoch, by start.

    Args:
        seed: The world's.
        hour: Hours since the epoch.
        events: The errors of that hour; every second one of the storefront was recorded.
        spans: The spans of that hour; one page load in eight was recorded.
    """
    random = dice(seed, "replays", hour)
    found = []
    for event in events:
        if event.issue.project.slug == PROJECT and event.dice % 2 == 0:
            start = max(hour * HOUR_S, event.timestamp - 20 - 100 * random.random())
            found.append(
                Replay(
                    id=secret(f"replay of {event.id}"),
                    project_id=event.issue.project.id,
                    timestamp=round(start, 6),
                    ended=round(event.timestamp + 10 + 900 * random.random(), 6),
                    environment=event.environment,
                    release=event.release,
                    user=event.user,
                    trace_id=event_rows.trace_id(event),
                    error=event,
                )
            )
    for span in spans:
        of, trace = span.transaction, span.transaction.trace
        if span.is_transaction and of.project.slug == PROJECT and int(trace.id[-4:], 16) % 8 == 0:
            found.append(
                Replay(
                    id=secret(f"replay of {of.id}"),
                    project_id=of.project.id,
                    timestamp=span.started,
                    ended=round(span.started + 15 + 600 * random.random(), 6),
                    environment=trace.environment,
                    release=of.release,
                    user=trace.user,
                    trace_id=trace.id,
                    error=None,
                )
            )
    return sorted(found, key=lambda replay: replay.timestamp)


def replay_row(replay: Replay, now: float) -> Row:
    """A replay as of now: it grows while it runs, and of an archived one little is left."""
    number = replay.number
    if number % 19 == 0 and now > replay.ended + _ARCHIVED_AFTER_S:
        return _archived(replay)
    until = min(replay.ended, now)
    duration = int(until - replay.timestamp)
    error_known = replay.error is not None and replay.error.received <= now
    browser, version = event_rows.BROWSERS[number % 5].rsplit(" ", 1)
    pages = event_rows.PAGES[: 1 + duration // 120]
    user = replay.user
    return {
        "id": replay.id,
        "project_id": replay.project_id,
        "trace_ids": [replay.trace_id],
        "error_ids": [replay.error.id] if error_known and replay.error else [],
        "environment": replay.environment,
        "tags": {"customer.tier": [("basic", "plus", "gold")[number % 3]]},
        "user": {
            "id": user.id if user else None,
            "username": user.username if user else None,
            "email": user.email if user else None,
            "ip": user.ip_address if user else None,
            "display_name": user.email if user else None,
            "geo": {
                "city": None,
                "country_code": user.country if user else None,
                "region": None,
                "subdivision": None,
            },
        },
        "sdk": {"name": "sentry.javascript.react", "version": "10.22.0"},
        "os": {"name": ("Windows", "macOS", "Linux")[number % 3], "version": None},
        "browser": {"name": browser, "version": version},
        "device": {"name": None, "brand": None, "model": None, "family": None},
        "ota_updates": {"channel": None, "runtime_version": None, "update_id": None},
        "is_archived": False,
        "urls": [f"https://shop.example.com{page}" for page in pages],
        "clicks": [],
        "count_dead_clicks": number % 4 if duration > 60 else 0,
        "count_rage_clicks": number % 2 if duration > 90 else 0,
        "count_errors": int(error_known),
        "count_warnings": 0,
        "count_infos": 0,
        "duration": duration,
        "started_at": _naive(replay.timestamp),
        "finished_at": _naive(until),
        "activity": min(10, 1 + duration // 60 + int(error_known)),
        "count_urls": len(pages),
        "replay_type": "buffer" if replay.error else "session",
        "count_segments": 1 + duration // _SEGMENT_S,
        "platform": "javascript",
        "releases": [replay.release] if replay.release else [],
        "dist": None,
        "has_viewed": number % 7 == 0,
    }


def _archived(replay: Replay) -> Row:
    lists = ("trace_ids", "error_ids", "urls", "clicks", "releases")
    row: Row = dict.fromkeys(_NULL_WHEN_ARCHIVED) | {name: [] for name in lists}
    empty: Row = {"name": None, "version": None}
    return row | {
        "id": replay.id,
        "project_id": replay.project_id,
        "tags": [],
        "user": {"id": "Archived Replay", "display_name": "Archived Replay", "username": None,
                 "email": None, "ip": None, "geo": {}},
        "sdk": empty,
        "os": empty,
        "browser": empty,
        "device": {"name": None, "brand": None, "model": None, "family": None},
        "ota_updates": {"channel": None, "runtime_version": None, "update_id": None},
        "is_archived": True,
        "started_at": _naive(replay.timestamp),
        "finished_at": _naive(replay.ended),
        "replay_type": "session",
        "has_viewed": False,
    }  # fmt: skip


_NULL_WHEN_ARCHIVED = (
    "environment", "count_dead_clicks", "count_rage_clicks", "count_errors", "count_warnings",
    "count_infos", "duration", "activity", "count_urls", "count_segments", "platform", "dist",
)  # fmt: skip


def _naive(moment: float) -> str:
    """A date as replays have it: UTC without saying so."""
    return microseconds(moment).removesuffix("Z")
