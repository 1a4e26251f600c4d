"""Which of the waiting requests leaves next. Nothing here sleeps or locks."""

from __future__ import annotations

import itertools
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from tap_sentry.buckets import DOCUMENTED, SHARED, Bucket, ServerClock, Told

# A wake-up that comes late by less than this, or by one interval, does not lower the rate.
_CATCH_UP_S = 0.005
# Of so many requests one is that which waits longest, whatever its family.
_TURNS = 4


class Steady:
    """A clock that stands still for as long as another one was turned back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._latest = -math.inf
        self._turned_back_s = 0.0

    def __call__(self) -> float:
        now = self._clock() + self._turned_back_s
        if now < self._latest:
            self._turned_back_s += self._latest - now
            now = self._latest
        self._latest = now
        return now


class Slot:
    """One request: waiting, then under way."""

    def __init__(self, family: str, number: int) -> None:
        self.family = family
        self.number = number
        self.sent_at: float | None = None
        self.wake_at: float | None = None  # its thread sleeps until then
        self.woken = threading.Event()
        self.told: Told | None = None

    def learn(self, headers: Mapping[str, str], status: int = 200) -> None:
        """Take over what an answer says."""
        self.told = Told.read(headers, status)


class Gate:
    """Which request may leave next: a function of what was learnt and the instant asked.

    Of the families that could send, the scarcest goes first (fewest requests per second), so that
    it never stands idle while others take the tap's own rate. Every fourth request is the one that
    has waited longest.
    """

    def __init__(self, rate: float, max_in_flight: int) -> None:
        self.waiting: dict[str, list[Slot]] = defaultdict(list)
        self.server = ServerClock()
        self.interval_s = 1.0 / rate
        self._max_in_flight = max_in_flight
        self.buckets: dict[str, Bucket] = {}
        self._numbers = itertools.count()
        self._in_flight = 0
        self._sent = 0
        self._next_at = -math.inf

    def bucket(self, family: str) -> Bucket:
        """What is known of a family."""
        if family not in self.buckets:
            limits = DOCUMENTED.get(family, DOCUMENTED[SHARED])
            self.buckets[family] = Bucket(limits, self._max_in_flight)
        return self.buckets[family]

    def ask(self, family: str) -> Slot:
        """One more request waits."""
        slot = Slot(family, next(self._numbers))
        self.waiting[family].append(slot)
        return slot

    def next_instants(self, now: float) -> Iterator[tuple[float, str]]:
        """When each family with waiting requests may send by its own limits, if time alone tells.

        None of them while as many are under way as ever may be.
        """
        if self._in_flight < self._max_in_flight:
            for name, slots in self.waiting.items():
                if slots and (at := self.bucket(name).ready_at(now, self.server)) < math.inf:
                    yield at, name

    @property
    def is_busy(self) -> bool:
        """Whether requests are under way."""
        return self._in_flight > 0

    def own_rate_at(self, now: float) -> float:
        """When the tap's own rate allows the next request; `now` or an instant to come."""
        return max(now, self._next_at)

    def send(self, now: float) -> Slot | None:
        """The request that leaves now, if there is one. Those asleep must wake first."""
        if now < self._next_at:
            return None
        ready = [
            slot
            for at, name in self.next_instants(now)
            if at <= now
            and (slot := next((s for s in self.waiting[name] if s.wake_at is None), None))
        ]
        if not ready:
            return None
        self._sent += 1
        if self._sent % _TURNS:
            slot = min(ready, key=lambda slot: (self.bucket(slot.family).rate, slot.number))
        else:
            slot = min(ready, key=lambda slot: slot.number)
        self.waiting[slot.family].remove(slot)
        late_at_most = max(self.interval_s, _CATCH_UP_S)
        self._next_at = max(self._next_at, now - late_at_most) + self.interval_s
        self._in_flight += 1
        self.bucket(slot.family).in_flight += 1
        slot.sent_at = now
        return slot

    def finish(self, slot: Slot, now: float) -> None:
        """A request is over, with or without an answer."""
        sent_at = now if slot.sent_at is None else slot.sent_at
        if slot.told is not None and slot.told.tells_window:
            self.server.learn(slot.told, sent_at=sent_at, now=now)
        self._in_flight -= 1
        self.bucket(slot.family).finish(
            slot.told,
            sent_at=sent_at,
            now=now,
            server=self.server,
        )
