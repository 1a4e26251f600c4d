"""Ledger and trace of real runs: a good one, a failing test, a killed one, one after 429s."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrate.ledger import queries
from orchestrate.ledger.collect import collect
from orchestrate.ledger.model import NodeRun, Record, Result
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.model import Span, Status
from orchestrate.tracing.spans import spans
from tap_sentry.demo import DemoSentry, World, serve
from tap_sentry.demo.faults import Forbidden, TooManyRequests
from tests import project
from tests.otlp import Receiver, as_arrived, as_told, free_port, rotel
from tests.project import Project

pytestmark = pytest.mark.slow

CALLERS_TRACE, CALLERS_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
BROKEN_TEST = "broken_on_purpose"


@dataclass(frozen=True)
class Traced:
    """What the ledger has of a run, and its spans."""

    record: Record
    spans: list[Span]

    def named(self, *names: str) -> list[Span]:
        return [span for span in self.spans if span.name in names]

    def one(self, name: str) -> Span:
        (span,) = self.named(name)
        return span

    def children(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def node(self, name: str) -> NodeRun:
        (node,) = [node for node in self.record.nodes if node.name == name]
        return node


@pytest.fixture(scope="module")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project.copy(tmp_path_factory.mktemp("ledger"))


def newest(meltano: Project) -> Traced:
    with Ledger(meltano.folder / "output/ledger.db") as ledger:
        collect(ledger, meltano.folder / "output")
        record = queries.record(ledger, queries.find(ledger, "last"))
        return Traced(record, spans(record))


def lines(meltano: Project) -> list[dict[str, Any]]:
    text = (meltano.folder / "output/logs/meltano.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def check_tree(traced: Traced) -> None:
    """Every span but the run's has a parent in the trace, which lasts as long as it."""
    by_id = {span.span_id: span for span in traced.spans}
    assert len(by_id) == len(traced.spans)
    run, *others = traced.spans
    assert run.span_id == traced.record.run.span_id
    assert {span.trace_id for span in traced.spans} == {traced.record.run.trace_id}
    for span in others:
        assert span.parent_id is not None
        parent = by_id[span.parent_id]
        assert parent.started_us <= span.started_us <= span.ended_us <= parent.ended_us
    for span in traced.spans:
        for link in span.links:
            if link.trace_id == span.trace_id and link.attributes["link.type"] == "data":
                assert by_id[link.span_id].ended_us <= span.ended_us


@pytest.fixture(scope="module")
def good(meltano: Project) -> Traced:
    ran = meltano.meltano(
        "run", "tap-sentry", "target-duckdb", "dbt",
        TRACEPARENT=f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
    return newest(meltano)


class TestAGoodRun:
    def test_is_in_the_ledger_with_its_steps(self, good: Traced) -> None:
        run = good.record.run
        assert (run.job, run.environment) == ("tap-sentry target-duckdb dbt", "demo")
        assert (run.result, run.error) == (Result.SUCCESS, None)
        assert [(step.name, step.result) for step in good.record.steps] == [
            ("tap-sentry target-duckdb", Result.SUCCESS),
            ("dbt", Result.SUCCESS),
        ]

    def test_has_every_row_that_the_warehouse_has(self, meltano: Project, good: Traced) -> None:
        stored = {name: len(rows) for name, rows in meltano.tables().items()}
        assert {row.stream: row.stored_rows for row in good.record.streams} == stored
        assert all(row.rows == row.stored_rows for row in good.record.streams)

    def test_has_the_requests_the_plan_and_how_far_each_stream_is(self, good: Traced) -> None:
        asked = sum(row.requests for row in good.record.requests)
        by_stream = {row.stream: row for row in good.record.streams}
        assert 0 < sum(row.requests or 0 for row in by_stream.values()) <= asked
        assert by_stream["spans"].planned_rows == by_stream["spans"].rows
        assert by_stream["events"].planned_requests
        for name in ("events", "issues", "spans"):
            bookmark_us = by_stream[name].bookmark_us
            assert bookmark_us is not None
            assert abs(good.record.run.started_us - bookmark_us) < 3600e6

    def test_has_every_node_of_dbt_as_its_artifacts_say(
        self, meltano: Project, good: Traced
    ) -> None:
        (archived,) = (meltano.folder / "output/demo/dbt/runs").glob("2*/run_results.json")
        results = json.loads(archived.read_text())["results"]
        nodes = {node.unique_id: node for node in good.record.nodes}
        for result in results:
            node = nodes[result["unique_id"]]
            assert (node.status, node.thread) == (result["status"], result["thread_id"])
            took_s = ((node.ended_us or 0) - (node.started_us or 0)) / 1e6
            assert took_s >= result["execution_time"] - 0.1
        (invocation,) = good.record.invocations
        assert (invocation.command, invocation.exit_code) == ("build", 0)
        assert sum(node.statements for node in good.record.nodes) > len(results)

    def test_is_one_trace_below_the_callers_span(self, good: Traced) -> None:
        check_tree(good)
        run = good.spans[0]
        assert (run.trace_id, run.parent_id) == (CALLERS_TRACE, CALLERS_SPAN)
        assert run.name == "RUN tap-sentry target-duckdb dbt"
        assert [span.name for span in good.children(run)] == ["tap-sentry target-duckdb", "dbt"]
        assert {span.status for span in good.spans} == {Status.OK, Status.UNSET}

    def test_hands_the_trace_on_to_tap_and_dbt(self, meltano: Project, good: Traced) -> None:
        ours = f"00-{CALLERS_TRACE}-{good.record.run.span_id}-01"
        told = [line for line in lines(meltano) if "trace_context" in json.dumps(line)]
        assert told
        assert ours in json.dumps(told[0])
        (archived,) = (meltano.folder / "output/demo/dbt/runs").glob("2*/invocation.json")
        facts = json.loads(archived.read_text())
        assert (facts["traceparent"], facts["run_id"]) == (ours, good.record.run.run_id)

    def test_lasts_as_long_as_it_did(self, good: Traced) -> None:
        run, record = good.spans[0], good.record
        assert (run.started_us, run.ended_us) == (record.run.started_us, record.run.ended_us)
        spans_of_streams = {span.name.removeprefix("sync "): span for span in good.spans}
        for row in record.streams:
            span = spans_of_streams[row.stream]
            assert (span.started_us, span.ended_us) == (row.started_us, row.ended_us)
        events = good.one("model int_errors")
        phases = good.children(events)
        assert [phase.name for phase in phases] == ["compile", "execute"]
        assert phases[0].ended_us <= phases[1].started_us

    def test_links_a_model_to_all_that_it_reads(self, meltano: Project, good: Traced) -> None:
        manifest = json.loads((meltano.folder / "output/demo/dbt/target/manifest.json").read_text())
        ran = {node.unique_id for node in good.record.nodes}
        synced = {row.stream for row in good.record.streams}
        ephemeral = {
            name
            for name, node in manifest["nodes"].items()
            if node["config"].get("materialized") == "ephemeral"
        }
        compared = Counter[str]()
        for name, node in manifest["nodes"].items():
            parents = node["depends_on"].get("nodes", [])
            if name not in ran or ephemeral.intersection(parents):
                continue
            expected = {
                parent
                for parent in parents
                if parent in ran
                or (parent in manifest["sources"] and manifest["sources"][parent]["name"] in synced)
            }
            (span,) = [
                span
                for span in good.spans
                if span.attributes.get("dbt.node.unique_id") == name and span.name not in PHASES
            ]
            found = {
                link.attributes["link.upstream.id"]
                for link in span.links
                if link.attributes["link.type"] == "data"
            }
            assert found == expected, name
            compared[node["resource_type"]] += 1
        assert compared["model"] > 80
        assert compared["test"] > 90

    def test_is_told_by_observe(self, meltano: Project, good: Traced) -> None:
        shown = meltano.meltano("invoke", "observe", "runs", "--json")
        assert shown.returncode == 0, shown.stdout
        told = json.loads(shown.stdout[shown.stdout.index("[\n") :])
        assert told[0]["run_id"] == good.record.run.run_id
        assert told[0]["rows"] == sum(row.rows for row in good.record.streams)
        page = meltano.meltano("invoke", "observe", "trace", "last")
        assert page.returncode == 0, page.stdout
        path = meltano.folder / "output/traces" / f"{good.record.run.run_id}.html"
        assert str(path) in page.stdout
        assert "model int_errors" in path.read_text() or "int_errors" in path.read_text()


PHASES = {"compile", "execute"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Receiver]:
    """What the run with the failing test sends its spans to."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def failed(meltano: Project, good: Traced, collector: Receiver) -> Traced:
    broken = meltano.folder / f"transform/tests/{BROKEN_TEST}.sql"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("select * from {{ ref('stg_sentry__issues') }}")
    try:
        ran = meltano.meltano("run", "dbt:build", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    finally:
        broken.unlink()
    assert ran.returncode == 1
    assert good.record.run.result == Result.SUCCESS
    return newest(meltano)


class TestAFailingTest:
    def test_fails_its_run_and_its_step(self, failed: Traced) -> None:
        (step,) = failed.record.steps
        assert failed.record.run.result == step.result == Result.FAILURE
        assert failed.record.run.error == "dbt:build: `dbt build` failed with exit code: 1"

    def test_is_the_one_node_that_failed(self, failed: Traced) -> None:
        (node,) = [node for node in failed.record.nodes if node.status == "fail"]
        assert node.name == BROKEN_TEST
        assert (node.failures or 0) > 100
        (invocation,) = failed.record.invocations
        assert (invocation.exit_code, invocation.result) == (1, Result.FAILURE)

    def test_has_errors_from_its_span_up_to_the_run(self, failed: Traced) -> None:
        check_tree(failed)
        by_id = {span.span_id: span for span in failed.spans}
        span = failed.one(f"test {BROKEN_TEST}")
        wrong = {span.span_id for span in failed.spans if span.status == Status.ERROR}
        chain = set()
        while True:
            chain.add(span.span_id)
            assert span.attributes["error.type"]
            if span.parent_id is None:
                break
            span = by_id[span.parent_id]
        assert wrong == chain

    def test_goes_out_live_then_whole_and_each_span_once(
        self, meltano: Project, failed: Traced, collector: Receiver
    ) -> None:
        live = len(collector.spans)
        assert live > 300
        sent = meltano.meltano(
            "invoke", "observe", "collect", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
        )
        assert "traces of 2 runs sent" in sent.stdout
        arrived = [
            as_arrived(span)
            for span in collector.spans
            if span.trace_id.hex() == failed.record.run.trace_id
        ]
        assert by_name(arrived) == by_name(as_told(span) for span in failed.spans)
        assert len(collector.spans) > len(arrived) > live

    def test_links_sources_to_the_streams_of_the_run_that_synced_them(
        self, failed: Traced, good: Traced
    ) -> None:
        syncs = {span.span_id: span for span in good.spans if span.name.startswith("sync ")}
        (link,) = failed.one("model stg_sentry__issues").links
        assert (link.trace_id, syncs[link.span_id].name) == (CALLERS_TRACE, "sync issues")
        sources = [
            found.attributes["link.upstream.id"]
            for span in failed.spans
            for found in span.links
            if found.span_id in syncs
        ]
        assert len(set(sources)) == len(good.record.streams)

    def test_has_the_reading_of_the_project_before_its_nodes(self, failed: Traced) -> None:
        parse, build = failed.one("parse"), failed.one("dbt build")
        assert parse.parent_id == build.span_id
        nodes = [span.started_us for span in failed.children(build) if span is not parse]
        assert build.started_us <= parse.started_us < parse.ended_us <= min(nodes)

    def test_begins_a_trace_of_its_own_linked_to_no_other_job(self, failed: Traced) -> None:
        run = failed.spans[0]
        assert run.trace_id == failed.record.run.run_id.replace("-", "")
        assert run.parent_id is None
        assert run.links == []


@pytest.fixture(scope="module")
def killed(meltano: Project, good: Traced) -> Traced:
    log = meltano.folder / "output/demo/dbt/logs/dbt.log"
    before = log.stat().st_size
    run = meltano.start("run", "tap-sentry", "target-duckdb", "dbt")
    wait_for(lambda: b"NodeFinished" in newly(log, before))
    for process in [*psutil.Process(run.pid).children(recursive=True), psutil.Process(run.pid)]:
        process.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    assert good.record.run.result == Result.SUCCESS
    return newest(meltano)


class TestAKilledRun:
    def test_appears_as_such(self, killed: Traced) -> None:
        record = killed.record
        assert record.run.result == Result.KILLED
        assert record.run.error == "dbt: killed"
        assert [step.result for step in record.steps] == [Result.SUCCESS, Result.KILLED]
        (invocation,) = record.invocations
        assert (invocation.result, invocation.exit_code) == (Result.KILLED, None)

    def test_keeps_what_was_done_by_then(self, killed: Traced) -> None:
        statuses = Counter(node.status for node in killed.record.nodes)
        assert statuses["success"] > 0
        assert set(statuses) <= {"success", "pass", "killed", "no-op"}
        assert len(killed.record.nodes) < 190
        assert all(node.ended_us for node in killed.record.nodes)
        assert {row.result for row in killed.record.streams} == {Result.SUCCESS}

    def test_is_a_whole_trace_all_the_same(self, killed: Traced) -> None:
        check_tree(killed)
        run = killed.spans[0]
        assert (run.status, run.attributes["error.type"]) == (Status.ERROR, "killed")
        assert run.attributes["cicd.pipeline.result"] == "error"
        assert any(span.links for span in killed.spans if span.name.startswith("model "))
        (link,) = run.links
        assert (link.trace_id, link.attributes["link.type"]) == (CALLERS_TRACE, "previous")

    def test_does_not_change_when_it_is_collected_again(
        self, meltano: Project, killed: Traced
    ) -> None:
        assert newest(meltano) == killed


@pytest.fixture(scope="module")
def limited(meltano: Project, good: Traced) -> Traced:
    faults = [
        TooManyRequests(path="*/events/", at=3, times=2, reset_after_s=2.0),
        Forbidden(path="*/detectors/"),
    ]
    demo = DemoSentry(World(), limits=None, faults=faults)
    with serve(demo) as url:
        ran = meltano.meltano(
            "--environment=dev", "run", "tap-sentry", "target-duckdb",
            TAP_SENTRY_BASE_URL=url, TAP_SENTRY_API_TOKEN="sntryu_secret",
            TAP_SENTRY_RATE_LIMIT="1000",
        )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert good.record.run.result == Result.SUCCESS
    return newest(meltano)


class TestARunAfter429s:
    def test_has_its_retries_and_waits(self, limited: Traced) -> None:
        retries = limited.record.retries
        assert {retry.reason for retry in retries} == {"429"}
        totals = {row.endpoint: row for row in limited.record.requests}
        counted = Counter(retry.endpoint for retry in retries)
        assert counted == {name: row.retries for name, row in totals.items() if row.retries}
        assert sum(row.waited_s for row in totals.values()) >= 1
        assert limited.record.run.result == Result.SUCCESS
        assert limited.record.run.environment == "dev"

    def test_has_what_was_skipped(self, limited: Traced) -> None:
        (skipped,) = limited.record.skipped
        assert skipped.stream == "detectors"
        assert "403" in skipped.reason

    def test_tells_each_wait_in_its_trace(self, limited: Traced) -> None:
        check_tree(limited)
        step = limited.one("tap-sentry target-duckdb")
        waits = [event for event in step.events if event.name == "http.retry"]
        assert len(waits) == len(limited.record.retries)
        assert all(step.started_us <= event.at_us <= step.ended_us for event in waits)
        assert step.attributes["singer.retries"] == len(waits)
        totals = [event for event in step.events if event.name == "http.requests"]
        assert len(totals) == len(limited.record.requests)
        waited = sum(event.attributes["singer.waited_s"] for event in totals)
        assert waited == pytest.approx(step.attributes["singer.waited_s"])
        assert step.status == Status.OK

    def test_has_no_token_in_the_ledger(self, meltano: Project, limited: Traced) -> None:
        assert limited.record.logs
        for path in (meltano.folder / "output").glob("ledger.db*"):
            assert b"sntryu_secret" not in path.read_bytes()


class TestACollectorThatIsAway:
    """The run with 429s was not sent yet; rotel is a collector that others made."""

    def test_gets_all_spans_with_all_links_when_it_is_back(
        self, meltano: Project, limited: Traced, good: Traced, tmp_path: Path
    ) -> None:
        port = free_port()
        environment = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces"}
        forget_deliveries(meltano)
        away = meltano.meltano("invoke", "observe", "collect", **environment)
        assert away.returncode == 0
        assert "cannot be reached" in away.stdout
        with Receiver() as receiver, rotel(port, receiver, tmp_path):
            back = meltano.meltano("invoke", "observe", "collect", **environment)
            assert "traces of 4 runs sent" in back.stdout
            expected = by_name(as_told(span) for span in (*good.spans, *limited.spans))
            traces = {good.record.run.trace_id, limited.record.run.trace_id}

            def arrived() -> list[dict[str, Any]]:
                return [
                    as_arrived(span) for span in receiver.spans if span.trace_id.hex() in traces
                ]

            assert receiver.wait_until(lambda _: len(arrived()) >= len(expected))
            assert by_name(arrived()) == expected
        parents = [len(span["links"]) for span in arrived() if span["name"].startswith("model ")]
        assert max(parents) >= 5
        assert sum(parents) > 200


def forget_deliveries(meltano: Project) -> None:
    with Ledger(meltano.folder / "output/ledger.db") as ledger, ledger.writing():
        ledger.execute("delete from delivery")


def by_name(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans in an order that does not depend on when they came."""
    return sorted(found, key=lambda span: (span["trace"], span["name"], span["times"]))


def newly(path: Path, before: int) -> bytes:
    with path.open("rb") as file:
        file.seek(before if path.stat().st_size >= before else 0)
        return file.read()


def wait_for(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
