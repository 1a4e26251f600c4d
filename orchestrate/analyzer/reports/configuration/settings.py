"""The environment variables that matter to the analyzer, and the versions of what it is made of."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Mapping
from importlib import metadata
from typing import NamedTuple

import pandas as pd

from orchestrate.dbt_cloud import settings as cloud
from orchestrate.ledger.migrations import MIGRATIONS


class _Variable(NamedTuple):
    name: str
    default: str
    meaning: str
    is_secret: bool = False


_VARIABLES = (
    _Variable("ANALYZER_OUTPUT_PATH", "output", "the folder that runs write to"),
    _Variable("MELTANO_ENVIRONMENT", "demo", "the environment that runs are of"),
    _Variable("MELTANO_JOB_TRIGGER", "", "who starts runs: `ci`, `merge`, `scheduled` or others"),
    _Variable("DBT_REUSE", "off", "whether builds reuse what need not be built: off, shadow, on"),
    _Variable("DBT_KEEP_INVOCATIONS", "200", "invocations of dbt that keep their artifacts"),
    _Variable("OBSERVE_RUN_DAYS", "400", "days that the ledger keeps runs"),
    _Variable("OBSERVE_LOG_DAYS", "30", "days that the ledger keeps lines of the log"),
    _Variable(cloud.TOKEN, "", "token of dbt Cloud that may read jobs and runs", is_secret=True),
    _Variable(cloud.ACCOUNT, "", "number of the account of dbt Cloud"),
    _Variable(cloud.URL, cloud.DEFAULT_URL, "access URL of dbt Cloud"),
    _Variable(cloud.ENVIRONMENT, "all", "number of the one environment of dbt Cloud to look at"),
    _Variable(cloud.METADATA_URL, "from the URL", "where the Discovery API of dbt Cloud is"),
)
CLOUD = (cloud.TOKEN, cloud.ACCOUNT, cloud.URL, cloud.ENVIRONMENT, cloud.METADATA_URL)
_PACKAGES = ("streamlit", "plotly", "pandas", "pyarrow", "msgspec", "requests")


def variables(environ: Mapping[str, str]) -> pd.DataFrame:
    """Which variables there are, and whether each is set. No value is in it, secret or not."""
    rows = [
        (one.name, bool(environ.get(one.name)), one.default, one.is_secret, one.meaning)
        for one in _VARIABLES
    ]
    return pd.DataFrame(rows, columns=["variable", "is_set", "default", "is_secret", "meaning"])


def versions(dbt_version: str | None) -> pd.DataFrame:
    """What is installed here, and the dbt of the newest build."""
    rows = [
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        ("schema of the ledger", str(len(MIGRATIONS))),
        ("dbt of the newest build", dbt_version),
        *((name, metadata.version(name)) for name in _PACKAGES),
    ]
    return pd.DataFrame(rows, columns=["component", "version"])
