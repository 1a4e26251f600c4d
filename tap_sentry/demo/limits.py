"""Sentry's request limits: fixed windows and requests in flight, per caller and endpoint."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tap_sentry.demo.exchange import Answer


@dataclass(frozen=True)
class RateLimit:
    """At most `requests` per `window_s` seconds and `concurrent` at the same time."""

    requests: int
    window_s: int
    concurrent: int = 25


# By the names of the views in routes.py. Views that are not listed share the bucket of "default".
SENTRY_LIMITS: Mapping[str, RateLimit] = {
    "default": RateLimit(40, 1),
    "project_events": RateLimit(60, 60, 1),
    "explore": RateLimit(30, 1, 15),
    "timeseries": RateLimit(30, 1, 15),
    "issues": RateLimit(10, 1),
    "issue": RateLimit(5, 1),
    "issue_event": RateLimit(15, 1),
    "releases": RateLimit(40, 1),
    "stats": RateLimit(20, 1),
}


class Limiter:
    """Counts requests and tells which come too often.

    Args:
        table: Limits by view, with one for "default".
        clock: Epoch seconds; windows begin at its multiples, as on a wall clock.
    """

    def __init__(
        self,
        table: Mapping[str, RateLimit] = SENTRY_LIMITS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = {"default": SENTRY_LIMITS["default"], **table}
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: Counter[tuple[str, str]] = Counter()
        self._windows: dict[tuple[str, str], int] = {}
        self._in_flight: Counter[tuple[str, str]] = Counter()

    def enter(self, caller: str, view: str) -> tuple[dict[str, str], Answer | None]:
        """The five headers for a request and the refusal if it comes too often.

        Every `enter` without refusal needs its `leave`.
        """
        bucket, limit = self._bucket(caller, view)
        with self._lock:
            window = int(self._clock() // limit.window_s)
            if self._windows.get(bucket) != window:
                self._windows[bucket] = window
                self._counted[bucket] = 0
            self._counted[bucket] += 1
            too_often = self._counted[bucket] > limit.requests
            too_many = not too_often and self._in_flight[bucket] >= limit.concurrent
            if not (too_often or too_many):
                self._in_flight[bucket] += 1
            headers = rate_headers(
                limit,
                remaining=max(0, limit.requests - self._counted[bucket]),
                reset=(window + 1) * limit.window_s,
                concurrent_remaining=max(0, limit.concurrent - self._in_flight[bucket]),
            )
        if too_often:
            return headers, too_frequent(limit)
        return headers, _too_concurrent(limit) if too_many else None

    def leave(self, caller: str, view: str) -> None:
        """A request is answered."""
        bucket, _ = self._bucket(caller, view)
        with self._lock:
            self._in_flight[bucket] -= 1

    def _bucket(self, caller: str, view: str) -> tuple[tuple[str, str], RateLimit]:
        name = view if view in self._table else "default"
        return (caller, name), self._table[name]


def rate_headers(
    limit: RateLimit, *, remaining: int, reset: int, concurrent_remaining: int
) -> dict[str, str]:
    return {
        "X-Sentry-Rate-Limit-Limit": str(limit.requests),
        "X-Sentry-Rate-Limit-Remaining": str(remaining),
        "X-Sentry-Rate-Limit-Reset": str(reset),
        "X-Sentry-Rate-Limit-ConcurrentLimit": str(limit.concurrent),
        "X-Sentry-Rate-Limit-ConcurrentRemaining": str(concurrent_remaining),
    }


def too_frequent(limit: RateLimit) -> Answer:
    """The 429 of the window: a bare JSON string under a content type that is not JSON's."""
    message = (
        "You are attempting to use this endpoint too frequently. "
        f"Limit is {limit.requests} requests in {limit.window_s} seconds"
    )
    return Answer(429, json.dumps(message), content_type="text/html; charset=utf-8")


def _too_concurrent(limit: RateLimit) -> Answer:
    message = (
        "You are attempting to go above the allowed concurrency for this endpoint. "
        f"Concurrency limit is {limit.concurrent}"
    )
    return Answer(429, json.dumps(message), content_type="text/html; charset=utf-8")
