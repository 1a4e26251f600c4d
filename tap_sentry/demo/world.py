"""The demo organization: grown from a seed, moved by a clock, asked for what Sentry would show."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from tap_sentry.demo import catalogue, issues, releases
from tap_sentry.demo.catalogue import Project, Team
from tap_sentry.demo.events import Event, hour_of_events
from tap_sentry.demo.issues import Issue
from tap_sentry.demo.people import MEMBERS, Member
from tap_sentry.demo.releases import SLOT_S, Release
from tap_sentry.demo.spans import Span, hour_of_spans
from tap_sentry.demo.timeline import DAY_S, HOUR_S, Timeline, horizon

Answer = TypeVar("Answer")
Clock = Callable[[], datetime]

_EVENTS_IN_MEMORY = 500_000
_SPANS_IN_MEMORY = 1_500_000
_ANSWERS_IN_MEMORY = 48


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class SeenIssue:
    """An issue as it stands now: its visible events, oldest first, and what they add up to."""

    issue: Issue
    events: tuple[Event, ...]
    first_seen: float
    last_seen: float
    count: int
    status: str
    substatus: str | None

    @property
    def user_count(self) -> int:
        return len({event.user.id for event in self.events if event.user})


class World:
    """A small organization that knows the right answers.

    The same seed and clock give the same world. An event that existed yesterday exists today;
    time only adds (rows appear when received) and forgets (after 30 days, day by day).

    Args:
        seed: Decides events and spans; what the shop is made of is the same in every world.
        clock: Gives the present, timezone-aware.
        scale: Multiplies events and spans, not issues: 1 is about 4,000 and 20,000.
        project_count: Below 6 some of the shop's projects are missing, above are made-up ones.
    """

    def __init__(
        self,
        seed: int = 7,
        clock: Clock = utc_now,
        scale: float = 1.0,
        project_count: int = 6,
    ) -> None:
        self.seed = seed
        self.scale = scale
        self.clock = clock
        self._projects = catalogue.projects(project_count)
        self._lasting = issues.lasting(self._projects)
        self._introduced: dict[int, list[Issue]] = {}
        self._active: dict[int, list[Issue]] = {}
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()
        by_slug = {project.slug: project for project in self._projects}
        self._events = Timeline(
            lambda hour: hour_of_events(seed, hour, scale, self._active_issues), _EVENTS_IN_MEMORY
        )
        self._spans = Timeline(
            lambda hour: hour_of_spans(seed, hour, scale, by_slug), _SPANS_IN_MEMORY
        )

    @property
    def now(self) -> float:
        """The present in epoch seconds."""
        return self.clock().timestamp()

    def projects(self) -> list[Project]:
        return sorted(self._projects, key=lambda project: project.slug)

    def teams(self) -> list[Team]:
        return sorted(catalogue.TEAMS, key=lambda team: team.slug)

    def members(self) -> list[Member]:
        """Everyone with a seat or an invitation, by id."""
        return list(MEMBERS)

    def releases(self) -> list[Release]:
        """Releases of the last 60 days, archived ones too, newest first."""
        slugs = {project.slug for project in self._projects}
        now = self.now
        known = releases.between(now - releases.LISTED_S, now + 1)
        return [
            release
            for release in reversed(known)
            if release.created <= now and slugs.intersection(release.project_slugs)
        ]

    def events(self, project_id: str | None = None) -> list[Event]:
        """Visible error events of one project or all, newest first as Sentry lists them."""

        def listed() -> list[Event]:
            rows = list(self._events.between(0, float("inf"), self.now))
            if project_id is not None:
                rows = [event for event in rows if event.issue.project.id == project_id]
            rows.sort(key=lambda event: (int(event.timestamp), event.id), reverse=True)
            return rows

        return self.remember(("events", project_id), listed)

    def events_between(self, start: float, end: float) -> list[Event]:
        """Visible error events whose whole second lies in [start, end), in no promised order."""
        return list(self._events.between(start, end, self.now))

    def spans(self) -> list[Span]:
        """All visible spans, in no promised order."""
        return self.spans_between(0, float("inf"))

    def spans_between(self, start: float, end: float) -> list[Span]:
        """Visible spans that start in a whole second of [start, end), in no promised order."""
        return list(self._spans.between(start, end, self.now))

    def issues(self) -> list[SeenIssue]:
        """Issues with a visible event, feedback left out, latest first."""
        return [seen for seen in self.all_issues() if seen.issue.category == "error"]

    def all_issues(self) -> list[SeenIssue]:
        """`issues` and the feedback that Sentry hides by default."""
        return self.remember("issues", self._seen_issues)

    def issue(self, issue_id: str) -> SeenIssue | None:
        """An issue by id, even when its events are forgotten."""
        by_id = self.remember("issues by id", lambda: {s.issue.id: s for s in self.all_issues()})
        if issue_id in by_id:
            return by_id[issue_id]
        for issue in self._lasting:
            if issue.id == issue_id and issue.born <= self.now:
                return self._seen(issue, ())
        return None

    def counts(self, since: datetime | None = None) -> dict[str, int]:
        """Rows per stream that a token with all scopes can get now.

        `since` counts only issues last seen, events and spans that happened and releases created
        then or later; projects, teams and users are always all.
        """
        start = since.timestamp() if since else 0.0
        created = sum(release.created >= start for release in self.releases())
        return {
            "projects": len(self._projects),
            "project_detail": len(self._projects),
            "issues": sum(int(seen.last_seen) >= start for seen in self.issues()),
            "events": sum(int(event.timestamp) >= start for event in self.events()),
            "spans": sum(int(span.timestamp) >= start for span in self.spans()),
            "teams": len(catalogue.TEAMS),
            "users": len(MEMBERS),
            "releases": created,
            "release": created,
        }

    def remember(
        self, question: Hashable, answer: Callable[[], Answer], *, about_spans: bool = False
    ) -> Answer:
        """The answer to a question about visible events, worked out again only after a change."""
        with self._lock:
            now = self.now
            statuses = int(now // 60)  # a status can change without any event
            edition = (self._spans if about_spans else self._events).edition(now)
            key = (about_spans, edition, statuses, question)
            if key in self._answers:
                self._answers.move_to_end(key)
            else:
                self._answers[key] = answer()
                while len(self._answers) > _ANSWERS_IN_MEMORY:
                    self._answers.popitem(last=False)
            found: Answer = self._answers[key]
            return found

    def _active_issues(self, hour: int) -> list[Issue]:
        """Issues that may have an event in an hour."""
        start = hour * HOUR_S
        day = start // DAY_S
        if day not in self._active:
            oldest = day * DAY_S - issues.ACTIVE_S - issues.BIRTH_DELAY_S
            recent = releases.between(oldest, (day + 1) * DAY_S)
            self._active[day] = self._lasting + [i for r in recent for i in self._new_issues(r)]
        return self._active[day]

    def _new_issues(self, release: Release) -> list[Issue]:
        if release.number not in self._introduced:
            self._introduced[release.number] = issues.introduced(release, self._projects)
        return self._introduced[release.number]

    def _seen_issues(self) -> list[SeenIssue]:
        by_issue: dict[Issue, list[Event]] = {}
        for event in reversed(self.events()):
            by_issue.setdefault(event.issue, []).append(event)
        seen = [self._seen(issue, tuple(events)) for issue, events in by_issue.items()]
        now = self.now
        cycle = int(now // (SLOT_S * releases.SLOTS))
        for number in (cycle - 1, cycle):
            seen += [
                self._seen(feedback, ())
                for feedback in issues.feedback(number, self._projects)
                if horizon(now) <= feedback.born <= now
            ]
        return sorted(seen, key=lambda s: (int(s.last_seen), int(s.issue.id)), reverse=True)

    def _seen(self, issue: Issue, events: tuple[Event, ...]) -> SeenIssue:
        change = issue.status_at(self.now)
        forgotten = issue.expected_until(horizon(self.now)) * self.scale  # an estimate
        return SeenIssue(
            issue=issue,
            events=events,
            first_seen=issue.born,
            last_seen=max((event.timestamp for event in events), default=issue.born),
            count=max(1, len(events) + int(forgotten)),
            status=change.status,
            substatus=change.substatus,
        )
