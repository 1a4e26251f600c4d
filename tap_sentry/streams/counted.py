"""Windows cut by what Sentry counts in them, for the streams with the most rows."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import ClassVar

from tap_sentry.answers import Answer
from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable, OutsideRetention, QueryTimeout, UnexpectedAnswer
from tap_sentry.fetching import Feed
from tap_sentry.records import Row
from tap_sentry.replication import (
    Window,
    interval_s,
    is_whole_buckets,
    windows,
    windows_of_rows,
)
from tap_sentry.streams.base import Context, Fetched, Units
from tap_sentry.streams.per_project import PerProject
from tap_sentry.timestamps import seconds_text

EXPLORE = "/organizations/{organization}/events/"

_WIDTH_WITHOUT_COUNTS = timedelta(days=7)
# Buckets of a minute are the finest: a window of one is read whatever it holds.
_FINEST = timedelta(minutes=1)


class ProjectWindows(PerProject, abc.ABC):
    """Windows of time of one project after the other, of about as many rows each.

    One question counts the rows of all projects; projects without rows need no other. Further
    ones, for each project that holds more rows than a window should, tell where to cut. A server
    that cannot count is read in windows of a week.
    https://docs.sentry.io/api/explore/query-explore-events-in-table-format/
    """

    dataset: ClassVar[str]
    reports_each_window = True
    # What else to ask per project, and how.
    count_fields: ClassVar[tuple[str, ...]] = ("count()",)
    count_params: Params = ()

    @cached_property
    def rows_in(self) -> dict[tuple[str, Window], int | None]:
        """What Sentry counts in each window of a project."""
        return {}

    @property
    @abc.abstractmethod
    def is_sampled(self) -> bool:
        """Whether rows are left out, and the others say in `sample_weight` what they stand for."""

    def rows(self, context: Context, feed: Feed[Fetched]) -> Iterator[Row]:
        if not self.is_sampled:
            yield from super().rows(context, feed)
            return
        kept, stood_for = 0, 0.0
        for row in super().rows(context, feed):
            kept += 1
            stood_for += row["sample_weight"]
            yield row
        if kept:
            self.logger.info(
                "%s: the sample of %s has %s rows for %s (%.1f %%)",
                self.name,
                self.partition_name(context),
                f"{kept:,}",
                f"{stood_for:,.0f}",
                100 * kept / stood_for,
            )

    @property
    def most_rows(self) -> int:
        """Rows of a window: twenty pages, since the last, half-empty one then costs little."""
        return 2000

    def units(self) -> Units:
        if told := self.told_plan():
            self.logger.info("%s", told)
        yield from super().units()

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        for window, rows in self.counted_windows(whole, partition, self.most_rows):
            self.rows_in[self.project_of(partition), window] = rows
            yield window

    def counted_windows(
        self, whole: Window, partition: Context, most_rows: float
    ) -> Iterator[tuple[Window, int | None]]:
        """Windows of about so many rows or fewer, with their rows: None where nobody counts."""
        project = self.project_of(partition)
        if self.counts is None:
            yield from ((window, None) for window in windows(whole, _WIDTH_WITHOUT_COUNTS))
        elif rows := self.rows_of(project):
            yield from self.cut(whole, rows, most_rows, [("project", project)])

    def rows_of(self, project: str) -> int:
        """The rows that Sentry counts in what this run has to read of a project."""
        return int((self.counts or {}).get(project, {}).get("count()") or 0)

    @cached_property
    def counts(self) -> dict[str, Row] | None:
        """Answers to `count_fields` by project id; None if Sentry does not say."""
        projects: dict[Window, list[str]] = {}
        for partition, whole in self.wholes:
            if whole:
                projects.setdefault(whole, []).append(self.project_of(partition))
        counts: dict[str, Row] = {}
        for whole, ids in projects.items():
            # One question for all, unless an earlier run left projects at different times.
            one_by_one = [("project", project) for project in ids]
            answers = self.counted(
                "events",
                whole,
                [
                    *(("field", field) for field in ("project.id", *self.count_fields)),
                    ("sort", "project.id"),
                    ("per_page", "100"),
                    *(one_by_one if len(projects) > 1 else self.organization.project_params),
                ],
            )
            if answers is None:
                return None
            rows = {str(row.get("project.id")): row for page in answers for row in page.rows}
            counts |= {project: rows[project] for project in ids if project in rows}
        return counts

    def counted(self, endpoint: str, window: Window, params: Params) -> list[Answer] | None:
        """The pages of a counting question; None, and a line about it, if Sentry has no answer."""
        path = f"/organizations/{self.organization.slug}/{endpoint}/"
        asked = [("dataset", self.dataset), *params, *time_params(window), *self.count_params]
        try:
            return list(self.pages(path, asked))
        except (NotAvailable, OutsideRetention, UnexpectedAnswer, QueryTimeout) as error:
            if isinstance(error, NotAvailable) and self.path == EXPLORE and endpoint == "events":
                raise  # where Sentry does not count, it would not list either
            self.logger.info("%s: reading without counts: %s", self.name, error)
            return None

    def cut(
        self, whole: Window, rows: int, most_rows: float, which: Params
    ) -> Iterator[tuple[Window, int | None]]:
        """A window of so many rows, cut; `which` are the query parameters that name the rows."""
        series = None
        if rows > most_rows and whole.end - whole.start > _FINEST:
            series = self._series(whole, which)
            if series is None:
                yield from ((window, None) for window in windows(whole, _WIDTH_WITHOUT_COUNTS))
                return
        if series is None:
            yield whole, rows
            return
        parts = list(windows_of_rows(whole, series, most_rows))
        # Of a bucket that the window cuts, Sentry may count all of it.
        edges = [part for part, _ in parts if not is_whole_buckets(part, interval_s(whole))]
        rest = rows - sum(counted for part, counted in parts if part not in edges)
        for window, counted in parts:
            if counted > most_rows and window != whole:
                yield from self.cut(window, counted, most_rows, which)  # in finer buckets
            elif window in edges:
                yield window, rest if len(edges) == 1 else None
            else:
                yield window, counted

    def _series(self, whole: Window, which: Params) -> list[tuple[datetime, int]] | None:
        """Rows per bucket of time, oldest first; None if Sentry does not say."""
        params = [
            ("yAxis", "count()"),
            ("interval", str(interval_s(whole))),
            *which,
        ]
        answers = self.counted("events-timeseries", whole, params)
        if answers is None:
            return None
        return [
            (datetime.fromtimestamp(bucket["timestamp"] / 1000, tz=timezone.utc), bucket["value"])
            for series in answers[0].body.get("timeSeries") or ()
            for bucket in series["values"]
        ]


def time_params(window: Window) -> Params:
    """`start` and `end`, which Sentry takes as half-open and in whole seconds."""
    return [("start", seconds_text(window.start)), ("end", seconds_text(window.end))]
