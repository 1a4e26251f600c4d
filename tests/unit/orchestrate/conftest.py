"""What the tests of the ledger and of its readers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrate.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new one, `ledger.db` in the test's folder."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened
