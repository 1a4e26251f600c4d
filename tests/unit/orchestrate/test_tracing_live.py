"""Live mode: nodes go out as they end, and nothing that goes wrong is heard of in dbt."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrate.ledger import queries
from orchestrate.ledger.identity import span_id
from orchestrate.ledger.model import NodeRun, PipelineRun, Record, Result, Row, SentSpan
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.export import deliver
from orchestrate.tracing.lineage import Lineage
from orchestrate.tracing.live import Live, started
from orchestrate.tracing.nodes import spans_of
from orchestrate.tracing.settings import TRACES, Target
from orchestrate.tracing.spans import spans
from tests.otlp import PATIENCE_S, Receiver, as_arrived, as_told, free_port
from tests.unit.orchestrate import records

CHECKOUT = Path(__file__).parents[3]
ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


class News:
    """What `collect` would read: rows come into the ledger when they are asked for."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)

    def __call__(self, ledger: Ledger) -> None:
        rows, self.rows = self.rows, []
        with ledger.writing():
            ledger.save(rows)


class Heard:
    """A live mode on a ledger, what it said, and the collector it speaks to."""

    def __init__(self, path: Path, endpoint: str, collect: Any, timeout_s: float = 10.0) -> None:
        self.said: list[str] = []
        target = Target(TRACES, f"{endpoint}/v1/traces", ENDPOINT, timeout_s)
        self.live = Live(target, path, collect, self.said.append, pause_s=0.0)
        self.live.start()

    def wake(self) -> None:
        self.live.wake(records.INVOCATION_ID)

    def finish(self, seconds: float = PATIENCE_S) -> list[str]:
        self.live.finish(seconds)
        return self.said


def under_way() -> Record:
    """The run of `demo_like` while dbt is at work, none of its nodes told of yet."""
    record = records.demo_like()
    record.run = records.run(ended_us=None, result=None)
    record.steps[1].ended_us = record.steps[1].result = record.steps[1].error = None
    record.invocations = [records.invocation(ended_us=None, result=None, exit_code=None)]
    record.nodes = []
    return record


def rows_of(record: Record) -> list[Row]:
    rows: list[Row] = [record.run, *record.steps, *record.streams, *record.requests]
    rows += [*record.retries, *record.skipped, *record.invocations, *record.nodes]
    return [*rows, *record.manifest_nodes, *record.logs]


def keep(path: Path, *rows: Row) -> None:
    with Ledger(path) as ledger, ledger.writing():
        ledger.save(rows)


def nodes() -> list[NodeRun]:
    return [node for node in records.nodes() if node.ended_us is not None]


def told(record: Record, found: list[NodeRun]) -> set[str]:
    record.nodes = nodes()
    return {
        span.span_id
        for node in found
        for span in spans_of(Lineage(record, record.invocations[0]), node)
    }


def arrived(receiver: Receiver) -> set[str]:
    found = [span.span_id.hex() for span in receiver.spans]
    assert len(found) == len(set(found)), "a span came twice"
    return set(found)


class TestLive:
    def test_sends_a_node_when_it_has_ended(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()))
        ended, at_work = nodes()[0], records.node("model.sentry.stg_issues", 35, None, status=None)
        news = News(ended, at_work)
        heard = Heard(path, receiver.url, news)
        heard.wake()
        first = told(under_way(), [ended])
        assert receiver.wait_until(lambda receiver: arrived(receiver) >= first)
        assert arrived(receiver) == first
        news.rows = [*nodes()[1:3]]
        heard.wake()
        both = told(under_way(), nodes()[:3])
        assert receiver.wait_until(lambda receiver: arrived(receiver) >= both)
        assert heard.finish() == []
        assert arrived(receiver) == both
        with Ledger(path) as ledger:
            assert {row.span_id for row in ledger.rows(SentSpan)} == both

    def test_has_a_last_look_when_dbt_is_done(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()))
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        keep(path, *nodes())
        assert heard.finish() == []
        assert arrived(receiver) == told(under_way(), nodes())

    def test_and_delivery_give_what_a_replay_gives_each_span_once(
        self, path: Path, receiver: Receiver
    ) -> None:
        keep(path, *rows_of(under_way()))
        heard = Heard(path, receiver.url, News(*nodes()[:7]))
        heard.wake()
        assert heard.finish() == []
        part = len(receiver.spans)
        everything = rows_of(records.demo_like())
        replay = path.with_name("replay.db")
        keep(path, *everything)
        keep(replay, *everything)
        with Receiver() as other:
            for found, place in ((path, receiver), (replay, other)):
                environ = {ENDPOINT: f"{place.url}/v1/traces"}
                with Ledger(found) as ledger:
                    deliver(ledger, environ, records.at(3600), pytest.fail)
                    assert not ledger.rows(SentSpan)
        assert 0 < part < len(other.spans)
        assert arrived(receiver) == arrived(other)
        assert sorted(span.SerializeToString() for span in receiver.spans) == sorted(
            span.SerializeToString() for span in other.spans
        )
        assert receiver.resources == [*other.resources] * 2

    def test_and_delivery_link_a_source_to_the_same_stream_of_an_earlier_run(
        self, path: Path, receiver: Receiver
    ) -> None:
        earlier = records.run(records.EARLIER_RUN_ID, started_us=records.at(-99))
        step, stream = records.demo_like().steps[0], records.stream("issues", -20, -10)
        step.run_id = stream.run_id = records.EARLIER_RUN_ID
        step.started_us, step.ended_us = records.at(-30), records.at(-5)
        keep(path, earlier, step, stream)
        now = under_way()
        now.steps, now.streams = now.steps[1:], []
        keep(path, *rows_of(now))
        heard = Heard(path, receiver.url, News(*nodes()))
        heard.wake()
        assert heard.finish() == []
        whole = records.demo_like()
        whole.steps, whole.streams = whole.steps[1:], []
        keep(path, *rows_of(whole))
        with Ledger(path) as ledger:
            later = {one.span_id: one for one in spans(queries.record(ledger, records.RUN_ID))}
        (found,) = (one for one in later.values() if one.name == "model stg_issues")
        assert [link.trace_id for link in found.links] == [earlier.trace_id]
        assert found.span_id in arrived(receiver)
        for span in receiver.spans:
            assert as_arrived(span) == as_told(later[span.span_id.hex()])

    def test_hears_of_dbt_which_nodes_have_ended(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        heard = Heard(path, receiver.url, lambda _: None)
        for name, invocation_id in (("NodeFinished", records.INVOCATION_ID), ("NodeStart", "x")):
            info = SimpleNamespace(name=name, invocation_id=invocation_id)
            heard.live.hear(SimpleNamespace(info=info))
        assert heard.finish() == []
        assert arrived(receiver) == told(under_way(), nodes())

    def test_leaves_out_what_went_out_before(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        for _ in range(2):
            heard = Heard(path, receiver.url, lambda _: None)
            heard.wake()
            assert heard.finish() == []
        assert arrived(receiver) == told(under_way(), nodes())

    def test_waits_for_the_manifest_since_links_come_from_it(
        self, path: Path, receiver: Receiver
    ) -> None:
        record = under_way()
        record.manifest_nodes, manifest = [], record.manifest_nodes
        keep(path, *rows_of(record), *nodes())
        news = News()
        heard = Heard(path, receiver.url, news)
        heard.wake()
        keep(path, *manifest[:6])
        assert heard.finish() == []
        known = {node.unique_id for node in manifest[:6]}
        expected = [node for node in nodes() if node.unique_id in known]
        assert arrived(receiver) == told(under_way(), expected)
        assert len(expected) == 3

    def test_leaves_a_node_to_the_delivery_that_artifacts_will_correct(
        self, path: Path, receiver: Receiver
    ) -> None:
        skipped = records.node("model.sentry.dim_project", None, None, status="skipped")
        skipped.ended_us = records.at(40)
        keep(path, *rows_of(under_way()), nodes()[0], skipped)
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert heard.finish() == []
        assert arrived(receiver) == told(under_way(), nodes()[:1])

    def test_lets_a_run_alone_that_has_ended(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(records.demo_like()))
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert heard.finish() == []
        assert not receiver.requests

    def test_lets_a_run_alone_that_is_not_in_the_sample(
        self, path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        keep(path, *rows_of(under_way()), *nodes())
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert heard.finish() == []
        assert not receiver.requests


class TestTrouble:
    def test_with_the_collector_is_one_line_and_nothing_is_lost(
        self, path: Path, receiver: Receiver, capfd: pytest.CaptureFixture[str]
    ) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        endpoint = f"http://127.0.0.1:{free_port()}"
        heard = Heard(path, endpoint, lambda _: None)
        for _ in range(3):
            heard.wake()
        assert heard.finish() == [
            f"WARN  Not all spans of nodes were sent while dbt ran: {endpoint}/v1/traces cannot "
            f"be reached. Start the collector, or correct {ENDPOINT}. They go out after the run."
        ]
        assert capfd.readouterr() == ("", "")
        keep(path, *rows_of(records.demo_like()))
        with Ledger(path) as ledger:
            environ = {ENDPOINT: f"{receiver.url}/v1/traces"}
            deliver(ledger, environ, records.at(3600), pytest.fail)
            record = queries.record(ledger, records.RUN_ID)
        assert arrived(receiver) == {span.span_id for span in spans(record)}

    def test_of_a_moment_is_forgotten(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        receiver.statuses = [500]
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert receiver.wait_until(lambda receiver: len(receiver.requests) == 1)
        assert heard.finish() == []
        assert arrived(receiver) == told(under_way(), nodes())

    def test_is_told_though_the_run_has_ended_by_then(self, path: Path, receiver: Receiver) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        receiver.status = 500
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert receiver.wait_until(lambda receiver: len(receiver.requests) == 1)
        keep(path, records.run())
        (line,) = heard.finish()
        assert "answered 500. They go out after the run." in line

    def test_of_a_collector_that_hangs_does_not_hold_dbt_up(
        self, path: Path, receiver: Receiver
    ) -> None:
        keep(path, *rows_of(under_way()), *nodes())
        receiver.hang()
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert receiver.wait_until(lambda receiver: len(receiver.requests) == 1)
        said = heard.finish(0.01)
        assert len(said) == 1
        assert "had not answered after 0.01 s. They go out after the run." in said[0]
        receiver.go_on()
        assert len(heard.finish()) == 1
        assert arrived(receiver) == told(under_way(), nodes())

    def test_of_spans_that_a_collector_rejects_is_one_line(
        self, path: Path, receiver: Receiver
    ) -> None:
        keep(path, *rows_of(under_way()), *nodes()[:1])
        receiver.rejects = 2
        heard = Heard(path, receiver.url, lambda _: None)
        heard.wake()
        assert heard.finish() == [
            f"WARN  {receiver.url}/v1/traces rejected 2 spans of nodes: too old"
        ]

    def test_with_the_ledger_is_one_line(self, path: Path, receiver: Receiver) -> None:
        def collect(_: Ledger) -> None:
            raise ValueError("half\na line")

        heard = Heard(path, receiver.url, collect)
        heard.wake()
        (line,) = heard.finish()
        assert "dbt ran: ValueError: half a line. They go out after the run." in line

    def test_with_a_ledger_that_can_not_be_opened_is_one_line(
        self, path: Path, receiver: Receiver
    ) -> None:
        path.write_text("no database, and long enough to be seen as something else" * 20)
        heard = Heard(path, receiver.url, lambda _: None)
        (line,) = heard.finish()
        assert "not a database" in line


class TestStarted:
    def test_is_nothing_by_default(self, path: Path) -> None:
        assert started({}, path.parent, pytest.fail) is None
        assert not path.exists()

    def test_reads_what_runs_left(self, path: Path, receiver: Receiver) -> None:
        said: list[str] = []
        environ = {ENDPOINT: f"{receiver.url}/v1/traces"}
        live = started(environ, path.parent, said.append)
        assert live
        live.wake("unknown")
        live.finish(PATIENCE_S)
        assert (said, receiver.requests) == ([], [])
        with Ledger(path) as ledger:
            assert ledger.rows(PipelineRun, "result = ?", [Result.SUCCESS]) == []

    def test_is_one_line_where_a_package_is_missing(self) -> None:
        # Without site-packages there is no package at all.
        program = (
            f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
            "from pathlib import Path\n"
            "from orchestrate.tracing.live import started\n"
            f"environ = {{{ENDPOINT!r}: 'http://127.0.0.1:1'}}\n"
            "live = started(environ, Path('output'), print)\n"
            f"live.finish({PATIENCE_S})\n"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [
            "WARN  Not all spans of nodes were sent while dbt ran: msgspec is not installed beside "
            "dbt. They go out after the run."
        ]
        assert done.stderr == ""


def test_ids_of_live_spans_are_those_of_the_node() -> None:
    node = nodes()[0]
    trace_id = under_way().run.trace_id
    expected = span_id(trace_id, "dbt", records.INVOCATION_ID, node.unique_id)
    assert expected in told(under_way(), [node])
