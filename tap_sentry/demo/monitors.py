"""Crons: monitors of the shop's jobs, their check-ins, and both as Sentry serializes them."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from tap_sentry.demo.catalogue import TEAMS, Project
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.organization_rows import nested_project, secret
from tap_sentry.demo.people import MEMBERS
from tap_sentry.demo.timeline import HOUR_S, dice, horizon

Row = dict[str, Any]

_FOUNDED = 1_700_000_000.25
_SEVERITIES = ("error", "timeout", "missed_checkin", "ok", "active")


class Monitor(NamedTuple):
    """A job that should run every `period_s`, `offset_s` after the epoch's multiples of it.

    `failing`, `missing` and `hanging` are shares of its runs; margin and runtime are in minutes.
    """

    slug: str
    name: str
    project: str
    schedule: str | tuple[int, str]
    period_s: int
    offset_s: int
    margin: int = 5
    max_runtime: int = 30
    usual_s: float = 60.0
    failing: float = 0.0
    missing: float = 0.0
    hanging: float = 0.0
    is_muted: bool = False

    @property
    def id(self) -> str:
        return identifier(f"monitor {self.slug}")


MONITORS = (
    Monitor("cart-cleanup", "Cart cleanup", "checkout-api", "0 */4 * * *", 4 * HOUR_S, 0,
            usual_s=45, missing=0.02, is_muted=True),
    Monitor("feeds-export", "Export of the product feeds", "batch-worker", "15 */2 * * *",
            2 * HOUR_S, 900, usual_s=780, failing=0.08, missing=0.03, hanging=0.05),
    Monitor("ledger-close", "Close of the ledger", "batch-worker", "30 2 * * *", 24 * HOUR_S,
            9000, margin=10, max_runtime=60, usual_s=1500, failing=0.03),
    # Broken since it was moved: no run ever ends well.
    Monitor("rates-refresh", "Refresh of the exchange rates", "batch-worker", (3, "hour"),
            3 * HOUR_S, 120, usual_s=20, failing=1.0),
)  # fmt: skip


@dataclass(frozen=True)
class CheckIn:
    """A run, or that there was none; `ended` is when its status settles, epoch seconds."""

    monitor: Monitor
    expected: int
    added: float
    ended: float
    outcome: str

    def status_at(self, now: float) -> str:
        return self.outcome if self.ended <= now else "in_progress"


def identifier(name: str) -> str:
    """An id with dashes that only the name decides."""
    return str(uuid.UUID(secret(name)))


def monitors(projects: Collection[Project]) -> list[Monitor]:
    """The monitors of these projects."""
    slugs = {project.slug for project in projects}
    return [monitor for monitor in MONITORS if monitor.project in slugs]


def check_ins(monitor: Monitor, seed: int, now: float) -> list[CheckIn]:
    """Visible check-ins, latest first."""
    first = (horizon(now) - monitor.offset_s) // monitor.period_s
    last = int(now - monitor.offset_s) // monitor.period_s
    found = [_check_in(monitor, seed, number) for number in range(first, last + 1)]
    shown = [one for one in found if horizon(now) <= one.added <= now]
    return sorted(shown, key=lambda one: one.added, reverse=True)


def _check_in(monitor: Monitor, seed: int, number: int) -> CheckIn:
    random = dice(seed, f"check-in/{monitor.slug}", number)
    expected = number * monitor.period_s + monitor.offset_s
    added = round(expected + 0.2 + random.expovariate(0.2), 6)
    took = monitor.usual_s * random.lognormvariate(0, 0.2)
    share = random.random()
    outcome, ended = "ok", round(added + took, 6)
    if share < monitor.missing:
        outcome, added = "missed", expected + 60.0 * monitor.margin
        ended = added
    elif share < monitor.missing + monitor.hanging:
        outcome, ended = "timeout", added + 60.0 * monitor.max_runtime
    elif share < monitor.missing + monitor.hanging + monitor.failing:
        outcome = "error"
    return CheckIn(monitor, expected, added, ended, outcome)


def check_in_row(one: CheckIn, now: float) -> Row:
    """A check-in as of now: until its run ends it has no duration."""
    status = one.status_at(now)
    ran = status in {"ok", "error"}
    return {
        "id": identifier(f"check-in {one.monitor.slug} {one.expected}"),
        "environment": "production",
        "status": status,
        "duration": round((one.ended - one.added) * 1000) if ran else None,
        "dateCreated": microseconds(one.added),
        "dateAdded": microseconds(one.added),
        "dateUpdated": microseconds(one.added if status == "in_progress" else one.ended),
        "dateInProgress": None if status == "missed" else microseconds(one.added),
        "dateClock": microseconds(one.expected),
        "expectedTime": microseconds(one.expected),
        "monitorConfig": _config(one.monitor),
        "groups": [],
    }


def monitor_row(monitor: Monitor, project: Project, runs: list[CheckIn], now: float) -> Row:
    """A monitor with its one environment; `runs` are its visible check-ins, latest first."""
    settled = next((run for run in runs if run.ended <= now), None)
    outcome = settled.outcome if settled else "active"
    status = "missed_checkin" if outcome == "missed" else outcome
    upcoming = (int(now - monitor.offset_s) // monitor.period_s + 1) * monitor.period_s
    upcoming += monitor.offset_s
    environment: Row = {
        "name": "production",
        "status": status,
        "isMuted": monitor.is_muted,
        "dateCreated": microseconds(_FOUNDED),
        "lastCheckIn": microseconds(runs[0].added) if runs else None,
        "nextCheckIn": microseconds(upcoming),
        "nextCheckInLatest": microseconds(upcoming + 60 * monitor.margin),
        "activeIncident": None,
    }
    if settled and settled.outcome != "ok":
        environment["activeIncident"] = {
            "startingTimestamp": microseconds(settled.added),
            "resolvingTimestamp": None,
            "brokenNotice": None,
        }
    return {
        "id": monitor.id,
        "slug": monitor.slug,
        "name": monitor.name,
        "status": "active",
        "isMuted": monitor.is_muted,
        "isUpserting": False,
        "config": _config(monitor),
        "dateCreated": microseconds(_FOUNDED),
        "project": nested_project(project),
        "environments": [environment],
        "owner": _owner(monitor, project),
    }


def severity(row: Row) -> tuple[int, str]:
    """The order of the list: the worst first, then by the last check-in, which moves."""
    environment = row["environments"][0]
    return _SEVERITIES.index(environment["status"]), environment["lastCheckIn"] or ""


def _owner(monitor: Monitor, project: Project) -> Row:
    if monitor.slug == "ledger-close":
        member = MEMBERS[1]
        return {"type": "user", "id": member.user_id, "name": member.name, "email": member.email}
    team = next(team for team in TEAMS if team.slug == project.team)
    return {"type": "team", "id": team.id, "name": team.slug}


def _config(monitor: Monitor) -> Row:
    is_crontab = isinstance(monitor.schedule, str)
    return {
        "schedule_type": "crontab" if is_crontab else "interval",
        "schedule": monitor.schedule if is_crontab else list(monitor.schedule),
        "checkin_margin": monitor.margin,
        "max_runtime": monitor.max_runtime,
        "timezone": "UTC",
        "failure_issue_threshold": 1,
        "recovery_threshold": 1,
        "alert_rule_id": None,
    }
