"""Projects, teams and people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tap_sentry.records import Row
from tap_sentry.schemas import organization as schemas
from tap_sentry.streams.base import Context, FanOutStream, PagedStream


class Projects(PagedStream):
    """Projects. https://docs.sentry.io/api/organizations/list-an-organizations-projects/"""

    name = "projects"
    one_row = "project"
    path = "/organizations/{organization}/projects/"
    schema = schemas.PROJECT

    def rows(self, context: Context) -> Iterator[Row]:
        yield from map(self.clean, self.organization.projects)


class ProjectDetail(FanOutStream):
    """Settings of each project. https://docs.sentry.io/api/projects/retrieve-a-project/"""

    name = "project_detail"
    one_row = "settings of a project, without its secrets"
    path = "/projects/{organization}/{id}/"
    scope = "project:read"
    query = ()
    holds_secrets = True
    schema = schemas.PROJECT_DETAIL

    def parents(self) -> Iterable[Row]:
        return self.organization.projects


class Teams(PagedStream):
    """Teams. https://docs.sentry.io/api/teams/list-an-organizations-teams/"""

    name = "teams"
    one_row = "team"
    path = "/organizations/{organization}/teams/"
    query = (("per_page", "100"), ("detailed", "0"))
    schema = schemas.TEAM


class Users(PagedStream):
    """Members, invited ones too.

    https://docs.sentry.io/api/organizations/list-an-organizations-members/
    """

    name = "users"
    one_row = "member of the organization, or an open invitation"
    path = "/organizations/{organization}/members/"
    scope = "member:read"
    schema = schemas.MEMBER
