"""What is known of Sentry's limits: one bucket per endpoint family, and Sentry's clock.

Nothing here waits or locks: every answer follows from what was learnt and the instant given.
"""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

SHARED = "default"
# A share shrinks by this factor when a window that others use too runs out. It grows by the first
# step when such a window had room, by the second when nobody else was seen.
_SHRINKS, _GROWS_BESIDE_OTHERS, _GROWS_ALONE = 0.6, 0.05, 0.2
# From so many requests on the last one of a window comes late, to see what others have sent.
_LATE_FROM = 4
_SILENT_AFTER_S = 1.0


class Limits(NamedTuple):
    """At most `requests` per `window_s` seconds and `concurrent` under way."""

    requests: int
    window_s: int = 1
    concurrent: int = 25

    @property
    def burst(self) -> int:
        """Requests of one window that no rate per second tells of: all, of a longer one."""
        return self.requests if self.window_s > 1 else 0


# Endpoints with a bucket of their own; all others of a caller share one. They are told apart by
# https://docs.sentry.io/api/ratelimits/, the numbers are those of each endpoint in Sentry's source.
_FAMILIES = tuple(
    (name, re.compile(pattern), limits)
    for name, pattern, limits in (
        ("project_events", r"/projects/[^/]+/[^/]+/events/$", Limits(60, 60, 1)),
        ("project_issues", r"/projects/[^/]+/[^/]+/issues/$", Limits(5)),
        ("explore", r"/organizations/[^/]+/events/$", Limits(30, 1, 15)),
        ("timeseries", r"/organizations/[^/]+/events-timeseries/$", Limits(30, 1, 15)),
        ("issues", r"/organizations/[^/]+/issues/$", Limits(10)),
        ("issue_detail", r"/organizations/[^/]+/issues/[^/]+/$", Limits(5)),
        ("event_detail", r"/organizations/[^/]+/issues/[^/]+/events/[^/]+/$", Limits(15)),
        ("stats", r"/organizations/[^/]+/stats_v2/$", Limits(20)),
        ("releases", r"/organizations/[^/]+/releases/$", Limits(40)),
    )
)
DOCUMENTED = {SHARED: Limits(40), **{name: limits for name, _, limits in _FAMILIES}}


def family(path: str) -> str:
    """The name of the bucket that a request path counts in."""
    return next((name for name, pattern, _ in _FAMILIES if pattern.search(path)), SHARED)


class Told(NamedTuple):
    """What one answer says of limits; None where it says nothing."""

    limit: int | None
    remaining: int | None
    reset: int | None  # end of the window, epoch seconds of Sentry's clock
    concurrent: int | None
    date: float | None
    status: int

    @classmethod
    def read(cls, headers: Mapping[str, str], status: int) -> Told:
        limit, remaining, reset, concurrent = (
            _whole(headers.get(f"X-Sentry-Rate-Limit-{name}"))
            for name in ("Limit", "Remaining", "Reset", "ConcurrentLimit")
        )
        return cls(limit, remaining, reset, concurrent, _date(headers.get("Date")), status)

    @property
    def is_trouble(self) -> bool:
        """Whether it asks for less."""
        return self.status == 429 or self.status >= 500

    @property
    def tells_window(self) -> bool:
        """Whether the window is told in which the request was counted."""
        return bool(self.limit and self.remaining is not None and self.reset)


@dataclass
class ServerClock:
    """How far Sentry's clock is ahead of ours, and never more than that.

    A window then is never taken to be over too early. Every answer bounds the offset: its Date,
    cut to whole seconds, had come when the answer did; neither the next second nor the end of the
    window it tells had come when the request left.
    """

    offset_s: float = 0.0
    _heard_at: float = -math.inf

    def is_silent(self, now: float) -> bool:
        """Whether our clock may have moved unnoticed since an answer last told the time."""
        return now - self._heard_at > _SILENT_AFTER_S

    def learn(self, told: Told, *, sent_at: float, now: float) -> None:
        """Take over the time of an answer that tells a window."""
        at_most = min(math.inf if told.date is None else told.date + 1, told.reset or math.inf)
        at_most -= sent_at
        # Without a date the clocks are taken as one, as far as the window allows.
        at_least = min(0.0, at_most) if told.date is None else told.date - now
        if self.is_silent(now) or self.offset_s > at_most:
            self.offset_s = min(at_least, at_most)  # our clock may have stepped forward
        else:
            self.offset_s = max(self.offset_s, at_least)
        self._heard_at = now


@dataclass
class Bucket:
    """One family's limits and requests. Times are those of this machine's clock.

    Requests under way are the last that may be counted in a window of Sentry's: one that is
    answered tells its window, one whose answer is lost counts for a window's whole length.

    Sharing: what Sentry counted beyond our own requests are those of other processes. While there
    are any, this one takes its `share` of each window only, evenly spread, and leaves a sixteenth
    of the limit for requests of others it cannot know of yet. The share begins at one, shrinks by
    a factor when such a window (nearly) runs out and grows by a step when it has room, which makes
    greedy processes equal. Alone it uses the whole window at once.
    """

    documented: Limits
    max_in_flight: int
    limit: int | None = None  # requests per window
    concurrent: float | None = None  # requests under way; None until an answer tells
    blocked_until: float = 0.0
    in_flight: int = 0
    allowed: float = 1.0  # requests under way that have proved to be no trouble
    share: float = 1.0
    reset: int = 0  # end of the window, epoch seconds of Sentry's clock
    most_used: float = 0.0  # largest share of a window that was used up, by whomever, 0 to 1
    _window_s: float = 0.0
    _own: int = 0  # answers that told this window
    _others: int = 0  # requests in it that are not ours, at least
    _counted: int = 0  # requests that Sentry told it had counted in it
    _is_shared: bool = False  # others were seen in the window before
    _lost: list[float] = field(default_factory=list)  # when answers failed to come
    _grows_fast: bool = True
    _halved_at: float = -math.inf

    @property
    def rate(self) -> float:
        """Requests per second, documented ones until an answer tells."""
        return (self.limit or self.documented.requests) / self.window_s

    @property
    def window_s(self) -> float:
        """Length of a window, the documented one unless answers have shown that it is wrong."""
        documented = self.documented.window_s
        is_right = self.reset % documented == 0 and self._window_s <= documented
        return documented if is_right else max(self._window_s, 1.0)

    @property
    def most(self) -> int:
        """Requests that may ever be under way at once, documented ones until an answer tells."""
        told = self.documented.concurrent if self.concurrent is None else self.concurrent
        # One at a time is Sentry's word for its most expensive endpoint; nobody asks for more.
        return int(min(told, self.max_in_flight, 1 if self.documented.concurrent == 1 else told))

    def ready_at(self, now: float, server: ServerClock) -> float:
        """When the next request may leave: `now`, an instant to come, or inf: after an answer."""
        if now >= self.blocked_until and self.in_flight >= int(self.allowed):
            return math.inf
        return self.open_at(now, server)

    def open_at(self, now: float, server: ServerClock) -> float:
        """As `ready_at`, however many requests are under way."""
        if now < self.blocked_until:
            return self.blocked_until
        return now if self.limit is None else self._window_ready_at(now, self.limit, server)

    def _window_ready_at(self, now: float, limit: int, server: ServerClock) -> float:
        ends_at = self.reset - server.offset_s
        own, others, counted = self._own, self._others, self._counted
        is_shared = self._is_shared or others > 0
        if now >= ends_at:
            # A new window has begun of which no answer has told. Only what is under way may count
            # in it. If our clock is wrong, one request is enough to learn that.
            if self.in_flight and server.is_silent(now):
                return math.inf
            own = others = counted = 0
            ends_at += self.window_s * (1 + (now - ends_at) // self.window_s)
        lost_until = [until for at in self._lost if (until := at + self.window_s) > now]
        ours = own + self.in_flight + len(lost_until)
        mine = max(1, round(self.share * limit)) if is_shared else limit
        reserve = self._reserve if is_shared else 0
        if counted >= limit or ours >= mine or ours + others + reserve >= limit:
            return max(min(ends_at, *lost_until, math.inf), now + 0.001)
        if is_shared:
            # The last tenth stays free, for what is late.
            return max(now, ends_at - self.window_s * (1 - 0.9 * ours / mine))
        if ours == limit - 1 >= _LATE_FROM:
            return max(now, ends_at - self.window_s / 4)
        return now

    def finish(
        self,
        told: Told | None,
        *,
        sent_at: float,
        now: float,
        server: ServerClock,
    ) -> None:
        """One request is over.

        Args:
            told: What its answer says; None without an answer.
            sent_at: When the request left.
            now: The present instant.
            server: Sentry's clock, this answer taken into account.
        """
        self.in_flight -= 1
        self._lost = [at for at in self._lost if at + self.window_s > now]
        is_counted = told is not None and self._count(told, now + server.offset_s)
        if not is_counted and (self.limit is not None or told is None):
            self._lost.append(now)
        if told is not None and not told.is_trouble:
            self.allowed += 1 if self._grows_fast else 1 / self.allowed
        elif sent_at > self._halved_at:
            # Requests that left together fail together; that is one reason to halve.
            self.allowed, self._grows_fast, self._halved_at = self.allowed / 2, False, now
        self.allowed = max(1.0, min(self.allowed, self.most))

    def _count(self, told: Told, server_now: float) -> bool:
        """Whether the answer tells in which window its request was counted."""
        # A proxy's answer tells nothing; what was learnt before still holds then.
        if told.concurrent or told.limit or self.limit is None:
            self.concurrent = told.concurrent or math.inf
        if not told.tells_window:
            return False
        limit, remaining, reset = told.limit or 0, told.remaining or 0, told.reset or 0
        if reset > self.reset:
            self._begin_window(reset)
        if reset == self.reset:
            self.limit = limit
            self._own += 1
            # Remaining never falls below zero; a refusal then tells of one more.
            is_refused = told.status == 429 and remaining == 0
            self._counted = max(self._counted, limit - remaining + is_refused)
            self.most_used = max(self.most_used, min(1.0, self._counted / limit))
            ours = self._own + self.in_flight + len(self._lost)
            self._others = max(self._others, self._counted - ours)
            length = reset - (server_now if told.date is None else told.date)
            self._window_s = max(self._window_s, length)
        return True

    def _begin_window(self, reset: int) -> None:
        if self.limit is not None:
            ran_out = self._counted >= self.limit - self._reserve - 1
            if self._others and ran_out:
                self.share = max(self.share * _SHRINKS, 1 / self.limit)
            else:
                step = _GROWS_BESIDE_OTHERS if self._others else _GROWS_ALONE
                self.share = min(self.share + step, 1.0)
        self._is_shared = self._others > 0
        self.reset, self._own, self._others, self._counted = reset, 0, 0, 0

    @property
    def _reserve(self) -> int:
        limit = self.limit or 0
        return min(limit - 1, math.ceil(limit / 16))


def _whole(text: str | None) -> int | None:
    # The query engine's own limiter sends the text "None".
    return int(text) if text and text.isdecimal() else None


def _date(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
