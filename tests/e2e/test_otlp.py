"""Traces and logs through a real collector, rotel, which was made by others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrate.ledger import queries
from orchestrate.ledger.identity import span_id
from orchestrate.ledger.model import Record
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.attributes import resource
from orchestrate.tracing.export import Outcome, deliver
from orchestrate.tracing.settings import LOGS, TRACES
from orchestrate.tracing.spans import spans
from tests.otlp import Receiver, as_arrived, as_told, free_port, rotel, without_otel
from tests.unit.orchestrate import records

pytestmark = pytest.mark.slow
pytest.importorskip("rotel", reason="rotel has no wheel for this machine")

NOW_US = records.at(3600)
MART = "model.sentry.mart_health"


@pytest.fixture(autouse=True)
def environ() -> Iterator[None]:
    """None of OpenTelemetry's variables but those that a test names."""
    with without_otel():
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as found:
        with found.writing():
            found.save(rows_of(records.demo_like()))
        yield found


def rows_of(record: Record) -> list[Any]:
    found: list[Any] = [record.run, *record.steps, *record.streams, *record.requests]
    found += [*record.retries, *record.skipped, *record.invocations, *record.nodes]
    return [*found, *record.manifest_nodes, *record.logs]


def delivered(ledger: Ledger, port: int) -> tuple[list[Outcome], list[str]]:
    said: list[str] = []
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    return deliver(ledger, os.environ, NOW_US, said.append), said


class TestRotel:
    def test_passes_on_all_that_a_run_tells(
        self, ledger: Ledger, receiver: Receiver, tmp_path: Path
    ) -> None:
        record = queries.record(ledger, records.RUN_ID)
        expected = {span.span_id: as_told(span) for span in spans(record)}
        port = free_port()
        with rotel(port, receiver, tmp_path):
            outcome, said = delivered(ledger, port)
            assert receiver.wait_until(
                lambda receiver: (
                    len(receiver.spans) >= len(expected) and len(receiver.logs) >= len(record.logs)
                )
            )
        assert (outcome, said) == ([Outcome(TRACES, 1, 0), Outcome(LOGS, 1, 0)], [])
        assert {span.span_id.hex(): as_arrived(span) for span in receiver.spans} == expected
        assert receiver.resources[0] == resource(record)

        own = span_id(record.run.trace_id, "dbt", records.INVOCATION_ID, MART)
        parents = next(n.depends_on for n in record.manifest_nodes if n.unique_id == MART)
        linked = {one for _, one, _ in expected[own]["links"]}
        assert len(parents) == 3
        assert linked == {
            span_id(record.run.trace_id, "dbt", records.INVOCATION_ID, name) for name in parents
        }
        assert sorted(
            (scope, line.body.string_value, line.time_unix_nano) for scope, line in receiver.logs
        ) == sorted((line.source, line.text, line.at_us * 1000) for line in record.logs)

    def test_that_is_down_gets_everything_once_when_it_is_back(
        self, ledger: Ledger, receiver: Receiver, tmp_path: Path
    ) -> None:
        port = free_port()
        outcome, said = delivered(ledger, port)
        assert outcome == [Outcome(TRACES, 0, 1), Outcome(LOGS, 0, 1)]
        assert len(said) == 1
        assert "1 run waits" in said[0]
        expected = spans(queries.record(ledger, records.RUN_ID))
        with rotel(port, receiver, tmp_path):
            outcome, said = delivered(ledger, port)
            assert (outcome, said) == ([Outcome(TRACES, 1, 0), Outcome(LOGS, 1, 0)], [])
            assert delivered(ledger, port) == (
                [Outcome(TRACES, 0, 0), Outcome(LOGS, 0, 0)],
                [],
            )
            assert receiver.wait_until(
                lambda receiver: len(receiver.spans) >= len(expected) and len(receiver.logs) >= 4
            )
        assert sorted(span.span_id.hex() for span in receiver.spans) == sorted(
            span.span_id for span in expected
        )
        assert len(receiver.logs) == 4
