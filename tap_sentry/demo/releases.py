"""The release calendar: twelve slots in 30 days, the same story in each cycle.

Slots lie on an absolute calendar, so every 30-day window holds each of them once: slot 3 is the
release that breaks the checkout, slot 4 repairs it, slot 9 was archived afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tap_sentry.demo.people import MEMBERS, Member
from tap_sentry.demo.timeline import DAY_S, dice

SLOTS = 12
SLOT_S = 30 * DAY_S // SLOTS
BAD_SLOT = 3
REPAIR_SLOT = 4
ARCHIVED_SLOT = 9
LISTED_S = 60 * DAY_S  # releases outlive the events that name them

# Per slot: projects, version of cycle c, hours after the slot's beginning.
_PLAN: tuple[tuple[tuple[str, ...], str, float], ...] = (
    (("storefront",), "storefront@8.{c}.0", 10.2),
    (("catalog-api",), "catalog-api@3.{c}.0", 13.6),
    (("mobile-app",), "com.acme.shop@5.{c}.0+{c}01", 9.1),
    (("checkout-api", "payments"), "checkout-api@12.{c}.0", 15.4),
    (("checkout-api",), "checkout-api@12.{c}.1", 8.7),
    (("batch-worker",), "{sha}", 11.9),
    (("storefront",), "storefront@8.{c}.1 hotfix#2", 14.3),
    (("payments",), "payments@1.{c}.0", 10.8),
    (("catalog-api",), "catalog-api@3.{c}.1", 12.4),
    (("mobile-app",), "com.acme.shop@5.{c}.1+{c}02", 16.5),
    (("checkout-api",), "checkout-api@12.{c}.2", 9.9),
    (("batch-worker", "catalog-api"), "jobs@{c}%25", 13.1),
)


@dataclass(frozen=True)
class Commit:
    sha: str
    message: str
    author: Member
    timestamp: float


@dataclass(frozen=True)
class Release:
    """One version, possibly of several projects."""

    number: int
    version: str
    project_slugs: tuple[str, ...]
    created: float

    @property
    def id(self) -> int:
        return 1_400_000_000 + self.number

    @property
    def slot(self) -> int:
        return self.number % SLOTS

    @property
    def released(self) -> float:
        return self.created + 1260

    @property
    def is_bad(self) -> bool:
        return self.slot == BAD_SLOT

    @property
    def is_archived(self) -> bool:
        return self.slot == ARCHIVED_SLOT

    @property
    def commits(self) -> tuple[Commit, ...]:
        return _commits(self)

    @property
    def deploys(self) -> tuple[tuple[str, float], ...]:
        """Environment and time of finishing, oldest first."""
        return (("staging", self.created + 600), ("production", self.released))


_VERBS = ("Add", "Rename", "Speed up", "Simplify", "Fix", "Remove", "Test", "Document")
_NOUNS = ("price rounding", "stock lookup", "address form", "retry of the gateway", "facet cache",
          "order mail", "image sizes", "feature switch", "vat table", "session store")  # fmt: skip


@lru_cache(maxsize=4096)
def release(number: int) -> Release:
    """The release of one slot since the epoch."""
    slugs, pattern, hours = _PLAN[number % SLOTS]
    cycle = number // SLOTS - 640
    sha = f"{dice(0, 'sha', number).getrandbits(160):040x}"
    version = pattern.format(c=cycle, sha=sha)
    created = number * SLOT_S + hours * 3600 + dice(0, "release", number).randrange(900) + 0.25
    return Release(number, version, slugs, created)


@lru_cache(maxsize=256)
def _commits(of: Release) -> tuple[Commit, ...]:
    random = dice(0, "commits", of.number)
    authors = [member for member in MEMBERS if member.state == "active"]
    count = random.randrange(2, 9)
    return tuple(
        Commit(
            sha=f"{random.getrandbits(160):040x}",
            message=f"{random.choice(_VERBS)} {random.choice(_NOUNS)}",
            author=random.choice(authors),
            timestamp=of.created - 3600.0 * (count - position) * 3,
        )
        for position in range(count)
    )


def between(start: float, end: float) -> list[Release]:
    """Releases created in [start, end), oldest first."""
    first, last = int(start // SLOT_S) - 1, int(end // SLOT_S)
    return [r for r in map(release, range(first, last + 1)) if start <= r.created < end]


@lru_cache(maxsize=65536)
def _running(slug: str, slot_hour: int) -> tuple[Release, ...]:
    """Releases of a project around an hour, newest first."""
    number = slot_hour * 3600 // SLOT_S
    around = map(release, range(number, number - SLOTS - 1, -1))
    return tuple(r for r in around if slug in r.project_slugs)


def running(slug: str, timestamp: float) -> Release | None:
    """The release that a project ran at a time; made-up projects have none."""
    for candidate in _running(slug, int(timestamp // 3600)):
        if candidate.created <= timestamp:
            return candidate
    return None
