"""Faults: what goes wrong with an answer; `fault_script.py` says on which requests."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tap_sentry.demo.exchange import Answer, Request, forbidden, not_found, unauthorized
from tap_sentry.demo.limits import SENTRY_LIMITS, rate_headers, too_frequent

Proceed = Callable[[], Answer]

_BAD_GATEWAY = "<html><head><title>{0} {1}</title></head><body><h1>{0} {1}</h1></body></html>"
_REASONS = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


@dataclass(frozen=True, kw_only=True)
class Fault(abc.ABC):
    """Something that goes wrong.

    Attributes:
        path: Pattern of the paths it looks at, with `*` for anything.
        at: The first request of those to spoil, counted from 1.
        every: Or: spoil each n-th.
        times: How many in a row, from each of these on. Without `at` and `every`, from the first.
    """

    path: str = "*"
    at: int | None = None
    every: int | None = None
    times: int = 1

    def is_due(self, number: int) -> bool:
        """Whether it spoils the n-th request that its path matches."""
        if self.every is not None:
            return number >= self.every and number % self.every < self.times
        first = self.at or 1
        return first <= number < first + self.times

    @abc.abstractmethod
    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        """The spoilt answer; `proceed` gives the right one."""


@dataclass(frozen=True, kw_only=True)
class TooManyRequests(Fault):
    """429 as the limiter sends it; the window ends after so many seconds."""

    reset_after_s: float = 1.0

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        limit = SENTRY_LIMITS["default"]
        answer = too_frequent(limit)
        answer.headers = rate_headers(
            limit,
            remaining=0,
            reset=int(now + self.reset_after_s),
            concurrent_remaining=limit.concurrent,
        )
        return answer


@dataclass(frozen=True, kw_only=True)
class SnubaRateLimited(Fault):
    """429 of the query engine: an object, and no word on how long to wait."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        detail = (
            "Rate limit exceeded. Please try your query with a smaller date range "
            "or fewer projects."
        )
        headers = dict.fromkeys(("X-Sentry-Rate-Limit-Limit", "X-Sentry-Rate-Limit-Reset"), "None")
        return Answer(429, {"detail": detail}, headers=headers)


@dataclass(frozen=True, kw_only=True)
class ServerError(Fault):
    """5xx: JSON from Sentry itself (500), HTML from the proxies before it (502 and up)."""

    status: int = 500

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        if self.status == 500:
            return Answer(500, {"detail": "Internal Error", "errorId": "d3" * 16})
        page = _BAD_GATEWAY.format(self.status, _REASONS.get(self.status, "Error"))
        return Answer(self.status, page, content_type="text/html")


@dataclass(frozen=True, kw_only=True)
class Unauthorized(Fault):
    """401, as after a token was revoked."""

    detail: str = "Invalid token"

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        return unauthorized(self.detail).answer


@dataclass(frozen=True, kw_only=True)
class Forbidden(Fault):
    """403."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        return forbidden().answer


@dataclass(frozen=True, kw_only=True)
class NotFound(Fault):
    """404, as after a project was deleted; `empty` leaves out the body, as unlicensed features."""

    empty: bool = False

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        if self.empty:
            return Answer(404, "", content_type="text/html; charset=utf-8")
        return not_found().answer


@dataclass(frozen=True, kw_only=True)
class Gone(Fault):
    """410 of an endpoint in a brownout."""

    replacement: str = "/api/0/organizations/{organization_id_or_slug}/"

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        headers = {
            "X-Sentry-Deprecation-Date": "2026-05-15T00:00:00+00:00",
            "X-Sentry-Replacement-Endpoint": self.replacement,
        }
        return Answer(410, {"message": "This API no longer exists."}, headers=headers)


@dataclass(frozen=True, kw_only=True)
class QueryTimeout(Fault):
    """400 because the query engine ran out of time."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        detail = (
            "Query timeout. Please try again. If the problem persists try a smaller date range "
            "or fewer projects."
        )
        return Answer(400, {"detail": detail})


@dataclass(frozen=True, kw_only=True)
class ConnectionReset(Fault):
    """The connection closes without an answer."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        return Answer(trouble="reset")


@dataclass(frozen=True, kw_only=True)
class CutBody(Fault):
    """Half of the body: `length` breaks the promise of Content-Length, `json` keeps it."""

    how: Literal["length", "json"] = "length"

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        if self.how == "length":
            answer.trouble = "cut"
            return answer
        half = answer.content()[: max(1, len(answer.content()) // 2)].decode(errors="ignore")
        return replace(answer, body=half, content_type="application/json; charset=utf-8")


@dataclass(frozen=True, kw_only=True)
class Slow(Fault):
    """The right answer, late."""

    seconds: float = 1.0

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        answer.delay_s += self.seconds
        return answer


@dataclass(frozen=True, kw_only=True)
class StallForever(Fault):
    """No answer, and the connection stays open: only the client's timeout ends it."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        return Answer(trouble="stall")


@dataclass(frozen=True, kw_only=True)
class RepeatCursor(Fault):
    """A next page that is this page again."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        if answer.links is not None:
            answer.links = replace(answer.links, next=answer.links.asked, has_next=True)
        return answer


@dataclass(frozen=True, kw_only=True)
class EmptyPage(Fault):
    """No rows here, more behind: the next cursor gives the rows of this page.

    It is another text for the same position, since cursors mean nothing to a client.
    """

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        if answer.links is None:
            return answer
        asked = request.get("cursor") or answer.links.asked
        again = re.sub(r"\d+", lambda digits: f"0{digits[0]}", asked, count=1)
        answer.links = replace(answer.links, next=again, has_next=True)
        if isinstance(answer.body, list):
            answer.body = []
        else:
            answer.body = {**answer.body, "data": []}
        return answer


@dataclass(frozen=True, kw_only=True)
class MissingLink(Fault):
    """An answer without its Link header, as when Sentry ends a listing early."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        answer.links = None
        return answer


@dataclass(frozen=True, kw_only=True)
class Partial(Fault):
    """Explore's answer from a smaller tier, with every second row, whatever was asked."""

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        if isinstance(answer.body, dict) and {"data", "meta"} <= answer.body.keys():
            meta = {**answer.body["meta"], "dataScanned": "partial"}
            answer.body = {**answer.body, "data": answer.body["data"][::2], "meta": meta}
        return answer


@dataclass(frozen=True, kw_only=True)
class TornCount(Fault):
    """A count of spans that is higher by `more` than there are rows."""

    more: int = 1

    def apply(self, request: Request, proceed: Proceed, now: float) -> Answer:
        answer = proceed()
        if request.get("dataset") == "spans" and isinstance(answer.body, dict):
            rows = [{**r, "count()": r["count()"] + self.more} if "count()" in r else r
                    for r in answer.body.get("data", ())]  # fmt: skip
            answer.body = {**answer.body, "data": rows}
        return answer
