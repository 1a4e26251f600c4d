"""What a record says of other runs: which of their streams fed the sources of this one's dbt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrate.ledger import identity, queries
from orchestrate.ledger.model import Record, Result
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.records import at


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """With a `dbt build` of its own that began at 32 s and reads issues, events and projects."""
    now = records.only_dbt()
    with Ledger(tmp_path / "ledger.db") as found:
        with found.writing():
            found.save([now.run, *now.invocations, *now.manifest_nodes])
        yield found


def synced(
    ledger: Ledger,
    number: int,
    end: float,
    *names: str,
    run: Any = None,
    step: Any = None,
    stream: Any = None,
) -> str:
    """Keep a run whose step ended then, and its streams a second before. Returns its id."""
    run_id = f"0000000{number}-0000-4000-8000-000000000000"
    loaded = records.demo_like().steps[0]
    facts = {"run_id": run_id, "started_us": at(end - 10), "ended_us": at(end), **(step or {})}
    for name, value in facts.items():
        setattr(loaded, name, value)
    streams = [records.stream(name, end - 5, end - 1, **(stream or {})) for name in names]
    for found in streams:
        found.run_id = run_id
    begun = {"started_us": at(end - 11), "ended_us": at(end + 1)}
    with ledger.writing():
        ledger.save([records.run(run_id, **(begun | (run or {}))), loaded, *streams])
    return run_id


def fed(ledger: Ledger) -> dict[str, str]:
    """The streams that fed the sources, to their runs."""
    return {found.stream: found.run_id for found in record(ledger).fed_before}


def record(ledger: Ledger) -> Record:
    return queries.record(ledger, records.INVOCATION_ID)


class TestFedBefore:
    def test_is_the_newest_sync_of_each_source(self, ledger: Ledger) -> None:
        synced(ledger, 1, -100, "issues", "events", "teams")
        newest = synced(ledger, 2, -50, "Issues")
        oldest = synced(ledger, 3, -200, "projects", "issues")
        first = "00000001-0000-4000-8000-000000000000"
        assert fed(ledger) == {"Issues": newest, "events": first, "projects": oldest}
        runs = (newest, first, oldest)
        assert record(ledger).fed_traces == {run_id: identity.trace_id(run_id) for run_id in runs}

    @pytest.mark.parametrize(
        "change",
        [
            {"run": {"environment": "production"}},
            {"stream": {"result": Result.FAILURE}},
            {"stream": {"result": None}},
            {"step": {"result": Result.KILLED}},
            {"step": {"result": None, "ended_us": None}},
            {"step": {"ended_us": at(32.5)}},
        ],
    )
    def test_is_not_what_may_not_be_in_the_warehouse(self, ledger: Ledger, change: Any) -> None:
        synced(ledger, 1, 31, "issues", **change)
        assert fed(ledger) == {}
        before = synced(ledger, 2, -50, "issues")
        assert fed(ledger) == {"issues": before}

    def test_is_also_a_stream_of_a_step_that_failed_elsewhere(self, ledger: Ledger) -> None:
        run_id = synced(ledger, 1, 31, "issues", step={"result": Result.FAILURE})
        assert fed(ledger) == {"issues": run_id}

    def test_is_not_asked_for_a_run_without_dbt(self, ledger: Ledger) -> None:
        synced(ledger, 1, -100, "issues")
        later = synced(ledger, 2, 20, "issues")
        assert queries.record(ledger, later).fed_before == []
