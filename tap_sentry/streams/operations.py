"""Cron monitors with their check-ins; detectors and the workflows that alert on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import cached_property, partial

from tap_sentry.client import Params
from tap_sentry.errors import NotAvailable
from tap_sentry.records import Row
from tap_sentry.replication import Window, windows
from tap_sentry.schemas import operations as schemas
from tap_sentry.streams.base import Context, PagedStream
from tap_sentry.streams.counted import time_params
from tap_sentry.streams.windowed import WindowedStream

_MONITORS = "/organizations/{organization}/monitors/"
# In the order of names: Sentry's own, by status and check-in, changes while it is being paged.
_BY_NAME: Params = (("per_page", "100"), ("sort", "name"))
# A check-in that says nothing more is a timeout after so long, unless its monitor says otherwise.
_MAX_RUNTIME_MINUTES = 30


class Monitors(PagedStream):
    """Cron monitors. https://docs.sentry.io/api/crons/retrieve-monitors-for-an-organization/"""

    name = "monitors"
    one_row = "cron monitor"
    path = _MONITORS
    query = _BY_NAME
    left_out = (
        "alertRule",  # of a monitor asked for alone
        "lastCheckIn",  # the newest of those in `environments`
        "nextCheckIn",
    )
    schema = schemas.MONITOR

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        return super().listed(path, [*params, *self.organization.project_params])


class MonitorCheckins(WindowedStream):
    """Runs of cron jobs, one listing per monitor and week.

    Check-ins of jobs that were still running are read again: as far back as the longest runtime
    that a monitor allows, after which Sentry takes a job for lost.
    https://docs.sentry.io/api/crons/retrieve-checkins-for-a-monitor/
    """

    name = "monitor_checkins"
    one_row = "check-in of a cron monitor"
    path = "/organizations/{organization}/monitors/{id}/checkins/"
    scope = "project:read"
    selected_by_default = False
    primary_keys = ("monitorId", "id")
    replication_key = "dateAdded"
    schema = schemas.MONITOR_CHECKIN

    _is_first_run = True

    def prepare(self) -> None:
        super().prepare()
        self._is_first_run = self.bookmark(None) is None

    @cached_property
    def monitors(self) -> list[Row]:
        """The monitors of the projects to read."""
        params = [*_BY_NAME, *self.organization.project_params]
        path = _MONITORS.format(organization=self.organization.slug)
        return [*{row["id"]: row for row in self.listed(path, params)}.values()]

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        start = whole.start
        if self.monitors and not self._is_first_run:
            start -= max(map(_max_runtime, self.monitors))
        return windows(Window(start, whole.end), timedelta(days=7))

    def parts(self, window: Window, partition: Context) -> Iterable[Callable[[], list[Row]]]:
        for monitor in self.monitors:
            yield partial(self.read, window, partition, partial(self._checkins, monitor))

    def fetch(self, window: Window, partition: Context) -> Iterator[Row]:
        for monitor in self.monitors:
            yield from self._checkins(monitor, window, partition)

    def _checkins(self, monitor: Row, window: Window, _: Context) -> Iterator[Row]:
        params = [("per_page", "100"), *time_params(window)]
        columns = {"monitorId": monitor["id"], "monitorSlug": monitor["slug"]}
        try:
            for row in self.listed(self.url(monitor), params):
                yield {**row, **columns}
        except NotAvailable as error:
            if not error.is_gone:
                raise
            self.organization.report.skip(self.name, f"monitor {monitor['slug']}", error)


class Detectors(PagedStream):
    """What Sentry watches, called monitors in its pages.

    https://docs.sentry.io/api/monitors/fetch-an-organizations-monitors/
    """

    name = "detectors"
    one_row = "detector, such as a metric or uptime monitor"
    path = "/organizations/{organization}/detectors/"
    query = (("per_page", "100"), ("sortBy", "id"))
    holds_secrets = True
    schema = schemas.DETECTOR

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        return super().listed(path, [*params, *self.organization.project_params])

    def clean(self, row: Row) -> Row:
        # Headers and body of a request are where people put credentials of their own services.
        sources = row.get("dataSources") or []
        kept = [{**source, "queryObj": _without_request(source)} for source in sources]
        return super().clean({**row, "dataSources": kept})


class Workflows(PagedStream):
    """What happens when a detector finds something, called alerts in Sentry's pages.

    https://docs.sentry.io/api/monitors/fetch-alerts/
    """

    name = "workflows"
    one_row = "workflow: when to alert whom"
    path = "/organizations/{organization}/workflows/"
    query = (("per_page", "100"), ("sortBy", "id"))
    holds_secrets = True
    schema = schemas.WORKFLOW

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        projects = self.organization.project_params
        # Naming projects, all of them too, leaves out workflows that no detector starts.
        return super().listed(
            path, params if ("project", "-1") in projects else [*params, *projects]
        )


def _max_runtime(monitor: Row) -> timedelta:
    minutes = (monitor.get("config") or {}).get("max_runtime")
    return timedelta(minutes=minutes or _MAX_RUNTIME_MINUTES)


def _without_request(source: Row) -> Row | None:
    query = source.get("queryObj")
    if not isinstance(query, dict):
        return None
    return {key: value for key, value in query.items() if key not in {"headers", "body"}}
