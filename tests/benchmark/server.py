"""The demo as a server process of its own, which counts what it is asked and can move its clock.

The world's clock stands still until it is moved: what a run has to find does not change on the
way. Rows are grown when they are first asked for: ask for the `floor` before a run that is timed.

`python -m tests.benchmark.server --scale 4 --latency-ms 50` takes the options of
`python -m tap_sentry.demo`, then one JSON object per line on its standard input.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from tap_sentry.demo import SENTRY_LIMITS, DemoSentry, World, serve
from tap_sentry.demo.__main__ import arguments
from tap_sentry.demo.catalogue import ORGANIZATION_SLUG
from tap_sentry.demo.exchange import Answer, Request
from tap_sentry.demo.routes import view_of
from tests.benchmark.floor import Floor
from tests.project import ROOT

# Deprecated listings that other readers use, and what gives the same rows here.
_PROJECT_ISSUES = re.compile(r"/api/0/projects/([^/]+)/([^/]+)/issues/")
_ALL_PROJECTS = "/api/0/projects/"

# Events and spans that are younger may be left to the next run, as the tap does.
END_LAG_S = 300


@dataclass
class Counts:
    """What was asked since the counts were last taken, requests by rate limit bucket."""

    requests: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    refused_late: int = 0
    rows: int = 0
    cpu_s: float = field(default_factory=time.process_time)
    known: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """All of it, the server's CPU seconds since the counts began among it."""
        kept = {k: v for k, v in vars(self).items() if k != "known"}
        return {**kept, "cpu_s": time.process_time() - self.cpu_s}


class CountingSentry(DemoSentry):
    """The demo that counts requests, refusals (429) and rows.

    A refusal is late if an answer of its bucket, which tells the limits, had left before the
    refused request came in.
    """

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        self._counts = Counts()
        self._count_lock = threading.Lock()

    def take_counts(self) -> Counts:
        """The counts so far, which begin anew."""
        with self._count_lock:
            counts, self._counts = self._counts, Counts()
            return counts

    @contextmanager
    def answering(self, request: Request) -> Iterator[Answer]:
        """See `DemoSentry.answering`."""
        request = current(request)
        found = view_of(request)
        bucket = found[0].limit if found and found[0].limit in SENTRY_LIMITS else "default"
        with self._count_lock:
            counts = self._counts
            counts.requests[bucket] += 1
            was_known = bucket in counts.known
        with super().answering(request) as answer:
            # Sentry ends a request's being in flight before it sends the answer. Ended after, a
            # client could be refused that had its answer and asks for the next.
            self.sleep(answer.delay_s)
            answer.delay_s = 0
        with self._count_lock:
            counts.refused += answer.status == 429
            counts.refused_late += answer.status == 429 and was_known
            counts.rows += rows_in(answer)
        yield answer
        with self._count_lock:
            counts.known.add(bucket)


def current(request: Request) -> Request:
    """The request, a deprecated listing's for the one that has taken its place."""
    if issues := _PROJECT_ISSUES.fullmatch(request.path):
        organization, project = issues.groups()
        path = f"/api/0/organizations/{organization}/issues/"
        return replace(request, path=path, query=(*request.query, ("project", project)))
    if request.path == _ALL_PROJECTS:
        return replace(request, path=f"/api/0/organizations/{ORGANIZATION_SLUG}/projects/")
    return request


def rows_in(answer: Answer) -> int:
    """Rows of a listing or of a table; any other good answer is one."""
    if answer.status != 200:
        return 0
    body = answer.body
    listed = body.get("data") if isinstance(body, dict) else body
    return len(listed) if isinstance(listed, list) else 1


def held_by(world: World, slug: str) -> dict[str, Any]:
    """Rows of a project that a reader has to find, by stream."""
    events = [e for e in world.events() if e.issue.project.slug == slug]
    return {
        "slug": slug,
        "events": sum(int(event.timestamp) < world.now - END_LAG_S for event in events),
        "issues": sum(seen.issue.project.slug == slug for seen in world.issues()),
        "releases": sum(slug in release.project_slugs for release in world.releases()),
    }


@dataclass
class Instant:
    """A clock that only `move` moves."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def main() -> None:
    """Serve until the standard input ends."""
    options = arguments()
    instant = Instant(options.now or datetime.now(timezone.utc).replace(microsecond=0))
    began = instant.at
    world = World(
        seed=options.seed, clock=instant, scale=options.scale, project_count=options.projects
    )
    demo = CountingSentry(
        world,
        limits=SENTRY_LIMITS if options.limits == "sentry" else None,
        faults=options.fault,
        latency_s=options.latency_ms / 1000,
        # The Date header goes with the world, the seconds pass as always.
        limit_clock=lambda: time.time() + (instant.at - began).total_seconds(),
    )

    def floor(streams: list[str], since: float = 0) -> Any:
        return Floor(world, since, world.now - END_LAG_S).needs(streams)

    def missing(keys: dict[str, list[str]]) -> int:
        return Floor(world, 0, world.now - END_LAG_S).missing(keys)

    def projects() -> Any:
        return [held_by(world, project.slug) for project in world.projects()]

    commands: dict[str, Callable[..., Any]] = {
        "counts": lambda: demo.take_counts().as_json(),
        "move": instant.move,
        "now": lambda: world.now,
        "floor": floor,
        "missing": missing,
        "projects": projects,
    }
    with serve(demo, options.port if "--port" in sys.argv else 0) as base_url:
        print(json.dumps(base_url), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(commands[asked.pop("command")](**asked)), flush=True)


class Server:
    """The server process, from this side: `with Server("--scale", "4") as server: ...`."""

    base_url: str

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmark.server", *options],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Server:
        self.base_url = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, command: str, **values: Any) -> Any:
        """The answer to one of the server's commands; see `main`.

        Raises:
            RuntimeError: If the command is wrong; the server has ended then.
        """
        assert self._process.stdin
        print(json.dumps({"command": command, **values}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the benchmark's server has ended; see what it wrote above")
        return json.loads(line)


if __name__ == "__main__":
    main()
