"""All streams, each a declaration on top of a shape of base.py, fan_out.py or windowed.py."""

from __future__ import annotations

from tap_sentry.streams.base import SentryStream
from tap_sentry.streams.events import Events
from tap_sentry.streams.issues import IssueDetail, Issues
from tap_sentry.streams.operations import Detectors, MonitorCheckins, Monitors, Workflows
from tap_sentry.streams.organization import (
    Environments,
    OrganizationDetail,
    ProjectDetail,
    ProjectKeys,
    Projects,
    Teams,
    Users,
)
from tap_sentry.streams.releases import Release, ReleaseCommits, ReleaseDeploys, Releases
from tap_sentry.streams.replays import Replays, UserFeedback
from tap_sentry.streams.spans import Spans
from tap_sentry.streams.usage import ReleaseHealth, UsageOutcomes

STREAMS: tuple[type[SentryStream], ...] = (
    OrganizationDetail,
    Projects,
    ProjectDetail,
    ProjectKeys,
    Environments,
    Teams,
    Users,
    Issues,
    IssueDetail,
    Events,
    Spans,
    Releases,
    Release,
    ReleaseCommits,
    ReleaseDeploys,
    ReleaseHealth,
    UsageOutcomes,
    Monitors,
    MonitorCheckins,
    Detectors,
    Workflows,
    Replays,
    UserFeedback,
)

__all__ = ["STREAMS", "SentryStream"]
