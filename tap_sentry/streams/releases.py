"""Releases, and the detail of those that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from urllib.parse import quote

from tap_sentry import timestamps
from tap_sentry.organization import Organization
from tap_sentry.records import Row
from tap_sentry.replication import END_LAG, SENTRYS_BEGINNING, Window, window_to_sync
from tap_sentry.schemas.releases import RELEASE_DETAIL, RELEASE_ROW
from tap_sentry.streams.base import Context, FanOutStream, WindowedStream

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
        return list(listed(self.organization, window))


class Release(FanOutStream):
    """Detail of the releases that changed since the last run.

    Any release may change, however old: all are listed each time, a hundred per request.

    https://docs.sentry.io/api/releases/retrieve-an-organizations-release/
    """

    name = "release"
    one_row = "detail of a release that changed"
    path = "/organizations/{organization}/releases/{version}/"
    scope = "project:read"
    query = ()
    replication_key = "changedAt"
    is_sorted = True
    check_sorted = False
    schema = RELEASE_DETAIL

    def parents(self) -> Iterator[Row]:
        """Path and `changedAt` of each release, the one that changed longest ago first."""
        settings = self.organization.settings
        window = window_to_sync(
            None,
            lookback=timedelta(0),
            now=self.organization.now,
            end_lag=END_LAG,
            expires=False,
            settings=settings,
        )
        if window is None:
            return
        bookmark = self.bookmark(None)
        lookback = timedelta(minutes=settings.lookback_minutes)
        since = timestamps.text(bookmark - lookback) if bookmark else ""
        # People set dates of releases and deploys by hand; the bookmark must not go ahead of us.
        now = timestamps.text(self.organization.now)
        changed = {
            (min(changed_at(row), now), row["version"]) for row in listed(self.organization, window)
        }
        for at, version in sorted(changed):
            if at >= since:
                # Versions hold @, +, spaces and the like.
                yield {"version": quote(version, safe=""), "columns": {"changedAt": at}}


def listed(organization: Organization, window: Window) -> Iterator[Row]:
    """The releases created since a window's start, open and archived, newest first.

    Sentry may cut `start` to its retention of events, which releases outlive: paging stops by
    itself at the first one that is older.
    """
    params = [
        ("per_page", "100"),
        ("status", ""),  # left out, Sentry would send open releases only
        *organization.project_params,
    ]
    for row in organization.client.rows(_LIST.format(organization=organization.slug), params):
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
