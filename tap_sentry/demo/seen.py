"""Issues as they stand at a moment, and what becomes of them when somebody merges or deletes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tap_sentry.demo.events import Event
from tap_sentry.demo.issues import Issue


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
    def stand(self) -> tuple[str, str | None]:
        return self.status, self.substatus

    @property
    def user_count(self) -> int:
        return len({event.user.id for event in self.events if event.user})


def seen(issue: Issue, events: tuple[Event, ...], *, forgotten: int, now: float) -> SeenIssue:
    """An issue with its visible events, oldest first; some of a merged one are older than it."""
    change = issue.status_at(now)
    return SeenIssue(
        issue=issue,
        events=events,
        first_seen=min([issue.born, *(event.timestamp for event in events[:1])]),
        last_seen=max((event.timestamp for event in events), default=issue.born),
        count=max(1, len(events) + forgotten),
        status=change.status,
        substatus=change.substatus,
    )


@dataclass
class Fates:
    """Merged and deleted issues: `of` an id is the issue it went into, None when deleted."""

    of: dict[str, Issue | None] = field(default_factory=dict)

    def holder(self, issue: Issue) -> Issue | None:
        """The issue that now has another's events, None when they are deleted."""
        found: Issue | None = issue
        while found is not None and found.id in self.of:
            found = self.of[found.id]
        return found

    def applied(self, events: Sequence[Event]) -> list[Event]:
        """The events that are left, each with the issue that has it now."""
        if not self.of:
            return list(events)
        held = ((event, self.holder(event.issue)) for event in events)
        return [event._replace(issue=issue) for event, issue in held if issue is not None]
