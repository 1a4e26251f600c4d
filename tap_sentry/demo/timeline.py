"""Rows in time: made hour by hour from the seed, shown when received, forgotten 30 days later."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from random import Random
from typing import Generic, Protocol, TypeVar

HOUR_S = 3600
DAY_S = 24 * HOUR_S
RETENTION_S = 30 * DAY_S

# A row starts less than this after its hour began and is received less than this after it started.
_SPILL_HOURS = 1
SETTLED_HOURS = 3

_HOURLY = (
    0.35, 0.25, 0.20, 0.18, 0.20, 0.30, 0.50, 0.75, 1.00, 1.20, 1.30, 1.35,
    1.40, 1.40, 1.40, 1.45, 1.50, 1.55, 1.70, 1.85, 1.80, 1.45, 1.00, 0.60,
)  # fmt: skip
_DAILY = (0.95, 0.95, 1.00, 1.05, 1.25, 1.00, 0.80)  # epoch days: Thursday first


class TimedRow(Protocol):
    """What a timeline needs of a row: when it happened and when Sentry got it, epoch seconds."""

    @property
    def timestamp(self) -> float: ...
    @property
    def received(self) -> float: ...


Row = TypeVar("Row", bound=TimedRow)


def dice(seed: int, kind: str, number: int) -> Random:
    """A generator that only these three decide."""
    return Random(f"{seed}/{kind}/{number}")


def rhythm(hour: int, *, night: bool = False) -> float:
    """Traffic of an hour since the epoch relative to the mean hour: days, nights, weekends."""
    if night:
        hour += 10
    return _HOURLY[hour % 24] * _DAILY[hour // 24 % 7]


def poisson(random: Random, mean: float) -> int:
    """How many happen when `mean` are expected."""
    if mean > 40:
        return max(0, round(random.normalvariate(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number


class Timeline(Generic[Row]):
    """The rows of one kind, hour by hour, made on first use and kept while they are asked for.

    Args:
        make: All rows that begin in the given hour since the epoch, whenever they arrive.
        capacity: Rows kept in memory; hours beyond that are made again when asked for.
    """

    def __init__(self, make: Callable[[int], list[Row]], capacity: int) -> None:
        self._make = make
        self._capacity = capacity
        self._hours: OrderedDict[int, list[Row]] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()
        self._edition = (0.0, 0.0, 0)

    def between(self, start: float, end: float, now: float) -> Iterator[Row]:
        """Rows that a client sees at `now`, oldest hour first; whole seconds in [start, end)."""
        start = max(start, horizon(now))
        end = min(end, now + 1)
        if start >= end:
            return
        settled = int(now // HOUR_S) - SETTLED_HOURS
        first, last = int(start // HOUR_S), int(math.ceil(end) // HOUR_S)
        for hour in range(first - _SPILL_HOURS, last + 1):
            inside = first < hour < last - _SPILL_HOURS and hour < settled
            if inside:
                yield from self._hour(hour)
                continue
            for row in self._hour(hour):
                if start <= int(row.timestamp) < end and row.received <= now:
                    yield row

    def edition(self, now: float) -> int:
        """A number that changes whenever a row appears or is forgotten."""
        with self._lock:
            since, until, number = self._edition
            if since <= now < until:
                return number
            hour = int(now // HOUR_S)
            arrivals = [
                row.received
                for recent in range(hour - SETTLED_HOURS, hour + 1)
                for row in self._hour(recent)
            ]
            since = max((a for a in arrivals if a <= now), default=hour * HOUR_S)
            until = min((a for a in arrivals if a > now), default=(hour + 1) * HOUR_S)
            since, until = max(since, hour * HOUR_S), min(until, (hour + 1) * HOUR_S)
            self._edition = (since, until, number + 1)
            return number + 1

    def _hour(self, hour: int) -> list[Row]:
        with self._lock:
            rows = self._hours.get(hour)
            if rows is not None:
                self._hours.move_to_end(hour)
                return rows
            rows = self._hours[hour] = self._make(hour)
            self._size += len(rows)
            while self._size > self._capacity and len(self._hours) > SETTLED_HOURS + 1:
                self._size -= len(self._hours.popitem(last=False)[1])
            return rows


def horizon(now: float) -> int:
    """The first second not yet forgotten: Sentry forgets by the day."""
    return int(now // DAY_S) * DAY_S - RETENTION_S
