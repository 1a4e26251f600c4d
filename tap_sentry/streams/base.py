"""The three shapes of sync: pages, windows of time, and one request per parent.

Only these hold control flow; a stream is a declaration on top of one of them.
"""

from __future__ import annotations

import abc
import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_sentry import timestamps
from tap_sentry.client import Params
from tap_sentry.errors import (
    NotAvailable,
    OutsideRetention,
    QueryTimeout,
    SentryError,
    SettingsError,
    UnexpectedAnswer,
)
from tap_sentry.fetching import in_order
from tap_sentry.organization import Organization
from tap_sentry.progress import Progress
from tap_sentry.records import RecordFormat, Row
from tap_sentry.redaction import without_secrets
from tap_sentry.replication import END_LAG, Window, window_to_sync

Context = Mapping[str, Any] | None
# What a unit of work gives: its rows, why it was skipped, or None at the end of a partition.
Fetched = list[Row] | NotAvailable | None


class SentryStream(Stream, abc.ABC):
    """What all streams share: paths of the organization, clean rows, progress, skipping."""

    # Rows come from RecordFormat in their schema's types.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    # An interrupted run loses little, and STATE stays small beside the rows.
    STATE_MSG_FREQUENCY = 1000

    path: ClassVar[str]
    one_row: ClassVar[str]
    scope: ClassVar[str] = "org:read"
    query: ClassVar[Params] = (("per_page", "100"),)
    holds_secrets: ClassVar[bool] = False
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    schema: ClassVar[dict[str, Any]]

    def __init__(self, tap: Tap, find_organization: Callable[[], Organization]) -> None:
        super().__init__(tap)
        self._find_organization = find_organization
        self.record_format = RecordFormat(self.schema)
        self._is_refused = False

    @cached_property
    def organization(self) -> Organization:
        """Found on first use: discovery needs neither settings nor network."""
        return self._find_organization()

    @cached_property
    def progress(self) -> Progress:
        return Progress(self.name, self.organization.client.requests)

    @property
    def partitions(self) -> list[dict[str, Any]] | None:
        # Not those that a state happens to hold, as the SDK would have it.
        return None

    def compare_start_date(self, value: str, start_date_value: str) -> str:
        # `window_to_sync` heeds start_date; the SDK's parser knows fewer forms of a date.
        return value

    def url(self, parent: Mapping[str, Any] | None = None) -> str:
        """The stream's path below /api/0, for one parent where there is one."""
        return self.path.format(organization=self.organization.slug, **(parent or {}))

    def clean(self, row: Row) -> Row:
        """The columns of one row as Sentry sent it."""
        return self.record_format(without_secrets(row) if self.holds_secrets else row)

    def bookmark(self, partition: Context) -> datetime | None:
        """How far earlier runs have come, None on the first or if they did not read all of this.

        Raises:
            SettingsError: If the state holds no time.
        """
        state = self.get_context_state(partition)
        if partition is None and state.get("coverage") != self.organization.coverage:
            state.pop("replication_key_value", None)
            state["coverage"] = self.organization.coverage
        value = state.get("replication_key_value")
        try:
            return None if value is None else timestamps.parse(value)
        except (ValueError, AttributeError):
            raise SettingsError(
                f"The state of {self.name} holds the bookmark {value!r}, which is no time. "
                "Mend or clear the state; clearing it reads everything again."
            ) from None

    def probe(self) -> None:
        """Ask for the least that shows whether this stream can be read.

        Raises:
            SentryError: If it cannot.
        """
        least = {**dict(self.query), "per_page": "1"}
        self.organization.client.get(self.url(), list(least.items()))

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        # Errors of ours reach the user as one line; the SDK would announce them as unhandled too.
        if not isinstance(sys.exc_info()[1], SentryError):
            super().log(message, *args, level=level, **kwargs)

    def get_records(self, context: Context) -> Iterator[Row]:
        """Clean rows, with the progress told on the way; a part Sentry refuses is skipped."""
        if self._is_refused:
            return
        with self.progress.running():
            try:
                for row in self.rows(context):
                    self.progress.count()
                    yield row
            except NotAvailable as error:
                self._is_refused = True
                self.organization.skip(self.name, "the rest", error)

    @abc.abstractmethod
    def rows(self, context: Context) -> Iterator[Row]:
        """Clean rows of one partition, in the order of the replication key where there is one."""

    def log_sync_costs(self) -> None:
        """Say what the stream brought; the SDK calls this for each stream once all are done."""
        self.progress.log_result(self.record_format.misfits)
        self.organization.close_stream()


class PagedStream(SentryStream):
    """One listing, read whole every time."""

    def rows(self, context: Context) -> Iterator[Row]:
        yield from map(self.clean, self.organization.client.rows(self.url(), self.query))


class FanOutStream(SentryStream):
    """One request per parent. A parent that is gone meanwhile is skipped, the others are read."""

    @abc.abstractmethod
    def parents(self) -> Iterable[Row]:
        """What fills the path, one after the other, in the order of the rows to come."""

    def rows(self, context: Context) -> Iterator[Row]:
        units = (partial(self._fetch, parent) for parent in self.parents())
        for fetched in in_order(units, workers=self.organization.settings.max_concurrency):
            if isinstance(fetched, NotAvailable):
                if self.replication_key and not fetched.is_gone:
                    raise fetched  # later rows would move the bookmark past this one
                self.organization.skip(self.name, "a parent", fetched)
            else:
                yield fetched

    def probe(self) -> None:
        for parent in self.parents():
            self.organization.client.get(self.url(parent), self.query)
            return

    def _fetch(self, parent: Row) -> Row | NotAvailable:
        try:
            answer = self.organization.client.get(self.url(parent), self.query)
        except NotAvailable as error:
            return error
        return self.clean({**answer.rows[0], **parent.get("columns", {})})


class WindowedStream(SentryStream):
    """Windows of time, oldest first, sorted inside: a killed run goes on where it stopped."""

    is_sorted = True
    # The look-back reads rows again that lie before the bookmark.
    check_sorted = False
    replication_key: ClassVar[str]
    end_lag: ClassVar[timedelta] = END_LAG
    # Whether Sentry forgets these rows after its retention.
    expires: ClassVar[bool] = True

    _fetched: Generator[Fetched, None, None]

    @abc.abstractmethod
    def windows(self, whole: Window, partition: Context) -> Iterable[Window]:
        """The window of one partition, cut into parts that are read and sorted as one."""

    @abc.abstractmethod
    def fetch(self, window: Window, partition: Context) -> list[Row]:
        """The rows of one window as Sentry sent them, in any order."""

    @property
    def lookback(self) -> timedelta:
        return timedelta(minutes=self.organization.settings.lookback_minutes)

    def whole_window(self, partition: Context) -> Window | None:
        """What this run has to read of a partition, None if nothing."""
        return window_to_sync(
            self.bookmark(partition),
            lookback=self.lookback,
            now=self.organization.now,
            end_lag=self.end_lag,
            expires=self.expires,
            settings=self.organization.settings,
        )

    def rows(self, context: Context) -> Iterator[Row]:
        partitions = self._partitions()
        if context == partitions[0]:
            self._refused: list[Context] = []
            # One pool fetches ahead over all partitions, although the SDK asks for one at a time.
            self._fetched = in_order(
                self._units(partitions), workers=self.organization.settings.max_concurrency
            )
        for fetched in self._fetched:
            if fetched is None:
                if context == partitions[-1]:
                    self._fetched.close()
                return
            if isinstance(fetched, NotAvailable):
                # Newer windows may have been read meanwhile; the bookmark must not pass this one.
                if context not in self._refused:
                    self._refused.append(context)
                    self.organization.skip(self.name, str(dict(context or {})), fetched)
            elif context not in self._refused:
                yield from fetched
        raise UnexpectedAnswer(f"{self.name} ended before all its partitions were read; run again")

    def probe(self) -> None:
        end = self.organization.now.replace(microsecond=0)
        self.fetch(Window(end - timedelta(minutes=1), end), self._partitions()[0])

    def _partitions(self) -> list[Context]:
        return [*(self.partitions or ())] or [None]

    def _units(self, partitions: Iterable[Context]) -> Iterator[Callable[[], Fetched]]:
        for partition in partitions:
            whole = self.whole_window(partition)
            for window in self.windows(whole, partition) if whole else ():
                if partition in self._refused:
                    break
                yield partial(self._fetch_clean, window, partition)
            yield lambda: None

    def _fetch_clean(self, window: Window, partition: Context) -> Fetched:
        """The clean rows of a window, sorted, or why Sentry would not give them."""
        try:
            rows = map(self.clean, self._fetch_in_parts(window, partition))
            # Older servers do not know start and end, and send what lies outside as well.
            start, end = timestamps.text(window.start), timestamps.text(window.end)
            return self.ordered(
                row for row in rows if start <= (row[self.replication_key] or start) < end
            )
        except NotAvailable as error:
            return error

    def ordered(self, rows: Iterable[Row]) -> list[Row]:
        """The rows of one window without repeats, by replication key."""
        by_key = {tuple(row[key] for key in self.primary_keys): row for row in rows}
        return sorted(by_key.values(), key=lambda row: row[self.replication_key] or "")

    def _fetch_in_parts(self, window: Window, partition: Context) -> list[Row]:
        try:
            return self.fetch(window, partition)
        except OutsideRetention:
            return []
        except QueryTimeout:
            if window.is_smallest:
                raise
            older, newer = window.halves()
            self.logger.info("Asking for %s in two halves after a query timeout", self.name)
            return [
                *self._fetch_in_parts(older, partition),
                *self._fetch_in_parts(newer, partition),
            ]
