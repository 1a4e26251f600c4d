"""Details of the demo's issues at several times, and what their activity says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tap_sentry.demo import World
from tap_sentry.demo.issue_rows import issue_detail
from tests.unit.demo.client import HOST, NOW, frozen_world

Row = dict[str, Any]

STATUS_OF = {
    "first_seen": "unresolved", "auto_set_ongoing": "unresolved", "set_regression": "unresolved",
    "set_escalating": "unresolved", "set_resolved": "resolved",
    "set_resolved_in_release": "resolved", "set_ignored": "ignored",
}  # fmt: skip
SUBSTATUS_OF = {
    "first_seen": "new", "auto_set_ongoing": "ongoing", "set_regression": "regressed",
    "set_escalating": "escalating", "set_resolved": None, "set_resolved_in_release": None,
}  # fmt: skip
CHANGES_OF_OWNER = {"assigned", "unassigned"}
TIMES = [NOW + timedelta(days=days) for days in (0, 5, 11, 23)]


def details_of(world: World) -> list[Row]:
    return [issue_detail(seen, HOST, world.now) for seen in world.all_issues()]


@cache
def details_at(moment: datetime) -> list[Row]:
    return details_of(frozen_world() if moment == NOW else World(clock=lambda: moment, scale=0.1))


def acts(detail: Row, *types: str) -> list[Row]:
    """Those of some types, oldest first."""
    return [act for act in reversed(detail["activity"]) if act["type"] in types]


def last(detail: Row) -> Row:
    """The act that gave an issue its present status."""
    return acts(detail, *STATUS_OF)[-1]


def every(details: list[Row], *types: str) -> Iterator[tuple[Row, Row]]:
    found = [(detail, act) for detail in details for act in acts(detail, *types)]
    assert found
    yield from found
