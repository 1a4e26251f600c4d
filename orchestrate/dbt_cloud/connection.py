"""Whether dbt Cloud can be asked, and what would be found."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import requests

from orchestrate.dbt_cloud import discovery
from orchestrate.dbt_cloud.answers import Account, Environment
from orchestrate.dbt_cloud.client import Client
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.listing import environments
from orchestrate.dbt_cloud.settings import ENVIRONMENT, Settings


class Connection(msgspec.Struct):
    """What answered. `discovery` says what is wrong there; None: it answers, or is not asked."""

    account: str
    environments: list[Environment]
    discovery: str | None = None


def check(
    settings: Settings,
    *,
    session: requests.Session | None = None,
    sleep: Callable[[float], object] | None = None,
) -> Connection:
    """The account and its environments; the Discovery API only if an environment is named.

    Raises:
        DbtCloudError: If dbt Cloud can't be asked, or has no such account or environment.
    """
    with Client(settings, session, sleep=sleep) as client:
        account = client.data("", Account)
        found = sorted(environments(client), key=lambda one: one.id)
        wanted = settings.environment_id
        if wanted is None:
            return Connection(account.name, found)
        if wanted not in {one.id for one in found}:
            there = ", ".join(f"{one.id} ({one.name})" for one in found) or "none"
            raise DbtCloudError(
                f"Account {account.name} has no environment {wanted}: set {ENVIRONMENT} to one of "
                f"{there}."
            )
        try:
            next(discovery.models(client, wanted), None)
        except DbtCloudError as error:
            return Connection(account.name, found, str(error))
        return Connection(account.name, found)
