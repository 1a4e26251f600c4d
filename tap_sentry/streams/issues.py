"""Issues: groups of similar events, of every status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tap_sentry.client import Params
from tap_sentry.errors import QueryTimeout
from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.schemas.issues import ISSUE
from tap_sentry.streams.base import Context, WindowedStream
from tap_sentry.timestamps import seconds_text

# Sentry counts the hits of a search up to this number.
_MOST_HITS = 1000


class Issues(WindowedStream):
    """Issues, resolved ones too. https://docs.sentry.io/api/events/list-an-organizations-issues/"""

    name = "issues"
    one_row = "issue of any status"
    path = "/organizations/{organization}/issues/"
    scope = "event:read"
    replication_key = "lastSeen"
    schema = ISSUE
    # An issue that keeps happening was always seen just now: the newest window stays open.
    end_lag = timedelta(hours=-1)

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        if whole.end - whole.start <= timedelta(days=1) or self._hits(whole) < _MOST_HITS:
            yield whole
            return
        for half in whole.halves():
            yield from self.windows(half, partition)

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        return list(self.organization.client.rows(self.url(), self._params(window, limit=100)))

    def _hits(self, window: Window) -> int:
        try:
            answer = self.organization.client.get(self.url(), self._params(window, limit=1))
        except QueryTimeout:
            return _MOST_HITS
        hits = answer.headers.get("X-Hits", "")
        return int(hits) if hits.isdecimal() else 0

    def _params(self, window: Window, *, limit: int) -> Params:
        # Without any `query` Sentry would send unresolved issues only; `start` and `end`
        # would select by the time of events.
        bounds = (
            f"lastSeen:>={seconds_text(window.start)[:-1]} "
            f"lastSeen:<{seconds_text(window.end)[:-1]}"
        )
        return [
            ("query", bounds),
            ("sort", "date"),
            ("limit", str(limit)),
            ("collapse", "stats"),
            ("collapse", "filtered"),
            *self.organization.project_params,
        ]
