"""What all streams share, and the simplest of the three shapes of sync: pages.

Only the shapes hold control flow; a stream is a declaration on top of one of them. Each gives units
of work, which threads do ahead (see fetching.py) while the main thread writes what came before.
The other shapes are requests per parent (fan_out.py) and windows of time (windowed.py).
"""

from __future__ import annotations

import abc
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import Catalog

from tap_sentry import timestamps
from tap_sentry.answers import Answer
from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable, SentryError, SettingsError
from tap_sentry.fetching import Feed
from tap_sentry.organization import Organization
from tap_sentry.progress import Progress, log_metric
from tap_sentry.records import UNKNOWN_FIELDS, RecordFormat, Row
from tap_sentry.redaction import without_secrets
from tap_sentry.schemas.types import OBJECT

Context = Mapping[str, Any] | None

# STATE is written after so many rows at least, so that it stays small beside them.
ROWS_PER_STATE = 1000


# What a unit of work gives: rows, why there are none, or a word to this stream's own `rows`.
Fetched = list[Row] | NotAvailable | Any
Units = Iterator[Callable[[], Fetched]]


class SentryStream(Stream, abc.ABC):
    """What all streams share: paths of the organization, clean rows, progress, skipping."""

    # Rows come from RecordFormat in their schema's types.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    STATE_MSG_FREQUENCY = ROWS_PER_STATE

    path: ClassVar[str]
    one_row: ClassVar[str]
    scope: ClassVar[str] = "org:read"
    query: ClassVar[Params] = (("per_page", "100"),)
    holds_secrets: ClassVar[bool] = False
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    # Fields that are no column on purpose; of any other one the run says that it is unknown.
    left_out: ClassVar[tuple[str, ...]] = ()
    schema: dict[str, Any]

    def __init__(self, tap: Tap, find_organization: Callable[[], Organization]) -> None:
        super().__init__(tap)
        self._find_organization = find_organization
        if tap.config.get("keep_unknown_fields") is True:
            properties = {**self.schema["properties"], UNKNOWN_FIELDS: OBJECT}
            self.schema = {**self.schema, "properties": properties}
        self.record_format = RecordFormat(self.schema, self.left_out)
        self.progress = Progress(self.name)
        self._feed: Feed[Fetched] | None = None
        self._is_refused = False

    @cached_property
    def organization(self) -> Organization:
        """Found on first use: discovery needs neither settings nor network."""
        return self._find_organization()

    @property
    def partitions(self) -> list[dict[str, Any]] | None:
        # Not those that a state happens to hold, as the SDK would have it.
        return None

    def compare_start_date(self, value: str, start_date_value: str) -> str:
        # `window_to_sync` heeds start_date; the SDK's parser knows fewer forms of a date.
        return value

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take a catalog over, but not its keys: what is read of a window hangs on ours."""
        if entry := catalog.get_stream(self.name):
            entry.key_properties = list(type(self).primary_keys)
        super().apply_catalog(catalog)
        for name in ("primary_keys", "replication_key"):
            vars(self).pop(name, None)  # the class's own hold again

    def url(self, parent: Mapping[str, Any] | None = None) -> str:
        """The stream's path below /api/0, for one parent where there is one."""
        return self.path.format(organization=self.organization.slug, **(parent or {}))

    def get(self, path: str, params: Params = ()) -> Answer:
        """One answer; see `SentryClient.get`."""
        answer = self.organization.client.get(path, params)
        self._received(answer)
        return answer

    def pages(self, path: str, params: Params = ()) -> Iterator[Answer]:
        """All pages of a listing; see `SentryClient.pages`."""
        for answer in self.organization.client.pages(path, params):
            self._received(answer)
            yield answer

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        """The rows of all pages of a listing."""
        for answer in self.pages(path, params):
            yield from answer.rows

    def clean(self, row: Row) -> Row:
        """The columns of one row as Sentry sent it."""
        if self.holds_secrets:
            row = without_secrets(row)
        if mask := self.organization.personal_data:
            row = mask(row)
        return self.record_format(row)

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

    @property
    def lookback(self) -> timedelta:
        """How far before its bookmark a run reads again, for what came late."""
        return timedelta(minutes=self.organization.settings.lookback_minutes)

    def read_again_from(self, bookmark: datetime | None) -> datetime | None:
        """Where a run begins after earlier ones, None for the first."""
        return None if bookmark is None else bookmark - self.lookback

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

    def told_plan(self) -> str:
        """What a sync would ask of Sentry, as lines for a person; nothing where it is plain."""
        return ""

    def prepare(self) -> None:
        """Read what the state says. In the main thread: no other one may touch the state."""

    def start(self) -> Feed[Fetched]:
        """Begin to fetch, in threads that only this stream's turn makes anybody wait for."""
        try:
            self.prepare()
            units = self.units()
        except NotAvailable as error:
            self._refuse(error)
            units = iter(())
        self._feed = self.organization.feeds.feed(units)
        return self._feed

    @abc.abstractmethod
    def units(self) -> Units:
        """The work to be done, in the order of the rows to come."""

    def get_records(self, context: Context) -> Iterator[Row]:
        """Clean rows; a part that Sentry refuses is skipped."""
        if self._is_refused:
            return
        with self.progress.running():
            try:
                yield from self.rows(context, self._feed or self.start())
            except NotAvailable as error:
                if self._feed:
                    self._feed.close()  # what is still to come would be refused as well
                self._refuse(error)

    def rows(self, context: Context, feed: Feed[Fetched]) -> Iterator[Row]:
        """Clean rows of one partition from the results of the units."""
        for fetched in feed:
            if isinstance(fetched, list):
                yield from self.counted_in(fetched)

    def counted_in(self, rows: list[Row]) -> Iterator[Row]:
        """The rows, which count as read."""
        self.progress.rows += len(rows)
        yield from rows

    def log_sync_costs(self) -> None:
        """Nothing: the SDK calls this after runs that end well only; see `log_result`."""

    def log_result(self, written: Mapping[str, Any]) -> None:
        """What the stream brought, and which columns and fields were not as expected.

        Args:
            written: The stream's bookmarks as STATE last told them, one or one per partition.
        """
        self._log_metrics(written)
        if self.progress.requests or self.progress.rows:
            self.logger.info("%s", self.progress.result())
        for column, count in self.record_format.misfits.items():
            self.logger.warning(
                "%s: %d values of %s were not of the column's type and are null",
                self.name,
                count,
                column,
            )
        if unknown := self.record_format.unknown:
            self.logger.info(
                "%s: Sentry also sent the unknown fields %s; keep_unknown_fields %s",
                self.name,
                ", ".join(sorted(unknown)),
                "keeps them" if UNKNOWN_FIELDS in self.schema["properties"] else "would keep them",
            )

    def _log_metrics(self, written: Mapping[str, Any]) -> None:
        self.progress.log_metrics()
        if not self.replication_key:
            return
        reached = [written.get("replication_key_value")]
        if self.partitions is not None:
            # A state may hold projects that are gone or no longer wanted.
            by_partition = {
                tuple(part["context"].items()): part.get("replication_key_value")
                for part in written.get("partitions", ())
            }
            reached = [by_partition.get(tuple(part.items())) for part in self.partitions]
        if reached and all(reached):
            earliest = min(timestamps.parse(value) for value in reached if value)
            log_metric("bookmark", earliest.timestamp(), stream=self.name, parts=len(reached))

    def _refuse(self, error: NotAvailable) -> None:
        self._is_refused = True
        part = "the rest" if self.progress.rows else "all"
        self.organization.report.skip(self.name, part, error)

    def _received(self, answer: Answer) -> None:
        self.progress.answered()
        if self._feed is not None:
            self._feed.hold(answer.size)


class PagedStream(SentryStream):
    """One listing, read whole every time."""

    def units(self) -> Units:
        yield lambda: [self.clean(row) for row in self.listed(self.url(), self.query)]
