"""What `observe` prints: whole at 80 columns, and what broke in the first lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrate import terminal
from orchestrate.ledger.model import Record, Result
from orchestrate.ledger.queries import Summary
from orchestrate.observe import tables
from tests.unit.orchestrate.records import NOON_US, at, demo_like

JOB = "tap-sentry target-duckdb dbt:build"


def printed(width: int, *found: Summary, is_terminal: bool = True) -> list[str]:
    file = io.StringIO()
    out = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    tables.runs(out, found)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def shown(width: int, record: Record, *, all_nodes: bool = False) -> list[str]:
    file = io.StringIO()
    out = Console(file=file, width=width, force_terminal=True, color_system=None)
    tables.record(out, record, all_nodes=all_nodes, all_logs=False)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def summary(number: int = 1, **fields: object) -> Summary:
    facts: dict[str, object] = {
        "run_id": f"01a1ffd7-5639-7d5b-969c-4958{number:08}",
        "environment": "demo",
        "job": JOB,
        "result": Result.SUCCESS,
        "started_us": NOON_US,
        "ended_us": at(61),
        "error": None,
        "streams": 18,
        "rows": 1_234_567,
        "requests": 382,
        "retries": 2,
        "skipped_parts": 0,
        "nodes": 101,
        "tests": 105,
        "failed": 0,
    }
    return Summary(**(facts | fields))  # type: ignore[arg-type]


class TestRuns:
    def test_are_one_line_each_at_80_columns(self) -> None:
        lines = printed(80, *(summary(number) for number in range(25)))
        assert len(lines) == 2 + 25
        assert max(map(len, lines)) <= 80

    def test_keep_at_80_columns_what_a_run_is_known_by(self) -> None:
        line = printed(80, summary(environment="prod"), summary())[2]
        for word in ("2026-11-20 12:00", "00000001", "prod", "ok", "1 min 1 s"):
            assert word in line

    def test_leave_out_first_what_matters_least(self) -> None:
        heads = [printed(width, summary())[0] for width in (200, 132, 110)]
        assert ["tests" in head for head in heads] == [True, False, False]
        assert ["requests" in head for head in heads] == [True, True, True]

    def test_name_the_environment_wherever_they_differ(self) -> None:
        assert "environment" not in printed(80, summary())[0]
        assert "environment" in printed(80, summary(), summary(environment="prod"))[0]

    def test_are_whole_in_a_wide_terminal(self) -> None:
        assert JOB in printed(200, summary())[2]

    def test_that_broke_say_why_in_a_line(self) -> None:
        cause = "test one_row: Got 3 results, configured to fail if != 0; " + "and so on " * 20
        failed = summary(3, result=Result.FAILURE, cause=cause)
        lines = printed(80, summary(), failed)
        assert lines[-2] == "What broke"
        assert lines[-1].startswith("00000003  test one_row: Got 3 results")
        assert len(lines[-1]) <= 80

    def test_that_broke_say_all_of_it_in_a_file(self) -> None:
        cause = "word " * 200
        lines = printed(80, summary(cause=cause), is_terminal=False)
        assert lines[-1] == f"00000001  {cause}".rstrip()

    def test_are_none_of_them_told_with_a_hint(self) -> None:
        assert printed(80)[0].startswith("No runs found.")


class TestOneRun:
    @pytest.fixture
    def record(self) -> Record:
        return demo_like()

    def test_fits_into_80_columns(self, record: Record) -> None:
        assert max(map(len, shown(80, record, all_nodes=True))) <= 80

    def test_names_each_stream_in_one_line_at_80_columns(self, record: Record) -> None:
        lines = shown(80, record)
        for stream in record.streams:
            assert any(line.startswith(f"{stream.stream} ") for line in lines)

    def test_says_what_broke_before_anything_else(self, record: Record) -> None:
        record.cause = "model dim_release: Binder Error"
        lines = shown(80, record)
        assert lines[2] == "model dim_release: Binder Error"
        assert lines.index("Failed") < lines.index("Steps")
        at_fault = lines.index("error model dim_release")
        assert "Binder Error: Referenced column" in " ".join(lines[at_fault : at_fault + 4])

    def test_says_why_dbt_came_to_no_node(self, record: Record) -> None:
        record.nodes = []
        record.invocations[0].error = "Compilation Error\n  depends on a node named 'x'"
        lines = shown(80, record)
        assert lines[lines.index("Failed") + 1] == "dbt build"
        assert "    depends on a node named 'x'" in lines

    def test_says_how_long_it_takes_as_a_rule(self, record: Record) -> None:
        assert "as a rule" not in " ".join(shown(80, record))
        record.usual_s = 125.0
        assert "(as a rule 2 min 5 s)" in " ".join(shown(80, record))

    def test_sets_rows_beside_those_of_the_last_good_run(self, record: Record) -> None:
        record.rows_before = {record.streams[0].stream: 4_711}
        lines = shown(200, record)
        head, line = (lines[lines.index("Streams") + number] for number in (1, 3))
        assert line.startswith(record.streams[0].stream)
        assert line[: head.index("before") + len("before")].endswith("4,711")


class TestTheConsole:
    def test_prints_brackets_and_colons_as_they_are(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = "unexpected [/tmp/x] in list[str] :smile:"
        terminal.console().print(text)
        assert capsys.readouterr().out.strip() == text
