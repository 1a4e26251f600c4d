"""Where dbt Cloud is and who asks: environment variables, so that no file holds the token.

Access URLs: https://docs.getdbt.com/docs/cloud/about-cloud/access-regions-ip-addresses
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from orchestrate.dbt_cloud.errors import DbtCloudError

TOKEN = "DBT_CLOUD_TOKEN"  # noqa: S105
ACCOUNT = "DBT_CLOUD_ACCOUNT_ID"
URL = "DBT_CLOUD_URL"
ENVIRONMENT = "DBT_CLOUD_ENVIRONMENT_ID"
METADATA_URL = "DBT_CLOUD_METADATA_URL"
DEFAULT_URL = "https://cloud.getdbt.com"

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_DIGITS = 18
_EXAMPLES = {URL: DEFAULT_URL, METADATA_URL: "https://metadata.cloud.getdbt.com/graphql"}
_HINTS = {
    TOKEN: "a service token or personal access token that may read jobs and runs",
    ACCOUNT: "the number behind /deploy/ or /accounts/ in the address of dbt Cloud",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """URLs without a slash at their end. With an `environment_id` only its runs are fetched."""

    token: str = field(repr=False)
    account_id: int
    url: str = DEFAULT_URL
    environment_id: int | None = None
    metadata_url: str = ""

    def ledger(self, output: Path) -> Path:
        """The ledger of this account in the project's folder `output`."""
        return output / "dbt_cloud" / f"{self.account_id}.db"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings that the variables give.

    Raises:
        DbtCloudError: If one is missing or malformed; it names the variable, never the token.
    """
    token = _required(environ, TOKEN)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise DbtCloudError(f"{TOKEN} has characters that no token has: copy it once more.")
    url = _url(environ, URL) or DEFAULT_URL
    environment = environ.get(ENVIRONMENT, "").strip()
    return Settings(
        token=token,
        account_id=_number(ACCOUNT, _required(environ, ACCOUNT)),
        url=url,
        environment_id=_number(ENVIRONMENT, environment) if environment else None,
        metadata_url=_url(environ, METADATA_URL) or metadata_url(url),
    )


def metadata_url(url: str) -> str:
    """Where the Discovery API of an access URL is.

    In a cell the account's prefix stays in front: `ab1.us1.dbt.com` has it at
    `ab1.metadata.us1.dbt.com`. Elsewhere, in regions and single tenants, `metadata.` comes first.
    https://docs.getdbt.com/docs/dbt-apis/discovery-querying
    """
    parts = urlsplit(url)
    prefix, _, rest = parts.netloc.partition(".")
    is_cell = parts.netloc.endswith(".dbt.com") and parts.netloc.count(".") > 2
    host = f"{prefix}.metadata.{rest}" if is_cell else f"metadata.{parts.netloc}"
    return f"{parts.scheme}://{host}/graphql"


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise DbtCloudError(f"dbt Cloud can't be asked: {name} is not set. It is {_HINTS[name]}.")
    return value


def _number(name: str, value: str) -> int:
    # What it is instead is not said: it may be the token.
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
        raise DbtCloudError(f"{name} must be a whole number: it is in the address of dbt Cloud.")
    return int(value)


def _url(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip().rstrip("/")
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        has_login = parts.username is not None
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        has_more = parts.query or parts.fragment or (name == URL and parts.path)
        is_whole = bool(parts.hostname) and parts.port != 0 and not has_more
    except ValueError:
        has_login = is_safe = is_whole = False
    if has_login:
        raise DbtCloudError(f"{name} holds a name or a password: give {TOKEN} instead.")
    if not (is_safe and is_whole):
        raise DbtCloudError(f"{name} is no address: it must be like {_EXAMPLES[name]}.")
    return value
