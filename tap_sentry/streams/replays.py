"""What users saw and said: session replays and feedback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from tap_sentry import timestamps
from tap_sentry.records import Row
from tap_sentry.replication import Window, windows
from tap_sentry.schemas.replays import REPLAY, USER_FEEDBACK
from tap_sentry.streams.base import Context
from tap_sentry.streams.counted import time_params
from tap_sentry.streams.per_project import PerProject
from tap_sentry.streams.windowed import WindowedStream

# Sentry ends a replay after an hour.
_LONGEST_REPLAY = timedelta(hours=1)


class Replays(WindowedStream):
    """Session replays, without the recording.

    Sentry selects by when any part of a replay came: so each day is asked for with the hour after
    it, in which its last replays ended. What was running is read again in the next run. Of an
    archived replay little more than its ids is left; where its `started_at` is null too, it is
    stored all the same.
    https://docs.sentry.io/api/replays/list-an-organizations-replays/
    """

    name = "replays"
    one_row = "session replay"
    path = "/organizations/{organization}/replays/"
    selected_by_default = False
    replication_key = "started_at"
    # The first two are of use beside the recording only, the others cannot be asked for.
    left_out = ("clicks", "segment_names", "ota_updates", "replay_type")
    schema = REPLAY

    @property
    def lookback(self) -> timedelta:
        return max(super().lookback, 1.5 * _LONGEST_REPLAY)

    def windows(self, whole: Window, partition: Context) -> Iterator[Window]:
        return windows(whole, timedelta(days=1))

    def fetch(self, window: Window, partition: Context) -> Iterator[Row]:
        params = [
            *(("field", name) for name in REPLAY["properties"]),
            *time_params(Window(window.start, window.end + _LONGEST_REPLAY)),
            ("sort", "-started_at"),
            ("per_page", "100"),
            *self.organization.project_params,
        ]
        return self.listed(self.url(), params)

    def clean(self, row: Row) -> Row:
        # Without any tag Sentry sends an empty list instead of an object.
        return super().clean({**row, "tags": row.get("tags") or None})


class UserFeedback(PerProject):
    """Feedback in its older form, user reports; that of the widget is in `issues`.

    https://docs.sentry.io/api/projects/list-a-projects-user-feedback/
    """

    name = "user_feedback"
    one_row = "user report"
    path = "/projects/{organization}/{id}/user-feedback/"
    scope = "project:read"
    # Left out, Sentry would send reports of unresolved issues only.
    query = (("per_page", "100"), ("status", ""))
    selected_by_default = False
    project_key = "projectId"
    replication_key = "dateCreated"
    schema = USER_FEEDBACK

    def windows(self, whole: Window, partition: Context) -> Iterable[Window]:
        return [whole]  # the listing knows no dates: each window would begin at its newest row

    def fetch(self, window: Window, partition: Context) -> Iterator[Row]:
        project = self.project_of(partition)
        for page in self.pages(self.url({"id": project}), self.query):
            for row in page.rows:
                yield {**row, "projectId": project}
            if page.rows and timestamps.parse(page.rows[-1]["dateCreated"]) < window.start:
                return  # newest first
