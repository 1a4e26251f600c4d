"""All streams, each a declaration on top of one of the three shapes in base.py."""

from __future__ import annotations

from tap_sentry.streams.base import SentryStream
from tap_sentry.streams.events import Events
from tap_sentry.streams.issues import Issues
from tap_sentry.streams.organization import ProjectDetail, Projects, Teams, Users
from tap_sentry.streams.releases import Release, Releases
from tap_sentry.streams.spans import Spans

STREAMS: tuple[type[SentryStream], ...] = (
    Projects,
    ProjectDetail,
    Issues,
    Events,
    Spans,
    Teams,
    Users,
    Releases,
    Release,
)

__all__ = ["STREAMS", "SentryStream"]
