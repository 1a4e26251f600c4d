"""How fast the tap turns Sentry's answers into Singer records, and what memory that takes.

`python -m tests.benchmark.tap [SCALE]` prints one line of JSON; `python -m tests.benchmark` runs
it in a process of its own, so that the peak memory is the tap's.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from datetime import datetime, timezone
from io import BytesIO
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from tap_sentry.demo import DemoSentry, World
from tap_sentry.tap import TapSentry


class Replay(BaseAdapter):
    """Answers each address as the demo did the first time, without the demo's own work."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self._inner = inner
        self._answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        url = request.url or ""
        if url not in self._answers:
            response = self._inner.send(request, *args, **kwargs)
            headers = dict(response.headers)
            self._answers[url] = (response.status_code, headers, response.content)
        response = Response()
        response.status_code, headers, body = self._answers[url]
        response.headers.update(headers)
        response.raw, response.url, response.request = BytesIO(body), url, request
        return response

    def close(self) -> None:
        self._inner.close()


def measure(scale: float) -> dict[str, float]:
    """Records and seconds of a whole sync from answers kept in memory, peak memory in MB."""
    now = datetime.now(timezone.utc)
    world = World(clock=lambda: now, scale=scale)
    transport = Replay(DemoSentry(world, limits=None))
    _sync(transport, now)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    _sync(transport, now)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    records = sum(world.counts().values())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "records": records,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mb": after.ru_maxrss / 1024,
    }


def _sync(transport: BaseAdapter, now: datetime) -> None:
    tap = TapSentry(
        config={"base_url": "https://demo.invalid", "rate_limit": 1_000_000}, transport=transport
    )
    # Not a clock that stands still, for which the rate limiter would wait for ever.
    tap.organization.now = now
    tap.sync_all()


if __name__ == "__main__":
    result_to = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the records
    figures = measure(float(sys.argv[1]) if len(sys.argv) > 1 else 5)
    os.write(result_to, json.dumps(figures).encode() + b"\n")
