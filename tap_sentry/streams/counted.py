"""Windows cut by what Sentry counts in them, for the streams with the most rows."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, ClassVar

from tap_sentry.client import Answer, Params
from tap_sentry.errors import NotAvailable, OutsideRetention, QueryTimeout, UnexpectedAnswer
from tap_sentry.records import Row
from tap_sentry.replication import Window, interval_s, windows, windows_of_rows
from tap_sentry.streams.base import Context, WindowedStream
from tap_sentry.timestamps import seconds_text

EXPLORE = "/organizations/{organization}/events/"


class ProjectWindows(WindowedStream, abc.ABC):
    """Windows of time of one project after the other.

    One question counts the rows of all projects; projects without rows need no other. One more
    for each project that holds more rows than a window should tells where to cut. A server
    that cannot count is read in windows of a week.
    https://docs.sentry.io/api/explore/query-explore-events-in-table-format/
    """

    dataset: ClassVar[str]
    project_key: ClassVar[str]
    width_without_counts: ClassVar[timedelta] = timedelta(days=7)
    count_params: ClassVar[Params] = ()

    @cached_property
    def partitions(self) -> list[dict[str, Any]]:
        try:
            return [{self.project_key: row["id"]} for row in self.organization.projects]
        except NotAvailable as error:  # here the SDK asks, outside of get_records
            self.organization.skip(self.name, "all projects", error)
            return []

    def rows(self, context: Context) -> Iterator[Row]:
        # Without a project the SDK asks for a partition that is none.
        return super().rows(context) if self.partitions else iter(())

    def probe(self) -> None:
        if self.partitions:
            super().probe()

    def windows(self, whole: Window, partition: Context) -> Iterable[Window]:
        project = self.project_of(partition)
        if self.counts is None:
            return windows(whole, self.width_without_counts)
        rows = self.counts.get(project, 0)
        if rows <= self.most_rows:
            return [whole] if rows else []
        series = self._series(whole, project)
        if series is None:
            return windows(whole, self.width_without_counts)
        return windows_of_rows(whole, series, self.most_rows)

    @property
    def most_rows(self) -> float:
        """Rows of a window: sixty pages, since Sentry pages by offset and deep ones are slow."""
        return 6000

    def project_of(self, partition: Context) -> str:
        """The project's id."""
        return str((partition or {})[self.project_key])

    @cached_property
    def counts(self) -> dict[str, int] | None:
        """Rows by project id in what this run has to read; None if Sentry does not say."""
        wholes = [whole for whole in map(self.whole_window, self.partitions) if whole]
        if not wholes:
            return {}
        params = [
            ("field", "project.id"),
            ("field", "count()"),
            ("sort", "project.id"),
            ("per_page", "100"),
            *self.organization.project_params,
        ]
        span = Window(min(whole.start for whole in wholes), max(whole.end for whole in wholes))
        answers = self._counted("events", span, params)
        if answers is None:
            return None
        counts = {
            str(row.get("project.id")): int(row.get("count()", 0))
            for page in answers
            for row in page.rows
        }
        ours = {self.project_of(partition) for partition in self.partitions}
        self.progress.expect(sum(rows for project, rows in counts.items() if project in ours))
        return counts

    def _series(self, whole: Window, project: str) -> list[tuple[datetime, int]] | None:
        """Rows per bucket of time, oldest first; None if Sentry does not say."""
        params = [
            ("yAxis", "count()"),
            ("interval", str(interval_s(whole))),
            ("project", project),
        ]
        answers = self._counted("events-timeseries", whole, params)
        if answers is None:
            return None
        return [
            (datetime.fromtimestamp(bucket["timestamp"] / 1000, tz=timezone.utc), bucket["value"])
            for series in answers[0].body["timeSeries"]
            for bucket in series["values"]
        ]

    def _counted(self, endpoint: str, window: Window, params: Params) -> list[Answer] | None:
        """The pages of a counting question; None, and a line about it, if Sentry has no answer."""
        path = f"/organizations/{self.organization.slug}/{endpoint}/"
        asked = [("dataset", self.dataset), *params, *time_params(window), *self.count_params]
        try:
            return list(self.organization.client.pages(path, asked))
        except (NotAvailable, OutsideRetention, UnexpectedAnswer, QueryTimeout) as error:
            if isinstance(error, NotAvailable) and self.path == EXPLORE:
                raise  # where Sentry does not count, it would not list either
            self.logger.info("%s: reading without counts: %s", self.name, error)
            return None


def time_params(window: Window) -> Params:
    """`start` and `end`, which Sentry takes as half-open and in whole seconds."""
    return [("start", seconds_text(window.start)), ("end", seconds_text(window.end))]
