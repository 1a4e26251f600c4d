"""What can go wrong while talking to Sentry, and what happens next.

SentryError
├── SettingsError      stop before any work: a setting is wrong
├── AuthError          stop: the token is missing, wrong, expired or lost
├── UnexpectedAnswer   stop: going on could lose rows
├── OutsideRetention   nothing to read: Sentry has forgotten this range of time
├── NotAvailable       skip this stream or parent, report it, go on
└── Retriable          ask again
    ├── RateLimited        429: the limiter waits until the window resets
    ├── SentryUnavailable  5xx, broken connection, cut body, timeout
    └── QueryTimeout       400 with a query timeout: ask for half the window

A message says what was asked, what came back and what to do. It never holds a token or
a response body, which may carry personal data.
"""

from __future__ import annotations


class SentryError(Exception):
    """Base of the family."""


class SettingsError(SentryError):
    """A setting is wrong, or names an organization or project that is not there."""


class AuthError(SentryError):
    """Sentry does not accept the token (401)."""


class UnexpectedAnswer(SentryError):
    """An answer that no page of Sentry's documentation explains, such as a cursor that repeats."""


class NotAvailable(SentryError):
    """Sentry answered 403, 404 or 410: the plan, the token or time took this part away.

    `is_gone` is true for 404: nothing more will come of it. After the others it may come back.
    """

    def __init__(self, message: str, *, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_gone = is_gone


class OutsideRetention(SentryError):
    """400: Sentry has forgotten all of the time range asked for."""


class Retriable(SentryError):
    """The same request may succeed later. `reason` is in a word or two why it did not."""

    reason = ""


class RateLimited(Retriable):
    """429. `is_told` is true if it said when the limit's window ends."""

    reason = "429"

    def __init__(self, message: str, *, is_told: bool = False) -> None:
        super().__init__(message)
        self.is_told = is_told


class SentryUnavailable(Retriable):
    """Sentry or the way to it is broken for the moment."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class QueryTimeout(Retriable):
    """Sentry's query engine gave up on this time range; a smaller one may succeed."""
