"""The shape of most rows: windows of time, oldest first, a bookmark behind each."""

from __future__ import annotations

import abc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

from tap_sentry import timestamps
from tap_sentry.errors import NotAvailable, OutsideRetention, QueryTimeout, UnexpectedAnswer
from tap_sentry.fetching import Feed
from tap_sentry.records import Row
from tap_sentry.replication import END_LAG, Window, window_to_sync
from tap_sentry.streams.base import ROWS_PER_STATE, Context, Fetched, SentryStream, Units

Fetch = Callable[[Window, Context], Iterable[Row]]


class WindowEnd(NamedTuple):
    """All rows of a window of a partition have come."""

    partition: Context
    window: Window


class PartitionEnd(NamedTuple):
    """All windows of a partition have come; `whole` is None if there was nothing to read."""

    partition: Context
    whole: Window | None


class WindowedStream(SentryStream):
    """Windows of time, oldest first: a killed run goes on behind the last one it read whole."""

    is_sorted = True
    replication_key: ClassVar[str]
    end_lag: ClassVar[timedelta] = END_LAG
    # Whether Sentry forgets these rows after its retention.
    expires: ClassVar[bool] = True

    # Whether STATE follows each of several windows of a partition, however few rows it had.
    reports_each_window: ClassVar[bool] = False

    # What this run has to read of each partition, None if nothing.
    wholes: list[tuple[Context, Window | None]]

    @abc.abstractmethod
    def windows(self, whole: Window, partition: Context) -> Iterable[Window]:
        """The window of one partition, cut into parts that are read one after the other."""

    @abc.abstractmethod
    def fetch(self, window: Window, partition: Context) -> Iterable[Row]:
        """The rows of one window as Sentry sent them, in any order."""

    def parts(self, window: Window, partition: Context) -> Iterable[Callable[[], list[Row]]]:
        """What to fetch of a window, side by side: one part unless a stream knows better."""
        yield partial(self.read, window, partition, self.fetch)

    def whole_window(self, partition: Context) -> Window | None:
        """What this run has to read of a partition, None if nothing."""
        return window_to_sync(
            self.read_again_from(self.bookmark(partition)),
            now=self.organization.now,
            end_lag=self.end_lag,
            expires=self.expires,
            settings=self.organization.settings,
        )

    def prepare(self) -> None:
        partitions: list[Context] = [None] if self.partitions is None else [*self.partitions]
        self.wholes = [(partition, self.whole_window(partition)) for partition in partitions]
        self._refused: dict[str, NotAvailable] = {}
        self._unreported = 0
        self.STATE_MSG_FREQUENCY = sys.maxsize
        # The SDK would move the bookmark with each row; it may move only behind a whole window.
        self.state_manager.increment_state = _leave_state  # type: ignore[method-assign]

    def units(self) -> Units:
        for partition, whole in self.wholes:
            try:
                for window in self.windows(whole, partition) if whole else ():
                    for part in self.parts(window, partition):
                        yield partial(self._unless_refused, part, partition)
                    yield partial(WindowEnd, partition, window)
            except NotAvailable as error:  # of a question on how to cut the windows
                self._refused[self.partition_name(partition)] = error
            yield partial(PartitionEnd, partition, whole)

    def rows(self, context: Context, feed: Feed[Fetched]) -> Iterator[Row]:
        if not self.wholes:
            return  # without a project the SDK asks for a partition that is none
        refused = self._refused
        for fetched in feed:
            if isinstance(fetched, list):
                yield from self.counted_in(fetched)
            elif isinstance(fetched, WindowEnd):
                if self.partition_name(context) in refused:
                    continue  # newer windows may have been read; the bookmark must not pass
                self.finish(fetched.window, context)
                self._make_state_due(fetched.window, context)
            elif isinstance(fetched, PartitionEnd):
                if refusal := refused.get(self.partition_name(context)):
                    self.organization.report.skip(self.name, self.partition_name(context), refusal)
                elif fetched.whole:
                    self.finish(fetched.whole, context)
                if fetched.partition == self.wholes[-1][0]:
                    next(feed, None)  # its end, which closes it
                return
        raise UnexpectedAnswer(f"{self.name} ended before all its partitions were read; run again")

    def counted_in(self, rows: list[Row]) -> Iterator[Row]:
        self._unreported += len(rows)
        left = super().counted_in(rows)
        if rows and self.STATE_MSG_FREQUENCY == 1:
            yield next(left)
            self.STATE_MSG_FREQUENCY = sys.maxsize
        yield from left

    def finish(self, window: Window, partition: Context) -> None:
        """Move the bookmark behind a window that was read whole; it never moves back."""
        state = self.get_context_state(partition)
        at = timestamps.text(min(window.end, self.organization.now))
        if at > (state.get("replication_key_value") or ""):
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = at

    def partition_name(self, partition: Context) -> str:
        """What people call a partition."""
        return "the rest"

    def probe(self) -> None:
        end = self.organization.now.replace(microsecond=0)
        partition = self.partitions[0] if self.partitions else None
        deque(self.fetch(Window(end - timedelta(minutes=1), end), partition), maxlen=0)

    def read(self, window: Window, partition: Context, fetch: Fetch) -> list[Row]:
        """The clean rows of a window, each key once, by replication key."""
        rows = self.inside(window, self.in_parts(window, partition, fetch))
        key = itemgetter(*self.primary_keys)
        by_key = {key(row): row for row in rows}
        return sorted(by_key.values(), key=lambda row: row[self.replication_key] or "")

    def inside(self, window: Window, rows: Iterable[Row]) -> Iterator[Row]:
        """Clean rows of what Sentry sent for a window."""
        # Older servers do not know start and end, and send what lies outside as well.
        start, end = timestamps.text(window.start), timestamps.text(window.end)
        for row in map(self.clean, rows):
            if start <= (row[self.replication_key] or start) < end:
                yield row

    def in_parts(self, window: Window, partition: Context, fetch: Fetch) -> Iterator[Row]:
        """Rows as Sentry sent them, some of them twice where it gave up and was asked for less."""
        try:
            yield from fetch(window, partition)
        except OutsideRetention:
            return
        except QueryTimeout:
            if window.is_smallest:
                raise
            self.logger.info("Asking for %s in two halves after a query timeout", self.name)
            for half in window.halves():
                yield from self.in_parts(half, partition, fetch)

    def _make_state_due(self, window: Window, partition: Context) -> None:
        """Have STATE follow the next row, if enough rows came since the last one."""
        whole = next(whole for of, whole in self.wholes if of == partition)
        least = 1 if self.reports_each_window and window != whole else ROWS_PER_STATE
        if self._unreported >= least:
            self._unreported, self.STATE_MSG_FREQUENCY = 0, 1

    def _unless_refused(self, part: Callable[[], list[Row]], partition: Context) -> Fetched:
        if self.partition_name(partition) not in self._refused:
            try:
                return part()
            except NotAvailable as error:
                self._refused[self.partition_name(partition)] = error
        return []


def _leave_state(*_: Any, **__: Any) -> None:
    """In place of the SDK's step of a bookmark."""
