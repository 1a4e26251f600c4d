"""Releases; detail, commits and deploys of those that changed."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import quote

from tap_sentry import timestamps
from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable
from tap_sentry.records import Row
from tap_sentry.replication import END_LAG, SENTRYS_BEGINNING, Window, window_to_sync
from tap_sentry.schemas.releases import (
    RELEASE_COMMIT,
    RELEASE_DEPLOY,
    RELEASE_DETAIL,
    RELEASE_ROW,
)
from tap_sentry.streams.base import Context, SentryStream
from tap_sentry.streams.fan_out import FanOutStream
from tap_sentry.streams.windowed import WindowedStream

_LIST = "/organizations/{organization}/releases/"


class Releases(WindowedStream):
    """Releases. https://docs.sentry.io/api/releases/list-an-organizations-releases/

    Their counts and last events go on changing: those created within the look-back are read again.
    """

    name = "releases"
    one_row = "release, as listed"
    path = _LIST
    scope = "project:read"
    primary_keys = ("version",)
    replication_key = "dateCreated"
    schema = RELEASE_ROW
    expires = False

    @property
    def lookback(self) -> timedelta:
        return timedelta(days=self.organization.settings.release_lookback_days)

    def windows(self, whole: Window, partition: Context) -> Iterable[Window]:
        return [whole]

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        return list(created_in(self, window))


class ChangedReleases(FanOutStream, abc.ABC):
    """Something about each release that changed since the last run.

    Any release may change, however old: all are listed each time, a hundred per request.
    """

    scope = "project:read"
    query: ClassVar[Params] = (("per_page", "100"),)
    replication_key = "changedAt"
    is_sorted = True
    check_sorted = False

    # A field of the list that is 0 where there is nothing to ask for.
    count: ClassVar[str | None] = None

    def parents(self) -> Iterator[Row]:
        """Path and columns of each release, the one that changed longest ago first."""
        window = window_to_sync(
            None,
            now=self.organization.now,
            end_lag=END_LAG,
            expires=False,
            settings=self.organization.settings,
        )
        if window is None:
            return
        since = timestamps.text(self.since) if self.since else ""
        # People set dates of releases and deploys by hand; the bookmark must not go ahead of us.
        now = timestamps.text(self.organization.now)
        changed = {
            (min(changed_at(row), now), row["version"])
            for row in created_in(self, window)
            if self.count is None or row.get(self.count) != 0
        }
        for at, version in sorted(changed):
            if at >= since:
                # Versions hold @, +, spaces and the like.
                path = quote(version, safe="")
                yield {"version": path, "columns": {"version": version, "changedAt": at}}


class Release(ChangedReleases):
    """Detail of the releases that changed since the last run.

    https://docs.sentry.io/api/releases/retrieve-an-organizations-release/
    """

    name = "release"
    one_row = "detail of a release that changed"
    path = "/organizations/{organization}/releases/{version}/"
    query = ()
    schema = RELEASE_DETAIL


class ReleaseCommits(ChangedReleases):
    """Commits of the releases that changed since the last run.

    https://docs.sentry.io/api/releases/list-an-organization-releases-commits/
    """

    name = "release_commits"
    one_row = "commit of a release"
    path = "/organizations/{organization}/releases/{version}/commits/"
    selected_by_default = False
    primary_keys = ("version", "id")
    schema = RELEASE_COMMIT
    count = "commitCount"


class ReleaseDeploys(ChangedReleases):
    """Deploys of the releases that changed since the last run.

    https://docs.sentry.io/api/releases/list-a-releases-deploys/
    """

    name = "release_deploys"
    one_row = "deploy of a release"
    path = "/organizations/{organization}/releases/{version}/deploys/"
    selected_by_default = False
    primary_keys = ("version", "id")
    schema = RELEASE_DEPLOY
    count = "deployCount"

    def refusal(self, error: NotAvailable) -> NotAvailable:
        # Sentry refuses deploys of single releases that it lists: no reason to stop at them.
        return NotAvailable(str(error), is_gone=True)


def created_in(stream: SentryStream, window: Window) -> Iterator[Row]:
    """The releases created in a window, or nobody knows when, newest first; archived ones too.

    Sentry may cut `start` to its retention of events, which releases outlive: paging stops by
    itself at the first one that is older.
    """
    params = [
        ("per_page", "100"),
        ("status", ""),  # left out, Sentry would send open releases only
        *stream.organization.project_params,
    ]
    path = _LIST.format(organization=stream.organization.slug)
    for row in stream.listed(path, params):
        created = created_at(row)
        if created is not None and created < window.start:
            return
        if created is None or created < window.end:
            yield row


def created_at(release: Row) -> datetime | None:
    created = release.get("dateCreated")
    return timestamps.parse(created) if created else None


def changed_at(release: Row) -> str:
    """When a release last changed, as far as its row tells; long ago if it does not."""
    deploy = release.get("lastDeploy") or {}
    times = (
        *(release.get(field) for field in ("dateCreated", "dateReleased", "lastEvent")),
        deploy.get("dateFinished"),
    )
    known = [timestamps.normalised(time) for time in times if time]
    return max(known, default=timestamps.text(SENTRYS_BEGINNING))
