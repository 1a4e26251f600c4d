"""Issues: what they are about, when they were born, how their status and volume move with time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tap_sentry.demo.catalogue import (
    FEEDBACK,
    LASTING_ERRORS,
    NEW_ERRORS,
    WORDS,
    Project,
    family,
)
from tap_sentry.demo.releases import REPAIR_SLOT, SLOT_S, SLOTS, Release, release
from tap_sentry.demo.timeline import DAY_S, HOUR_S, dice

ACTIVE_S = 20 * DAY_S  # no issue that a release brought lives longer
BIRTH_DELAY_S = 3 * DAY_S  # none is born later after its release
ONGOING_AFTER_S = 7 * DAY_S
FLAPPING_SLOT = 1  # the first mistake of its release is resolved too early three times
_FIRST_BIRTH = 1_560_000_000  # June 2019
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class StatusChange(NamedTuple):
    at: float
    status: str
    substatus: str | None


@dataclass(frozen=True, eq=False)
class Issue:
    """A group of similar events.

    Attributes:
        weight: Events expected in an average hour just after birth, at scale 1.
        halving_s: Time after which only half as many are expected; 0 for a constant rate.
        quiet: Times in [start, end) without any event.
        changes: Status over time, oldest first; the first is the birth.
    """

    number: int
    project: Project
    type: str
    message: str
    culprit: str
    filename: str
    born: float
    weight: float
    changes: tuple[StatusChange, ...]
    halving_s: float = 0.0
    quiet: tuple[tuple[float, float], ...] = ()
    level: str = "error"
    handled: bool = True
    category: str = "error"
    release: Release | None = None
    dies: float = field(default=float("inf"))

    @property
    def id(self) -> str:
        return str(5_100_000_000 + self.number)

    @property
    def short_id(self) -> str:
        digits, rest = "", self.number
        while rest:
            digits, rest = _BASE32[rest % 32] + digits, rest // 32
        return f"{self.project.slug.upper()}-{digits or '0'}"

    @property
    def title(self) -> str:
        return f"{self.type}: {self.message}" if self.category == "error" else "User Feedback"

    def expected(self, hour: int) -> float:
        """Events expected in an hour since the epoch, before the day's rhythm."""
        start = hour * HOUR_S
        if not self.born <= start <= self.dies - HOUR_S:
            return 0.0
        if any(quiet - HOUR_S < start < end for quiet, end in self.quiet):
            return 0.0
        if not self.halving_s:
            return self.weight
        return float(self.weight * 0.5 ** ((start - self.born) / self.halving_s))

    def expected_until(self, end: float) -> float:
        """Events expected from the birth to a time, at scale 1."""
        if not self.halving_s:
            return max(0.0, end - self.born) / HOUR_S * self.weight
        lived = max(0.0, min(end, self.dies) - self.born)
        halvings = 1 - 0.5 ** (lived / self.halving_s)
        return float(self.weight * self.halving_s / HOUR_S / math.log(2) * halvings)

    def beginnings(self) -> list[float]:
        """Times at which an event happens for certain: the birth and each regression."""
        if self.release is None and self.category == "error":
            return []  # born long before anything the world shows
        return [self.born, *(c.at for c in self.changes if c.substatus == "regressed")]

    def status_at(self, now: float) -> StatusChange:
        """Status and substatus at a time; changes do not wait for events."""
        return [self.changes[0], *(change for change in self.changes if change.at <= now)][-1]


def _lived(born: float, *later: StatusChange) -> tuple[StatusChange, ...]:
    """A birth, its ageing to `ongoing` unless something else came first, and what followed."""
    changes = [StatusChange(born, "unresolved", "new"), *later]
    ongoing = StatusChange(born + ONGOING_AFTER_S, "unresolved", "ongoing")
    if all(change.at > ongoing.at for change in later):
        changes.append(ongoing)
    return tuple(sorted(changes))


def lasting(projects: Sequence[Project]) -> list[Issue]:
    """The issues that were always there."""
    issues: list[Issue] = []
    for project in projects:
        errors = LASTING_ERRORS.get(project.slug) or _made_up_errors(project)
        total = sum(1 / (rank + 2) for rank in range(len(errors)))
        for rank, (kind, message, culprit, filename) in enumerate(errors):
            number = int(project.id[-4:]) * 16 + rank
            random = dice(0, "lasting", number)
            born = _FIRST_BIRTH + random.random() * 600 * DAY_S
            volume = 2.05 * project.errors_share
            if project.slug == "batch-worker":
                volume = 2.78
            issues.append(
                Issue(
                    number=number, project=project, type=kind, message=message, culprit=culprit,
                    filename=filename, born=round(born, 6), weight=volume / (rank + 2) / total,
                    changes=_lived(born, *_later_life(project, rank, born)),
                    level=("error", "error", "warning", "error", "fatal", "info")[rank % 6],
                    handled=rank % 3 != 0,
                )
            )  # fmt: skip
    return issues


def _later_life(project: Project, rank: int, born: float) -> list[StatusChange]:
    if project.slug == "batch-worker" and rank == 0:
        return [StatusChange(born + 400 * DAY_S, "unresolved", "escalating")]
    substatus = {
        3: "archived_until_escalating",
        6: "archived_forever",
        8: "archived_until_condition_met",
    }.get(rank)
    return [StatusChange(born + 90 * DAY_S, "ignored", substatus)] if substatus else []


def _made_up_errors(project: Project) -> list[tuple[str, str, str, str]]:
    kinds = NEW_ERRORS[family(project.platform)][:2]
    place = project.slug.replace("-", "_")
    return [(k, m.format(word=place), f"{place}.main", f"{place}/main") for k, m in kinds]


def introduced(by: Release, projects: Sequence[Project]) -> list[Issue]:
    """The issues that a release brings; the bad one brings many, urgent and short-lived."""
    issues: list[Issue] = []
    known = {project.slug: project for project in projects}
    for position, slug in enumerate(by.project_slugs):
        if slug not in known:
            continue
        count = 5 if slug != "batch-worker" else 1
        if by.is_bad and position == 0:
            count = 26
        issues += [_mistake(by, known[slug], position * 40 + n) for n in range(count)]
    return issues


def _mistake(by: Release, project: Project, number: int) -> Issue:
    random = dice(0, f"mistake/{number}", by.number)
    kind, message = random.choice(NEW_ERRORS[family(project.platform)])
    words = WORDS[project.slug]
    word = words[(number + by.number) % len(words)]
    place = random.choice(LASTING_ERRORS[project.slug])
    bad = by.is_bad and number < 40
    delay = 60 + random.expovariate(1 / 5400 if bad else 1 / 40_000)
    born = round(by.released + min(delay, BIRTH_DELAY_S), 3)
    changes: tuple[StatusChange, ...]
    quiet: tuple[tuple[float, float], ...] = ()
    dies = born + ACTIVE_S
    fate = random.random()
    repaired = release(by.number - by.slot + REPAIR_SLOT).released + random.random() * 3 * HOUR_S
    if by.slot == FLAPPING_SLOT and number == 0:
        ends = [round(born + (days + random.random()) * DAY_S, 3) for days in (1, 5, 9)]
        quiet = tuple((end, round(end + (2 + random.random()) * DAY_S, 3)) for end in ends)
        steps = [StatusChange(end, "resolved", None) for end, _ in quiet]
        steps += [StatusChange(again, "unresolved", "regressed") for _, again in quiet]
        changes = _lived(born, *steps)
    elif bad:
        dies = repaired
        steps = [StatusChange(repaired, "resolved", None)] if fate < 0.8 else []
        if fate < 0.4:
            steps.insert(0, StatusChange(born + 6 * HOUR_S, "unresolved", "escalating"))
        changes = _lived(born, *steps)
    elif fate < 0.45:
        dies = born + (1 + 5 * random.random()) * DAY_S
        changes = _lived(born, StatusChange(dies, "resolved", None))
    elif fate < 0.60:
        end, again = born + 2 * DAY_S, round(born + (5 + 3 * random.random()) * DAY_S, 3)
        quiet = ((end, again),)
        changes = _lived(
            born,
            StatusChange(end, "resolved", None),
            StatusChange(again, "unresolved", "regressed"),
        )
    elif fate < 0.72:
        until = "escalating" if fate < 0.71 else "condition_met"
        archived = StatusChange(born + 1.5 * DAY_S, "ignored", f"archived_until_{until}")
        changes = _lived(born, archived)
    else:
        changes = _lived(born)
    return Issue(
        number=(by.number - 7000) * 100 + number + 1_000_000,
        project=project, type=kind, message=message.format(word=word), culprit=place[2],
        filename=place[3], born=born, weight=0.55 if bad else 0.16,
        halving_s=(1.2 if bad else 2.5) * DAY_S, quiet=quiet, changes=changes, dies=dies,
        level="fatal" if bad and fate < 0.2 else "error", handled=fate > 0.3, release=by,
    )  # fmt: skip


def feedback(cycle: int, projects: Sequence[Project]) -> list[Issue]:
    """What people wrote in a cycle of 30 days; hidden unless the category is asked for."""
    known = {project.slug: project for project in projects}
    issues = []
    for position, (slug, message) in enumerate(FEEDBACK):
        if slug not in known:
            continue
        born = (cycle * SLOTS + 4 * position + 1) * SLOT_S + 41_000.5
        issues.append(
            Issue(
                number=(cycle - 500) * 10 + position + 900_000, project=known[slug],
                type="feedback",
                message=message, culprit="", filename="", born=born, weight=0.0, level="info",
                changes=_lived(born), category="feedback",
            )
        )  # fmt: skip
    return issues
