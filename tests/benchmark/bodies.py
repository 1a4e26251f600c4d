"""6,000 event bodies by the tap, against one request per event under the same limits.

One request per event is measured for some seconds, by as many threads as fill the limit of its
endpoint (`P/events/{id}/`, 40 per second), and its steady rate extrapolated to all events. The
listing that tells the ids is added as if its pages came one after the other at once, without
waiting for its limit, which favours that reader.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from tap_sentry.demo import SENTRY_LIMITS
from tests.benchmark import figures, process
from tests.benchmark.figures import Figure, at_least, at_most
from tests.benchmark.server import Server

LATENCY_S = 0.05
THREADS = 8
EVENTS_AT_SCALE_1 = 1370  # of the first two projects


def measure(quick: bool) -> Iterator[Figure]:
    """Both readers on one world."""
    size, seconds = (600, 5) if quick else (6_000, 20)
    options = ("--projects", "2", "--scale", str(size / EVENTS_AT_SCALE_1))
    with Server(*options, "--latency-ms", str(LATENCY_S * 1000)) as server:
        projects = server.ask("projects")
        run = process.tap(server.base_url, ["events"], fetch_event_details=True, rate_limit=100)
        counts = server.ask("counts")
        rate = rate_of_single_events(server, seconds)
    rows = run.records["events"]
    pages = sum(math.ceil(project["events"] / 100) for project in projects)
    alone_s = rows / rate + pages * LATENCY_S
    asked = ", ".join(f"{bucket} {n}" for bucket, n in sorted(counts["requests"].items()))
    name = f"{rows:,} event bodies at 50 ms"
    yield Figure(f"{name}: requests", asked)
    one_each = f"one request per event, from {seconds} s at {rate:.1f}/s, and {pages} listing pages"
    yield Figure(f"{name}: {one_each}", f"{alone_s:.0f} s")
    yield at_most(f"{name}: 429s after a bucket's first headers", counts["refused_late"], 0, "{}")
    yield at_least(
        f"{name}: one per event / tap {run.wall_s:.1f} s", alone_s / run.wall_s, 10, "{:.1f}"
    )


def rate_of_single_events(server: Server, seconds: int) -> float:
    """Events per second of a plain threaded reader that keeps to the endpoint's limit."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
    session.headers["Authorization"] = "Bearer one-request-per-event"
    root = f"{server.base_url}/api/0"
    [organization] = session.get(f"{root}/organizations/", timeout=60).json()
    slug = organization["slug"]
    urls = []
    for project in server.ask("projects"):
        listing = f"{root}/projects/{slug}/{project['slug']}/events/"
        urls += [f"{listing}{e['eventID']}/" for e in session.get(listing, timeout=60).json()]
    endless, lock = itertools.cycle(urls), threading.Lock()
    answered: Counter[int] = Counter()
    sent: Counter[int] = Counter()
    began = math.ceil(time.time())  # whole windows, or more than the limit would seem possible

    def read() -> None:
        time.sleep(max(0, began - time.time()))
        while (now := time.time()) < began + seconds:
            with lock:
                has_leave = sent[int(now)] < SENTRY_LIMITS["default"].requests
                sent[int(now)] += has_leave
                url = next(endless)
            if not has_leave:
                time.sleep(math.ceil(now) - now)
                continue
            status = session.get(url, timeout=60).status_code
            with lock:
                answered[status] += 1

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(THREADS):
            pool.submit(read)
    return answered[200] / seconds


if __name__ == "__main__":
    figures.main(measure, __doc__)
