"""Spans: what services spent their time on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tap_sentry.answers import Answer
from tap_sentry.client import Params
from tap_sentry.errors import UnexpectedAnswer
from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.sampling import keep_traces
from tap_sentry.schemas.spans import SPAN, SPAN_FIELDS
from tap_sentry.streams.base import Context
from tap_sentry.streams.counted import EXPLORE, ProjectWindows, time_params
from tap_sentry.streams.windowed import Fetch
from tap_sentry.timestamps import duration_text, seconds_text

# Without it Sentry answers heavy queries from a sample. Servers before 2025 reject it.
_ALL_ROWS = ("sampling", "HIGHEST_ACCURACY")
# A query may name twenty fields, among them those that order and join the rows of two queries.
_KEYS = ("id", "trace", "timestamp", "project.id")
_MORE_FIELDS = 20 - len(_KEYS)
# Older spans are a sample that Sentry keeps for up to 13 months, on some plans.
_KEPT_WHOLE = timedelta(days=30)
# How often a window that Sentry answers from a sample is cut in halves.
_MOST_HALVINGS = 3


class Spans(ProjectWindows):
    """Spans. https://docs.sentry.io/api/explore/query-explore-events-in-table-format/"""

    name = "spans"
    one_row = "span"
    path = EXPLORE
    primary_keys = ("project.id", "trace", "id")
    replication_key = "timestamp"
    # The project's slug, which a server sends that is not asked for `project.id`.
    left_out = ("project", "project.name")
    schema = SPAN
    dataset = "spans"
    project_key = "project.id"
    # Weighted counts would estimate the real traffic; here the rows that are stored count.
    count_params = (("disableAggregateExtrapolation", "1"),)

    _sampling_mode: Params = (_ALL_ROWS,)
    _is_always_partial = False

    def told_plan(self) -> str:
        rows = [self.rows_of(project) for project in self.counts or ()]
        queries = 1 + len(self._further_fields())
        requests = queries * sum(math.ceil(number / 100) for number in rows)
        self.progress.expect(0 if self.is_sampled else sum(rows), requests)
        limiter = self.organization.client.limiter
        rate = min(self.organization.settings.rate_limit, limiter.rates()["explore"])
        told = (
            f"spans: {sum(rows):,} in {len(rows)} projects, about {requests:,} requests "
            f"and {duration_text(requests / rate)}"
        )
        if self.counts is None:
            told = "spans: Sentry cannot count them; they are read week by week"
        if any(whole and whole.start < self._kept_whole_since for _, whole in self.wholes):
            told += (
                f"\nspans: Sentry keeps them whole for {_KEPT_WHOLE.days} days; of the time before "
                "it has a sample or nothing, depending on the plan"
            )
        return told

    def read(self, window: Window, partition: Context, fetch: Fetch) -> list[Row]:
        """The spans of a window, compared with their count and read again if some are missing."""
        spans = super().read(window, partition, fetch)
        counted = self.rows_in.get((self.project_of(partition), window)) or 0
        if len(spans) < counted and not any(span["dataScanned"] == "partial" for span in spans):
            self.logger.info("spans: %d of %d came; reading again", len(spans), counted)
            both = [*spans, *super().read(window, partition, fetch)]
            spans = list({(span["trace"], span["id"]): span for span in both}.values())
            if len(spans) < counted:
                self.logger.warning(
                    "spans: Sentry counts %d in %s from %s to %s, but lists %d",
                    counted,
                    self.partition_name(partition),
                    *map(seconds_text, window),
                    len(spans),
                )
        fraction = self.organization.settings.sample_fraction
        return spans if fraction is None else keep_traces(spans, fraction)

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        return self._whole(window, self.project_of(partition), _MOST_HALVINGS)

    @property
    def is_sampled(self) -> bool:
        return self.organization.settings.sample_fraction is not None

    def clean(self, row: Row) -> Row:
        span = super().clean(row)
        span["sample_weight"] = 1.0
        return span

    @property
    def _kept_whole_since(self) -> datetime:
        return self.organization.now - _KEPT_WHOLE

    def _whole(self, window: Window, project: str, halvings: int) -> list[Row]:
        """The spans of a window; if Sentry answers from a sample, those of its halves."""
        rows = self._asked(window, project)
        is_partial = any(row["dataScanned"] == "partial" for row in rows)
        if not is_partial or window.end < self._kept_whole_since or self._is_always_partial:
            return rows
        if halvings == 0 or window.is_smallest:
            self._is_always_partial = True
            self.logger.warning(
                "spans: Sentry answers from a sample, whatever the window; "
                "such rows are marked in the column dataScanned"
            )
            return rows
        halves = [self._whole(half, project, halvings - 1) for half in window.halves()]
        return [row for half in halves for row in half]

    def _asked(self, window: Window, project: str) -> list[Row]:
        rows = list(self._rows(window, project, [*SPAN_FIELDS]))
        for fields in self._further_fields():
            further = {
                (row["trace"], row["id"]): row
                for row in self._rows(window, project, [*_KEYS, *fields])
            }
            for row in rows:
                values = further.get((row["trace"], row["id"]), {})
                attributes = row.setdefault("attributes", {})
                attributes |= {field: values.get(field) for field in fields}
        return rows

    def _further_fields(self) -> list[Sequence[str]]:
        """The names in `span_attributes`, as many at a time as a query may name."""
        names = self.organization.settings.span_attributes
        return [names[at : at + _MORE_FIELDS] for at in range(0, len(names), _MORE_FIELDS)]

    def _rows(self, window: Window, project: str, fields: Sequence[str]) -> Iterator[Row]:
        params = [
            ("dataset", "spans"),
            *(("field", field) for field in fields),
            ("project", project),
            *time_params(window),
            # A total order: many spans begin in the same second.
            ("sort", "-timestamp"),
            ("sort", "-id"),
            ("per_page", "100"),
        ]
        for page in self.pages(self.url(), params):
            scanned = (page.body.get("meta") or {}).get("dataScanned")
            for row in page.rows:
                row["dataScanned"] = scanned
                yield row

    def pages(self, path: str, params: Params = ()) -> Iterator[Answer]:
        mode = self._sampling_mode  # another thread may change it meanwhile
        try:
            yield from super().pages(path, [*params, *mode])
        except UnexpectedAnswer as error:
            if not mode or "sampling" not in str(error):
                raise
            self._sampling_mode = ()
            yield from super().pages(path, params)
