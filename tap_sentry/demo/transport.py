"""The demo as a requests adapter: `session.mount("https://demo.invalid", DemoSentry())`."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from tap_sentry.demo import routes
from tap_sentry.demo.access import Access
from tap_sentry.demo.dialects import DIALECTS
from tap_sentry.demo.exchange import Answer, Request
from tap_sentry.demo.fault_script import Script
from tap_sentry.demo.faults import Fault
from tap_sentry.demo.limits import SENTRY_LIMITS, Limiter, RateLimit
from tap_sentry.demo.world import Clock, World, utc_now


class Served(NamedTuple):
    """A request that came in, refused and spoilt ones too."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]


class DemoSentry(BaseAdapter):
    """A simulated Sentry behind the interface of requests' transports, safe to use from threads.

    Args:
        world: What it shows; made from `seed` and `clock` if left out.
        seed: See `World`.
        clock: The present of a world made here; a given world keeps its own.
        limits: Request limits by view, None for none at all (and no headers, as self-hosted);
            other dialects than Sentry's have none.
        dialect: Which server it is like: `sentry`, `older` (self-hosted, 2024) or `glitchtip`.
        faults: What goes wrong and when.
        tokens: Scopes per token; None answers everybody.
        latency_s: How long each answer takes; may be changed at any time.
        limit_clock: Epoch seconds for the limits and the Date header.
        sleep: Waits for latency and slow answers.

    Attributes:
        requests: Every request so far.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        seed: int = 7,
        clock: Clock = utc_now,
        limits: Mapping[str, RateLimit] | None = SENTRY_LIMITS,
        dialect: str = "sentry",
        faults: Iterable[Fault] = (),
        tokens: Mapping[str, Iterable[str]] | None = None,
        latency_s: float = 0.0,
        limit_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.world = world if world is not None else World(seed, clock)
        self.requests: list[Served] = []
        self._dialect = DIALECTS[dialect]
        has_limits = limits is not None and self._dialect.has_limits
        self._limiter = Limiter(limits or {}, limit_clock) if has_limits else None
        self._script = Script(faults)
        self._access = Access(tokens)
        self.latency_s = latency_s
        self._clock = limit_clock
        self._lock = threading.Lock()
        self._responses = HTTPAdapter()
        self.sleep = sleep

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        """The answer to a request, which counts as in flight until the block ends."""
        with self._lock:
            self.requests.append(Served(request.method, request.path, request.query))
        request = self._dialect.understood(request)
        found = routes.view_of(request)
        view = found[0].limit if found else "default"
        caller = request.token or "anonymous"
        limit_headers: dict[str, str] = {}
        refusal = None
        if self._limiter is not None:
            limit_headers, refusal = self._limiter.enter(caller, view)
        try:
            answer = refusal or self._answer(request)
            answer.headers = {**limit_headers, **answer.headers}
            answer.delay_s += self.latency_s
            yield answer
        finally:
            if self._limiter is not None and refusal is None:
                self._limiter.leave(caller, view)

    def _answer(self, request: Request) -> Answer:
        def proceed() -> Answer:
            return routes.answer(request, self.world, self._access, self._dialect)

        fault = self._script.due(request.path)
        return proceed() if fault is None else fault.apply(request, proceed, self._clock())

    def headers(self, request: Request, answer: Answer, length: int) -> dict[str, str]:
        """All headers of an answer."""
        headers = {
            "Date": formatdate(self._clock(), usegmt=True),
            "Content-Type": answer.content_type,
            "Content-Length": str(length),
            "Vary": "Accept-Language, Cookie",
            **answer.headers,
        }
        if answer.links is not None:
            headers["Link"] = self._dialect.link(request, answer.links)
        return headers

    def send(  # noqa: PLR0917 - the signature of BaseAdapter
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """The response as requests gives it, troubles as requests raises them."""
        asked = Request.from_url(
            request.method or "GET", request.url or "", request.headers.get("Authorization")
        )
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        with self.answering(asked) as answer:
            self._wait(answer, patience, request)
            if answer.trouble == "reset":
                raise requests.exceptions.ConnectionError(
                    ConnectionResetError(104, "Connection reset by peer"), request=request
                )
            content = answer.content()
            sent = content[: len(content) // 2] if answer.trouble == "cut" else content
            raw = HTTPResponse(
                body=io.BytesIO(b"" if asked.method == "HEAD" else sent),
                headers=self.headers(asked, answer, len(content)),
                status=answer.status,
                reason=HTTPStatus(answer.status).phrase,
                preload_content=False,
                request_method=asked.method,
            )
            return self._responses.build_response(request, raw)

    def _wait(
        self, answer: Answer, patience: float | None, request: requests.PreparedRequest
    ) -> None:
        stalls = answer.trouble == "stall"
        if stalls and patience is None:
            raise RuntimeError("A request without timeout met StallForever and would never end.")
        if patience is not None and (stalls or answer.delay_s > patience):
            self.sleep(patience)
            raise requests.exceptions.ReadTimeout(
                f"Read timed out. (read timeout={patience})", request=request
            )
        if answer.delay_s:
            self.sleep(answer.delay_s)

    def close(self) -> None:
        """Nothing is open."""
