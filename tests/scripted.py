"""A transport that answers from a script, and a clock that moves only when told to."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import urllib3
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from tap_sentry.client import SentryClient
from tap_sentry.settings import Settings

BEARER = "sntryu_0123456789abcdef"
API = "https://sentry.example.com/api/0"


def settings(**config: Any) -> Settings:
    """Checked settings of a self-hosted Sentry."""
    given = {"api_token": BEARER, "base_url": "https://sentry.example.com", "rate_limit": 1000}
    return Settings.check({**given, **config})


class Clock:
    """Seconds that pass only by sleeping. Safe to share between threads."""

    def __init__(self, now: float = 1_790_000_000.25) -> None:
        self.now = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            assert seconds >= 0
            assert len(self.slept) < 100_000, "waits for ever"
            self.slept.append(seconds)
            self.now += seconds


class Reply(NamedTuple):
    """One answer; a body that is no text or bytes is sent as JSON."""

    status: int = 200
    body: Any = ()
    headers: Mapping[str, str] = {}

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


class BrokenBody(io.BytesIO):
    """A connection that closes in the middle of the body."""

    def stream(self, *args: object, **kwargs: object) -> Iterable[bytes]:
        yield self.getvalue()
        raise urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead")


Step = Reply | Exception
Answering = Callable[[PreparedRequest], Step]


class Scripted(BaseAdapter):
    """Answers requests from a list, whose last entry repeats, or by a function."""

    def __init__(self, *steps: Step | Answering) -> None:
        super().__init__()
        self.requests: list[PreparedRequest] = []
        self.timeouts: list[Any] = []
        self.is_closed = False
        self._steps = steps
        self._lock = threading.Lock()

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]

    def params(self, number: int) -> list[tuple[str, str]]:
        """The query of one request."""
        return parse_qsl(urlsplit(self.urls[number]).query, keep_blank_values=True)

    def send(
        self, request: PreparedRequest, *args: object, timeout: Any = None, **kwargs: object
    ) -> Response:
        with self._lock:
            step = self._steps[min(len(self.requests), len(self._steps) - 1)]
            self.requests.append(request)
            self.timeouts.append(timeout)
        if callable(step) and not isinstance(step, Exception):
            step = step(request)
        if isinstance(step, Exception):
            raise step
        response = Response()
        response.status_code = step.status
        response.headers = CaseInsensitiveDict(step.headers)
        raw = io.BytesIO(step.content)
        response.raw = BrokenBody(step.content) if "X-Test-Cut" in step.headers else raw
        response.url = str(request.url)
        response.request = request
        response.encoding = "utf-8"
        return response

    def close(self) -> None:
        self.is_closed = True


def routed(routes: Mapping[str, Reply]) -> Scripted:
    """Answers by path below /api/0; any other path is 404."""
    gone: Step = Reply(404, {"detail": "The requested resource does not exist"})

    def answer(request: PreparedRequest) -> Step:
        path = urlsplit(str(request.url)).path.removeprefix("/api/0")
        found: Step = routes.get(path, gone)
        return found

    return Scripted(answer)


def client(
    transport: Scripted, *, clock: Clock | None = None, given: Settings | None = None
) -> SentryClient:
    """A client whose waits take no time."""
    clock = clock or Clock()
    return SentryClient(given or settings(), transport=transport, clock=clock, sleep=clock.sleep)


def link(cursor: str = "0:100:0", *, results: str = "true") -> dict[str, str]:
    """The Link header as Sentry sends it."""
    url = f"{API}/organizations/acme/projects/?&cursor="
    return {
        "Link": f'<{url}0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
        f'<{url}{cursor}>; rel="next"; results="{results}"; cursor="{cursor}"'
    }
