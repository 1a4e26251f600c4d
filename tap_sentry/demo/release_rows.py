"""Releases, their commits and deploys as Sentry serializes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tap_sentry.demo import releases
from tap_sentry.demo.catalogue import ORGANIZATION_SLUG, WITH_SESSIONS, Project, family
from tap_sentry.demo.dates import microseconds, seconds
from tap_sentry.demo.organization_rows import user
from tap_sentry.demo.releases import Commit, Release
from tap_sentry.demo.seen import SeenIssue
from tap_sentry.demo.world import World

Row = dict[str, Any]


def version_info(version: str) -> Row:
    """The parts that Sentry reads from `package@1.2.3+build`; other texts are only `raw`."""
    package, at, rest = version.rpartition("@")
    found = re.match(r"(\d+)\.(\d+)\.(\d+)(?:\+(\S+))?(.*)$", rest)
    parsed: Row = {"raw": rest}
    if found:
        parsed |= {
            "major": int(found[1]),
            "minor": int(found[2]),
            "patch": int(found[3]),
            "pre": found[5].strip() or None,
            "buildCode": found[4],
            "components": 3,
        }
    is_hash = re.fullmatch(r"[0-9a-f]{40}", rest) is not None
    return {
        "package": package if at else None,
        "version": parsed,
        "description": rest[:12] if is_hash else rest,
        "buildHash": rest if is_hash else None,
    }


def _short(version: str) -> str:
    return version_info(version)["description"] if "@" in version else version[:12]


def _new_issues(release: Release, world: World) -> list[SeenIssue]:
    return [seen for seen in world.issues() if seen.issue.release is release]


def _event_bounds(world: World) -> dict[str, tuple[float, float]]:
    """First and last visible event of each version."""

    def bounds() -> dict[str, tuple[float, float]]:
        found: dict[str, tuple[float, float]] = {}
        for event in world.events():
            if event.release is not None:
                first, last = found.get(event.release, (event.timestamp, event.timestamp))
                found[event.release] = min(first, event.timestamp), max(last, event.timestamp)
        return found

    return world.remember("event bounds by release", bounds)


def release_row(release: Release, world: World) -> Row:
    """A release; figures that later events and deploys change are those of now."""
    now = world.now
    new = _new_issues(release, world)
    slugs = release.project_slugs
    projects = [project for project in world.projects() if project.slug in slugs]
    deploys = [deploy for deploy in deploys_of(release) if deploy["dateFinished"] <= seconds(now)]
    commits = release.commits
    bounds = _event_bounds(world).get(release.version)
    authors = {commit.author.id: commit.author for commit in commits}
    is_out = release.released <= now
    return {
        "id": release.id,
        "version": release.version,
        "shortVersion": _short(release.version),
        "status": "archived" if release.is_archived else "open",
        "versionInfo": version_info(release.version),
        "ref": commits[-1].sha,
        "url": None,
        "dateReleased": microseconds(release.released) if is_out else None,
        "dateCreated": microseconds(release.created),
        "data": {},
        "newGroups": len(new),
        "owner": None,
        "commitCount": len(commits),
        "lastCommit": commit_row(commits[-1], release, now),
        "deployCount": len(deploys),
        "lastDeploy": deploys[0] if deploys else None,
        "authors": [user(author, now) for author in authors.values()],
        "projects": [
            _project_of(project, sum(s.issue.project is project for s in new))
            for project in projects
        ],
        "firstEvent": seconds(bounds[0]) if bounds else None,
        "lastEvent": seconds(bounds[1]) if bounds else None,
        "currentProjectMeta": {},
        "userAgent": "sentry-cli/2.58.2" if release.slot % 2 else None,
    }


def _project_of(project: Project, new_groups: int) -> Row:
    return {
        "id": int(project.id),
        "slug": project.slug,
        "name": project.name,
        "platform": project.platform,
        "platforms": [family(project.platform)],
        "hasHealthData": project.slug in WITH_SESSIONS,
        "newGroups": new_groups,
    }


def release_reference(version: str, now: float) -> Row | None:
    """The short form inside issues and events, None for a version that was not released."""
    for release in reversed(releases.between(now - 2 * releases.LISTED_S, now)):
        if release.version == version:
            return {
                "id": release.id,
                "version": version,
                "shortVersion": _short(version),
                "status": "archived" if release.is_archived else "open",
                "versionInfo": version_info(version),
                "dateCreated": microseconds(release.created),
                "dateReleased": microseconds(release.released),
                "ref": release.commits[-1].sha,
                "url": None,
                "userAgent": None,
                "data": {},
                "commitCount": len(release.commits),
                "deployCount": len(release.deploys),
                "lastCommit": None,
                "lastDeploy": None,
            }
    return None


def _repository(release: Release) -> Row:
    slug = release.project_slugs[0]
    return {
        "id": str(810 + len(slug)),
        "name": f"acme-shop/{slug}",
        "url": f"https://code.example.com/acme-shop/{slug}",
        "provider": {"id": "integrations:github", "name": "GitHub"},
        "status": "active",
        "dateCreated": microseconds(1_556_000_000.0),
        "integrationId": "77",
        "externalSlug": f"acme-shop/{slug}",
        "externalId": str(550_000 + len(slug)),
    }


def commit_row(commit: Commit, release: Release, now: float) -> Row:
    return {
        "id": commit.sha,
        "message": commit.message,
        "dateCreated": seconds(commit.timestamp),
        "pullRequest": None,
        "suspectCommitType": "",
        "author": user(commit.author, now),
        "repository": _repository(release),
        "releases": [
            {
                "version": release.version,
                "shortVersion": _short(release.version),
                "ref": None,
                "url": None,
                "dateReleased": microseconds(release.released) if release.released <= now else None,
                "dateCreated": microseconds(release.created),
            }
        ],
    }


def deploys_of(release: Release) -> Sequence[Row]:
    """Deploys, latest first."""
    rows = []
    for position, (environment, finished) in enumerate(release.deploys):
        page = f"https://code.example.com/{ORGANIZATION_SLUG}/deploys/{quote(release.version)}"
        rows.append(
            {
                "id": str(release.number * 10 + position),
                "environment": environment,
                "name": f"{environment} {_short(release.version)}" if position else None,
                "url": page,
                "dateStarted": seconds(finished - 240) if position else None,
                "dateFinished": seconds(finished),
            }
        )
    return rows[::-1]
