"""Which events to keep and how many each stands for: the same verdict for an id in every run.

u(id) is the id's first 12 hexadecimal digits over 16**12, evenly spread since ids are random.
An event is kept when u < fraction, so that a larger fraction keeps all that a smaller one keeps.
Floor and ceiling of an issue and the cap of a project mean "those with the smallest u" of one
project and sync window, which no event of another issue moves, unless by the cap.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from tap_sentry.records import Row
from tap_sentry.settings import Settings

_CEILING_WHEN_SAMPLING = 100
_DIGITS = 12


def position(hex_id: str) -> float:
    """u(id), in [0, 1).

    Raises:
        ValueError: If the id does not begin with 12 hexadecimal digits.
    """
    try:
        digits = bytes.fromhex(hex_id[:_DIGITS])
    except ValueError:
        digits = b""
    if 2 * len(digits) < _DIGITS:
        raise ValueError(f"{hex_id!r} does not begin with {_DIGITS} hexadecimal digits")
    return int.from_bytes(digits, "big") / 16.0**_DIGITS


@dataclass(frozen=True)
class EventSampling:
    """Fraction of all, floor and ceiling per issue, cap per project and run (both 1 or more)."""

    fraction: float
    floor: int
    ceiling: int | None
    cap: int | None

    @classmethod
    def of(cls, settings: Settings) -> EventSampling | None:
        """The sampling that the settings ask for; None if every event is to be kept."""
        fraction = 1.0 if settings.sample_fraction is None else settings.sample_fraction
        ceiling, cap = settings.max_events_per_issue, settings.max_events_per_project
        if fraction == 1.0 and ceiling is None and cap is None:
            return None
        if fraction < 1.0 and ceiling is None:
            ceiling = _CEILING_WHEN_SAMPLING
        return cls(fraction, settings.min_events_per_issue, ceiling, cap)

    def spares_every_issue(self, sizes: Collection[int]) -> bool:
        """Whether issues of these numbers of events all keep one, as good as certainly.

        The cap must be out of reach by six standard deviations of the number chosen. The ids
        have no say in it: weights that depend on whether the cap did act would be biased.
        """
        if self.floor == 0 and self.fraction < 1:
            return False
        if self.cap is None:
            return True
        ceiling = self.ceiling or math.inf
        most = sum(min(size, ceiling) for size in sizes)
        likely = sum(min(size, ceiling, self.floor + self.fraction * size) for size in sizes)
        return min(most, likely + 6 * math.sqrt((1 - self.fraction) * likely)) <= self.cap


@dataclass(slots=True)
class _Issue:
    """What was read of one issue: the chosen events, smallest u first, and a trace of all."""

    chosen: list[tuple[float, str, Row]] = field(default_factory=list)
    next_u: float = 1.0  # the smallest that was not chosen
    hashes: array[int] = field(default_factory=lambda: array("q"))  # of ids, 8 bytes each

    def count(self) -> int:
        """Distinct ids. Few are compared at a time, since a set takes 70 bytes for each."""
        parts: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
        for number in self.hashes:
            parts[number & 63].append(number)
        return sum(len(set(part)) for part in parts.values())


class Sample:
    """The sample of one project and sync window, from events in any order, repeated or not.

    It holds the events that may yet be kept, and 8 bytes for each that it was given.

    Weights: an event of an issue of n events, k of them kept, weighs n / k: the issue's weighted
    count is exact. Where an issue may lose all its events (floor 0, or a cap within reach) that
    would count too little. There it weighs 1 / (the u below which it is kept, whatever its own):
    the first u of its issue that is not chosen, the fraction, or the first u that the cap cuts
    off. Every weighted sum is then right on average (Cohen and Kaplan, "Summarizing data using
    bottom-k sketches", 2007: rank conditioning).

    Args:
        sampling: What to keep.
        counts: Events of each issue in the window as Sentry counts them; n is this or what was
            read, whichever is more. None if all events will be added.
    """

    def __init__(
        self, sampling: EventSampling, counts: Mapping[str | None, int] | None = None
    ) -> None:
        self._sampling = sampling
        self._counts = counts
        self._ceiling = sampling.ceiling or math.inf
        self._cap = sampling.cap or math.inf
        self._issues: defaultdict[str | None, _Issue] = defaultdict(_Issue)
        self._chosen = 0
        self._bound = (1.0, "")  # from this u and id on the cap leaves nothing
        self._is_whole = False

    def add(self, event: Row) -> None:
        """Take in an event (`eventID`, `groupID`), or drop it if it can never be kept.

        Raises:
            ValueError: If its id does not begin with 12 hexadecimal digits.
        """
        event_id = event["eventID"]
        key = position(event_id), event_id
        issue = self._issues[event["groupID"]]
        issue.hashes.append(hash(event_id))
        if key >= self._bound:
            return
        chosen, sampling = issue.chosen, self._sampling
        place = bisect_left(chosen, key)
        if place < len(chosen) and chosen[place][1] == event_id:
            return
        chosen.insert(place, (*key, event))
        is_above = len(chosen) > sampling.floor and chosen[-1][0] >= sampling.fraction
        if is_above or len(chosen) > self._ceiling:
            issue.next_u = min(issue.next_u, chosen.pop()[0])
            return
        self._chosen += 1
        if self._chosen > 2 * (self._cap + 1):
            self._lower_bound()

    def read_ascending(self, events: Iterator[Row]) -> bool:
        """Read a listing in the order of ids, into a new sample, only as far as it matters.

        False if the ids do not ascend: then `add` all that is left of `events`, for the same
        result. Rows that come again, as they do when paging by offset, do no harm.
        """
        sampling, last = self._sampling, ""
        # Without counts, only the whole listing tells which issues lie below the floor.
        is_counted = self._counts is not None or sampling.floor == 0
        for event in events:
            event_id, known = event["eventID"], self._issues[event["groupID"]].hashes
            is_descent = event_id < last and hash(event_id) not in known
            self.add(event)
            if is_descent:
                return False
            last = max(last, event_id)
            is_above = is_counted and position(event_id) >= sampling.fraction
            if is_above or self._chosen > self._cap:
                return True
        self._is_whole = True
        return True

    def missing(self) -> dict[str | None, int]:
        """Issues to `add` after `read_ascending`: at least so many of their next ids, or all."""
        sampling = self._sampling
        if self._is_whole or self._chosen > self._cap or sampling.floor == 0:
            return {}
        least = int(min(sampling.floor, self._ceiling))
        if not sampling.spares_every_issue(self._sizes().values()):
            least += 1  # the first u that is not chosen makes the weight
        found = {}
        for name, count in (self._counts or {}).items():
            issue = self._issues[name]
            found[name] = min(least, count) - len(issue.chosen) - (issue.next_u < 1)
        return {name: number for name, number in found.items() if number > 0}

    def result(self) -> list[Row]:
        """The kept events, smallest u first, each once and with its `sample_weight` (1 or more)."""
        sampling, sizes = self._sampling, self._sizes()
        # An event that moved to another issue while it was read is in both.
        chosen = list({entry[1]: entry for entry in sorted(self._entries(), key=_order)}.values())
        kept = chosen[: sampling.cap]
        cut_u = chosen[len(kept)][0] if len(chosen) > len(kept) else 1.0
        is_exact = len(chosen) == len(kept) and sampling.spares_every_issue(sizes.values())
        for _, _, event in kept:
            issue = self._issues[event["groupID"]]
            number = len(issue.chosen)
            limit = sampling.fraction if number > sampling.floor else 1.0
            event["sample_weight"] = (
                sizes[event["groupID"]] / number
                if is_exact
                # An id of zeros only is not random; it counts as one.
                else 1.0 / (min(issue.next_u, limit, cut_u) or 1.0)
            )
        return [event for _, _, event in kept]

    def _sizes(self) -> dict[str | None, int]:
        counts = self._counts or {}
        read = {name: issue.count() for name, issue in self._issues.items()}
        return {name: max(counts.get(name, 0), read.get(name, 0)) for name in {**counts, **read}}

    def _entries(self) -> Iterator[tuple[float, str, Row]]:
        return chain.from_iterable(issue.chosen for issue in self._issues.values())

    def _lower_bound(self) -> None:
        """Hold one more than the cap; what comes can only replace chosen events by smaller u."""
        self._chosen = int(self._cap) + 1
        self._bound = sorted(entry[:2] for entry in self._entries())[self._chosen]
        for issue in self._issues.values():
            del issue.chosen[bisect_left(issue.chosen, self._bound) :]


def _order(entry: tuple[float, str, Row]) -> tuple[float, str, str]:
    return entry[0], entry[1], str(entry[2]["groupID"])


def keep_traces(spans: Sequence[Row], fraction: float) -> list[Row]:
    """The spans of the traces that are kept, whole, each with its `sample_weight`."""
    kept = [span for span in spans if position(span["trace"]) < fraction]
    for span in kept:
        span["sample_weight"] = 1.0 / fraction
    return kept
