"""Release health, `O/sessions/`: sessions per hour, how they ended and whose they were."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tap_sentry.demo import dates, paging, releases, search
from tap_sentry.demo.calls import Call
from tap_sentry.demo.catalogue import ENVIRONMENTS, WITH_SESSIONS, Project
from tap_sentry.demo.exchange import Answer, bad_request
from tap_sentry.demo.releases import Release
from tap_sentry.demo.timeline import HOUR_S, dice, horizon, rhythm
from tap_sentry.demo.world import World

MAX_POINTS = 5_000
STATUSES = ("healthy", "errored", "crashed", "abnormal")
_VISITORS = 9_000
_PER_HOUR = {"storefront": 90, "checkout-api": 40, "mobile-app": 60}
_SHARES = dict(zip(ENVIRONMENTS, (0.9, 0.08, 0.02), strict=True))
_COLUMNS = ("project", "release", "environment", "session.status")
_FIELD = re.compile(r"(\w+)\((session|user|session\.duration)\)")

Row = dict[str, Any]


class Cell(NamedTuple):
    """Sessions of an hour since the epoch; users are numbers, as visitors need no account.

    `counts` are by STATUSES, `bad_users` those whose session crashed, `mean_s` a mean duration.
    """

    hour: int
    project: Project
    environment: str
    release: str
    counts: tuple[int, int, int, int]
    users: frozenset[int]
    bad_users: frozenset[int]
    mean_s: float

    @property
    def total(self) -> int:
        return sum(self.counts)

    def value(self, column: str) -> Any:
        return {
            "project": int(self.project.id),
            "project.id": int(self.project.id),
            "project_id": int(self.project.id),
            "release": self.release,
            "environment": self.environment,
        }.get(column)


def cells(world: World, hours: range) -> Iterator[Cell]:
    """All sessions of some hours as far as they have begun; the present hour still fills."""
    now, first = world.now, int(horizon(world.now) // HOUR_S)
    for project in world.projects():
        if project.slug not in WITH_SESSIONS:
            continue
        for hour in range(max(hours.start, first), min(hours.stop, int(now // HOUR_S) + 1)):
            elapsed = min(1.0, (now - hour * HOUR_S) / HOUR_S)
            yield from _hour(world.seed, project, hour, round(elapsed, 3), world.scale)


def totals(world: World, start: float, end: float) -> Counter[tuple[str, str, str]]:
    """Sessions by project slug, release and environment in whole hours of [start, end)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for cell in cells(world, range(int(start // HOUR_S), int(end // HOUR_S))):
        found[cell.project.slug, cell.release, cell.environment] += cell.total
    return found


@lru_cache(maxsize=8192)
def _hour(seed: int, project: Project, hour: int, elapsed: float, scale: float) -> tuple[Cell, ...]:
    """An hour of a project: most sessions run its latest release, some still the one before."""
    random = dice(seed, f"sessions/{project.slug}", hour)
    running = releases.running(project.slug, hour * HOUR_S)
    before = releases.running(project.slug, running.created - 1) if running else None
    found = []
    for release, part in ((running, 0.88), (before, 0.12)):
        for environment, share in _SHARES.items():
            mean = _PER_HOUR[project.slug] * rhythm(hour) * part * share * elapsed * scale
            total = int(mean * (0.8 + 0.4 * random.random()) + random.random())
            chosen = random.sample(range(_VISITORS), round(total * 0.8) or total)
            counts = _ended(total, random.random(), release, project)
            if total and release:
                found.append(
                    Cell(
                        hour=hour,
                        project=project,
                        environment=environment,
                        release=release.version,
                        counts=counts,
                        users=frozenset(chosen),
                        bad_users=frozenset(chosen[: counts[2]]),
                        mean_s=round(60 + 240 * random.random(), 3),
                    )
                )
    return tuple(found)


def _ended(
    total: int, luck: float, release: Release | None, project: Project
) -> tuple[int, int, int, int]:
    """Sessions by how they ended; under the bad release one in ten crashes."""
    is_bad = release is not None and release.is_bad and release.project_slugs[0] == project.slug
    crashed = int(total * (0.10 if is_bad else 0.004) + luck)
    errored = int(total * (0.20 if is_bad else 0.03) + luck / 2)
    abnormal = int(total * 0.002 + luck / 3) if project.slug == "mobile-app" else 0
    crashed = min(crashed, total)
    errored = min(errored, total - crashed)
    abnormal = min(abnormal, total - crashed - errored)
    return total - crashed - errored - abnormal, errored, crashed, abnormal


def sessions(call: Call) -> Answer:
    """Answer of `O/sessions/`; of too many groups the first that fit come, without a word.

    https://docs.sentry.io/api/releases/retrieve-release-health-session-statistics/
    """
    request, world = call.request, call.world
    columns, fields = request.all("groupBy"), request.all("field")
    if not fields:
        raise bad_request('Request is missing a "field"')
    for column in columns:
        if column not in _COLUMNS:
            raise bad_request(f'Invalid groupBy: "{column}"')
    starts = dates.hourly_buckets(request, dates.date_range(request, world.now))
    found = cells(world, range(starts.start // HOUR_S, starts.stop // HOUR_S))
    members: defaultdict[tuple[Any, ...], list[Cell]] = defaultdict(list)
    wanted = {project.id for project in call.projects()}
    environments = set(request.all("environment"))
    holds = search.matcher(
        search.terms(request.get("query") or ""), Cell.value, lambda cell: cell.release
    )
    plain = [column for column in columns if column != "session.status"]
    for cell in found:
        is_asked = not environments or cell.environment in environments
        if cell.project.id in wanted and is_asked and holds(cell):
            members[tuple(cell.value(column) for column in plain)].append(cell)
    statuses = STATUSES if "session.status" in columns else (None,)
    groups = [
        _group(dict(zip(plain, key, strict=True)), status, group, fields, starts)
        for key, group in sorted(members.items())
        for status in statuses
    ]
    order = request.get("orderBy") or f"-{fields[0]}"
    if order.lstrip("-") not in fields:
        raise bad_request("'orderBy' must be one of the provided 'fields'")
    name = order.lstrip("-")
    groups.sort(key=lambda row: row["totals"][name] or 0, reverse=order.startswith("-"))
    groups = groups[: max(1, MAX_POINTS // max(1, len(starts)))]
    if request.get("per_page"):
        groups = groups[: paging.per_page(request)]
    for part, name in (("totals", "includeTotals"), ("series", "includeSeries")):
        if request.get(name) == "0":
            groups = [{key: value for key, value in row.items() if key != part} for row in groups]
    body = {
        "groups": groups,
        "start": dates.seconds(starts.start),
        "end": dates.seconds(starts.stop),
        "intervals": [dates.seconds(moment) for moment in starts],
        "query": request.get("query") or "",
    }
    return Answer(body=body)


def _group(
    by: Row, status: str | None, members: Sequence[Cell], fields: list[str], starts: range
) -> Row:
    buckets: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in members:
        buckets[(cell.hour * HOUR_S - starts.start) // starts.step].append(cell)
    if status is not None:
        by = {**by, "session.status": status}
    return {
        "by": by,
        "totals": {field: _figure(field, status, members) for field in fields},
        "series": {
            field: [_figure(field, status, buckets.get(n, ())) for n in range(len(starts))]
            for field in fields
        },
    }


def _figure(field: str, status: str | None, members: Iterable[Cell]) -> float | None:
    """One number; rates have none without sessions, nor within a status."""
    call = _FIELD.fullmatch(field)
    if call is None:
        raise bad_request(f'Invalid field: "{field}"')
    function, column = call[1], call[2]
    members = list(members)
    position = STATUSES.index(status) if status else None
    counted = sum(cell.total if position is None else cell.counts[position] for cell in members)
    if (function, column) == ("sum", "session"):
        return counted
    users = frozenset[int]().union(*(cell.users for cell in members))
    crashed = frozenset[int]().union(*(cell.bad_users for cell in members))
    if (function, column) == ("count_unique", "user"):
        return len(crashed if status == "crashed" else users - crashed if status else users)
    if function in {"crash_free_rate", "crash_rate"} and column in {"session", "user"}:
        bad, of = (
            (sum(cell.counts[2] for cell in members), counted)
            if column == "session"
            else (len(crashed), len(users))
        )
        if status is not None or not of:
            return None
        return 1 - bad / of if function == "crash_free_rate" else bad / of
    if function in {"avg", "p50"} and column == "session.duration":
        spent = sum(cell.mean_s * cell.total for cell in members)
        return spent / counted * (1000 if function == "avg" else 700) if counted else None
    raise bad_request(f'Invalid field: "{field}"')
