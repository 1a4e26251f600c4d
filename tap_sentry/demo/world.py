"""The demo organization: grown from a seed, moved by a clock, asked for what Sentry would show."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timezone
from typing import Any, TypeVar

from tap_sentry.demo import catalogue, census, issues, monitors, releases
from tap_sentry.demo.catalogue import Project, Team
from tap_sentry.demo.events import Event, hour_of_events
from tap_sentry.demo.issues import Issue
from tap_sentry.demo.monitors import CheckIn, Monitor
from tap_sentry.demo.people import MEMBERS, Member
from tap_sentry.demo.releases import SLOT_S, Release
from tap_sentry.demo.replays import Replay, hour_of_replays
from tap_sentry.demo.seen import Fates, SeenIssue, seen
from tap_sentry.demo.spans import Span, hour_of_spans
from tap_sentry.demo.timeline import DAY_S, HOUR_S, SETTLED_HOURS, Timeline, horizon
from tap_sentry.demo.user_reports import UserReport, report_on

Answer = TypeVar("Answer")
Clock = Callable[[], datetime]

_EVENTS_IN_MEMORY = 500_000
_SPANS_IN_MEMORY = 1_500_000
_REPLAYS_IN_MEMORY = 100_000
_ANSWERS_IN_MEMORY = 48


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


class World:
    """A small organization that knows the right answers.

    The same seed and clock give the same world. An event that existed yesterday exists today;
    time only adds (rows appear when received) and forgets (after 30 days, day by day).

    Args:
        seed: Decides events and spans; what the shop is made of is the same in every world.
        clock: Gives the present, timezone-aware.
        scale: Multiplies events and spans, not issues: 1 is about 4,000 and 20,000.
        project_count: Below 6 some of the shop's projects are missing, above are made-up ones.

    Attributes:
        has_replays: Whether the plan includes them; may be switched at any time.
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
        self._fates = Fates()
        self.has_replays = True
        by_slug = {project.slug: project for project in self._projects}
        self._events = Timeline(
            lambda hour: hour_of_events(seed, hour, scale, self._active_issues), _EVENTS_IN_MEMORY
        )
        self._spans = Timeline(
            lambda hour: hour_of_spans(seed, hour, scale, by_slug), _SPANS_IN_MEMORY
        )
        self._replays = Timeline(self._hour_of_replays, _REPLAYS_IN_MEMORY)

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
            rows = self.events_between(0, float("inf"))
            if project_id is not None:
                rows = [event for event in rows if event.issue.project.id == project_id]
            rows.sort(key=lambda event: (int(event.timestamp), event.id), reverse=True)
            return rows

        return self.remember(("events", project_id), listed)

    def events_between(self, start: float, end: float) -> list[Event]:
        """Visible error events whose whole second lies in [start, end), in no promised order."""
        rows = list(self._events.between(start, end, self.now))
        return self._fates.applied(rows)

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
        """An issue by id, even when its events are forgotten; a merged one is its survivor."""
        by_id = self.remember("issues by id", lambda: {s.issue.id: s for s in self.all_issues()})
        if issue_id in self._fates.of:
            survivor = self._fates.of[issue_id]
            return None if survivor is None else self.issue(survivor.id)
        if issue_id in by_id:
            return by_id[issue_id]
        for issue in self._lasting:
            if issue.id == issue_id and issue.born <= self.now:
                return self._seen(issue, ())
        return None

    def merge(self, issue_id: str, into_id: str) -> None:
        """Merge an issue into another, which gets its events; the old id answers with that one.

        Raises:
            LookupError: If one is not there, or both are the same.
        """
        merged, survivor = self.issue(issue_id), self.issue(into_id)
        if merged is None or survivor is None or merged.issue is survivor.issue:
            raise LookupError(f"{issue_id} cannot be merged into {into_id}")
        self._fates.of[merged.issue.id] = survivor.issue

    def delete_issue(self, issue_id: str) -> None:
        """Delete an issue and its events.

        Raises:
            LookupError: If it is not there.
        """
        found = self.issue(issue_id)
        if found is None:
            raise LookupError(f"there is no issue {issue_id}")
        self._fates.of[found.issue.id] = None

    def quiet_changes(self, until: datetime) -> list[str]:
        """Ids of issues that stand otherwise at `until` than now, without an event in between."""
        later = World(self.seed, lambda: until, self.scale, len(self._projects))
        then = {(one.issue.id, one.last_seen): one for one in later.issues()}
        pairs = [(now, then.get((now.issue.id, now.last_seen))) for now in self.issues()]
        return [now.issue.id for now, later in pairs if later and later.stand != now.stand]

    def monitors(self) -> list[Monitor]:
        return monitors.monitors(self._projects)

    def check_ins(self, monitor: Monitor) -> list[CheckIn]:
        """Visible check-ins of a monitor, latest first."""
        return monitors.check_ins(monitor, self.seed, self.now)

    def replays(self) -> list[Replay]:
        """Visible replays, latest first; none while the plan leaves them out."""
        if not self.has_replays:
            return []

        def listed() -> list[Replay]:
            rows = self._replays.between(0, float("inf"), self.now)
            return sorted(rows, key=lambda replay: (replay.timestamp, replay.id), reverse=True)

        return self.remember(("replays", int(self.now)), listed)

    def user_reports(self, project_id: str | None = None) -> list[UserReport]:
        """Legacy feedback on visible events of one project or all, latest first."""
        reports = [report for event in self.events(project_id) if (report := report_on(event))]
        shown = [report for report in reports if report.written <= self.now]
        return sorted(shown, key=lambda report: (report.written, report.id), reverse=True)

    def counts(self, since: datetime | None = None) -> dict[str, int]:
        """Rows per stream that a token with all scopes can get now.

        `since` counts only issues last seen, events, spans, replays, check-ins and feedback that
        happened and releases created (with their commits and deploys) then or later; all else is
        always whole. What has no rows of its own is in `usage.totals` and `sessions.totals`.
        """
        return census.rows_per_stream(self, since.timestamp() if since else 0.0)

    def remember(
        self, question: Hashable, answer: Callable[[], Answer], *, about_spans: bool = False
    ) -> Answer:
        """The answer to a question about visible events, worked out again only after a change."""
        with self._lock:
            now = self.now
            statuses = int(now // 60)  # a status can change without any event
            edition = (self._spans if about_spans else self._events).edition(now)
            key = (about_spans, edition, statuses, tuple(self._fates.of.items()), question)
            if key in self._answers:
                self._answers.move_to_end(key)
            else:
                self._answers[key] = answer()
                while len(self._answers) > _ANSWERS_IN_MEMORY:
                    self._answers.popitem(last=False)
            found: Answer = self._answers[key]
            return found

    def _hour_of_replays(self, hour: int) -> list[Replay]:
        start, settled = hour * HOUR_S, (hour + 1 + SETTLED_HOURS) * HOUR_S
        return hour_of_replays(
            self.seed,
            hour,
            self._events.between(start, start + HOUR_S, settled),
            self._spans.between(start, start + HOUR_S, settled),
        )

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
        found = [self._seen(issue, tuple(events)) for issue, events in by_issue.items()]
        now = self.now
        cycle = int(now // (SLOT_S * releases.SLOTS))
        for number in (cycle - 1, cycle):
            found += [
                self._seen(feedback, ())
                for feedback in issues.feedback(number, self._projects)
                if horizon(now) <= feedback.born <= now and self._fates.holder(feedback) is feedback
            ]
        return sorted(found, key=lambda s: (int(s.last_seen), int(s.issue.id)), reverse=True)

    def _seen(self, issue: Issue, events: tuple[Event, ...]) -> SeenIssue:
        forgotten = issue.expected_until(horizon(self.now)) * self.scale  # an estimate
        return seen(issue, events, forgotten=int(forgotten), now=self.now)
