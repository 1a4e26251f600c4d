"""The shape of details: requests per parent."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable
from tap_sentry.fetching import Feed
from tap_sentry.records import Row
from tap_sentry.streams.base import Context, Fetched, SentryStream, Units


class FanOutStream(SentryStream):
    """One listing per parent. A parent that is gone meanwhile is skipped, the others are read."""

    # Of a stream with a replication key, where this run begins.
    since: datetime | None = None
    _refusal: NotAvailable | None = None

    @abc.abstractmethod
    def parents(self) -> Iterable[Row]:
        """What fills the path, one after the other, in the order of the rows to come.

        Their `columns` are added to each of the parent's rows.
        """

    def query_of(self, parent: Row) -> Params:
        """The query parameters for one parent."""
        return self.query

    def prepare(self) -> None:
        if self.replication_key:
            self.since = self.read_again_from(self.bookmark(None))

    def units(self) -> Units:
        for parent in self.parents():
            yield partial(self._fetch, parent)

    def probe(self) -> None:
        for parent in self.parents():
            self.organization.client.get(self.url(parent), self.query_of(parent))
            return

    def rows(self, context: Context, feed: Feed[Fetched]) -> Iterator[Row]:
        for fetched in feed:
            if not isinstance(fetched, NotAvailable):
                yield from self.counted_in(fetched)
            elif self.replication_key and not fetched.is_gone:
                raise fetched  # later rows would move the bookmark past this one
            else:
                self.organization.report.skip(self.name, "a parent", fetched)

    def _fetch(self, parent: Row) -> list[Row] | NotAvailable:
        if self._refusal is not None:
            return self._refusal
        columns = parent.get("columns", {})
        try:
            listed = self.listed(self.url(parent), self.query_of(parent))
            return [self.clean({**row, **columns}) for row in listed]
        except NotAvailable as error:
            refusal = self.refusal(error)
            if self.replication_key and not refusal.is_gone:
                self._refusal = refusal  # it ends the stream: no more requests
            return refusal

    def refusal(self, error: NotAvailable) -> NotAvailable:
        """What to make of a parent that Sentry refuses; one that is gone is no reason to stop."""
        return error
