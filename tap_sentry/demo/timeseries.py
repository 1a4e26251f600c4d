"""Explore's counts over time, `O/events-timeseries/`: cheap answers before rows are fetched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from tap_sentry.demo import dates, explore, explore_fields
from tap_sentry.demo.catalogue import Project
from tap_sentry.demo.exchange import Answer, Request, bad_request
from tap_sentry.demo.explore import Item, Scan
from tap_sentry.demo.timeline import DAY_S
from tap_sentry.demo.world import World

INTERVALS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 43200, DAY_S)
MAX_BUCKETS = 2016
_STILL_FILLING_S = 90  # Sentry calls its newest minute and a half incomplete


class _Buckets(NamedTuple):
    """What the series of one answer share; buckets that end after `settled` are incomplete."""

    starts: range
    scanned: Scan
    extrapolated: bool
    settled: float


def timeseries(request: Request, world: World, projects: Sequence[Project]) -> Answer:
    """One series per `yAxis`, or per group when `groupBy` and `topEvents` ask for it."""
    y_axis = request.get("yAxis") or "count()"
    if y_axis not in {"count()", "count(span.duration)"}:
        raise bad_request(f"Invalid yAxis: {y_axis}")
    within = dates.date_range(request, world.now, prefix="Invalid date range: ")
    width = _interval(request, within)
    first = int(within.start // width) * width
    if not projects:
        return Answer(body={"timeSeries": [], "meta": _meta(request, within)})
    scanned = explore.scan(request, world, projects, within)
    buckets = _Buckets(
        starts=range(first, int(within.end), width),
        scanned=scanned,
        extrapolated=not request.flag("disableAggregateExtrapolation"),
        settled=world.now - _STILL_FILLING_S,
    )
    series = [
        _series(items, buckets, group) | {"yAxis": y_axis}
        for items, group in _groups(request, scanned.items)
    ]
    for order, one in enumerate(series):
        if request.get("topEvents"):
            one["meta"]["order"] = order
            one["meta"]["isOther"] = False
    return Answer(body={"timeSeries": series, "meta": _meta(request, within)})


def _interval(request: Request, within: dates.Range) -> int:
    asked = request.get("interval")
    span = within.end - within.start
    if asked is None:
        return next((i for i in INTERVALS if span / i <= 200), DAY_S)
    try:
        width = dates.duration(asked)
    except ValueError:
        raise bad_request(f"Invalid interval: {asked}") from None
    if width not in INTERVALS:
        raise bad_request(f"Invalid interval: {asked}")
    if span / width > MAX_BUCKETS:
        raise bad_request(
            "Your interval and date range would create too many results. "
            "Use a larger interval, or a smaller date range."
        )
    return width


def _groups(
    request: Request, items: list[Item]
) -> list[tuple[list[Item], list[dict[str, Any]] | None]]:
    """Rows per group, largest first, the asked number of them; one group without `topEvents`."""
    keys = request.all("groupBy")
    top = request.get("topEvents")
    if not keys or not top:
        return [(items, None)]
    if not top.isdigit() or not 1 <= int(top) <= 10:
        raise bad_request("topEvents needs to be a number between 1 and 10")
    members: dict[tuple[Any, ...], list[Item]] = {}
    for item in items:
        members.setdefault(tuple(explore_fields.value(item, key) for key in keys), []).append(item)
    largest = sorted(members.items(), key=lambda entry: -len(entry[1]))[: int(top)]
    return [
        (group, [{"key": k, "value": v} for k, v in zip(keys, values, strict=True)])
        for values, group in largest
    ]


def _series(
    items: list[Item], buckets: _Buckets, group: list[dict[str, Any]] | None
) -> dict[str, Any]:
    width = buckets.starts.step
    stored: Counter[int] = Counter()
    weighted: defaultdict[int, float] = defaultdict(float)
    for item in items:
        position = int((item.timestamp - buckets.starts[0]) // width)
        stored[position] += 1
        weighted[position] += explore.weight(
            item, buckets.scanned, extrapolated=buckets.extrapolated
        )
    values = []
    for position, start in enumerate(buckets.starts):
        incomplete = start + width > buckets.settled
        count = stored[position]
        value = {
            "timestamp": start * 1000,
            "value": round(weighted[position]),
            "incomplete": incomplete,
            "sampleCount": count,
            "sampleRate": round(count / weighted[position], 6) if count else None,
            "confidence": "high" if count >= 100 else "low" if count else None,
        }
        if incomplete:
            value["incompleteReason"] = "INCOMPLETE_BUCKET"
        values.append(value)
    meta = {
        "valueType": "integer",
        "valueUnit": None,
        "interval": width * 1000,
        "dataScanned": "partial" if buckets.scanned.partial else "full",
    }
    series: dict[str, Any] = {"values": values, "meta": meta}
    if group is not None:
        series["groupBy"] = group
    return series


def _meta(request: Request, within: dates.Range) -> dict[str, Any]:
    return {
        "dataset": explore.dataset(request),
        "start": int(within.start) * 1000,
        "end": int(within.end) * 1000,
    }
