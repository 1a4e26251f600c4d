"""The organization, its projects with their keys, environments, teams and people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tap_sentry.client import Params
from tap_sentry.organization import DETAIL
from tap_sentry.records import Row
from tap_sentry.schemas import organization as schemas
from tap_sentry.streams.base import PagedStream
from tap_sentry.streams.fan_out import FanOutStream

# Only sent when asked for; events and spans count better.
_STATISTICS = ("sessionStats", "stats", "transactionStats")


class Projects(PagedStream):
    """Projects. https://docs.sentry.io/api/organizations/list-an-organizations-projects/"""

    name = "projects"
    one_row = "project"
    path = "/organizations/{organization}/projects/"
    left_out = (
        *_STATISTICS,
        "eventProcessing",  # a passing state of Sentry's own
        "hasInsightsLlmMonitoring",  # the older name of hasInsightsAgentMonitoring
    )
    schema = schemas.PROJECT

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        return iter(self.organization.projects)


class ProjectDetail(FanOutStream):
    """Settings of each project. https://docs.sentry.io/api/projects/retrieve-a-project/"""

    name = "project_detail"
    one_row = "settings of a project, without its secrets"
    path = "/projects/{organization}/{id}/"
    scope = "project:read"
    query = ()
    holds_secrets = True
    left_out = (
        *_STATISTICS,
        "securityToken",  # a secret, and where it is sent
        "securityTokenHeader",
        "hasAlertIntegrationInstalled",  # only sent when asked for
        "plugins",  # retired, and their settings hold passwords
    )
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


class OrganizationDetail(PagedStream):
    """The organization's settings.

    https://docs.sentry.io/api/organizations/retrieve-an-organization/
    """

    name = "organization"
    one_row = "organization"
    path = "/organizations/{organization}/"
    query = DETAIL
    holds_secrets = True
    left_out = ("role", "orgRole")  # of the token's own user
    schema = schemas.ORGANIZATION

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        known = self.organization.detail
        return iter([known]) if known else super().listed(path, params)


class Environments(PagedStream):
    """Environments that sent events, hidden ones too.

    https://docs.sentry.io/api/environments/list-an-organizations-environments/
    """

    name = "environments"
    one_row = "environment"
    path = "/organizations/{organization}/environments/"
    query = ()
    schema = schemas.ENVIRONMENT

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        visible = {row["id"] for row in super().listed(path, (("visibility", "visible"),))}
        for row in super().listed(path, (("visibility", "all"),)):
            yield {**row, "isHidden": row["id"] not in visible}


class ProjectKeys(PagedStream):
    """Client keys of all projects, active or not.

    https://docs.sentry.io/api/organizations/list-an-organizations-client-keys/
    """

    name = "project_keys"
    one_row = "client key of a project, without its secret"
    path = "/organizations/{organization}/project-keys/"
    holds_secrets = True
    left_out = (
        "secret",
        "browserSdk",  # the choices of a form, always the same
    )
    schema = schemas.PROJECT_KEY

    def listed(self, path: str, params: Params = ()) -> Iterator[Row]:
        chosen = {row["id"] for row in self.organization.projects}
        return (row for row in super().listed(path, params) if str(row["projectId"]) in chosen)
