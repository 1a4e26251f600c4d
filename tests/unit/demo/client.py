"""A client of the demo that knows nothing of the tap."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import requests

from tap_sentry.demo import DemoSentry, World

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
HOST = "https://demo.invalid"
ORGANIZATION = "organizations/acme-shop/"
PROJECT = "projects/acme-shop/"


@cache
def frozen_world() -> World:
    """The default world at NOW, made once: nothing a client does changes it."""
    return World(clock=lambda: NOW)


class MovingClock:
    """A clock for worlds that a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Client:
    """Requests below `/api/0/` of a demo, or of the same demo served elsewhere."""

    def __init__(self, demo: DemoSentry | None = None, host: str = HOST, token: str = "") -> None:
        self.demo = demo or DemoSentry(frozen_world(), limits=None)
        self.host = host
        self.session = requests.Session()
        if host == HOST:
            self.session.mount(HOST, self.demo)
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.session.get(f"{self.host}/api/0/{path}", params=query, timeout=5)

    def json(self, path: str, **query: Any) -> Any:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def pages(self, path: str, **query: Any) -> list[list[Any]]:
        """The rows of each page until Sentry says there are no more."""
        found = []
        while True:
            response = self.get(path, **query)
            assert response.status_code == 200, response.text
            body = response.json()
            found.append(body["data"] if isinstance(body, dict) else body)
            following = response.links.get("next", {})
            if following.get("results") != "true":
                return found
            query["cursor"] = following["cursor"]

    def rows(self, path: str, **query: Any) -> list[Any]:
        return [row for page in self.pages(path, **query) for row in page]
