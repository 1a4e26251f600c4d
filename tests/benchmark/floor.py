"""The fewest requests that can fetch the rows of a run, from what the world truly holds.

- A listing of the organization (projects, issues, teams, users, releases, monitors and the like):
  ceil(rows / 100), at least 1.
- events and spans: ceil(rows / 100) for each project. A project without rows needs none, since
  knowing that costs nothing here.
- project_detail, organization and release (detail of those that changed): 1 per row.
- environments: 2, since only the list of the visible ones tells which of all are hidden.
- Nothing for counting, finding the organization or looking whether there is more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import cached_property, partial
from typing import Any, NamedTuple

import requests

from tap_sentry.demo import DemoSentry, World
from tap_sentry.demo.events import Event
from tap_sentry.demo.spans import Span

_PER_PAGE = 100
_HOST = "https://demo.invalid"

# Listings without times: whole in each run, as many rows as `World.counts` says.
_WHOLE = (
    "detectors",
    "monitors",
    "organization",
    "project_keys",
    "projects",
    "teams",
    "users",
    "workflows",
)


class Need(NamedTuple):
    """What a stream holds and the fewest requests that can fetch it."""

    rows: int
    requests: int


class Floor:
    """What one run has to fetch.

    Args:
        world: The organization as it stands.
        since: Rows that happened or changed then or later, epoch seconds; 0 for all.
        until: Leaves out events and spans that happened then or later.
    """

    def __init__(self, world: World, since: float, until: float) -> None:
        self._world, self._since, self._until = world, since, until
        self._streams: dict[str, Callable[[], Need]] = {
            **{name: partial(self._whole, name) for name in _WHOLE},
            "environments": lambda: Need(world.counts()["environments"], 2),
            "project_detail": lambda: _details(len(world.projects())),
            "issues": lambda: _listing(sum(int(i.last_seen) >= since for i in world.issues())),
            "events": self._events,
            "spans": self._spans,
            "releases": lambda: _listing(sum(r.created >= since for r in world.releases())),
            "release": lambda: _details(sum(at >= since for at in self._releases_changed())),
        }

    def needs(self, streams: Iterable[str]) -> dict[str, Need]:
        """Rows and requests of each stream.

        Raises:
            ValueError: If nothing is known of one of them.
        """
        if unknown := set(streams) - set(self._streams):
            raise ValueError(f"no floor is known for {', '.join(sorted(unknown))}")
        return {stream: self._streams[stream]() for stream in streams}

    def missing(self, keys: Mapping[str, Collection[str]]) -> int:
        """Rows that are held but not among the keys of their stream, parts joined by slashes."""
        by_key = {
            "events": {f"{e.issue.project.id}/{e.id}" for e in self._held_events()},
            "spans": {
                f"{s.transaction.project.id}/{s.transaction.trace.id}/{s.id}"
                for s in self._held_spans()
            },
        }
        return sum(
            len(by_key[stream].difference(read))
            if stream in by_key
            else max(0, self._streams[stream]().rows - len(read))
            for stream, read in keys.items()
        )

    def _whole(self, stream: str) -> Need:
        return _listing(self._counts[stream])

    @cached_property
    def _counts(self) -> dict[str, int]:
        return self._world.counts()

    def _events(self) -> Need:
        return _per_project(Counter(e.issue.project.id for e in self._held_events()))

    def _held_events(self) -> list[Event]:
        return self._world.events_between(self._since, self._until)

    def _spans(self) -> Need:
        return _per_project(Counter(s.transaction.project.id for s in self._held_spans()))

    def _held_spans(self) -> list[Span]:
        return self._world.spans_between(self._since, self._until)

    def _releases_changed(self) -> list[float]:
        """When each release last changed, as far as its row tells, epoch seconds."""
        times = []
        for row in _releases(self._world):
            deploy = row.get("lastDeploy") or {}
            known = [row["dateCreated"], row["dateReleased"], row["lastEvent"]]
            stamps = [
                datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
                for time in [*known, deploy.get("dateFinished")]
                if time
            ]
            times.append(max(stamps))
        return times


def _listing(rows: int) -> Need:
    return Need(rows, max(1, math.ceil(rows / _PER_PAGE)))


def _details(rows: int) -> Need:
    return Need(rows, rows)


def _per_project(rows: Counter[str]) -> Need:
    return Need(rows.total(), sum(math.ceil(count / _PER_PAGE) for count in rows.values()))


def _releases(world: World) -> list[dict[str, Any]]:
    """All releases as listed. `World.releases` does not know when they last had an event."""
    session = requests.Session()
    session.mount(_HOST, DemoSentry(world, limits=None))
    [organization] = session.get(f"{_HOST}/api/0/organizations/", timeout=60).json()
    url = f"{_HOST}/api/0/organizations/{organization['slug']}/releases/?project=-1&status="
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = session.get(f"{url}&cursor={cursor}", timeout=60)
        rows += answer.json()
        if answer.links["next"]["results"] == "false":
            return rows
        cursor = answer.links["next"]["cursor"]
