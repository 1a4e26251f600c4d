"""Issues: groups of similar events, of every status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tap_sentry import timestamps
from tap_sentry.client import Params
from tap_sentry.errors import QueryTimeout
from tap_sentry.records import Row
from tap_sentry.replication import SENTRYS_BEGINNING, Window, window_to_sync
from tap_sentry.schemas.issues import ISSUE, ISSUE_DETAIL
from tap_sentry.streams.base import Context, SentryStream
from tap_sentry.streams.fan_out import FanOutStream
from tap_sentry.streams.windowed import WindowedStream
from tap_sentry.timestamps import seconds_text

_LONG_AGO = timestamps.text(SENTRYS_BEGINNING)

# Sent when the request expands them, or does not collapse them.
_COLLAPSED_OR_EXPANDED = (
    "inbox",
    "integrationIssues",
    "latestEventHasAttachments",
    "owners",
    "sentryAppIssues",
    "stats",
)

# Sentry counts the hits of a search up to this number.
_MOST_HITS = 1000


class Issues(WindowedStream):
    """Issues, resolved ones too. https://docs.sentry.io/api/events/list-an-organizations-issues/

    A change of status does not move `lastSeen`: every `issues_full_pass_hours` all issues are read
    again. The state holds when the last pass began and, while one is under way, how far it came.
    """

    name = "issues"
    one_row = "issue of any status"
    path = "/organizations/{organization}/issues/"
    scope = "event:read"
    replication_key = "lastSeen"
    left_out = (
        *_COLLAPSED_OR_EXPANDED,
        "filtered",
        "sessionCount",
        "matchingEventEnvironment",  # of a search that hits one event directly
        "matchingEventId",
    )
    schema = ISSUE
    # An issue that keeps happening was always seen just now: the newest window stays open.
    end_lag = timedelta(hours=-1)

    _full_pass_at: str | None = None

    def prepare(self) -> None:
        bookmark, now = self.bookmark(None), self.organization.now
        state = self.get_context_state(None)
        if "full_pass_reached" not in state:
            age = now - timestamps.parse(state.get("full_pass_at") or _LONG_AGO)
            hours = self.organization.settings.issues_full_pass_hours
            if bookmark is None or age >= timedelta(hours=hours):
                state["full_pass_at"] = timestamps.text(now)
                state["full_pass_reached"] = _LONG_AGO
        self._full_pass_at = state["full_pass_at"]
        super().prepare()

    def read_again_from(self, bookmark: datetime | None) -> datetime | None:
        reached = self.get_context_state(None).get("full_pass_reached")
        again = super().read_again_from(bookmark)
        return min(timestamps.parse(reached), again) if reached and again else again

    def finish(self, window: Window, partition: Context) -> None:
        super().finish(window, partition)
        state = self.get_context_state(None)
        if "full_pass_reached" in state:
            state["full_pass_reached"] = timestamps.text(window.end)
            if all(whole and whole.end == window.end for _, whole in self.wholes):
                del state["full_pass_reached"]

    def clean(self, row: Row) -> Row:
        return {**super().clean(row), "fullPassAt": self._full_pass_at}

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        return issue_windows(self, whole)

    def fetch(self, window: Window, partition: Context) -> Iterator[Row]:
        return self.listed(*issue_search(self, window, limit=100))


class IssueDetail(FanOutStream):
    """Detail of the issues that were seen since the last run, five a second at most.

    An issue that was merged into another one answers with the other's detail, which keeps its
    own id. https://docs.sentry.io/api/events/retrieve-an-issue/
    """

    name = "issue_detail"
    one_row = "detail of an issue that was seen again"
    path = "/organizations/{organization}/issues/{id}/"
    scope = "event:read"
    query = (("collapse", "stats"),)
    selected_by_default = False
    replication_key = "lastSeen"
    is_sorted = True
    check_sorted = False
    left_out = (
        *_COLLAPSED_OR_EXPANDED,
        "forecast",
        "pluginActions",  # of the plugins that Sentry has retired
        "pluginContexts",
        "pluginIssues",
    )
    schema = ISSUE_DETAIL

    def parents(self) -> Iterator[Row]:
        """Path and `lastSeen` of each issue, the one that was not seen for longest first."""
        now = self.organization.now
        whole = window_to_sync(
            self.since,
            now=now,
            end_lag=Issues.end_lag,
            expires=True,
            settings=self.organization.settings,
        )
        if whole is None:
            return
        # Clocks of clients run ahead; the bookmark must not go ahead of ours.
        latest = timestamps.text(now)
        for window in issue_windows(self, whole):
            listed = self.listed(*issue_search(self, window, limit=100))
            seen = {row["id"]: timestamps.normalised(row["lastSeen"]) for row in listed}
            for issue, at in sorted(seen.items(), key=lambda item: item[1]):
                yield {"id": issue, "columns": {"lastSeen": min(at, latest)}}


def issue_windows(stream: SentryStream, whole: Window) -> Iterator[Window]:
    """A window cut so that each part holds fewer issues than Sentry counts, or is a day."""
    if whole.end - whole.start <= timedelta(days=1) or _hits(stream, whole) < _MOST_HITS:
        yield whole
        return
    for half in whole.halves():
        yield from issue_windows(stream, half)


def issue_search(stream: SentryStream, window: Window, *, limit: int) -> tuple[str, Params]:
    """Path and parameters that list the issues of every status last seen in a window."""
    # Without any `query` Sentry would send unresolved issues only; `start` and `end`
    # would select by the time of events.
    bounds = (
        f"lastSeen:>={seconds_text(window.start)[:-1]} lastSeen:<{seconds_text(window.end)[:-1]}"
    )
    organization = stream.organization
    return f"/organizations/{organization.slug}/issues/", [
        ("query", bounds),
        ("sort", "date"),
        ("limit", str(limit)),
        ("collapse", "stats"),
        ("collapse", "filtered"),
        *organization.project_params,
    ]


def _hits(stream: SentryStream, window: Window) -> int:
    try:
        answer = stream.get(*issue_search(stream, window, limit=1))
    except QueryTimeout:
        return _MOST_HITS
    hits = answer.headers.get("X-Hits", "")
    return int(hits) if hits.isdecimal() else 0
