"""When the next request may leave: the tap's own rate, and the limits Sentry tells.

Sentry counts per caller and endpoint in fixed windows, and requests under way apart from that.
It tells both in five headers of every answer. https://docs.sentry.io/api/ratelimits/
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from tap_sentry.buckets import DOCUMENTED, family
from tap_sentry.gate import Gate, Slot, Steady

__all__ = ["RateLimitAdapter", "RateLimiter", "family", "steady_time"]

OWN_RATE = "rate_limit"
# While answers are due a wait may turn out too long; it is looked at again so often.
_LONGEST_SLEEP_S = 1.0
_LIKELY_LATENCY_S = 0.2
_STARTED_AT = time.time() - time.monotonic()


class Quota(NamedTuple):
    """At most `limit` requests in `window_s` seconds; the largest share of a window used, 0 to 1.

    The share counts requests of other processes with the same token too.
    """

    limit: int
    window_s: float
    most_used: float


def steady_time() -> float:
    """Epoch seconds that do not jump when the machine's clock is set."""
    return _STARTED_AT + time.monotonic()


class RateLimiter:
    """Lets requests leave at most `rate` per second, and never more than Sentry's headers allow.

    Who goes first: see Gate. How many of a family are under way, and how a bucket is shared with
    other processes: see Bucket. Its methods may be called from many threads.

    Waiting threads cost nothing: they block until another one lets them go, which every arriving
    and every finished request does. Only for what time alone brings one of them sleeps.

    Args:
        rate: Requests per second of the whole tap, evenly spaced.
        max_in_flight: Requests under way at once, of all families.
        clock: Epoch seconds.
        sleep: Waits for that many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        max_in_flight: int = 100,
        clock: Callable[[], float] = steady_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # Seconds in which at least one request was held back, by family or "rate_limit".
        self.waited_s: dict[str, float] = defaultdict(float)
        self._gate = Gate(rate, max_in_flight)
        self._now = Steady(clock)
        self._sleep = sleep
        self._lock = threading.Lock()
        self._looked_at = self._now()
        self._held_back: set[str] = set()
        # Seconds from requests to their answers, waits left out, by family.
        self.answering_s: dict[str, float] = defaultdict(float)
        self._answers = 0
        self._asleep: set[Slot] = set()

    @contextmanager
    def slot(self, family: str) -> Iterator[Slot]:
        """Wait for leave to send one request; the answer's headers go to what is yielded."""
        with self._lock:
            slot = self._gate.ask(family)
            self._let_go()
        try:
            while slot.sent_at is None:
                self._wait(slot)
            yield slot
        finally:
            with self._lock:
                self._wake(slot)
                if slot.sent_at is None:
                    self._gate.waiting[family].remove(slot)
                else:
                    now = self._now()
                    self._answers += 1
                    self.answering_s[family] += now - slot.sent_at
                    self._gate.finish(slot, now)
                self._let_go()

    def block(self, family: str, seconds: float) -> None:
        """Send nothing of this family for so long."""
        with self._lock:
            bucket = self._gate.bucket(family)
            bucket.blocked_until = max(bucket.blocked_until, self._now() + seconds)

    def closed_s(self, family: str) -> float:
        """Seconds until a block or full window of a family ends; 0 if there is none, or unknown."""
        with self._lock:
            now = self._now()
            open_at = self._gate.bucket(family).open_at(now, self._gate.server)
        return open_at - now if open_at < math.inf else 0.0

    def waits(self) -> list[tuple[str, float, int]]:
        """What holds requests back now: family or "rate_limit", seconds until it ends, requests.

        Requests that only wait for answers of others are not listed.
        """
        with self._lock:
            now, gate, own = self._now(), self._gate, 0
            found = []
            for at, name in gate.next_instants(now):
                if at > now:
                    found.append((name, at - now, len(gate.waiting[name])))
                else:
                    own += len(gate.waiting[name])
            if own:
                wait_s = gate.own_rate_at(now) - now + (own - 1) * gate.interval_s
                found.append((OWN_RATE, wait_s, own))
            return sorted(found, key=lambda wait: -wait[1])

    @property
    def latency_s(self) -> float:
        """What an answer takes on average, waits left out; a guess before the first."""
        if not self._answers:
            return _LIKELY_LATENCY_S
        return sum(self.answering_s.values()) / self._answers

    def rates(self) -> dict[str, float]:
        """Requests per second that each family's bucket allows; documented until Sentry tells."""
        with self._lock:
            return {name: self._gate.bucket(name).rate for name in DOCUMENTED}

    def quotas(self) -> dict[str, Quota]:
        """What Sentry told of each family that was asked."""
        with self._lock:
            return {
                name: Quota(bucket.limit, bucket.window_s, bucket.most_used)
                for name, bucket in self._gate.buckets.items()
                if bucket.limit is not None
            }

    def concurrency(self, family: str) -> int:
        """Requests of a family that may be under way at once; documented until Sentry tells."""
        with self._lock:
            return self._gate.bucket(family).most

    def _wait(self, slot: Slot) -> None:
        """Block until there is something new for this request."""
        slot.woken.wait()
        with self._lock:
            slot.woken.clear()
            if slot.wake_at is None:
                return
            wait_s = slot.wake_at - self._now()
            if self._gate.is_busy:
                wait_s = min(wait_s, _LONGEST_SLEEP_S)
        if wait_s > 0:
            self._sleep(wait_s)
        with self._lock:
            self._wake(slot)
            self._let_go()

    def _wake(self, slot: Slot) -> None:
        slot.wake_at = None
        self._asleep.discard(slot)

    def _let_go(self) -> None:
        """Let all requests go that may, and have one sleep until the next may."""
        now = self._now()
        for reason in self._held_back:
            self.waited_s[reason] += now - self._looked_at
        self._looked_at = now
        while (sent := self._gate.send(now)) is not None:
            sent.woken.set()
        instants = list(self._gate.next_instants(now))
        own_rate_at = self._gate.own_rate_at(now)
        self._held_back = {name if at > now else OWN_RATE for at, name in instants}
        for at, name in sorted((max(at, own_rate_at), name) for at, name in instants):
            if any((slot.wake_at or at) <= at for slot in self._asleep):
                return
            # The last in line, for others may let go who is awake.
            for slot in reversed(self._gate.waiting[name]):
                if slot.wake_at is None:
                    slot.wake_at = at
                    self._asleep.add(slot)
                    slot.woken.set()
                    return


class RateLimitAdapter(BaseAdapter):
    """A requests transport around another one: every request passes the limiter first."""

    def __init__(self, inner: BaseAdapter, limiter: RateLimiter) -> None:
        super().__init__()
        self._inner = inner
        self._limiter = limiter

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        with self._limiter.slot(family(urlsplit(request.url or "").path)) as slot:
            response = self._inner.send(request, *args, **kwargs)
            slot.learn(response.headers, response.status_code)
            return response

    def close(self) -> None:
        self._inner.close()
