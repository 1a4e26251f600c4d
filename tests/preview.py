"""All dashboards on one static page, from real answers, for a person who has no Grafana.

python -m tests.preview --prometheus URL --warehouse FILE --to PAGE.html
"""

from __future__ import annotations

import argparse
import operator
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import duckdb
import requests

from tests.dashboards import Place, Rows, Series, Sources, Unanswered, dashboards, places
from tests.preview_chart import COLORS, PALETTE, Chart, color, shown

# Grafana's grid: 24 columns, rows of 30 pixels, 8 between them.
COLUMN, ROW, GAP = 50, 30, 8
STYLE = """
:root { color-scheme: light dark; --page: #f4f5f5; --panel: #fff; --line: #dcdee1;
        --text: #24292e; --dim: #6b7178; }
@media (prefers-color-scheme: dark) {
  :root { --page: #111217; --panel: #181b1f; --line: #2c3036; --text: #d5d6dc; --dim: #8e9097; }
}
body { margin: 16px; background: var(--page); color: var(--text);
       font: 13px Inter, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 20px; margin: 28px 0 2px; } h1:first-child { margin-top: 0; }
p { margin: 0 0 10px; color: var(--dim); }
.grid { display: grid; grid-template-columns: repeat(24, 42px); grid-auto-rows: 30px; gap: 8px; }
h2 { grid-column: 1 / -1; margin: 8px 0 0; font-size: 14px; font-weight: 500; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 3px;
         overflow: hidden; display: flex; flex-direction: column; }
h3 { margin: 0; padding: 6px 8px 2px; font-size: 13px; font-weight: 500; }
.body { flex: 1; min-height: 0; overflow: hidden; padding: 0 8px 4px; }
.stat { display: flex; align-items: center; justify-content: center; font-size: 30px;
        font-weight: 500; height: 100%; }
.empty { color: var(--dim); display: flex; align-items: center; justify-content: center;
         height: 100%; text-align: center; }
.failed { color: #d9344a; }
svg { display: block; } svg text { fill: var(--dim); font-size: 11px; }
svg .grid { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 0 12px; color: var(--dim); font-size: 11px;
          height: 30px; overflow: hidden; }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 5px;
            vertical-align: middle; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--dim);
  font-weight: 500; } td, th { padding: 3px 8px 3px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; max-width: 180px; overflow: hidden; text-overflow: ellipsis; }
td.number, th.number { text-align: right; }
.bar { display: grid; grid-template-columns: 42% 1fr 64px; gap: 8px; align-items: center; }
.bar span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  text-align: right; }
.bar div { background: var(--page); height: 70%; } .bar b { display: block; height: 100%; }
"""


def page(sources: Sources) -> str:
    """The whole page."""
    parts = [_dashboard(sources, dashboard) for dashboard in dashboards()]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboards</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _dashboard(sources: Sources, dashboard: Mapping[str, Any]) -> str:
    parts = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row" and not panel["collapsed"]:
            top = panel["gridPos"]["y"] + 1
            parts.append(f'<h2 style="grid-row: {top}">{escape(panel["title"])}</h2>')
    folded = []
    for place in places(dashboard):
        if any(place.panel is panel for panel in dashboard["panels"]):
            parts.append(_panel(sources, place))
        else:
            folded.append(place.row)
    rest = "".join(f"<p>Folded: {escape(row)}</p>" for row in dict.fromkeys(folded))
    return (
        f"<h1>{escape(dashboard['title'])}</h1><p>{escape(dashboard['description'])}</p>"
        f'<div class="grid">{"".join(parts)}</div>{rest}'
    )


def _panel(sources: Sources, place: Place) -> str:
    at = place.panel["gridPos"]
    where = f"grid-column: {at['x'] + 1} / span {at['w']}; grid-row: {at['y'] + 1} / span {at['h']}"
    return (
        f'<div class="panel" style="{where}" title="{escape(place.panel["description"])}">'
        f'<h3>{escape(place.panel["title"])}</h3><div class="body">{_body(sources, place)}</div>'
        "</div>"
    )


def _body(sources: Sources, place: Place) -> str:
    try:
        answers = [sources.answer(place, target) for target in place.panel["targets"]]
    except Unanswered as refused:
        return f'<div class="empty failed">{escape(str(refused))}</div>'
    if place.panel["type"] == "table":
        header, rows = _cells(place.panel, answers)
        return _table(place.panel, header, rows) if rows else _empty(place.panel)
    lines = [line for answer in answers for line in _lines(answer) if line.points]
    if not lines:
        return _empty(place.panel)
    if place.panel["type"] == "stat":
        return _stat(place.panel, lines[0].points[-1][1])
    if place.panel["type"] == "bargauge":
        return _bars(place.panel, lines)
    return _chart(sources, place, lines)


def _lines(answer: list[Series] | Rows) -> list[Series]:
    if isinstance(answer, Rows):
        raise TypeError("a table's answer in a panel of another kind")
    return answer


def _empty(panel: Mapping[str, Any]) -> str:
    text = panel["fieldConfig"]["defaults"].get("noValue", "No data")
    return f'<div class="empty">{escape(text)}</div>'


def _states(settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What is shown instead of numbers, by the number."""
    return {
        value: state
        for mapping in settings.get("mappings", [])
        for value, state in mapping["options"].items()
    }


def _stat(panel: Mapping[str, Any], value: float) -> str:
    settings = panel["fieldConfig"]["defaults"]
    state = _states(settings).get(f"{value:.0f}")
    text = state["text"] if state else shown(value, settings["unit"], settings.get("decimals"))
    hue = COLORS[state["color"]] if state else color(value, settings["thresholds"]["steps"])
    paint = (
        f"background: {hue}; color: #fff"
        if panel["options"]["colorMode"] == "background"
        else f"color: {hue}"
    )
    return f'<div class="stat" style="{paint}">{escape(text)}</div>'


def _bars(panel: Mapping[str, Any], lines: list[Series]) -> str:
    settings = panel["fieldConfig"]["defaults"]
    values = [line.points[-1][1] for line in lines]
    low, high = settings.get("min", 0), settings.get("max", max(values)) or 1
    height = min((_height(panel) - 34) / len(lines), 34)
    parts = []
    for line, value in zip(lines, values, strict=True):
        share = min(max((value - low) / (high - low), 0), 1)
        hue = color(value, settings["thresholds"]["steps"])
        parts.append(
            f'<div class="bar" style="height: {height:.0f}px"><span>{escape(line.name)}</span>'
            f'<div><b style="width: {share:.1%}; background: {hue}"></b></div>'
            f'<span style="color: {hue}">'
            f"{shown(value, settings['unit'], settings.get('decimals'))}</span></div>"
        )
    return "".join(parts)


def _chart(sources: Sources, place: Place, lines: list[Series]) -> str:
    panel, until_s = place.panel, sources.now_s
    since_s = until_s - sources.period_s(place)
    is_series = panel["type"] == "timeseries"
    width = panel["gridPos"]["w"] * COLUMN - GAP - 18
    height = _height(panel) - (68 if is_series else 34)
    chart = Chart(panel, width, height, since_s, until_s)
    if not is_series:
        return chart.states(lines, _states(panel["fieldConfig"]["defaults"]))
    legend = "".join(
        f'<span><i style="background: {PALETTE[number % len(PALETTE)]}"></i>'
        f"{escape(line.name)}</span>"
        for number, line in enumerate(lines)
    )
    return f'{chart.series(lines)}<div class="legend">{legend}</div>'


def _height(panel: Mapping[str, Any]) -> int:
    return int(panel["gridPos"]["h"] * (ROW + GAP) - GAP)


def _cells(
    panel: Mapping[str, Any], answers: list[list[Series] | Rows]
) -> tuple[list[str], list[list[Any]]]:
    """A table as Grafana's transformations leave it: merged, named, in order, sorted."""
    (organize,) = (one["options"] for one in panel["transformations"] if one["id"] == "organize")
    records = list(_records(answers))
    order = sorted(organize["renameByName"], key=organize["indexByName"].__getitem__)
    header = [organize["renameByName"][name] for name in order]
    rows = [[record.get(name) for name in order] for record in records]
    (by,) = panel["options"]["sortBy"]
    place = header.index(by["displayName"])
    known = [row for row in rows if row[place] is not None]
    known.sort(key=operator.itemgetter(place), reverse=by["desc"])
    return header, known + [row for row in rows if row[place] is None]


def _records(answers: list[list[Series] | Rows]) -> Iterator[dict[str, Any]]:
    merged: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for letter, answer in zip("ABCDEFGHIJ", answers, strict=False):
        if isinstance(answer, Rows):
            yield from (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
            continue
        name = "Value" if len(answers) == 1 else f"Value #{letter}"
        for series in answer:
            record = merged.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
            if series.points:
                record[name] = series.points[-1][1]
    yield from merged.values()


def _table(panel: Mapping[str, Any], header: list[str], rows: list[list[Any]]) -> str:
    settings = {
        one["matcher"]["options"]: {own["id"]: own["value"] for own in one["properties"]}
        for one in panel["fieldConfig"]["overrides"]
    }
    numeric = [
        not settings[name].get("mappings")
        and any(isinstance(row[place], (int, float)) for row in rows)
        for place, name in enumerate(header)
    ]
    kinds = [' class="number"' if number else "" for number in numeric]
    head = "".join(
        f"<th{kind}>{escape(name)}</th>" for name, kind in zip(header, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{_cell(value, settings[name])}</td>"
            for name, value, kind in zip(header, row, kinds, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object, settings: Mapping[str, Any]) -> str:
    state = None
    hue = "inherit"
    if isinstance(value, (int, float)):
        state = _states(settings).get(f"{value:.0f}")
        if state:
            hue = COLORS[state["color"]]
        elif "thresholds" in settings:
            hue = color(float(value), settings["thresholds"]["steps"])
    text = state["text"] if state else shown(value, settings["unit"])
    return f'<span style="color: {hue}">{escape(text)}</span>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", required=True, help="its address")
    parser.add_argument("--warehouse", required=True, type=Path, help="the published copy")
    parser.add_argument("--to", required=True, type=Path, help="the page")
    parser.add_argument("--environment", default="demo", help="Meltano's environment")
    parser.add_argument("--minutes", type=int, help="shown of Prometheus, if not each page's own")
    asked = parser.parse_args()
    period_s = asked.minutes * 60 if asked.minutes else None
    try:
        sources = Sources(asked.prometheus, asked.warehouse, asked.environment, period_s)
        asked.to.write_text(page(sources), encoding="utf-8")
    except (duckdb.Error, requests.RequestException, OSError) as error:
        raise SystemExit(f"No preview: {error}") from None
    sources.close()


if __name__ == "__main__":
    main()
