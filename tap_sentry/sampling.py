"""Which events to keep: the same verdict for the same id in every run.

u(id) is the id's first 12 hexadecimal digits over 16**12, evenly spread since ids are random.
An event is kept when u < fraction, so that a larger fraction keeps all that a smaller one keeps.
Floors and ceilings mean "those with the smallest u", which new events of other issues never move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tap_sentry.records import Row
from tap_sentry.settings import Settings

_CEILING_WHEN_SAMPLING = 100
_DIGITS = 12


def position(hex_id: str) -> float:
    """u(id), in [0, 1).

    Raises:
        ValueError: If the id does not begin with 12 hexadecimal digits.
    """
    digits = bytes.fromhex(hex_id[:_DIGITS])
    if 2 * len(digits) < _DIGITS:
        raise ValueError(f"{hex_id!r} does not begin with {_DIGITS} hexadecimal digits")
    return int.from_bytes(digits, "big") / 16.0**_DIGITS


@dataclass(frozen=True)
class EventSampling:
    """Fraction of all, floor and ceiling per issue, cap per project and run."""

    fraction: float
    floor: int
    ceiling: int | None
    cap: int | None

    @classmethod
    def of(cls, settings: Settings) -> EventSampling | None:
        """The sampling that the settings ask for; None if every event is to be kept."""
        fraction = 1.0 if settings.sample_fraction is None else settings.sample_fraction
        ceiling = settings.max_events_per_issue
        if fraction == 1.0 and ceiling is None and settings.max_events_per_project is None:
            return None
        if fraction < 1.0 and ceiling is None:
            ceiling = _CEILING_WHEN_SAMPLING
        return cls(
            fraction,
            settings.min_events_per_issue,
            ceiling,
            settings.max_events_per_project,
        )

    def keep(self, events: Sequence[Row]) -> list[Row]:
        """The events of one project and run that are kept, each with its `sample_weight`.

        The weight is the number of the issue's events over the number kept, so that weighted
        counts are exact for each issue of which one is kept. The cap wins over the floor.
        """
        by_issue: dict[str | None, list[Row]] = defaultdict(list)
        for event in events:
            by_issue[event["groupID"]].append(event)
        chosen: list[Row] = []
        for issue_events in by_issue.values():
            issue_events.sort(key=_event_order)
            below = sum(_event_position(event) < self.fraction for event in issue_events)
            count = max(below, self.floor)
            if self.ceiling is not None:
                count = min(count, self.ceiling)
            chosen.extend(issue_events[:count])
        if self.cap is not None and len(chosen) > self.cap:
            chosen = sorted(chosen, key=_event_order)[: self.cap]
        kept: dict[str | None, int] = defaultdict(int)
        for event in chosen:
            kept[event["groupID"]] += 1
        for event in chosen:
            issue = event["groupID"]
            event["sample_weight"] = len(by_issue[issue]) / kept[issue]
        return chosen


def _event_position(event: Row) -> float:
    return position(event["eventID"])


def _event_order(event: Row) -> tuple[float, str]:
    return _event_position(event), event["eventID"]  # the id decides where two begin alike


def keep_traces(spans: Sequence[Row], fraction: float) -> list[Row]:
    """The spans of the traces that are kept, whole, each with its `sample_weight`."""
    kept = [span for span in spans if position(span["trace"]) < fraction]
    for span in kept:
        span["sample_weight"] = 1.0 / fraction
    return kept
