"""Spans: what services spent their time on."""

from __future__ import annotations

from collections.abc import Iterable

from tap_sentry.client import Params
from tap_sentry.errors import UnexpectedAnswer
from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.sampling import keep_traces
from tap_sentry.schemas.spans import SPAN, SPAN_FIELDS
from tap_sentry.streams.base import Context
from tap_sentry.streams.counted import EXPLORE, ProjectWindows, time_params

# Without it Sentry answers heavy queries from a sample. Servers before 2025 reject it.
_ALL_ROWS = ("sampling", "HIGHEST_ACCURACY")


class Spans(ProjectWindows):
    """Spans. https://docs.sentry.io/api/explore/query-explore-events-in-table-format/"""

    name = "spans"
    one_row = "span"
    path = EXPLORE
    primary_keys = ("project.id", "trace", "id")
    replication_key = "timestamp"
    schema = SPAN
    dataset = "spans"
    project_key = "project.id"
    # Weighted counts would estimate the real traffic; here the rows that are stored count.
    count_params = (("disableAggregateExtrapolation", "1"), _ALL_ROWS)

    _sampling_mode: Params = (_ALL_ROWS,)
    _is_partial = False

    def fetch(self, window: Window, partition: Context) -> list[Row]:
        params = [
            ("dataset", "spans"),
            *(("field", field) for field in SPAN_FIELDS),
            ("project", self.project_of(partition)),
            *time_params(window),
            # A total order: many spans begin in the same second.
            ("sort", "-timestamp"),
            ("sort", "-id"),
            ("per_page", "100"),
        ]
        mode = self._sampling_mode  # another thread may change it meanwhile
        try:
            return self._pages([*params, *mode])
        except UnexpectedAnswer as error:
            if not mode or "sampling" not in str(error):
                raise
            self._sampling_mode = ()
            return self._pages(params)

    def clean(self, row: Row) -> Row:
        span = super().clean(row)
        span["sample_weight"] = 1.0
        return span

    def ordered(self, rows: Iterable[Row]) -> list[Row]:
        spans = super().ordered(rows)
        fraction = self.organization.settings.sample_fraction
        return spans if fraction is None else keep_traces(spans, fraction)

    def _pages(self, params: Params) -> list[Row]:
        rows: list[Row] = []
        for page in self.organization.client.pages(self.url(), params):
            rows.extend(page.rows)
            if page.body["meta"].get("dataScanned") == "partial" and not self._is_partial:
                self._is_partial = True
                self.logger.warning(
                    "spans: Sentry answered from a sample, as it does for spans older than 30 days "
                    "and on servers that cannot be asked for all rows"
                )
        return rows
