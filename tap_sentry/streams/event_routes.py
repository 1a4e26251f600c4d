"""The routes on which Sentry gives error events, each with its own limits and its own faults."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from functools import partial

from tap_sentry import timestamps
from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable, OutsideRetention, QueryTimeout
from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.schemas.events import EVENT, EXPLORED
from tap_sentry.streams.base import Context
from tap_sentry.streams.counted import EXPLORE, ProjectWindows, time_params

_ISSUE_EVENTS = "/organizations/{organization}/issues/{issue}/events/"


class EventRoutes(ProjectWindows, abc.ABC):
    """Events by project, by issue and from Explore's table: the same rows on each route.

    https://docs.sentry.io/api/events/list-a-projects-error-events/
    https://docs.sentry.io/api/events/list-an-issues-events/
    """

    path = "/projects/{organization}/{project}/events/"
    scope = "project:read"
    # Two projects may hold the same event id: an SDK can send one event to both.
    primary_keys = ("projectID", "eventID")
    replication_key = "dateCreated"
    left_out = (
        "type",  # goes into `event.type`
        "datetime",  # `dateCreated` again
        # In the body of an event asked for alone:
        "nextEventID",
        "previousEventID",
        "release",
        "resolvedWith",
        "sdkUpdates",
        "userReport",
    )
    schema = EVENT
    dataset = "errors"
    project_key = "projectID"
    count_fields = ("count()", "count_unique(issue)")

    # Unknown until a project is large enough to need more than one window.
    _knows_dates: bool | None = None

    def prepare(self) -> None:
        super().prepare()
        self._read_by_project: set[tuple[str, Window]] = set()

    @property
    def most_rows(self) -> int:
        # Whole bodies are ten times as large.
        return super().most_rows // (10 if self.organization.settings.fetch_event_details else 1)

    def page(self) -> Params:
        """What every listing of events is asked with."""
        details = self.organization.settings.fetch_event_details
        return [("per_page", "100"), *([("full", "true")] if details else ())]

    def clean(self, row: Row) -> Row:
        # A whole body names the kind `type`, a short row `event.type`.
        event = super().clean(row)
        event["event.type"] = event["event.type"] or row.get("type")
        event["sample_weight"] = 1.0
        return event

    def fetch(self, window: Window, partition: Context, order: Params = ()) -> Iterator[Row]:
        """By project: newest first, or in another `order`."""
        path = self.url({"project": self.project_of(partition)})
        for page in self.pages(path, [*self.page(), *time_params(window), *order]):
            yield from page.rows
            # Servers that do not know start and end would send the whole past.
            newest = max(map(_created, page.rows), default=None)
            if newest and not order and newest < timestamps.text(window.start):
                return

    def of_issue(self, issue: str | None, window: Window, _: Context) -> Iterator[Row]:
        """By issue.

        Raises:
            NotAvailable: Also for None, the events that belong to no issue.
        """
        if issue is None:
            raise NotAvailable("these events belong to no issue")
        path = _ISSUE_EVENTS.format(organization=self.organization.slug, issue=issue)
        yield from self.listed(path, [*self.page(), *time_params(window)])

    def read_issue(self, issue: str | None, window: Window, partition: Context) -> list[Row]:
        """The clean rows of an issue, or once per window those of the whole project instead."""
        try:
            return self.read(window, partition, partial(self.of_issue, issue))
        except NotAvailable as error:
            # Deleted or merged since it was counted, or never to be read: the project has them all.
            if (self.project_of(partition), window) in self._read_by_project:
                return []
            self._read_by_project.add((self.project_of(partition), window))
            self.logger.info("events: reading the whole project instead: %s", error)
            return self.read(window, partition, self.fetch)

    def explored(self, window: Window, partition: Context) -> Iterator[Row]:
        """From Explore's table, which has only the columns in EXPLORED."""
        params = [
            ("dataset", self.dataset),
            *(("field", field) for field in sorted({*EXPLORED.values()})),
            ("project", self.project_of(partition)),
            *time_params(window),
            ("sort", "-timestamp"),
            ("sort", "-id"),
            ("per_page", "100"),
        ]
        for row in self.listed(EXPLORE.format(organization=self.organization.slug), params):
            yield {column: row.get(field) for column, field in EXPLORED.items()}

    def issue_counts(self, window: Window, partition: Context) -> dict[str | None, int] | None:
        """Events by issue, the largest first; None if Sentry does not say."""
        params = [
            ("field", "issue.id"),
            ("field", "count()"),
            ("sort", "-count()"),
            ("project", self.project_of(partition)),
            ("per_page", "100"),
        ]
        answers = self.counted("events", window, params)
        if answers is None:
            return None
        rows = [row for page in answers for row in page.rows]
        return {str(row["issue.id"] or "") or None: int(row["count()"]) for row in rows}

    def knows_dates(self, partition: Context, window: Window) -> bool:
        """Whether the server knows `start` and `end` of project events, as since 2025."""
        if self._knows_dates is None:
            path = self.url({"project": self.project_of(partition)})
            try:
                rows = self.get(path, [("per_page", "1"), *time_params(window)]).rows
            except (OutsideRetention, QueryTimeout):
                return True  # so does this one
            start, end = timestamps.text(window.start), timestamps.text(window.end)
            self._knows_dates = all(start <= _created(row) < end for row in rows)
        return self._knows_dates


def _created(event: Row) -> str:
    return timestamps.normalised(event["dateCreated"])
