"""Error events, hour by hour: which issue, when, whose browser, under which release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from tap_sentry.demo import releases
from tap_sentry.demo.catalogue import ENVIRONMENT_SHARES, ENVIRONMENTS
from tap_sentry.demo.issues import Issue
from tap_sentry.demo.people import END_USERS, Person
from tap_sentry.demo.timeline import HOUR_S, dice, poisson, rhythm


class Event(NamedTuple):
    """One error; `timestamp` and `received` are epoch seconds."""

    id: str
    issue: Issue
    timestamp: float
    received: float
    environment: str
    release: str | None
    user: Person | None

    @property
    def dice(self) -> int:
        """A number for details such as the browser, from the id's end: samplers use its start."""
        return int(self.id[-8:], 16)


def hour_of_events(
    seed: int, hour: int, scale: float, active: Callable[[int], Sequence[Issue]]
) -> list[Event]:
    """The events that happen in an hour since the epoch, oldest first."""
    random = dice(seed, "events", hour)
    issues = active(hour)
    day, night = rhythm(hour), rhythm(hour, night=True)
    weights = [
        issue.expected(hour) * (night if issue.project.night else day) * scale for issue in issues
    ]
    total = sum(weights)
    count = poisson(random, total) if total else 0
    start = hour * HOUR_S
    rows = [
        _event(random, issue, start + random.random() * HOUR_S)
        for issue in (random.choices(issues, cum_weights=list(accumulate(weights)), k=count))
    ] if count else []  # fmt: skip
    for issue in issues:
        rows += [
            _event(random, issue, at, prompt=True)
            for at in issue.beginnings()
            if start <= at < start + HOUR_S and issue.category == "error"
        ]
    rows.sort(key=lambda event: event.timestamp)
    return rows


def _event(random: Random, issue: Issue, timestamp: float, *, prompt: bool = False) -> Event:
    delay = 0.4 + random.expovariate(0.7)
    if issue.project.slug == "mobile-app" and random.random() < 0.04 and not prompt:
        delay = 300 + 2700 * random.random()  # the phone was offline
    share = 0.0 if issue.release and prompt else random.random()
    environment = ENVIRONMENTS[sum(share >= limit for limit in ENVIRONMENT_SHARES[:-1])]
    running = releases.running(issue.project.slug, timestamp)
    return Event(
        id=f"{random.getrandbits(128):032x}",
        issue=issue,
        timestamp=round(timestamp, 3),
        received=round(timestamp + min(delay, 3000), 6),
        environment=environment,
        release=running.version if running else None,
        user=_user(random),
    )


def _user(random: Random) -> Person | None:
    """Most events name a user; a few users meet most errors."""
    if random.random() >= 0.85:
        return None
    return END_USERS[int(len(END_USERS) * random.random() ** 1.6)]
