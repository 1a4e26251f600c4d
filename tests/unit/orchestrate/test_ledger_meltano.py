"""What Meltano's log tells of a run, of a broken one too, read once, twice, or in pieces."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrate.ledger import identity, queries
from orchestrate.ledger.collect import collect
from orchestrate.ledger.model import (
    TABLES,
    DbtInvocation,
    Delivery,
    LogEvent,
    PipelineRun,
    Record,
    Result,
    Step,
)
from orchestrate.ledger.store import Ledger
from tests.meltano_log import RUN_ID, START, Log, us

NEVER_GONE = lambda host, pid, started_us, heard_us: False  # noqa: E731
GONE = lambda host, pid, started_us, heard_us: True  # noqa: E731


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "output/logs/meltano.jsonl")


def read(ledger: Ledger, log: Log, *, gone: bool = False) -> set[str]:
    return collect(
        ledger,
        log.path.parent.parent,
        gone=GONE if gone else NEVER_GONE,
    )


def record(ledger: Ledger, run_id: str = RUN_ID) -> Record:
    return queries.record(ledger, run_id)


def everything(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    return {
        table.TABLE: sorted(ledger.select(f"select * from {table.TABLE}"))  # noqa: S608
        for table in TABLES
    }


def at_instants_of_their_own(text: bytes) -> bytes:
    """The lines as one process writes them: none at the microsecond of another."""
    lines = [json.loads(line) for line in text.splitlines()]
    for number, line in enumerate(lines):
        line["timestamp"] = (START + timedelta(milliseconds=number)).isoformat()
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def turn_over(path: Path) -> None:
    """As logging.handlers.RotatingFileHandler does it."""
    for number in range(9, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


class TestAGoodRun:
    @pytest.fixture(autouse=True)
    def run(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.dbt(14, "ok      0.30 s  events (seed)")
        log.dbt(15, "WARN    0.10 s  some_test")
        log.block(20, 1, 9)
        log.completed(20.5)
        read(ledger, log)

    def test_says_who_ran_what_where_and_how_it_ended(self, ledger: Ledger) -> None:
        run = record(ledger).run
        assert (run.job, run.environment, run.result) == ("sentry-to-marts", "demo", "success")
        assert (run.host, run.pid, run.branch) == ("worker-1", 4711, "main")
        assert (run.started_us, run.ended_us) == (us(0), us(20.5))
        assert run.error is None

    def test_is_a_trace_of_the_same_bits(self, ledger: Ledger) -> None:
        run = record(ledger).run
        assert run.trace_id == RUN_ID.replace("-", "")
        assert (run.span_id, run.parent_span_id) == ("00f067aa0ba902b7", None)

    def test_has_its_steps_with_names_times_and_results(self, ledger: Ledger) -> None:
        first, second = record(ledger).steps
        assert (first.name, first.kind) == ("tap-sentry target-duckdb", "extract_load")
        assert (first.started_us, first.ended_us) == (us(1), us(11))
        assert first.state_id == "demo:tap-sentry"
        assert (second.name, second.kind) == ("dbt:build", "command")
        assert (second.started_us, second.ended_us) == (us(11), us(20))
        assert first.result == second.result == Result.SUCCESS

    def test_adds_up_the_parts_of_a_stream(self, ledger: Ledger) -> None:
        issues, events = record(ledger).streams
        assert (issues.stream, issues.rows, issues.stored_rows) == ("issues", 150, 150)
        assert (issues.started_us, issues.ended_us) == (us(2), us(4))
        assert (events.stream, events.rows, events.stored_rows) == ("events", 20, 20)
        assert (events.started_us, events.ended_us) == (us(4), us(9))
        assert (events.requests, events.planned_rows, events.planned_requests) == (6, 20, 5)
        assert events.bookmark_us == us(-300)
        assert issues.requests is None

    def test_knows_requests_waits_retries_and_skipped_parts(self, ledger: Ledger) -> None:
        found = record(ledger)
        asked, own = found.requests
        assert (asked.endpoint, asked.requests, asked.retries, asked.waited_s) == (
            "project_events", 6, 1, 1.25,
        )  # fmt: skip
        assert asked.answering_s == 2.5
        assert (asked.quota_requests, asked.quota_window_s, asked.quota_used) == (60, 60.0, 0.1)
        assert (own.endpoint, own.requests, own.waited_s) == ("rate_limit", 0, 0.5)
        assert (own.quota_requests, own.quota_window_s, own.quota_used) == (None, None, None)
        (retry,) = found.retries
        assert (retry.at_us, retry.reason, retry.wait_s) == (us(5), "429", 1.25)
        (skipped,) = found.skipped
        assert (skipped.stream, skipped.part, skipped.reason) == ("events", "project web", "403")

    def test_keeps_lines_for_people_with_their_levels(self, ledger: Ledger) -> None:
        logs = record(ledger).logs
        assert not any("METRIC" in log.text for log in logs)
        levels = {log.text: (log.source, log.level) for log in logs}
        assert levels["Skipped: project web of events: 403"] == ("tap-sentry", "warning")
        assert levels["WARN    0.10 s  some_test"] == ("dbt", "warning")
        assert levels["ok      0.30 s  events (seed)"] == ("dbt", "info")
        assert [log.number for log in logs] == list(range(1, len(logs) + 1))


class TestReadingAgain:
    def test_changes_nothing(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.completed(12)
        read(ledger, log)
        before = everything(ledger)
        assert read(ledger, log) == set()
        assert everything(ledger) == before

    def test_a_copy_whose_beginning_is_cut_changes_nothing(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.completed(12)
        read(ledger, log)
        before = record(ledger)
        whole = log.path.read_bytes()
        log.path.with_name("meltano.jsonl.1").write_bytes(whole.split(b"\n", 1)[1])
        log.path.with_name("meltano.jsonl.2").write_bytes(b"\n" + whole)
        read(ledger, log)
        assert record(ledger) == before

    def test_in_pieces_gives_the_same(self, ledger: Ledger, log: Log, tmp_path: Path) -> None:
        whole = Log(tmp_path / "whole/output/logs/meltano.jsonl")
        whole.extract()
        whole.block(20, 1, 9)
        whole.completed(20.5)
        for line in whole.path.read_bytes().splitlines(keepends=True):
            middle = len(line) // 2
            for piece in (line[:middle], line[middle:]):
                with log.path.open("ab") as file:
                    file.write(piece)
                read(ledger, log)
        with Ledger(tmp_path / "other.db") as other:
            read(other, whole)
            assert record(other) == record(ledger)

    @given(cuts=st.lists(st.tuples(st.integers(0, 400) | st.none(), st.booleans()), max_size=9))
    @settings(max_examples=25, deadline=None)
    def test_gives_the_same_wherever_it_is_cut_and_turns_over(
        self, cuts: list[tuple[int | None, bool]]
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Log(Path(folder) / "whole/logs/meltano.jsonl")
            log.line(-1, "Installing extractor 'tap-sentry'")
            log.extract()
            log.dbt(14, "WARN    0.10 s  some_test")
            log.block(20, 1, 9, "exit code: 137")
            log.completed(20.5, "failure")
            rest = at_instants_of_their_own(log.path.read_bytes())
            log.path.write_bytes(rest)
            parts = Log(Path(folder) / "parts/logs/meltano.jsonl")
            with (
                Ledger(Path(folder) / "whole.db") as whole,
                Ledger(Path(folder) / "parts.db") as ledger,
            ):
                read(whole, log)
                for cut, turns in [*cuts, (len(rest), False)]:
                    size = rest.find(b"\n") + 1 if cut is None else cut  # to a line's end
                    with parts.path.open("ab") as file:
                        file.write(rest[:size])
                    rest = rest[size:]
                    read(ledger, parts)
                    if turns and cut is None:
                        turn_over(parts.path)
                assert {**everything(ledger), "source_file": []} == {
                    **everything(whole),
                    "source_file": [],
                }

    def test_follows_a_log_that_is_renamed_meanwhile(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        read(ledger, log)
        log.dbt(12, "written after the last reading")
        log.path.rename(log.path.with_name("meltano.jsonl.1"))
        log.block(20, 1, 9)
        log.completed(20.5)
        read(ledger, log)
        found = record(ledger)
        assert found.run.result == Result.SUCCESS
        assert "written after the last reading" in [line.text for line in found.logs]
        assert sum(row.rows for row in found.streams) == 170


class TestABadRun:
    def test_fails_with_the_first_step_that_did(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.block(20, 1, 9, "`dbt build` failed with exit code: 1")
        log.completed(20, "failure")
        read(ledger, log)
        found = record(ledger)
        assert found.run.result == found.steps[1].result == Result.FAILURE
        assert found.run.error == "dbt:build: `dbt build` failed with exit code: 1"
        assert found.steps[0].result == Result.SUCCESS

    @pytest.mark.parametrize("code", [-9, -15, 137, 143])
    def test_of_a_killed_plugin_has_a_killed_step(
        self, ledger: Ledger, log: Log, code: int
    ) -> None:
        log.extract()
        log.block(20, 1, 9, f"`dbt build` failed with exit code: {code}")
        log.completed(20, "failure")
        read(ledger, log)
        found = record(ledger)
        assert (found.run.result, found.steps[1].result) == (Result.FAILURE, Result.KILLED)

    def test_stops_its_streams_with_the_step(self, ledger: Ledger, log: Log) -> None:
        log.started(0)
        log.tap(2, "Beginning sync of 'events' in incremental replication mode with context: {}")
        log.block(5, 0, 4, "Extractor failed")
        log.completed(5, "failure")
        read(ledger, log)
        (events,) = record(ledger).streams
        assert (events.started_us, events.ended_us, events.result) == (us(2), us(5), "failure")

    def test_may_have_run_out_of_time(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.line(15, "Run timed out", level="error", timeout_seconds=15)
        log.completed(15, "failure")
        read(ledger, log)
        assert record(ledger).run.result == Result.TIMEOUT

    def test_that_could_not_begin_says_why(self, ledger: Ledger, log: Log) -> None:
        log.started(0)
        log.line(3, "Failed to install plugin(s)", level="error")
        read(ledger, log, gone=True)
        run = record(ledger).run
        assert (run.result, run.error) == (Result.FAILURE, "Failed to install plugin(s)")


class TestAKilledRun:
    def test_is_under_way_while_its_process_is_there(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        read(ledger, log)
        run = record(ledger).run
        assert (run.result, run.ended_us, run.heard_us) == (None, None, us(11))

    def test_ends_with_its_last_line_and_so_does_what_was_open(
        self, ledger: Ledger, log: Log
    ) -> None:
        log.extract()
        log.dbt(14, "ok      0.30 s  events (seed)")
        read(ledger, log)
        assert read(ledger, log, gone=True) == {RUN_ID}
        found = record(ledger)
        assert (found.run.result, found.run.ended_us) == (Result.KILLED, us(14))
        assert found.run.error == "dbt:build: killed"
        assert (found.steps[1].result, found.steps[1].ended_us) == (Result.KILLED, us(14))
        assert found.steps[0].result == Result.SUCCESS

    def test_is_alive_again_when_another_line_comes(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        read(ledger, log, gone=True)
        log.block(20, 1, 9)
        log.completed(20.5)
        read(ledger, log)
        found = record(ledger)
        assert found.run.result == found.steps[1].result == Result.SUCCESS
        assert found.run.error is None

    def test_that_lives_again_is_sent_again(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        read(ledger, log, gone=True)
        with ledger.writing():
            ledger.save([Delivery(run_id=RUN_ID, kind="traces", delivered_us=us(13), items=9)])
        read(ledger, log, gone=True)
        assert ledger.rows(Delivery)
        log.completed(20.5)
        read(ledger, log)
        assert not ledger.rows(Delivery)

    def test_goes_on_while_the_dbt_that_it_began_is_at_work(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        begun = DbtInvocation(
            invocation_id="one", run_id=RUN_ID, environment="demo", started_us=us(12),
            heard_us=us(13), arguments=["build"],
        )  # fmt: skip
        with ledger.writing():
            ledger.save([begun])
        read(ledger, log)
        assert record(ledger).run.result is None

    def test_is_judged_by_its_host_process_start_and_last_word(
        self, ledger: Ledger, log: Log
    ) -> None:
        asked = []
        log.started(0)
        log.line(5, "x")

        def gone(*facts: object) -> bool:
            asked.append(facts)
            return False

        collect(ledger, log.path.parent.parent, gone=gone)
        assert asked == [("worker-1", 4711, us(0), us(5))]

    def test_leaves_a_half_line_that_costs_nothing_else(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        with log.path.open("a") as file:
            file.write(
                '{"event": "ok      0.30 s',
            )
        log.run_id = "01a1ffd1-54fd-7a61-9872-3dc4b16907d6"
        log.extract()
        log.completed(12)
        read(ledger, log)
        assert record(ledger, log.run_id).run.job == "sentry-to-marts"
        assert record(ledger, log.run_id).run.result == Result.SUCCESS


class TestARunWithoutABeginning:
    def test_is_put_together_from_its_other_lines(self, ledger: Ledger, log: Log) -> None:
        log.line(1, f"Running job with name 'prod:tap-sentry' and run ID '{RUN_ID}'")
        log.tap(2, "Beginning sync of 'issues' in incremental replication mode with context: {}")
        log.stored(3, "issues", 4)
        log.block(4, 0, 3)
        log.dbt(5, "ok      0.30 s  events (seed)")
        log.block(6, 1, 2)
        log.completed(6)
        read(ledger, log)
        found = record(ledger)
        assert found.run.environment == "prod"
        assert [step.name for step in found.steps] == ["tap-sentry target-duckdb", "dbt"]
        assert found.run.trace_id == RUN_ID.replace("-", "")
        assert found.run.span_id == identity.span_id(found.run.trace_id, RUN_ID)

    def test_takes_the_beginning_over_that_follows_an_installation(
        self, ledger: Ledger, log: Log
    ) -> None:
        log.line(-9, "Installing extractor 'tap-sentry'")
        read(ledger, log)
        log.extract()
        log.completed(12)
        read(ledger, log)
        (run,) = ledger.rows(PipelineRun)
        assert (run.run_id, run.job, run.started_us) == (RUN_ID, "sentry-to-marts", us(-9))


class TestARunOfTheOlderCommands:
    """`meltano el` and `elt` say neither how they began nor `Run completed`."""

    def test_ends_with_what_they_say_instead(self, ledger: Ledger, log: Log) -> None:
        log.line(1, "Running extract & load...", name="meltano", state_id="s")
        log.metric(2, "record_count", 3, stream="issues")
        log.line(
            3, "issues: 3 rows stored", stdio="stderr", cmd_type="loader", name="target-duckdb",
            stream_name="issues", rows_so_far=3,
        )  # fmt: skip
        log.line(4, "Extract & load complete!", name="meltano", state_id="s")
        read(ledger, log)
        found = record(ledger)
        assert (found.run.result, found.run.ended_us) == (Result.SUCCESS, us(4))
        assert [step.result for step in found.steps] == [Result.SUCCESS]
        assert [(row.rows, row.stored_rows, row.result) for row in found.streams] == [
            (3, 3, Result.SUCCESS)
        ]

    def test_fails_with_what_they_say_instead(self, ledger: Ledger, log: Log) -> None:
        log.metric(2, "record_count", 3, stream="issues")
        log.line(4, "Loading failed", name="meltano", code=1, message="disk full", level="error")
        read(ledger, log)
        found = record(ledger)
        assert (found.run.result, found.run.ended_us) == (Result.FAILURE, us(4))
        assert str(found.run.error).endswith("Loading failed: disk full")


class TestARunThatOnlyDbtToldOf:
    def test_is_told_anew_by_the_log_that_comes_later(
        self, ledger: Ledger, log: Log, tmp_path: Path
    ) -> None:
        folder = log.path.parent.parent / "demo/dbt/runs/20261120T120015Z-i1"
        folder.mkdir(parents=True)
        facts = {
            "invocation_id": "i1", "started_at": "2026-11-20T12:00:15Z", "arguments": ["build"],
            "finished_at": "2026-11-20T12:00:19Z", "exit_code": 0, "run_id": RUN_ID,
        }  # fmt: skip
        (folder / "invocation.json").write_text(json.dumps(facts))
        read(ledger, log)
        assert record(ledger).run.job == "dbt build"
        log.extract()
        log.block(20, 1, 9)
        log.completed(20.5)
        read(ledger, log)
        later = everything(ledger)
        with Ledger(tmp_path / "other.db") as other:
            read(other, log)
            assert {**everything(other), "source_file": []} == {**later, "source_file": []}


class TestARunIdGivenTwice:
    def test_makes_two_runs_of_one_trace(self, ledger: Ledger, log: Log) -> None:
        log.extract()
        log.block(20, 1, 9, "failed")
        log.completed(20, "failure")
        read(ledger, log)
        log.started(100, pid=4712, traceparent=f"00-{RUN_ID.replace('-', '')}-{'1' * 16}-01")
        log.block(110, 0, 9)
        log.completed(111)
        read(ledger, log)
        first, second = record(ledger), record(ledger, f"{RUN_ID}.2")
        assert (first.run.result, second.run.result) == (Result.FAILURE, Result.SUCCESS)
        assert first.run.trace_id == second.run.trace_id
        assert first.run.span_id != second.run.span_id
        assert second.repeats == first.run

    def test_a_third_time_repeats_the_second(self, ledger: Ledger, log: Log) -> None:
        for begin in (0, 100, 200):
            log.started(begin, pid=begin)
            log.completed(begin + 1)
        read(ledger, log)
        repeated = record(ledger, f"{RUN_ID}.3").repeats
        assert repeated is not None
        assert repeated.run_id == f"{RUN_ID}.2"


class TestACallersTrace:
    def test_is_the_runs_trace_with_the_caller_as_parent(self, ledger: Ledger, log: Log) -> None:
        trace, ours, callers = "a" * 32, "b" * 16, "c" * 16
        log.started(0, traceparent=f"00-{trace}-{ours}-01", parent=f"00-{trace}-{callers}-01")
        read(ledger, log)
        run = record(ledger).run
        assert (run.trace_id, run.span_id, run.parent_span_id) == (trace, ours, callers)


class TestAShard:
    def test_is_a_job_of_its_own(self, ledger: Ledger, log: Log) -> None:
        log.started(0, suffix="eu")
        read(ledger, log)
        assert record(ledger).run.job == "sentry-to-marts (eu)"


class TestARunThatOnlyLooks:
    """`meltano run observe:collect`, which reads its own beginning."""

    STEPS = [{"name": "observe:collect", "kind": "command"}]  # noqa: RUF012

    def test_leaves_nothing(self, ledger: Ledger, log: Log) -> None:
        before = everything(ledger)
        log.started(0, job="observe:collect", steps=self.STEPS)
        log.block(1, 1, 0.5)
        log.completed(1.5)
        assert read(ledger, log) == set()
        assert everything(ledger) | {"source_file": []} == before

    def test_is_gone_when_its_end_is_read_later(self, ledger: Ledger, log: Log) -> None:
        log.started(0, job="observe:collect", steps=self.STEPS)
        read(ledger, log)
        log.line(0.5, "1 run read", stdio="stderr", cmd_type="command", name="observe")
        log.block(1, 1, 0.5)
        log.completed(1.5)
        assert read(ledger, log) == set()
        assert [ledger.rows(table) for table in (PipelineRun, Step, LogEvent)] == [[], [], []]

    def test_is_gone_when_it_was_killed(self, ledger: Ledger, log: Log) -> None:
        log.started(0, job="observe:collect", steps=self.STEPS)
        assert read(ledger, log, gone=True) == set()
        assert ledger.rows(PipelineRun) == []

    def test_is_kept_with_a_step_that_works(self, ledger: Ledger, log: Log) -> None:
        log.started(0, steps=[{"name": "dbt:build", "kind": "command"}, *self.STEPS])
        log.completed(1.5)
        read(ledger, log)
        assert len(ledger.rows(PipelineRun)) == 1


class TestOtherLines:
    def test_of_a_dry_run_make_no_run(self, ledger: Ledger, log: Log) -> None:
        log.line(0, "Installed 0/3 plugins", level="debug")
        log.line(1, "Dry run, but would have run block 1/2.")
        log.completed(2)
        read(ledger, log)
        assert ledger.rows(PipelineRun) == []

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"no json",
            b'{"event": "no run"}',
            b'["run_id"]',
            b'{"run_id": 5, "event": "x", "timestamp": "2026-11-20T12:00:00Z"}',
            b'{"run_id": "a", "event": "x", "timestamp": "yesterday"}',
            b'{"run_id": "a", "event": "x"}',
            b'\xff\xfe"run_id"',
        ],
    )
    def test_that_say_nothing_are_passed_over(self, ledger: Ledger, log: Log, text: bytes) -> None:
        log.path.write_bytes(text + b"\n")
        log.extract()
        read(ledger, log)
        (run,) = ledger.rows(PipelineRun)
        assert run.run_id == RUN_ID

    @pytest.mark.parametrize(
        "metric",
        [
            {"metric": "of_tomorrow", "value": 1, "tags": {"stream": "events"}},
            {"metric": "record_count", "value": "many", "tags": {"stream": "events"}},
            {"metric": "record_count", "value": 1, "tags": None},
            {"metric": "record_count"},
            [],
        ],
    )
    def test_with_figures_nobody_knows_change_nothing(
        self, ledger: Ledger, log: Log, metric: object
    ) -> None:
        log.started(0)
        log.tap(1, f"METRIC: {json.dumps(metric)}")
        log.tap(1, "METRIC: {half a li")
        read(ledger, log)
        assert record(ledger).streams == []

    @pytest.mark.parametrize(
        ("event", "fields"),
        [
            ("Run started", {"pid": 2**70}),
            ("Run started", {"steps": "x", "job": 5}),
            ("Block run completed", {"duration_seconds": "long", "success": True}),
            ("x", {"stdio": "stderr", "rows_so_far": 2**70}),
            ("x", {"stdio": "stderr", "rows_so_far": "many"}),
        ],
    )
    def test_whose_fields_are_of_no_use_stop_nothing(
        self, ledger: Ledger, log: Log, event: str, fields: dict[str, object]
    ) -> None:
        log.line(1, event, **fields)
        log.completed(2)
        read(ledger, log)
        assert record(ledger).run.result == Result.SUCCESS

    @pytest.mark.parametrize("figure", ["x", [], 1e300, -(2**70)])
    def test_with_figures_that_are_none_stop_nothing(
        self, ledger: Ledger, log: Log, figure: object
    ) -> None:
        log.metric(1, "stream_request_count", 4, stream="issues", planned_rows=figure)
        log.metric(1, "http_request_count", 5, endpoint="issues", retries=figure)
        log.metric(1, "bookmark", figure, stream="issues")
        read(ledger, log)
        [stream], [total] = record(ledger).streams, record(ledger).requests
        assert (stream.requests, stream.planned_rows, stream.bookmark_us) == (4, None, None)
        assert (total.requests, total.retries) == (5, 0)

    def test_missing_altogether_make_an_empty_ledger(self, ledger: Ledger, log: Log) -> None:
        shutil.rmtree(log.path.parent)
        assert read(ledger, log) == set()
