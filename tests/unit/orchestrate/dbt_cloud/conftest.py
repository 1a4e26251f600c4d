"""What the tests of dbt Cloud have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrate.dbt_cloud.fetching import Fetched, fetch
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.dbt_cloud.server import NOON, DbtCloud, Fetch, serving


@pytest.fixture
def cloud() -> Iterator[DbtCloud]:
    """One without runs, for each test."""
    with serving() as started:
        yield started


@pytest.fixture
def fetched(ledger: Ledger, cloud: DbtCloud) -> Fetch:
    """`fetch` of the runs of the last day, at noon, which never waits."""

    def call(**fields: object) -> Fetched:
        settings = cloud.settings(**fields.pop("settings", {}))  # type: ignore[arg-type]
        given = {"days": 1.0, "sleep": lambda _: None, "now_s": NOON.timestamp} | fields
        return fetch(ledger, settings, **given)  # type: ignore[arg-type]

    return call
