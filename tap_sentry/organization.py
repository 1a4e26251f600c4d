"""The organization that all streams of a run read from."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit, urlunsplit

from tap_sentry.client import Params, SentryClient
from tap_sentry.errors import NotAvailable, SettingsError
from tap_sentry.fetching import Feeds
from tap_sentry.personal_data import PersonalData
from tap_sentry.progress import RunReport
from tap_sentry.records import Row
from tap_sentry.settings import Settings

# Without projects and teams, which are streams of their own.
DETAIL: Params = (("detailed", "0"),)
_CLOUD = "sentry.io"
# Exact, since URL parsers disagree on what a backslash or an @ means.
_CLOUD_REGION = re.compile(r"[a-z0-9-]+\.sentry\.io")


class Organization:
    """Resolved on first use, so that discovery needs no network.

    Args:
        client: Asks Sentry.
        settings: Which organization and projects.
        now: The instant at which the run began; the end of every window hangs on it.
    """

    def __init__(self, client: SentryClient, settings: Settings, *, now: datetime) -> None:
        self.client = client
        self.settings = settings
        self.now = now
        self.feeds = Feeds(settings.max_concurrency)
        self.report = RunReport(client)
        # What Sentry answered when the organization was asked for by its name.
        self.detail: Row | None = None
        self.personal_data = PersonalData.of(settings.mask_pii, settings.pii_hash_key)

    @cached_property
    def slug(self) -> str:
        """The organization's slug; from here on the client asks the organization's own region.

        Raises:
            SettingsError: If it does not exist, or the token sees several and none was named.
        """
        if self.settings.organization:
            row = self._named(self.settings.organization)
        else:
            row = self._only()
        region = (row.get("links") or {}).get("regionUrl") or ""
        self.client.api_root = _in_region(self.client.api_root, region)
        return str(row["slug"])

    def resolve(self) -> None:
        """Ask for the slug and the projects before several threads want to know them.

        Raises:
            SettingsError: See `slug` and `projects`.
        """
        with contextlib.suppress(NotAvailable):  # each stream that needs them will say so
            self.slug, self.projects  # noqa: B018

    @cached_property
    def projects(self) -> list[Row]:
        """The projects to read, as Sentry lists them.

        Raises:
            SettingsError: If `projects` names one that is not there.
        """
        rows = self.client.rows(f"/organizations/{self.slug}/projects/")
        # By id: pages overlap when a project is added meanwhile.
        listed = list({row["id"]: row for row in rows}.values())
        wanted, unwanted = self.settings.projects, self.settings.exclude_projects
        known = {name for row in listed for name in (row["id"], row["slug"])}
        if missing := (wanted | unwanted) - known:
            raise SettingsError(
                f"projects or exclude_projects names {_listing(missing)}, but organization "
                f"{self.slug} has {_listing(row['slug'] for row in listed)}."
            )
        chosen = [
            row
            for row in listed
            if (not wanted or {row["id"], row["slug"]} & wanted)
            and not {row["id"], row["slug"]} & unwanted
        ]
        if listed and not chosen:
            raise SettingsError("projects and exclude_projects together leave no project to read.")
        return chosen

    @cached_property
    def coverage(self) -> str:
        """What a bookmark of the whole organization stands for: its slug and its projects."""
        return f"{self.slug}:{','.join(sorted(value for _, value in self.project_params))}"

    @cached_property
    def project_params(self) -> Params:
        """Query parameters that name the projects; left out, older servers give a few only."""
        if not (self.settings.projects or self.settings.exclude_projects):
            return [("project", "-1")]
        return [("project", row["id"]) for row in self.projects]

    def _named(self, slug: str) -> Row:
        try:
            [self.detail] = self.client.get(f"/organizations/{slug}/", DETAIL).rows
        except NotAvailable as error:
            raise SettingsError(
                f"organization {slug!r} cannot be read: {error}. "
                f"The token sees {_listing(row['slug'] for row in self._visible())}. "
                "Set TAP_SENTRY_ORGANIZATION to one of these."
            ) from None
        return self.detail

    def _only(self) -> Row:
        visible = self._visible()
        if len(visible) == 1:
            return visible[0]
        raise SettingsError(
            f"The token sees {_listing(row['slug'] for row in visible)}. "
            "Set TAP_SENTRY_ORGANIZATION to the one to read."
        )

    def _visible(self) -> list[Row]:
        try:
            return list(self.client.rows("/organizations/"))
        except NotAvailable as error:
            raise SettingsError(
                f"The token's organizations cannot be listed: {error}. "
                "Check its scope org:read and TAP_SENTRY_ORGANIZATION."
            ) from None


def _listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _in_region(api_root: str, region_url: str) -> str:
    """The address in the organization's region; only sentry.io's own hosts are ever believed."""
    here, region = urlsplit(api_root), urlsplit(region_url)
    is_cloud = here.hostname == _CLOUD and _CLOUD_REGION.fullmatch(region.netloc)
    if not is_cloud or region.scheme != "https":
        return api_root
    return urlunsplit(("https", region.netloc, here.path, "", ""))
