"""A request on its way through an endpoint, and what most endpoints ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

from tap_sentry.demo import paging
from tap_sentry.demo.catalogue import ENVIRONMENTS, RENAMED_PROJECTS, Project
from tap_sentry.demo.exchange import (
    Answer,
    ApiError,
    Links,
    Request,
    forbidden,
    not_found,
)
from tap_sentry.demo.world import World

Row = TypeVar("Row")


class Call(NamedTuple):
    """One call.

    Attributes:
        parts: The variable parts of the path, decoded.
        full_per_page: Rows of a page that holds whole bodies of events.
    """

    request: Request
    world: World
    parts: tuple[str, ...]
    full_per_page: int

    def page(self, rows: Sequence[Row]) -> tuple[Sequence[Row], Links]:
        """The rows of the asked page by number, as the relational listings cut them."""
        return paging.by_page(self.request, rows, paging.per_page(self.request))

    def project(self) -> Project:
        """The project that the path names by id or slug.

        Raises:
            ApiError: 302 for a slug of old, 404 for an unknown one.
        """
        id_or_slug = self.parts[0]
        for candidate in self.world.projects():
            if id_or_slug in {candidate.id, candidate.slug}:
                return candidate
        slug = RENAMED_PROJECTS.get(id_or_slug)
        if slug is not None:
            query = urlencode(self.request.query)
            path = self.request.path.replace(f"/{id_or_slug}/", f"/{slug}/", 1)
            url = path + (f"?{query}" if query else "")
            detail = {"code": "resource-moved", "extra": {"url": url, "slug": slug}}
            raise ApiError(302, {"detail": detail}, {"Location": self.request.base + url})
        raise not_found()

    def projects(self) -> list[Project]:
        """Projects that the `project` parameters name; without any, those of the caller's teams.

        Raises:
            ApiError: 403 for a project that is not there, 404 for an unknown environment.
        """
        unknown = set(self.request.all("environment")) - {*ENVIRONMENTS, ""}
        if unknown:
            raise not_found()
        projects = self.world.projects()
        asked = [value for value in self.request.all("project") if value]
        if "-1" in asked:
            return projects
        if not asked:
            return [project for project in projects if project.is_member]
        chosen = [project for project in projects if {project.id, project.slug} & set(asked)]
        if len({*asked}) > len(chosen):
            raise forbidden()
        return chosen


Endpoint = Callable[[Call], Answer]
