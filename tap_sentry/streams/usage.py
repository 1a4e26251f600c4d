"""Sums per bucket of time: usage by outcome, and the health of releases."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, ClassVar

from tap_sentry import timestamps
from tap_sentry.answers import Answer
from tap_sentry.client import Params
from tap_sentry.errors import OutsideRetention, QueryTimeout, UnexpectedAnswer
from tap_sentry.records import Row
from tap_sentry.replication import Window, windows
from tap_sentry.schemas.usage import RELEASE_HEALTH, USAGE_OUTCOME
from tap_sentry.streams.base import Context, Units
from tap_sentry.streams.counted import time_params
from tap_sentry.streams.per_project import PerProject
from tap_sentry.streams.windowed import WindowedStream

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INTERVALS = {timedelta(hours=1): "1h", timedelta(days=1): "1d"}


class Sums(WindowedStream, abc.ABC):
    """Rows made of the groups and series of one answer; values of 0 make none.

    Sentry says nothing where it cuts an answer that grew too long. So each is checked, and what
    may be cut is asked for again in two halves of its time, down to one bucket.
    """

    replication_key = "timestamp"
    query = ()
    # Length of a bucket: an hour or a day.
    interval: ClassVar[timedelta]
    # How much to ask for at once. Sentry gives a thousand buckets at most.
    width: ClassVar[timedelta]
    group_by: ClassVar[tuple[str, ...]]
    # Sentry's fields by our columns.
    fields: ClassVar[Mapping[str, str]]

    @abc.abstractmethod
    def filters(self, partition: Context) -> Params:
        """The query parameters that name the projects of a partition."""

    @abc.abstractmethod
    def is_cut(self, answer: Answer) -> bool:
        """True if an answer may hold less than all groups or values."""

    def finer(self, window: Window, filters: Params) -> Iterable[Params]:
        """Filters that split what even a single bucket holds too much of.

        Raises:
            UnexpectedAnswer: If there are none, since rows would be lost.
        """
        raise UnexpectedAnswer(
            f"{self.name}: Sentry cannot give all of {timestamps.text(window.start)} in one answer "
            f"({', '.join(f'{name}={value}' for name, value in filters)}). Deselect the stream or "
            "leave the project out with exclude_projects; the bookmark stays where it was."
        )

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        return windows(Window(self.floor(whole.start), whole.end), self.width)

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        end = self.floor(window.end)
        if end < window.end:
            end += self.interval
        return [*self._sums(Window(self.floor(window.start), end), self.filters(partition))]

    def floor(self, instant: datetime) -> datetime:
        """The start of the bucket that an instant lies in."""
        return instant - (instant - _EPOCH) % self.interval

    def ask(
        self,
        window: Window,
        filters: Params,
        *,
        fields: Iterable[str],
        group_by: Iterable[str],
        interval: timedelta,
    ) -> Answer:
        """One answer of groups."""
        return self.get(
            self.url(),
            [
                *(("field", field) for field in fields),
                *(("groupBy", group) for group in group_by),
                ("interval", _INTERVALS[interval]),
                *time_params(window),
                *filters,
            ],
        )

    def _sums(self, window: Window, filters: Params) -> Iterator[Row]:
        try:
            answer = self.ask(
                window,
                filters,
                fields=self.fields.values(),
                group_by=self.group_by,
                interval=self.interval,
            )
            if not self.is_cut(answer):
                yield from self._rows(answer.body)
                return
        except OutsideRetention:
            return  # here, so that a newer half is read all the same
        except QueryTimeout as error:
            self.logger.info("Asking for less of %s: %s", self.name, error)
        buckets = (window.end - window.start) // self.interval
        if buckets > 1:
            middle = window.start + buckets // 2 * self.interval
            for half in (Window(window.start, middle), Window(middle, window.end)):
                yield from self._sums(half, filters)
        else:
            for narrower in self.finer(window, filters):
                yield from self._sums(window, narrower)

    def _rows(self, body: Mapping[str, Any]) -> Iterator[Row]:
        times = [timestamps.normalised(time) for time in body["intervals"]]
        for group in body["groups"]:
            by = {name: group["by"].get(name) for name in self.group_by}
            series = {name: group["series"][field] for name, field in self.fields.items()}
            for number, time in enumerate(times):
                values = {name: of_bucket[number] for name, of_bucket in series.items()}
                if any(values.values()):
                    yield {**by, **values, "timestamp": time, "id": _id([*by.values(), time])}


class UsageOutcomes(PerProject, Sums):
    """Data taken in or turned away, by project, category, outcome, reason and hour.

    One question finds the projects that sent anything, then one per project and thirty days gives
    the hours, since Sentry gives no hours grouped by project. Hours are read once they are over,
    and three hours again in the next run, for outcomes that came late.
    https://docs.sentry.io/api/organizations/retrieve-event-counts-for-an-organization-v2/
    """

    name = "usage_outcomes"
    one_row = "hour of one project, category, outcome and reason"
    path = "/organizations/{organization}/stats_v2/"
    schema = USAGE_OUTCOME
    selected_by_default = False
    project_key = "project"
    interval = timedelta(hours=1)
    width = timedelta(days=30)
    group_by = ("outcome", "category", "reason")
    fields: ClassVar[Mapping[str, str]] = {
        "quantity": "sum(quantity)",
        "times_seen": "sum(times_seen)",
    }

    # Rows that Sentry's store gives at most, without a word about the others.
    most_rows: ClassVar[int] = 10_000

    @property
    def lookback(self) -> timedelta:
        return max(super().lookback, timedelta(hours=3))

    def units(self) -> Units:
        if any(whole for _, whole in self.wholes):
            self.active  # noqa: B018 - asked here, a refusal is of the stream and not of a project
        yield from super().units()

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        if self.active is None or self.project_of(partition) in self.active:
            yield from super().windows(Window(whole.start, self.floor(whole.end)), partition)

    def filters(self, partition: Context) -> Params:
        return [("project", self.project_of(partition))]

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        project = self.project_of(partition)
        return [
            {**row, "project": project, "id": _id([project, row["id"]])}
            for row in super().fetch(window, partition)
        ]

    def is_cut(self, answer: Answer) -> bool:
        # Totals are another query of Sentry's; where the series were cut they hold less.
        return len(answer.body["intervals"]) > 1 and any(
            sum(group["series"][field]) != group["totals"][field]
            for group in answer.body["groups"]
            for field in self.fields.values()
        )

    @cached_property
    def active(self) -> set[str] | None:
        """Ids of the projects with any outcome in what this run has to read; None if unknown."""
        wholes = [whole for _, whole in self.wholes if whole]
        answer = self.ask(
            Window(min(whole.start for whole in wholes), max(whole.end for whole in wholes)),
            self.organization.project_params,
            fields=("sum(quantity)",),
            group_by=("project", "category"),
            interval=timedelta(days=1),
        )
        groups = answer.body["groups"]
        if len(groups) >= self.most_rows:
            return None
        return {str(group["by"]["project"]) for group in groups}


class ReleaseHealth(Sums):
    """Sessions and users of each release, by project, environment and day.

    Days, since users of single hours do not add up; a day changes until it is over and for a
    while after, so that the last two are read again.
    https://docs.sentry.io/api/releases/retrieve-release-health-session-statistics/
    """

    name = "release_health"
    one_row = "day of one release, project and environment"
    path = "/organizations/{organization}/sessions/"
    schema = RELEASE_HEALTH
    selected_by_default = False
    interval = timedelta(days=1)
    width = timedelta(days=14)
    group_by = ("project", "release", "environment")
    fields: ClassVar[Mapping[str, str]] = {
        "sessions": "sum(session)",
        "users": "count_unique(user)",
        "crash_free_session_rate": "crash_free_rate(session)",
        "crash_free_user_rate": "crash_free_rate(user)",
    }

    # Groups times buckets that Sentry gives at most; it leaves out the smallest groups.
    most_points: ClassVar[int] = 5000

    @property
    def lookback(self) -> timedelta:
        return max(super().lookback, timedelta(days=2))

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        if self.organization.projects:  # without any Sentry would refuse the question
            yield from super().windows(whole, partition)

    def filters(self, partition: Context) -> Params:
        return self.organization.project_params

    def is_cut(self, answer: Answer) -> bool:
        most_groups = self.most_points // max(1, len(answer.body["intervals"]))
        return len(answer.body["groups"]) >= most_groups

    def finer(self, window: Window, filters: Params) -> Iterable[Params]:
        """One project after the other, then one environment of it after the other."""
        if "environment" in dict(filters):
            return super().finer(window, filters)
        if len(filters) > 1 or ("project", "-1") in filters:
            return [[("project", row["id"])] for row in self.organization.projects]
        answer = self.ask(
            window,
            filters,
            fields=("sum(session)",),
            group_by=("environment",),
            interval=self.interval,
        )
        names = [group["by"].get("environment") or "" for group in answer.body["groups"]]
        return [[*filters, ("environment", name)] for name in names]


def _id(parts: Iterable[Any]) -> str:
    """The same 32 hexadecimal digits for the same parts."""
    text = json.dumps([None if part is None else str(part) for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
