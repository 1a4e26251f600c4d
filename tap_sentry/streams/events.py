"""Error events of each project: planned, sampled, and read on the routes that are soonest done."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property, partial
from itertools import chain

from tap_sentry.buckets import DOCUMENTED
from tap_sentry.errors import NotAvailable, OutsideRetention, QueryTimeout
from tap_sentry.planning import Conditions, Pace, Plan, Route, Step, Volume, plan
from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.sampling import EventSampling, Sample
from tap_sentry.schemas.events import NOT_EXPLORED
from tap_sentry.streams.base import Context
from tap_sentry.streams.event_routes import EventRoutes
from tap_sentry.streams.windowed import Fetch

# On the route by issue each issue of a window leaves a page half empty: few, large windows.
_MOST_ROWS_BY_ISSUE = 50_000
_PAGE_ROWS = 100
# Whole bodies come in pages of ten; servers before August 2026 give a hundred.
_BODY_PAGE_ROWS = 10
_MANY_BODIES = 600


class Events(EventRoutes):
    """Error events. https://docs.sentry.io/api/events/list-a-projects-error-events/"""

    name = "events"
    one_row = "error event"

    @cached_property
    def sampling(self) -> EventSampling | None:
        return EventSampling.of(self.organization.settings)

    @property
    def is_sampled(self) -> bool:
        return self.sampling is not None

    @property
    def lookback(self) -> timedelta:
        # What is kept of an issue depends on all its events of a run, so that runs must not
        # overlap: with sampling a run waits for late events instead of reading again.
        return timedelta(0) if self.sampling else super().lookback

    def whole_window(self, partition: Context) -> Window | None:
        whole = super().whole_window(partition)
        late = self.organization.now - super().lookback
        end_date = self.organization.settings.end_date
        if whole is None or self.sampling is None or (end_date and end_date <= late):
            return whole
        # Whole hours, so that a run that is repeated after a fault judges the same events.
        end = min(whole.end, late).replace(minute=0, second=0, microsecond=0)
        return Window(whole.start, end) if whole.start < end else None

    @cached_property
    def plan(self) -> Plan:
        """Routes for each project that has events; empty where Sentry cannot count them."""
        volumes = [
            Volume(
                project["id"],
                project["slug"],
                rows,
                int(self.counts[project["id"]].get("count_unique(issue)") or 0),
            )
            for project in self.organization.projects
            if self.counts and (rows := self.rows_of(project["id"]))
        ]
        return plan(volumes, self._conditions(volumes))

    def told_plan(self) -> str:
        if self.counts is None:
            return "events: Sentry cannot count them; they are read week by week"
        self.progress.expect(0 if self.is_sampled else self.plan.rows, self.plan.requests)
        return f"events: the plan\n{self.plan.table()}" if self.plan.steps else ""

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        steps = self._steps[self.project_of(partition)]
        if self.sampling:
            # One window even without events: its end is where the next run begins.
            yield from self._of_step(whole, partition, steps[0] if steps else None)
            return
        if len(steps) > 1:
            rows = sum(step.volume.rows for step in steps)
            older, _ = next(self.cut(whole, rows, steps[0].volume.rows, self._which(partition)))
            if older != whole and self.knows_dates(partition, older):
                yield from self._of_step(older, partition, steps[0])
                whole = Window(older.end, whole.end)
        yield from self._of_step(whole, partition, steps[-1] if steps else None)

    def parts(self, window: Window, partition: Context) -> Iterator[Callable[[], list[Row]]]:
        route = self._routes[self.project_of(partition), window]
        if route is Route.ISSUE:
            counts = self.issue_counts(window, partition)
            if counts is None:
                yield from self._by_project(window, partition)
                return
            for issue, rows in counts.items():
                which = [*self._which(partition), ("query", f"issue.id:{issue}")]
                most_rows = math.inf if self.sampling else self.most_rows  # a sample needs it whole
                for part, _ in self.cut(window, rows, most_rows, which):
                    yield partial(self.read_issue, issue, part, partition)
        elif route is Route.EXPLORE:
            yield partial(self.read, window, partition, self.explored)
        elif route is Route.SAMPLE:
            yield partial(self._start_of_sample, window, partition)
        else:
            yield partial(self.read, window, partition, self.fetch)

    def _by_project(self, window: Window, partition: Context) -> Iterator[Callable[[], list[Row]]]:
        """A window that was to be read by issue."""
        cut = [window]
        if not self.sampling and self.knows_dates(partition, window):
            cut = [part for part, _ in self.counted_windows(window, partition, self.most_rows)]
        for part in cut:
            yield partial(self.read, part, partition, self.fetch)

    def read(self, window: Window, partition: Context, fetch: Fetch) -> list[Row]:
        if self.sampling is None:
            return super().read(window, partition, fetch)
        sample = Sample(self.sampling)
        for event in self.inside(window, self.in_parts(window, partition, fetch)):
            sample.add(event)
        return sample.result()

    @cached_property
    def _routes(self) -> dict[tuple[str, Window], Route]:
        """The route of each window of a project."""
        return {}

    @cached_property
    def _steps(self) -> dict[str, list[Step]]:
        """The steps of the plan by project."""
        steps: dict[str, list[Step]] = defaultdict(list)
        for step in self.plan.steps:
            steps[step.volume.project].append(step)
        return steps

    def _which(self, partition: Context) -> list[tuple[str, str]]:
        return [("project", self.project_of(partition))]

    def _of_step(self, whole: Window, partition: Context, step: Step | None) -> Iterator[Window]:
        """The windows of one step of the plan; of none, where there is nothing to plan with."""
        route = step.route if step else Route.PROJECT
        most_rows: float = _MOST_ROWS_BY_ISSUE if route is Route.ISSUE else self.most_rows
        if self.sampling:
            cut = [whole]
        elif step:
            which = self._which(partition)
            cut = [window for window, _ in self.cut(whole, step.volume.rows, most_rows, which)]
        else:
            cut = [window for window, _ in self.counted_windows(whole, partition, most_rows)]
        if len(cut) > 1 and route is Route.PROJECT and not self.knows_dates(partition, cut[0]):
            cut = [whole]  # each window would begin at the newest event
        for window in cut:
            self._routes[self.project_of(partition), window] = route
            yield window

    def _start_of_sample(self, window: Window, partition: Context) -> list[Row]:
        """The sample of a project from the listing in the order of ids, as far as it matters."""
        assert self.sampling is not None  # noqa: S101 - or there is no such route
        sample = Sample(self.sampling, self.issue_counts(window, partition))
        events = self.inside(window, self.fetch(window, partition, [("sample", "true")]))
        try:
            if not sample.read_ascending(events):
                for event in events:
                    sample.add(event)
        except OutsideRetention:
            return []
        except QueryTimeout:
            # Two halves are two listings, each with a start of its own.
            self.logger.info("events: reading all for the sample after a query timeout")
            return self.read(window, partition, self.fetch)
        # Of issues with few events below the fraction, those that their floor asks for.
        rare = partial(self._of_rare_issue, window, partition)
        with ThreadPoolExecutor(self.organization.settings.max_concurrency) as pool:
            try:
                for event in chain.from_iterable(pool.map(rare, sample.missing())):
                    sample.add(event)
            except NotAvailable:  # see read_issue
                for event in self.inside(window, self.in_parts(window, partition, self.fetch)):
                    sample.add(event)
        return sample.result()

    def _of_rare_issue(self, window: Window, partition: Context, issue: str | None) -> list[Row]:
        fetch = partial(self.of_issue, issue)
        return list(self.inside(window, self.in_parts(window, partition, fetch)))

    def _conditions(self, volumes: Collection[Volume]) -> Conditions:
        """What is open and how fast it goes."""
        settings, sampling = self.organization.settings, self.sampling
        routes = [Route.PROJECT]
        # The cap of a project can be told only where all its events come together.
        if all(volume.issues for volume in volumes) and not (sampling and sampling.cap):
            routes.append(Route.ISSUE)
        if sampling:
            routes.append(Route.SAMPLE)
        elif not settings.fetch_event_details and self._is_explored():
            routes.append(Route.EXPLORE)
        limiter = self.organization.client.limiter
        paces = {
            route.family: Pace(
                limiter.rates()[route.family],
                DOCUMENTED[route.family].burst,
                min(limiter.concurrency(route.family), settings.max_concurrency),
            )
            for route in Route
        }
        return Conditions(
            page_rows=self._page_rows(volumes),
            paces=paces,
            rate=settings.rate_limit,
            latency_s=limiter.latency_s,
            routes=routes,
            sampling=sampling,
        )

    def _page_rows(self, volumes: Collection[Volume]) -> int:
        """Rows of a page; where bodies are many and the server may be an older one, one tells."""
        if not self.organization.settings.fetch_event_details:
            return _PAGE_ROWS
        largest = max(volumes, key=lambda volume: volume.rows, default=None)
        if largest is None or largest.rows < _MANY_BODIES:
            return _BODY_PAGE_ROWS
        path = self.url({"project": largest.project})
        try:
            return max(_BODY_PAGE_ROWS, len(self.get(path, self.page()).rows))
        except (NotAvailable, OutsideRetention, QueryTimeout):
            return _BODY_PAGE_ROWS  # that project's own turn will show what is the matter

    def _is_explored(self) -> bool:
        """Whether the Explore table has all columns that are selected."""
        return not any(self.mask["properties", column] for column in NOT_EXPLORED)
