"""A bookmark for each project: one that Sentry refuses holds up none of the others."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import Any, ClassVar

from tap_sentry.errors import NotAvailable
from tap_sentry.streams.base import Context
from tap_sentry.streams.windowed import WindowedStream


class PerProject(WindowedStream, abc.ABC):
    """Windows of time of one project after the other."""

    # The column that holds the project's id.
    project_key: ClassVar[str]

    @cached_property
    def partitions(self) -> list[dict[str, Any]]:
        try:
            return [{self.project_key: row["id"]} for row in self.organization.projects]
        except NotAvailable as error:  # here the SDK asks, outside of get_records
            self.organization.report.skip(self.name, "all projects", error)
            return []

    def probe(self) -> None:
        if self.partitions:
            super().probe()

    def partition_name(self, partition: Context) -> str:
        project = self.project_of(partition)
        slugs = (row["slug"] for row in self.organization.projects if row["id"] == project)
        return f"project {next(slugs)}"

    def project_of(self, partition: Context) -> str:
        """The project's id."""
        return str((partition or {})[self.project_key])
