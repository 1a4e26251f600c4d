"""Time series and state timelines as SVG, and numbers as Grafana writes them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from html import escape
from typing import Any

from tests.dashboards import Series

PALETTE = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ca95e5")
COLORS = {
    "green": "#3aa655",
    "yellow": "#d9a40e",
    "orange": "#e8730c",
    "red": "#d9344a",
    "blue": "#3f7fd9",
    "text": "currentColor",
}
_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SHORT = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SUFFIX = {"Bps": "/s", "pps": " p/s"}
# Steps of a unit, and what stands behind a number below all of them.
_SCALES = {
    "s": (_SPANS, " s"),
    "bytes": (_BYTES, " B"),
    "Bps": (_BYTES, " B/s"),
    "short": (_SHORT, ""),
}


def shown(value: object, unit: str, decimals: int | None = None) -> str:
    """A value as the panel shows it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if not isinstance(value, (int, float)):
        return "" if value is None else str(value)
    sign, size = ("-" if value < 0 else ""), abs(float(value))
    if unit == "percentunit":
        return f"{sign}{_digits(size * 100, decimals)}%"
    scale, rest = _SCALES.get(unit, ((), _SUFFIX.get(unit, "")))
    for least, name in scale:
        if size >= least:
            return f"{sign}{_digits(size / least, decimals)} {name}{_SUFFIX.get(unit, '')}"
    return f"{sign}{_digits(size, decimals)}{rest}"


def color(value: float, steps: list[Mapping[str, Any]]) -> str:
    """Of the last threshold that is not above the value; the first has no value."""
    found = [step for step in steps if step["value"] is None or value >= step["value"]]
    return COLORS[found[-1]["color"]]


def _digits(size: float, decimals: int | None) -> str:
    """With three significant digits where nobody says how many."""
    if decimals is None:
        if not size:
            return "0"
        decimals = min(max(2 - math.floor(math.log10(size)), 0), 4)
        return f"{size:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{size:.0f}"
    return f"{size:.{decimals}f}"


class Chart:
    """A plane of the size of a panel, with its axes.

    Args:
        panel: As in the dashboard's JSON.
        width: Of the panel in pixels, height as well.
        since_s: The left edge; until_s the right one.
    """

    def __init__(
        self, panel: Mapping[str, Any], width: int, height: int, since_s: float, until_s: float
    ) -> None:
        self._settings = panel["fieldConfig"]["defaults"]
        self._custom = self._settings.get("custom", {})
        self._width, self._height = width, height
        self._since_s, self._until_s = since_s, until_s
        self._left, self._bottom = 68, 18

    def series(self, lines: list[Series]) -> str:
        """Lines, areas on each other, or bars, with dashed lines for the thresholds."""
        stacked = self._custom.get("stacking", {}).get("mode") == "normal"
        layers = _piled(lines) if stacked else [(line, {}) for line in lines]
        tops = [value + below.get(at, 0) for line, below in layers for at, value in line.points]
        low, high = self._limits(tops)
        parts = [self._axes(low, high)]
        for place, (line, below) in enumerate(layers):
            parts.append(self._line(line, below, PALETTE[place % len(PALETTE)], low, high))
        if self._custom.get("thresholdsStyle"):
            for step in self._settings["thresholds"]["steps"][1:]:
                if low <= step["value"] <= high:
                    y = self._y(step["value"], low, high)
                    parts.append(
                        f'<line x1="{self._left}" x2="{self._width}" y1="{y:.1f}" y2="{y:.1f}" '
                        f'stroke="{COLORS[step["color"]]}" stroke-dasharray="6 4"/>'
                    )
        return self._svg(parts)

    def states(self, lines: list[Series], states: Mapping[str, Mapping[str, Any]]) -> str:
        """A bar for each line, in the colours of what it was at each time."""
        self._left = 8
        parts = []
        room = (self._height - self._bottom) / max(len(lines), 1)
        for place, line in enumerate(lines):
            top = place * room
            for at, end, value in _spells(line, self._until_s):
                state = states.get(f"{value:.0f}", {"color": "blue"})
                x, right = self._x(at), self._x(end)
                parts.append(
                    f'<rect x="{x:.1f}" y="{top + 18:.1f}" width="{right - x:.1f}" '
                    f'height="{max(room - 24, 4):.1f}" fill="{COLORS[state["color"]]}"/>'
                )
            parts.append(f'<text x="8" y="{top + 12:.1f}">{escape(line.name)}</text>')
        parts.append(self._times())
        return self._svg(parts)

    def _limits(self, values: list[float]) -> tuple[float, float]:
        low = self._settings.get("min", min(values, default=0))
        high = self._settings.get("max", max(values, default=1))
        if self._custom.get("drawStyle") == "bars":
            low = min(low, 0)
        if high <= low:
            high = low + (abs(low) or 1)
        room = (high - low) * 0.05
        return low - (room if low < 0 else 0), high + (0 if "max" in self._settings else room)

    def _x(self, at: float) -> float:
        share = (max(at, self._since_s) - self._since_s) / (self._until_s - self._since_s)
        return self._left + share * (self._width - self._left)

    def _y(self, value: float, low: float, high: float) -> float:
        return (self._height - self._bottom - 4) * (1 - (value - low) / (high - low)) + 4

    def _axes(self, low: float, high: float) -> str:
        parts = []
        for tick in _ticks(low, high, self._settings["unit"]):
            y = self._y(tick, low, high)
            parts.append(
                f'<line class="grid" x1="{self._left}" x2="{self._width}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/><text x="{self._left - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{shown(tick, self._settings['unit'])}</text>"
            )
        return "".join(parts) + self._times()

    def _times(self) -> str:
        span = self._until_s - self._since_s
        shape = "%H:%M:%S" if span < 3600 else "%H:%M" if span <= 172_800 else "%m-%d"
        parts = []
        for share in (0, 0.25, 0.5, 0.75, 1):
            at = self._since_s + span * share
            anchor = "end" if share == 1 else "start" if share == 0 else "middle"
            text = datetime.fromtimestamp(at, timezone.utc).strftime(shape)
            parts.append(
                f'<text x="{self._x(at):.1f}" y="{self._height - 3}" text-anchor="{anchor}">'
                f"{text}</text>"
            )
        return "".join(parts)

    def _line(
        self, line: Series, below: Mapping[float, float], color: str, low: float, high: float
    ) -> str:
        """In front of what lies below it, if it stands on others."""
        if self._custom.get("drawStyle") == "bars":
            gaps = [right[0] - left[0] for left, right in itertools.pairwise(line.points)]
            share = min(gaps, default=0) / (self._until_s - self._since_s)
            width = max(share * (self._width - self._left) * 0.8, 6)
            return "".join(
                f'<rect x="{x - width / 2:.1f}" y="{min(top, foot):.1f}" width="{width:.1f}" '
                f'height="{abs(foot - top):.1f}" fill="{color}" fill-opacity="0.75"/>'
                for x, top, foot in self._places(line.points, below, low, high)
            )
        opacity = self._custom.get("fillOpacity", 0) / 100
        parts = []
        for stretch in _unbroken(line, bool(self._custom.get("spanNulls"))):
            places = self._places(stretch, below, low, high)
            path = " ".join(f"{x:.1f},{top:.1f}" for x, top, _ in places)
            foot = " ".join(f"{x:.1f},{foot:.1f}" for x, _, foot in reversed(places))
            parts.append(
                f'<polygon points="{path} {foot}" fill="{color}" fill-opacity="{opacity}"/>'
                f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
            )
            if len(places) == 1:
                ((x, top, _),) = places
                parts.append(f'<circle cx="{x:.1f}" cy="{top:.1f}" r="3" fill="{color}"/>')
        return "".join(parts)

    def _places(
        self,
        points: list[tuple[float, float]],
        below: Mapping[float, float],
        low: float,
        high: float,
    ) -> list[tuple[float, float, float]]:
        """Where each point stands, and its foot."""
        ground = max(low, min(0, high))
        return [
            (
                self._x(at),
                self._y(value + below.get(at, 0), low, high),
                self._y(below.get(at, ground), low, high),
            )
            for at, value in points
        ]

    def _svg(self, parts: list[str]) -> str:
        return (
            f'<svg viewBox="0 0 {self._width} {self._height}" width="{self._width}" '
            f'height="{self._height}">{"".join(parts)}</svg>'
        )


def _piled(lines: list[Series]) -> list[tuple[Series, dict[float, float]]]:
    """Each line with what lies below it at each time."""
    height: dict[float, float] = {}
    layers = []
    for line in lines:
        layers.append((line, dict(height)))
        for at, value in line.points:
            height[at] = height.get(at, 0) + value
    return layers


def _spells(line: Series, until_s: float) -> Iterator[tuple[float, float, float]]:
    """From when until when it had each value."""
    ends = [at for at, _ in line.points[1:]] + [until_s]
    held = zip(line.points, ends, strict=True)
    for value, spell in itertools.groupby(held, key=lambda point: point[0][1]):
        parts = list(spell)
        yield parts[0][0][0], parts[-1][1], value


def _unbroken(line: Series, joined: bool) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a line in which no point is missing; all of it if it is joined."""
    gaps = [right[0] - left[0] for left, right in itertools.pairwise(line.points)]
    longest = math.inf if joined else 1.5 * min(gaps, default=0)
    stretch: list[tuple[float, float]] = []
    for point in line.points:
        if stretch and point[0] - stretch[-1][0] > longest:
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch


def _ticks(low: float, high: float, unit: str) -> list[float]:
    """Four or so round numbers between the limits."""
    scale, _ = _SCALES.get(unit, ((), ""))
    size = next((size for size, _ in scale if max(-low, high) >= size), 1)
    low, high = low / size, high / size
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    last = math.floor(high / step)
    return [round(step * number, 12) * size for number in range(first, last + 1)]
