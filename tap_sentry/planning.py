"""Which way to read the events of each project, before the first of them is read.

Sentry gives events on three routes with different limits, and by a sample's order on a fourth. The
plan takes for each project the one that lets the whole be over soonest, or with the fewest requests
where that is soon enough; with a sample, always the one with the fewest, since that is what people
sample for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from tap_sentry.sampling import EventSampling
from tap_sentry.timestamps import duration_text

# So soon that it does not matter how much sooner: other streams take their time as well.
_SOON_S = 20.0
# Requests of a minute that no plan counts on.
_SPARED = 6


class Route(Enum):
    """How events are read, and the family of endpoints whose limit that counts in."""

    PROJECT = "project events", "project_events"
    ISSUE = "issue events", "default"
    EXPLORE = "explore table", "explore"
    SAMPLE = "start of the sample", "project_events"

    @property
    def family(self) -> str:
        return self.value[1]

    def __str__(self) -> str:
        return self.value[0]


class Volume(NamedTuple):
    """What there is to read of one project: its events, and the issues that they belong to."""

    project: str
    slug: str
    rows: int
    issues: int


class Pace(NamedTuple):
    """What a family of endpoints allows.

    `rate` is in requests per second, `burst` are those that may go at once, `concurrency` those
    under way at the same time.
    """

    rate: float
    burst: float
    concurrency: float

    @property
    def usable(self) -> float:
        """Requests of a window that a plan counts on, where they go at once."""
        return max(0.0, self.burst - _SPARED)

    def seconds(self, count: float) -> float:
        """How long so many requests take.

        Where a window's go at once, those of the next wait half a window on average for it.
        """
        if not self.usable:
            return count / self.rate
        windows = (count - self.usable) / self.usable
        return (0.5 + windows) * self.burst / self.rate if windows > 0 else 0.0


@dataclass(frozen=True)
class Conditions:
    """What the cheapest route depends on.

    Args:
        page_rows: Rows of a page: 100, or fewer with whole bodies.
        paces: By family.
        rate: Requests per second of the whole tap.
        latency_s: Of one request.
        routes: Those that are open, the preferred one first.
        sampling: What is kept, None if all.
    """

    page_rows: int
    paces: Mapping[str, Pace]
    rate: float
    latency_s: float
    routes: Sequence[Route]
    sampling: EventSampling | None = None

    def requests(self, volume: Volume, route: Route) -> int:
        """About how many requests a project takes on a route."""
        pages = math.ceil(volume.rows / self.page_rows)
        if route is Route.ISSUE:
            # A list of the issues, and on average half a page of each stays empty.
            half_empty = math.ceil(volume.rows / self.page_rows + volume.issues / 2)
            return math.ceil(volume.issues / 100) + max(volume.issues, half_empty)
        if route is Route.SAMPLE and self.sampling:
            return math.ceil(volume.issues / 100) + self._pages_of_sample(volume, self.sampling)
        return max(1, pages)

    def _pages_of_sample(self, volume: Volume, sampling: EventSampling) -> int:
        kept = volume.rows * sampling.fraction
        if sampling.cap is not None and sampling.cap <= kept:
            return math.ceil(sampling.cap / self.page_rows)
        # Issues with fewer events below the threshold than the floor are read one by one.
        rare = volume.issues if sampling.floor and sampling.fraction < 1 else 0
        return math.ceil(kept / self.page_rows) + rare

    def seconds(self, requests: Mapping[str, float]) -> float:
        """How long so many requests of each family take side by side."""
        times = [sum(requests.values()) / self.rate]
        for family, count in requests.items():
            pace = self.paces[family]
            times.append(pace.seconds(count))
            times.append(count * self.latency_s / pace.concurrency)
        return max(times)


class Step(NamedTuple):
    """One project's part of a plan; a project may have two, the oldest events first."""

    volume: Volume
    route: Route
    requests: int


@dataclass(frozen=True)
class Plan:
    """A route for each project, and how long all of them take side by side."""

    steps: tuple[Step, ...]
    seconds: float

    @property
    def rows(self) -> int:
        return sum(step.volume.rows for step in self.steps)

    @property
    def requests(self) -> int:
        return sum(step.requests for step in self.steps)

    def table(self) -> str:
        """The plan as lines for a person, the largest project first."""
        heads = ("project", "events", "issues", "route", "requests")
        steps = sorted(self.steps, key=lambda step: -step.volume.rows)
        cells = [heads] + [
            (
                step.volume.slug,
                f"{step.volume.rows:,}",
                f"{step.volume.issues:,}",
                str(step.route),
                f"{step.requests:,}",
            )
            for step in steps
        ]
        widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
        lines = [
            "  ".join(
                cell.ljust(width) if column in {0, 3} else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        took = duration_text(self.seconds)
        total = f"{self.rows:,} events, about {self.requests:,} requests and {took}"
        return "\n".join([*lines, f"together {total}"])


def plan(volumes: Iterable[Volume], conditions: Conditions) -> Plan:
    """The route of each project.

    All begin on the first route that is open. Then each project in turn, the largest first, moves
    to where the whole is over soonest given the others, or as soon with fewer requests; twice,
    since the first ones chose before the others had.
    """
    ordered = sorted(volumes, key=lambda volume: -volume.rows)
    options = [
        {route: conditions.requests(volume, route) for route in conditions.routes}
        for volume in ordered
    ]
    chosen = [conditions.routes[0]] * len(ordered)
    load: Counter[str] = Counter()
    for routes in options:
        load[conditions.routes[0].family] += routes[conditions.routes[0]]
    for _ in range(2):
        for number, routes in enumerate(options):
            load[chosen[number].family] -= routes[chosen[number]]
            chosen[number] = min(routes, key=lambda route: _cost(route, routes, load, conditions))
            load[chosen[number].family] += routes[chosen[number]]
    steps = [
        Step(volume, route, routes[route])
        for volume, route, routes in zip(ordered, chosen, options, strict=True)
    ]
    if Route.ISSUE in chosen and not conditions.sampling:
        number = chosen.index(Route.ISSUE)
        steps[number : number + 1] = _begun_by_project(ordered[number], load, conditions)
    return Plan(tuple(steps), conditions.seconds(load))


def _begun_by_project(
    volume: Volume, load: Counter[str], conditions: Conditions
) -> tuple[Step, ...]:
    """A project on the route by issue; its oldest events by project if that limit has room."""
    seconds, pace = conditions.seconds(load), conditions.paces[Route.PROJECT.family]
    # Less than a minute allows: for questions beforehand, and the last one waits for others.
    windows = 1 + (seconds * pace.rate // pace.burst if pace.burst else 0)
    room = pace.usable * windows - load[Route.PROJECT.family]
    pages = int(min(room, seconds * pace.concurrency / max(conditions.latency_s, 0.001)))
    rows = pages * conditions.page_rows
    if pages <= 0 or rows >= volume.rows:
        return (Step(volume, Route.ISSUE, conditions.requests(volume, Route.ISSUE)),)
    parts = (
        (volume._replace(rows=rows), Route.PROJECT),
        (
            volume._replace(rows=volume.rows - rows),
            Route.ISSUE,
        ),
    )
    load[Route.ISSUE.family] -= conditions.requests(volume, Route.ISSUE)
    for part, route in parts:
        load[route.family] += conditions.requests(part, route)
    return tuple(Step(part, route, conditions.requests(part, route)) for part, route in parts)


def _cost(
    route: Route, routes: Mapping[Route, int], load: Mapping[str, float], conditions: Conditions
) -> tuple[float, float]:
    """What the whole costs with a project on this route: the lower the better, pairwise."""
    family, requests = route.family, routes[route]
    seconds = conditions.seconds({**load, family: load.get(family, 0) + requests})
    if conditions.sampling:
        return requests, seconds
    # Not many requests more for the sake of a minute or of one per cent. Nothing is rounded: one of
    # many small projects gains less than any rounding, all of them together gain a lot.
    return max(seconds, _SOON_S) + 0.01 * requests / conditions.rate, requests
