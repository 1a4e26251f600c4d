"""Spans: traces grown from the journeys, across services, parents before children."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from tap_sentry.demo import releases
from tap_sentry.demo.catalogue import (
    BAD_RELEASE_FAILURES,
    ENVIRONMENT_SHARES,
    ENVIRONMENTS,
    HTTP_CODES,
    SERVER_FAULTS,
    WITHOUT_STATUS,
    Project,
)
from tap_sentry.demo.journeys import (
    HEALTH,
    HEALTH_SHARE,
    JOURNEYS,
    SEGMENTS,
    Call,
    Failures,
    Segment,
)
from tap_sentry.demo.people import END_USERS, Person
from tap_sentry.demo.releases import Release
from tap_sentry.demo.timeline import HOUR_S, dice, poisson, rhythm

_TRACES_PER_HOUR = 2.42  # at scale 1, in an average hour
_REQUESTS = frozenset({"http.client", "http.server"})


class Trace(NamedTuple):
    """What all spans of a trace share."""

    id: str
    environment: str
    user: Person | None
    sample_rate: float


class Transaction(NamedTuple):
    """A service's part of a trace: it arrives as one envelope, so its spans share `received`."""

    trace: Trace
    id: str
    project: Project
    name: str
    op: str
    release: str | None
    received: float
    status: str


class Span(NamedTuple):
    """One timed operation; times are epoch seconds, durations milliseconds."""

    transaction: Transaction
    id: str
    parent: str | None
    op: str
    description: str
    started: float
    duration: float
    self_time: float
    status: str | None

    @property
    def http_code(self) -> int | None:
        """The status in HTTP's words; only requests, sent or answered, have one."""
        return HTTP_CODES.get(self.status or "") if self.op in _REQUESTS else None

    @property
    def timestamp(self) -> float:
        return self.started

    @property
    def received(self) -> float:
        return self.transaction.received

    @property
    def is_transaction(self) -> bool:
        return self.id == self.transaction.id


def hour_of_spans(
    seed: int, hour: int, scale: float, projects: Mapping[str, Project]
) -> list[Span]:
    """All spans of the traces that begin in an hour since the epoch, by start."""
    random = dice(seed, "spans", hour)
    spans: list[Span] = []
    for journey in JOURNEYS:
        template = SEGMENTS[journey.segment]
        if template.project not in projects:
            continue
        mean = _TRACES_PER_HOUR * journey.share * rhythm(hour, night=journey.night) * scale
        for _ in range(poisson(random, mean)):
            _Growth(random, projects, journey.sample_rate).trace(template, hour, spans)
    for project in list(projects.values())[6:]:
        for _ in range(poisson(random, _TRACES_PER_HOUR * HEALTH_SHARE * rhythm(hour) * scale)):
            health = HEALTH._replace(project=project.slug)
            _Growth(random, projects, 1.0).trace(health, hour, spans)
    spans.sort(key=lambda span: span.started)
    return spans


class _Step(NamedTuple):
    """A call once made: when, for how many milliseconds, how it ended."""

    call: Call
    id: str
    started: float
    duration: float
    status: str


class _Growth:
    """One trace while it grows."""

    def __init__(self, random: Random, projects: Mapping[str, Project], sample_rate: float) -> None:
        self._random = random
        self._projects = projects
        share = random.random()
        environment = ENVIRONMENTS[sum(share >= limit for limit in ENVIRONMENT_SHARES[:-1])]
        known = random.random() < 0.85
        self._trace = Trace(
            id=f"{random.getrandbits(128):032x}",
            environment=environment,
            user=random.choice(END_USERS) if known else None,
            sample_rate=sample_rate,
        )

    def trace(self, template: Segment, hour: int, spans: list[Span]) -> None:
        start = hour * HOUR_S + self._random.random() * HOUR_S
        self._segment(template, round(start, 3), None, spans)

    def _segment(
        self, template: Segment, start: float, parent: str | None, spans: list[Span]
    ) -> tuple[float, str]:
        """Append a segment with all that it causes elsewhere; give its ms and its status."""
        random, at = self._random, start
        root = self._id()
        steps: list[_Step] = []
        for call in template.calls:
            for _ in range(random.randint(call.least, call.most)):
                at += self._spread(template.own_ms / 12) / 1000
                id_, duration = self._id(), round(self._spread(call.median_ms), 3)
                status = self._status(call.failing)
                target = SEGMENTS.get(call.to)
                if target is not None and target.project in self._projects:
                    if call.op == "queue.publish":
                        later = at + duration / 1000 + min(random.expovariate(0.4), 60)
                        self._segment(target, later, id_, spans)
                    else:
                        network = 1 + self._spread(3)
                        answer, status = self._segment(target, at + network / 2000, id_, spans)
                        duration = round(answer + network, 3)
                steps.append(_Step(call, id_, at, duration, status))
                at += duration / 1000
        at += self._spread(template.own_ms / 3) / 1000
        total = (at - start) * 1000
        transaction = self._transaction(template, root, at, steps)
        busy = sum(step.duration for step in steps)
        spans.append(
            Span(
                transaction=transaction,
                id=root,
                parent=parent,
                op=template.op,
                description=template.transaction,
                started=round(start, 6),
                duration=round(total, 3),
                self_time=round(max(0.0, total - busy), 3),
                status=transaction.status,
            )
        )
        spans.extend(
            Span(
                transaction=transaction,
                id=step.id,
                parent=root,
                op=step.call.op,
                description=step.call.description,
                started=round(step.started, 6),
                duration=step.duration,
                self_time=step.duration,
                status=None if step.call.op in WITHOUT_STATUS else step.status,
            )
            for step in steps
        )
        return total, transaction.status

    def _transaction(
        self, template: Segment, root: str, end: float, steps: list[_Step]
    ) -> Transaction:
        random = self._random
        late = 300 + 2600 * random.random() if random.random() < 0.01 else 0.0
        running = releases.running(template.project, end)
        return Transaction(
            trace=self._trace,
            id=root,
            project=self._projects[template.project],
            name=template.transaction,
            op=template.op,
            release=running.version if running else None,
            received=round(end + (late or 0.5 + random.expovariate(0.8)), 3),
            status=self._outcome(template, running, steps),
        )

    def _outcome(self, template: Segment, running: Release | None, steps: list[_Step]) -> str:
        """The first fault among the steps, else what the service and its release do wrong."""
        for step in steps:
            if step.status in SERVER_FAULTS:
                return step.status
        is_broken = running and running.is_bad and running.project_slugs[0] == template.project
        return self._status(template.failing + (BAD_RELEASE_FAILURES if is_broken else ()))

    def _status(self, failing: Failures) -> str:
        """How something ends that fails in these shares of cases."""
        if failing:
            share = self._random.random()
            for status, part in failing:
                share -= part
                if share < 0:
                    return status
        return "ok"

    def _id(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def _spread(self, median_ms: float) -> float:
        """A duration around a median, with the long tail that durations have."""
        return median_ms * self._random.lognormvariate(0, 0.45) if median_ms else 0.0
