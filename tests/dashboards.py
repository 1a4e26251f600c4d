"""Asking what Grafana would ask: every query of the committed dashboards, of real sources."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import requests

from tests.project import ROOT

GRAFANA = ROOT / "orchestrate" / "monitoring" / "grafana"
FOLDER = GRAFANA / "dashboards"
# How a row begins whose panels may be empty, since it asks for what not every stack has.
OPTIONAL = "Options"
# Types of DuckDB that the plugin for Grafana can show.
SHOWN_TYPES = {"BIGINT", "BOOLEAN", "DATE", "DOUBLE", "INTEGER", "TIMESTAMP", "VARCHAR"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# Points of a time series, about as many as a panel is wide.
_POINTS = 240


class Unanswered(Exception):
    """A source refused a query."""


class Place(NamedTuple):
    """A panel and where it stands."""

    dashboard: Mapping[str, Any]
    panel: Mapping[str, Any]
    row: str

    @property
    def may_be_empty(self) -> bool:
        """Whether it says what it means that nothing came, or is of an optional row."""
        says = self.panel["fieldConfig"]["defaults"].get("noValue")
        return self.row.startswith(OPTIONAL) or bool(says)


class Series(NamedTuple):
    """A line: what it is called, its labels, and (seconds since 1970, number) pairs."""

    name: str
    labels: Mapping[str, str]
    points: list[tuple[float, float]]


class Rows(NamedTuple):
    """What SQL answers to a table."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def dashboards() -> list[dict[str, Any]]:
    """Those of the project, as they are committed; the overview first."""
    files = sorted(FOLDER.glob("*.json"), key=lambda path: (path.stem != "overview", path.stem))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def places(dashboard: Mapping[str, Any]) -> Iterator[Place]:
    """Its panels, those of collapsed rows too, headings left out."""
    row = ""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            for inner in panel["panels"]:
                yield Place(dashboard, inner, row)
        else:
            yield Place(dashboard, panel, row)


def seconds(duration: str) -> int:
    """Of `30d`, or of `now-30d`."""
    number, unit = _parts(r"(?:now-)?(\d+)([smhd])", duration)
    return int(number) * _SECONDS[unit]


class Sources:
    """Prometheus and the published copy, as Grafana's data sources.

    Args:
        prometheus_url: With or without a slash at its end.
        warehouse: The file of the published copy.
        environment: What is chosen at the top of each page; of the other choices all are taken.
        period_s: What a time series of Prometheus shows; None for the page's own period.
    """

    def __init__(
        self, prometheus_url: str, warehouse: Path, environment: str, period_s: int | None = None
    ) -> None:
        self._url = prometheus_url.rstrip("/")
        self._warehouse = duckdb.connect(str(warehouse), read_only=True)
        self._warehouse.execute("set timezone = 'UTC'")
        self._environment = environment
        self._period_s = period_s
        self.now_s = time.time()
        self._chosen: dict[str, list[str]] = {}

    def close(self) -> None:
        self._warehouse.close()

    def period_s(self, place: Place) -> int:
        """Of the page; of a time series of Prometheus what it was told to show instead."""
        own = seconds(place.dashboard["time"]["from"])
        is_promql = place.panel["datasource"]["uid"] == "prometheus"
        return self._period_s if self._period_s and is_promql else own

    def answer(self, place: Place, target: Mapping[str, Any]) -> list[Series] | Rows:
        """What the source says to one query of a panel.

        Raises:
            Unanswered: If it refuses.
        """
        if target["datasource"]["uid"] == "warehouse":
            return self._sql(place, target)
        return self._promql(place, target)

    def values(self, variable: Mapping[str, Any]) -> list[str]:
        """What can be chosen at the top of the page."""
        metric, label = _parts(r"label_values\((.+), (\w+)\)", variable["query"])
        if metric not in self._chosen:
            here = metric.replace("$environment", self._environment)
            self._chosen[metric] = self._ask(f"label/{label}/values", {"match[]": here})
        return self._chosen[metric]

    def now(self, dashboard: Mapping[str, Any], query: str) -> list[dict[str, Any]]:
        """What PromQL gives at this instant, as Prometheus has it: `metric` and `value`.

        Raises:
            Unanswered: If Prometheus refuses.
        """
        asked = {"query": self._filled(query, dashboard), "time": self.now_s}
        return list(self._ask("query", asked)["result"])

    def _promql(self, place: Place, target: Mapping[str, Any]) -> list[Series]:
        if target.get("instant"):
            return [
                Series(_name(target, one["metric"]), one["metric"], _numbers([one["value"]]))
                for one in self.now(place.dashboard, target["expr"])
            ]
        period_s = self.period_s(place)
        least_s = seconds(place.panel.get("interval", "1s"))
        asked = {
            "query": self._filled(target["expr"], place.dashboard),
            "start": self.now_s - period_s,
            "end": self.now_s,
            "step": max(period_s / _POINTS, min(least_s, period_s)),
        }
        found = self._ask("query_range", asked)["result"]
        return [
            Series(_name(target, one["metric"]), one["metric"], _numbers(one["values"]))
            for one in found
        ]

    def _sql(self, place: Place, target: Mapping[str, Any]) -> list[Series] | Rows:
        text = self._filled(target["rawSql"], place.dashboard)
        since, until = (
            datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            for at in (self.now_s - self.period_s(place), self.now_s)
        )
        text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= '{since}' AND \1 <= '{until}'", text)
        try:
            found = self._warehouse.sql(text)
            columns, rows = found.columns, found.fetchall()
        except duckdb.Error as error:
            raise Unanswered(str(error)) from error
        strange = {str(kind) for kind in found.types} - SHOWN_TYPES
        if strange:
            raise Unanswered(f"the plugin cannot show the type {', '.join(sorted(strange))}")
        if place.panel["type"] in {"timeseries", "state-timeline"}:
            return _series(place, columns, rows)
        return Rows(columns, rows)

    def _filled(self, text: str, dashboard: Mapping[str, Any]) -> str:
        """A query in which the choices and Grafana's own variables stand as values."""
        text = text.replace("$environment", self._environment)
        text = text.replace("$__rate_interval", "1m")
        for variable in dashboard["templating"]["list"]:
            name = variable["name"]
            values = self.values(variable)
            quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
            text = text.replace(f"${{{name}:singlequote}}", quoted)
            # In a string of PromQL a backslash is written twice.
            expression = "|".join(re.escape(value) for value in values).replace("\\", "\\\\")
            text = text.replace(f"${name}", f"({expression})")
        left = re.findall(r"\$(?!__timeFilter)\{?[a-z_]\w*", text.replace('"$1"', ""))
        if left:
            raise Unanswered(f"nobody knows the variable {left[0]}")
        return text

    def _ask(self, path: str, asked: Mapping[str, Any]) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=dict(asked), timeout=60).json()
        if answer["status"] != "success":
            raise Unanswered(answer["error"])
        return answer["data"]


def unanswered(prometheus_url: str, warehouse: Path, environment: str) -> list[str]:
    """Queries that fail, and those of panels that must show something and get nothing.

    A panel of a row whose title begins with `Options`, or with a text for when it is empty, may be
    empty; its queries must not fail either.
    """
    sources = Sources(prometheus_url, warehouse, environment)
    try:
        return [line for dashboard in dashboards() for line in _unanswered_of(sources, dashboard)]
    finally:
        sources.close()


def _unanswered_of(sources: Sources, dashboard: Mapping[str, Any]) -> Iterator[str]:
    title = dashboard["title"]
    for variable in dashboard["templating"]["list"]:
        if not sources.values(variable):
            yield f"{title}: nothing to choose from for {variable['name']}"
    for mark in dashboard["annotations"]["list"]:
        try:
            sources.now(dashboard, mark["expr"])
        except Unanswered as refused:  # noqa: PERF203
            yield f"{title} / {mark['name']}: {refused}"
    for place in places(dashboard):
        for target in place.panel["targets"]:
            where = f"{title} / {place.panel['title']} / {target['refId']}"
            try:
                answer = sources.answer(place, target)
            except Unanswered as refused:
                yield f"{where}: {refused}"
                continue
            if not _says_something(answer) and not place.may_be_empty:
                yield f"{where}: no data"


def _says_something(answer: list[Series] | Rows) -> bool:
    if isinstance(answer, Rows):
        return bool(answer.rows)
    return any(series.points for series in answer)


def _parts(pattern: str, text: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, text)
    if match is None:
        raise ValueError(f"{text!r} is not like {pattern}")
    return match.groups()


def _numbers(pairs: list[list[Any]]) -> list[tuple[float, float]]:
    numbers = [(float(at), float(value)) for at, value in pairs]
    return [(at, value) for at, value in numbers if math.isfinite(value)]


def _name(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    legend = target.get("legendFormat")
    if not legend:
        return ", ".join(labels.values()) or "value"
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)


def _series(place: Place, columns: list[str], rows: list[tuple[Any, ...]]) -> list[Series]:
    """SQL's answer as lines: `time`, labels, and a line for each number."""
    named = place.panel["fieldConfig"]["defaults"].get("displayName", "")
    labels = set(re.findall(r"__field\.labels\.(\w+)", named))
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        fields = dict(zip(columns, row, strict=True))
        at = fields.pop("time").replace(tzinfo=timezone.utc).timestamp()
        of = " ".join(str(fields.pop(label)) for label in sorted(labels))
        for column, value in fields.items():
            if value is not None:
                lines.setdefault(of or column, []).append((at, float(value)))
    return [Series(name, {}, points) for name, points in lines.items()]
