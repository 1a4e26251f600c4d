"""Explore's table, `O/events/`: rows and aggregates of spans and errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from tap_sentry.demo import dates, explore_fields, paging, search
from tap_sentry.demo.catalogue import Project
from tap_sentry.demo.events import Event
from tap_sentry.demo.exchange import Answer, Links, Request, bad_request
from tap_sentry.demo.spans import Span
from tap_sentry.demo.world import World

Row = dict[str, Any]
Item = Span | Event

MAX_FIELDS = 20
HEAVY_ROWS = 10_000  # a scan beyond this is answered from a smaller tier unless told otherwise
TIER = 8  # the smaller tier holds the traces of one in this many
DATASETS = ("errors", "logs", "profile_functions", "spans", "tracemetrics", "uptime_results")
_FLEX = "HIGHEST_ACCURACY_FLEX_TIME"
_MODES = {None, "NORMAL", "HIGHEST_ACCURACY", _FLEX}
_FLEX_SLICE_S = 6 * 3600
_AGGREGATE = re.compile(r"(\w+)\(([^()]*)\)")


class Scan(NamedTuple):
    """The rows that a query is about, and whether they are all of them or one tier's."""

    items: list[Item]
    partial: bool


class Table(NamedTuple):
    """The whole answer to a query, of which a client sees pages."""

    rows: list[Any]
    partial: bool
    scanned: int


def dataset(request: Request) -> str:
    name = request.get("dataset") or "discover"
    if name == "discover":
        return "errors"
    if name not in DATASETS:
        raise bad_request(f"dataset must be one of: {', '.join(DATASETS)}")
    return name


def scan(request: Request, world: World, projects: Sequence[Project], within: dates.Range) -> Scan:
    """Visible rows of the asked projects, range, environments and query."""
    mode = request.get("sampling")
    if mode not in _MODES:
        raise bad_request(f"sampling mode: {mode} is not supported")
    conditions = search.terms(request.get("query") or "")
    environments = set(request.all("environment"))
    ids = {project.id for project in projects}
    spans = dataset(request) == "spans"
    rows: list[Any] = []
    if spans:
        rows = world.spans_between(within.start, within.end)
        rows = [row for row in rows if row.transaction.project.id in ids]
        if environments:
            rows = [row for row in rows if row.transaction.trace.environment in environments]
    elif dataset(request) == "errors":
        rows = world.events_between(within.start, within.end)
        rows = [row for row in rows if row.issue.project.id in ids]
        if environments:
            rows = [row for row in rows if row.environment in environments]
    whole_trace = any(term.key == "trace" and not term.negated for term in conditions)
    accurate = mode in {"HIGHEST_ACCURACY", _FLEX} or whole_trace or not spans
    partial = not accurate and len(rows) > HEAVY_ROWS
    if partial:
        rows = [row for row in rows if int(row.transaction.trace.id[:6], 16) % TIER == 0]
    if conditions:
        holds = search.matcher(conditions, explore_fields.value, explore_fields.text)
        rows = [row for row in rows if holds(row)]
    return Scan(rows, partial)


def weight(item: Item, scanned: Scan, *, extrapolated: bool) -> float:
    """How many real rows a stored one stands for."""
    if not extrapolated or isinstance(item, Event):
        return 1.0
    return (TIER if scanned.partial else 1) / item.transaction.trace.sample_rate


def events_table(request: Request, world: World, projects: Sequence[Project]) -> Answer:
    """Answer of `O/events/`."""
    fields = _fields(request)
    orders = _orders(request, fields)
    if request.get("sampling") == _FLEX:
        _check_flex(orders)
    within = dates.date_range(request, world.now, prefix="Invalid date range: ")
    size = paging.per_page(request)
    if not projects:
        return Answer(body={"data": [], "meta": {"tips": {}}})
    aggregated = any(_AGGREGATE.fullmatch(field) for field in fields)
    unpaged = tuple(pair for pair in request.query if pair[0] not in {"cursor", "per_page"})
    key: Hashable = ("explore", tuple(project.id for project in projects), unpaged)

    def found() -> Table:
        scanned = scan(request, world, projects, within)
        if aggregated:
            extrapolated = not request.flag("disableAggregateExtrapolation")
            rows: list[Any] = _groups(scanned, fields, extrapolated=extrapolated)
            rows = _sorted(rows, orders)
        else:
            rows = _sorted_items(scanned.items, orders)
        return Table(rows, scanned.partial, len(scanned.items))

    table = world.remember(key, found, about_spans=dataset(request) == "spans")
    shown, links = _page(request, table.rows, size, within)
    data = list(shown)
    if not aggregated:
        columns = _with_additions(fields)
        data = [{name: explore_fields.value(item, name) for name in columns} for item in shown]
        fields = columns
    body = {"data": data, "meta": _meta(request, fields, table), "confidence": [{}] * len(data)}
    return Answer(body=body, links=None if request.flag("noPagination") else links)


def _fields(request: Request) -> list[str]:
    fields = list(dict.fromkeys(request.all("field")))
    if not fields:
        raise bad_request("No columns selected")
    if len(fields) > MAX_FIELDS:
        raise bad_request(
            f"You can view up to {MAX_FIELDS} fields at a time. Please delete some and try again."
        )
    return fields


def _orders(request: Request, fields: list[str]) -> list[tuple[str, bool]]:
    """Columns to sort by, with whether descending."""
    orders = []
    for asked in request.all("sort"):
        name = asked.lstrip("-")
        plain = {
            field.replace("()", "").replace("(", "_").replace(")", ""): field for field in fields
        }
        name = name if name in fields else plain.get(name, name)
        if name not in fields:
            raise bad_request("orderby must also be in the selected columns or groupby")
        orders.append((name, asked.startswith("-")))
    return orders


def _check_flex(orders: list[tuple[str, bool]]) -> None:
    ascending = any(not descending for _, descending in orders)
    if not orders or ascending or (orders[0][0], orders[-1][0]) != ("timestamp", "id"):
        raise bad_request(f"sampling mode: {_FLEX} needs sort=-timestamp first and sort=-id last")


def _with_additions(fields: list[str]) -> list[str]:
    """Raw rows always carry their id and, unless the number was asked for, the project."""
    added = ["id"] if "id" not in fields else []
    if "project.id" not in fields and "project.name" not in fields:
        added.append("project.name")
    return fields + added


def _sorted_items(items: list[Item], orders: list[tuple[str, bool]]) -> list[Item]:
    rows = sorted(items, key=lambda item: (int(item.timestamp), item.id), reverse=True)
    for name, descending in reversed(orders):
        rows.sort(key=_sort_key(name), reverse=descending)
    return rows


def _sort_key(name: str) -> Callable[[Item], Any]:
    if name == "timestamp":
        return lambda item: int(item.timestamp)
    if name == "id":
        return lambda item: item.id

    def key(item: Item) -> Any:
        found = explore_fields.value(item, name)
        return (found is not None, found if found is not None else 0)

    return key


def _sorted(rows: list[Row], orders: list[tuple[str, bool]]) -> list[Row]:
    for name, descending in reversed(orders):
        rows.sort(
            key=lambda row: (row[name] is not None, 0 if row[name] is None else row[name]),
            reverse=descending,
        )
    return rows


def _groups(scanned: Scan, fields: list[str], *, extrapolated: bool) -> list[Row]:
    """One row per combination of the plain columns, with the aggregates over its rows."""
    plain = [field for field in fields if not _AGGREGATE.fullmatch(field)]
    members: dict[tuple[Any, ...], list[Item]] = {}
    for item in scanned.items:
        group = tuple(explore_fields.value(item, field) for field in plain)
        members.setdefault(group, []).append(item)
    if not plain and not members:
        members[()] = []
    rows = []
    for group, items in members.items():
        row: Row = dict(zip(plain, group, strict=True))
        weights = [weight(item, scanned, extrapolated=extrapolated) for item in items]
        for field in fields:
            call = _AGGREGATE.fullmatch(field)
            if call:
                row[field] = _aggregate(call[1], call[2], items, weights)
        rows.append({field: row[field] for field in fields})
    return rows


def _aggregate(name: str, column: str, items: list[Item], weights: list[float]) -> Any:
    if name == "count":
        return round(sum(weights))
    if name == "last_seen":
        name, column = "max", "timestamp"
    values = [explore_fields.value(item, column) for item in items]
    known = [value for value in values if value is not None]
    if name == "count_unique":
        return len(set(known))
    if name in {"min", "max"}:
        return (min(known) if name == "min" else max(known)) if known else None
    if not all(isinstance(value, (int, float)) for value in known):
        raise bad_request(f"{name}({column}): column is not numeric")
    if name in {"sum", "avg"}:
        total = sum(v * w for v, w in zip(values, weights, strict=True) if v is not None)
        share = sum(w for v, w in zip(values, weights, strict=True) if v is not None)
        return total if name == "sum" else (total / share if share else None)
    if re.fullmatch(r"p\d\d?", name):
        ranked = sorted(known)
        return ranked[min(len(ranked) - 1, int(len(ranked) * int(name[1:]) / 100))] if ranked else 0
    raise bad_request(f"{name}: no such function")


def _page(
    request: Request, rows: list[Any], size: int, within: dates.Range
) -> tuple[Sequence[Any], Links]:
    if request.get("sampling") == _FLEX:
        return _flex_page(request, rows, size, within)
    return paging.by_offset(request, rows, size)


def _flex_page(
    request: Request, rows: list[Any], size: int, within: dates.Range
) -> tuple[Sequence[Any], Links]:
    """A page of one slice of time, newest first; a slice may be empty while older ones are not."""
    first = f"flex-{int(within.end)}-0"
    asked = request.get("cursor") or first
    found = re.fullmatch(r"flex-(\d+)-(\d+)", asked)
    if not found:
        raise bad_request("Invalid cursor parameter.")
    upper, offset = int(found[1]), int(found[2])
    lower = max(int(within.start), upper - _FLEX_SLICE_S)
    inside = [row for row in rows if lower <= int(row.timestamp) < upper]
    more_here = offset + size < len(inside)
    following = f"flex-{upper}-{offset + size}" if more_here else f"flex-{lower}-0"
    links = Links(asked, first, False, following, more_here or lower > within.start)
    return inside[offset : offset + size], links


def _meta(request: Request, fields: list[str], table: Table) -> Row:
    described = {field: explore_fields.type_and_unit(field) for field in fields}
    return {
        "fields": {field: kind for field, (kind, _) in described.items()},
        "units": {field: unit for field, (_, unit) in described.items()},
        "isMetricsData": False,
        "isMetricsExtractedData": False,
        "tips": {"query": None, "columns": None} if dataset(request) == "errors" else {},
        "datasetReason": "unchanged",
        "dataset": dataset(request),
        "dataScanned": "partial" if table.partial else "full",
        "accuracy": {"confidence": [{}]},
        "bytesScanned": 120 * table.scanned,
    }
