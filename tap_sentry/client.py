"""Questions to Sentry's web API: bearer auth, pages, waits, and what an answer's status means.

https://docs.sentry.io/api/
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import backoff
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from tap_sentry.answers import Answer, refusal
from tap_sentry.errors import (
    AuthError,
    NotAvailable,
    OutsideRetention,
    QueryTimeout,
    RateLimited,
    SentryUnavailable,
    UnexpectedAnswer,
)
from tap_sentry.rate_limit import RateLimitAdapter, RateLimiter, family, steady_time
from tap_sentry.records import Row
from tap_sentry.settings import Settings

logger = logging.getLogger("tap-sentry")

Params = Sequence[tuple[str, str]]

_TRIES_WHEN_LIMITED = 20
_TRIES_WHEN_BROKEN = 8
_TRIES_WHEN_SILENT = 4
_LONGEST_BACKOFF_S = 60.0
_QUERY_TIMEOUT_WORDS = ("timeout", "timed out", "memory limit")
_WHAT_TO_DO = {
    403: "the token lacks a scope, or the plan the feature",
    404: "it does not exist, or the token may not see it",
    410: "Sentry has retired this endpoint",
}


class Retry(NamedTuple):
    """A request that is asked again: its family, why, the number of the try and the wait for it."""

    endpoint: str
    reason: str
    path: str
    attempt: int
    wait_s: float


class SentryClient:
    """One session for the whole tap. Its methods may be called from many threads.

    Args:
        settings: Address, token and limits.
        transport: Where requests go; the network, or the demo for the demo's address.
        clock: Epoch seconds.
        sleep: Waits for that many seconds; used for rate limits and between tries alike.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: BaseAdapter | None = None,
        clock: Callable[[], float] = steady_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        # Called before each wait for another try, in the thread that waits.
        self.on_retry: Callable[[Retry], None] = lambda _: None
        self.limiter = RateLimiter(
            settings.rate_limit, max_in_flight=settings.max_concurrency, clock=clock, sleep=sleep
        )
        self.api_root = settings.api_root
        self._has_answered = False
        self._silences = 0
        self._sleep = sleep
        self._timeout_s = settings.request_timeout_seconds
        self._session = _Session()
        self._session.auth = _BearerAuth(settings.api_token)
        self._session.headers["User-Agent"] = "tap-sentry"
        inner = transport or _transport(settings)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, RateLimitAdapter(inner, self.limiter))
        # What the environment says of proxies and certificates, asked once: it takes a third of
        # the time of a request.
        asked = self._session.merge_environment_settings(self.api_root, {}, None, None, None)
        self._session.proxies, self._session.verify = asked["proxies"], asked["verify"]
        self._session.trust_env = False
        attempt = _retried(SentryUnavailable, _TRIES_WHEN_BROKEN, self._before_retry)(self._try)
        limited = _retried(RateLimited, _TRIES_WHEN_LIMITED, self._before_retry)
        self._try_until_answered = limited(attempt)

    def get(self, path: str, params: Params = ()) -> Answer:
        """One answer, after as many tries as it takes.

        Args:
            path: Below `/api/0`, with leading and trailing slash.
            params: Query parameters; a name may repeat.

        Raises:
            AuthError: On 401.
            NotAvailable: On 403, 404 and 410.
            OutsideRetention: When Sentry has forgotten all of the time range.
            QueryTimeout: When the query engine gave up, so that the caller asks for less.
            RateLimited, SentryUnavailable: When the last try failed too.
            UnexpectedAnswer: On any other status, or a body that is no JSON rows.
        """
        return self._try_until_answered(family(path), path, params)

    def pages(self, path: str, params: Params = ()) -> Iterator[Answer]:
        """All pages of a listing, in Sentry's order.

        Raises:
            UnexpectedAnswer: If a cursor comes a second time; paging would never end.
        """
        cursor: str | None = None
        seen = set()
        while True:
            answer = self.get(path, [*params, ("cursor", cursor)] if cursor else params)
            yield answer
            cursor = answer.next_cursor
            if cursor is None:
                return
            if cursor in seen:
                raise UnexpectedAnswer(
                    f"GET {path} sent the cursor {cursor} twice, so its pages would never end. "
                    "The bookmark stays where it was; run again, and report it if it stays so."
                )
            seen.add(cursor)

    def rows(self, path: str, params: Params = ()) -> Iterator[Row]:
        """The rows of all pages of a listing; see `pages`."""
        for page in self.pages(path, params):
            yield from page.rows

    def _try(self, bucket: str, path: str, params: Params) -> Answer:
        self.requests[bucket] += 1
        try:
            response = self._session.get(
                self.api_root + path, params=list(params), timeout=self._timeout_s
            )
        except requests.RequestException as error:
            self._silences += 1
            # The error's own text may hold the whole address; its class says enough.
            raise SentryUnavailable(
                f"GET {path} got no answer ({type(error).__name__}): is {self._host} reachable?",
                reason=f"no answer ({type(error).__name__})",
            ) from None
        self._has_answered = True
        logger.debug("GET %s %s -> %d", path, params, response.status_code)
        self._check(bucket, path, response)
        return Answer.of(path, response)

    def _before_retry(self, details: Any) -> None:
        error, tries = details["exception"], details["tries"]
        if not self._has_answered and self._silences >= _TRIES_WHEN_SILENT:
            raise error  # an address that never answered is more likely wrong than in trouble
        bucket, path, _ = details["args"]
        self.retries[bucket] += 1
        logger.info("%s; try %d follows", error, tries + 1)
        sleep_s = random.uniform(0.5, 1.0) * min(2.0 ** (tries - 1), _LONGEST_BACKOFF_S)
        if isinstance(error, RateLimited):
            # The limiter knows when the window ends if the 429 said so. A second one in a row
            # was not about that window. All threads wait.
            if tries > 1 or not error.is_told:
                self.limiter.block(bucket, 2 * sleep_s)
            sleep_s = 0.0
        wait_s = max(sleep_s, self.limiter.closed_s(bucket))
        self.on_retry(Retry(bucket, error.reason, path, tries + 1, wait_s))
        if sleep_s:
            self._sleep(sleep_s)

    @property
    def _host(self) -> str:
        return urlsplit(self.api_root).netloc

    def _check(self, bucket: str, path: str, response: requests.Response) -> None:
        """Raise what the status means; see errors.py."""
        status = response.status_code
        if status == 200:
            return
        asked = f"GET {path} answered {status}"
        if status == 401:
            raise AuthError(
                f"{asked}: Sentry does not accept the token. Create one with the scopes org:read "
                "project:read event:read member:read team:read and set TAP_SENTRY_API_TOKEN."
            )
        if status in _WHAT_TO_DO:
            replacement = response.headers.get("X-Sentry-Replacement-Endpoint", "")
            hint = f"; its replacement is {replacement}" if replacement else ""
            raise NotAvailable(f"{asked}: {_WHAT_TO_DO[status]}{hint}", is_gone=status == 404)
        if (retry_after := response.headers.get("Retry-After", "")).isdecimal():
            self.limiter.block(bucket, float(retry_after))
        if status == 429:
            is_told = response.headers.get("X-Sentry-Rate-Limit-Reset", "").isdecimal()
            raise RateLimited(f"{asked}: waiting for Sentry's rate limit", is_told=is_told)
        if status >= 500:
            raise SentryUnavailable(f"{asked}: Sentry is in trouble", reason=str(status))
        detail = refusal(response)
        if status == 400 and any(word in detail.lower() for word in _QUERY_TIMEOUT_WORDS):
            raise QueryTimeout(f"{asked}: {detail}")
        if status == 400 and detail.startswith("dataset must be one of"):
            raise NotAvailable(f"{asked}: this server is too old for it: {detail}")
        if status == 400 and "more recent date range" in detail:
            raise OutsideRetention(f"{asked}: {detail}")
        raise UnexpectedAnswer(f"{asked}: {detail or 'no reason given'}")


class _Session(requests.Session):
    """A session that never takes a password from .netrc, after a redirect neither."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        if self.should_strip_auth(  # type: ignore[no-untyped-call]
            response.request.url, prepared_request.url
        ):
            prepared_request.headers.pop("Authorization", None)


class _BearerAuth(AuthBase):
    """As an auth object, so that requests never puts a password from .netrc in its place."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _transport(settings: Settings) -> BaseAdapter:
    if settings.is_demo:
        from tap_sentry.demo import DemoSentry  # noqa: PLC0415 - only the demo needs it

        return DemoSentry()
    return HTTPAdapter(pool_maxsize=settings.max_concurrency)


def _retried(
    error: type[Exception], tries: int, before_retry: Callable[[Any], None]
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    # `before_retry` does the waiting, so that a test needs no patience.
    return backoff.on_exception(
        backoff.constant,
        error,
        interval=0,
        jitter=None,
        max_tries=tries,
        on_backoff=before_retry,
        logger=None,
    )
