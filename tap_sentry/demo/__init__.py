"""A simulated Sentry: no token, no network, as awkward as the real one.

session.mount("https://demo.invalid", DemoSentry(seed=7))  # inside the process
with serve(DemoSentry(seed=7)) as base_url: ...            # over HTTP
python -m tap_sentry.demo                                  # the same from a shell
"""

from __future__ import annotations

from tap_sentry.demo.faults import (
    ConnectionReset,
    CutBody,
    EmptyPage,
    Fault,
    Forbidden,
    Gone,
    MissingLink,
    NotFound,
    Partial,
    QueryTimeout,
    RepeatCursor,
    ServerError,
    Slow,
    SnubaRateLimited,
    StallForever,
    TooManyRequests,
    TornCount,
    Unauthorized,
)
from tap_sentry.demo.limits import SENTRY_LIMITS, RateLimit
from tap_sentry.demo.people import END_USERS, MEMBERS, personal_values
from tap_sentry.demo.server import serve
from tap_sentry.demo.transport import DemoSentry, Served
from tap_sentry.demo.world import World

__all__ = [
    "END_USERS",
    "MEMBERS",
    "SENTRY_LIMITS",
    "ConnectionReset",
    "CutBody",
    "DemoSentry",
    "EmptyPage",
    "Fault",
    "Forbidden",
    "Gone",
    "MissingLink",
    "NotFound",
    "Partial",
    "QueryTimeout",
    "RateLimit",
    "RepeatCursor",
    "Served",
    "ServerError",
    "Slow",
    "SnubaRateLimited",
    "StallForever",
    "TooManyRequests",
    "TornCount",
    "Unauthorized",
    "World",
    "personal_values",
    "serve",
]
