"""When the next request may leave: the tap's own rate, and the limits Sentry tells.

Sentry counts per caller and endpoint in fixed windows, and requests under way apart from that.
It tells both in five headers of every answer. https://docs.sentry.io/api/ratelimits/
"""

from __future__ import annotations

import email.utils
import math
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

# Endpoints with a bucket of their own; all others of a caller share one. sentry-api: "Rate limits".
_FAMILIES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("project_events", r"/projects/[^/]+/[^/]+/events/$"),
        ("project_issues", r"/projects/[^/]+/[^/]+/issues/$"),
        ("explore", r"/organizations/[^/]+/events/$"),
        ("timeseries", r"/organizations/[^/]+/events-timeseries/$"),
        ("issues", r"/organizations/[^/]+/issues/$"),
        ("issue_detail", r"/organizations/[^/]+/issues/[^/]+/$"),
        ("event_detail", r"/organizations/[^/]+/issues/[^/]+/events/[^/]+/$"),
        ("stats", r"/organizations/[^/]+/stats_v2/$"),
        ("releases", r"/organizations/[^/]+/releases/$"),
    )
)
_SHARED = "default"
_POLL_S = 0.01
# How long a window is taken to last until an answer tells: the longest one Sentry uses.
_LONGEST_WINDOW_S = 60.0


def family(path: str) -> str:
    """The name of the bucket that a request path counts in."""
    return next((name for name, pattern in _FAMILIES if pattern.search(path)), _SHARED)


@dataclass
class _Bucket:
    """What is known of one family's limits. Times are those of this machine's clock."""

    limit: int | None = None  # requests per window
    used: int = 0  # requests of this window that answers have confirmed
    reset: int = 0  # end of the window, epoch seconds of Sentry's clock
    reset_at: float = 0.0
    blocked_until: float = 0.0  # a 429 asked for this wait
    concurrent: float = 1  # until the first answer tells, one request goes ahead
    in_flight: int = 0

    def wait_s(self, now: float) -> float:
        if now < self.blocked_until:
            return self.blocked_until - now
        if self.in_flight >= self.concurrent:
            return _POLL_S
        if self.limit is None:
            return 0.0
        if now >= self.reset_at:
            # A new window has begun. Whatever is under way may count in it, hence `in_flight`.
            self.used, self.reset_at = 0, now + _LONGEST_WINDOW_S
        if self.used + self.in_flight < self.limit:
            return 0.0
        return _POLL_S if self.in_flight else self.reset_at - now


class RateLimiter:
    """Lets requests leave at most `rate` per second, and never more than Sentry's headers allow.

    Args:
        rate: Requests per second of the whole tap, evenly spaced.
        clock: Epoch seconds.
        sleep: Waits for that many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.waited_s: dict[str, float] = defaultdict(float)
        self._interval_s = 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._clock_offset = float("-inf")  # Sentry's clock minus ours, at least
        self._buckets: dict[str, _Bucket] = defaultdict(_Bucket)

    @contextmanager
    def slot(self, family: str) -> Iterator[_Answered]:
        """Wait for leave to send one request; the answer's headers go to what is yielded."""
        self._wait(family)
        answered = _Answered(self, family)
        try:
            yield answered
        finally:
            with self._lock:
                bucket = self._buckets[family]
                bucket.in_flight -= 1
                if not answered.counted:
                    bucket.used += 1

    def block(self, family: str, seconds: float) -> None:
        """Send nothing of this family for so long."""
        with self._lock:
            bucket = self._buckets[family]
            bucket.blocked_until = max(bucket.blocked_until, self._clock() + seconds)

    def learn(self, family: str, headers: Mapping[str, str]) -> bool:
        """Take over what the headers of an answer say. False if they say nothing of limits."""
        now = self._clock()
        limit, remaining, reset = (
            _whole(headers.get(f"X-Sentry-Rate-Limit-{name}"))
            for name in ("Limit", "Remaining", "Reset")
        )
        concurrent = _whole(headers.get("X-Sentry-Rate-Limit-ConcurrentLimit"))
        with self._lock:
            bucket = self._buckets[family]
            # A proxy's answer tells nothing; what was learnt before still holds then.
            if concurrent or limit or bucket.limit is None:
                bucket.concurrent = concurrent or math.inf
            if not limit or remaining is None or not reset:
                return False
            # The Date header is cut to whole seconds, so this never exceeds the true offset;
            # with more answers it comes near it. Without the header the clocks are taken as one.
            offset = _date(headers, default=now) - now
            self._clock_offset = max(self._clock_offset, offset)
            used = limit - remaining
            if reset > bucket.reset:
                bucket.reset, bucket.used = reset, used
            elif reset == bucket.reset:
                bucket.used = max(bucket.used, used)
            if reset == bucket.reset:
                bucket.limit = limit
                bucket.reset_at = reset - self._clock_offset
            return True

    def _wait(self, family: str) -> None:
        """Return once the request may leave; it then counts as under way."""
        while True:
            with self._lock:
                now = self._clock()
                wait_s, reason = self._buckets[family].wait_s(now), family
                if wait_s <= 0:
                    wait_s, reason = self._next_at - now, "rate_limit"
                if wait_s <= 0:
                    self._next_at = max(self._next_at + self._interval_s, now)
                    self._buckets[family].in_flight += 1
                    return
                self.waited_s[reason] += wait_s
            self._sleep(wait_s)


class _Answered:
    """One request under way."""

    def __init__(self, limiter: RateLimiter, family: str) -> None:
        self._limiter = limiter
        self._family = family
        self.counted = False

    def learn(self, headers: Mapping[str, str]) -> None:
        self.counted = self._limiter.learn(self._family, headers)


class RateLimitAdapter(BaseAdapter):
    """A requests transport around another one: every request passes the limiter first."""

    def __init__(self, inner: BaseAdapter, limiter: RateLimiter) -> None:
        super().__init__()
        self._inner = inner
        self._limiter = limiter

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        with self._limiter.slot(family(urlsplit(request.url or "").path)) as slot:
            response = self._inner.send(request, *args, **kwargs)
            slot.learn(response.headers)
            return response

    def close(self) -> None:
        self._inner.close()


def _whole(text: str | None) -> int | None:
    # The query engine's own limiter sends the text "None".
    return int(text) if text and text.isdecimal() else None


def _date(headers: Mapping[str, str], *, default: float) -> float:
    try:
        return email.utils.parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return default
