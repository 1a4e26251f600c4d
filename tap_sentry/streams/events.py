"""Error events of each project."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.sampling import EventSampling
from tap_sentry.schemas.events import EVENT
from tap_sentry.streams.base import Context
from tap_sentry.streams.counted import ProjectWindows, time_params


class Events(ProjectWindows):
    """Error events. https://docs.sentry.io/api/events/list-a-projects-error-events/"""

    name = "events"
    one_row = "error event"
    path = "/projects/{organization}/{project}/events/"
    scope = "project:read"
    # Two projects may hold the same event id: an SDK can send one event to both.
    primary_keys = ("projectID", "eventID")
    replication_key = "dateCreated"
    schema = EVENT
    dataset = "errors"
    project_key = "projectID"

    @property
    def most_rows(self) -> float:
        # What to keep of an issue depends on all its events of the run.
        if self.sampling is not None:
            return math.inf
        # Whole bodies are ten times as large; windows ahead are kept in memory.
        return super().most_rows / (10 if self.organization.settings.fetch_event_details else 1)

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        params = [("per_page", "100"), *time_params(window)]
        if self.organization.settings.fetch_event_details:
            params.append(("full", "true"))
        path = self.url({"project": self.project_of(partition)})
        return list(self.organization.client.rows(path, params))

    def clean(self, row: Row) -> Row:
        # A whole body names the kind `type`, a short row `event.type`.
        event = super().clean(row)
        event["event.type"] = event["event.type"] or row.get("type")
        event["sample_weight"] = 1.0
        return event

    def ordered(self, rows: Iterable[Row]) -> list[Row]:
        events = super().ordered(rows)
        if self.sampling is None:
            return events
        kept = super().ordered(self.sampling.keep(events))
        if events:
            self.logger.info(
                "events: kept %d of %d of project %s",
                len(kept),
                len(events),
                events[0]["projectID"],
            )
        return kept

    @cached_property
    def sampling(self) -> EventSampling | None:
        return EventSampling.of(self.organization.settings)
