"""What the ledger says of runs beside their rows: what broke, and what is usual."""

from __future__ import annotations

import pytest

from orchestrate.ledger import queries
from orchestrate.ledger.model import LogEvent, Result, StreamSync
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.records import DATABASE_ERROR, RUN_ID, at, invocation, node, run

FAILED_TEST = node(
    "test.sentry.one_row", 54, 55, status="fail", message="Got 3 results, configured to fail"
)


def save(ledger: Ledger, *rows: object) -> None:
    with ledger.writing():
        ledger.save(rows)  # type: ignore[arg-type]


def line(number: int, source: str, text: str, level: str = "error") -> LogEvent:
    return LogEvent(
        run_id=RUN_ID, number=number, at_us=at(number), level=level, source=source, text=text
    )


class TestWhatBroke:
    def cause(self, ledger: Ledger, *rows: object, **fields: object) -> str | None:
        """As both `runs` and `show` tell it."""
        facts: dict[str, object] = {"result": Result.FAILURE, "error": "dbt:build: exit code: 1"}
        save(ledger, run(RUN_ID, **(facts | fields)), *rows)
        (listed,) = queries.summaries(ledger, limit=1)
        assert queries.record(ledger, RUN_ID).cause == listed.cause
        return listed.cause

    def test_is_the_test_that_failed(self, ledger: Ledger) -> None:
        told = self.cause(ledger, invocation(), FAILED_TEST)
        assert told == "test one_row: Got 3 results, configured to fail"

    def test_is_the_first_node_in_the_line_that_says_what_is_wrong(self, ledger: Ledger) -> None:
        broken = node("model.sentry.dim_release", 39, 40, status="error", message=DATABASE_ERROR)
        told = self.cause(ledger, invocation(), FAILED_TEST, broken)
        assert told == (
            'model dim_release: Binder Error: Referenced column "secret_column" not found in FROM '
            "clause! (and 1 more)"
        )

    def test_is_dbts_error_where_it_came_to_no_node(self, ledger: Ledger) -> None:
        error = "Compilation Error\n  Model 'a' depends on a node named 'b'"
        told = self.cause(ledger, invocation(error=error))
        assert told == "dbt build: Model 'a' depends on a node named 'b'"

    def test_is_the_first_error_of_a_plugin(self, ledger: Ledger) -> None:
        told = self.cause(
            ledger,
            line(1, "tap-sentry", "waiting", level="warning"),
            line(2, "tap-sentry", "GET / answered 401"),
            line(3, "target-duckdb", "no more input"),
            line(4, "meltano", "Extractor failed"),
        )
        assert told == "tap-sentry: GET / answered 401"

    def test_is_meltanos_word_where_there_is_no_other(self, ledger: Ledger) -> None:
        told = self.cause(ledger, line(1, "meltano", "Extractor failed"))
        assert told == "dbt:build: exit code: 1"

    def test_is_nothing_in_a_good_run_with_an_error_in_its_log(self, ledger: Ledger) -> None:
        told = self.cause(ledger, line(1, "tap-sentry", "odd"), result=Result.SUCCESS, error=None)
        assert told is None

    def test_is_not_a_node_that_was_killed_with_its_process(self, ledger: Ledger) -> None:
        killed = node("model.sentry.dim_release", 39, 40, status="killed", message=None)
        told = self.cause(ledger, invocation(), killed, result=Result.KILLED, error="dbt: killed")
        assert told == "dbt: killed"


class TestWhatIsUsual:
    def earlier(self, ledger: Ledger, *seconds: float, **fields: object) -> None:
        """Runs of the same job, an hour between them, the newest first."""
        for hours, took in enumerate(seconds, start=1):
            began = -3600.0 * hours
            save(
                ledger,
                run(f"earlier-{hours}", started_us=at(began), ended_us=at(began + took), **fields),
            )

    def test_is_the_median_of_earlier_good_runs(self, ledger: Ledger) -> None:
        save(ledger, run())
        self.earlier(ledger, 20, 30, 400)
        assert queries.record(ledger, RUN_ID).usual_s == 30

    @pytest.mark.parametrize(
        "fields", [{"result": Result.FAILURE}, {"job": "another"}, {"environment": "prod"}]
    )
    def test_is_not_told_by_other_runs(self, ledger: Ledger, fields: dict[str, object]) -> None:
        save(ledger, run())
        self.earlier(ledger, 20, 30, 40, **fields)
        assert queries.record(ledger, RUN_ID).usual_s is None

    def test_is_unknown_after_two_runs(self, ledger: Ledger) -> None:
        save(ledger, run())
        self.earlier(ledger, 20, 30)
        assert queries.record(ledger, RUN_ID).usual_s is None

    def test_rows_are_those_of_the_last_good_run(self, ledger: Ledger) -> None:
        save(ledger, run())
        self.earlier(ledger, 20, 30)
        save(
            ledger,
            StreamSync(run_id="earlier-1", position=0, stream="events", rows=10),
            StreamSync(run_id="earlier-1", position=1, stream="events", rows=5),
            StreamSync(run_id="earlier-2", position=0, stream="events", rows=99),
        )
        assert queries.record(ledger, RUN_ID).rows_before == {"events": 15}


class TestFind:
    @pytest.mark.parametrize("asked", [RUN_ID, RUN_ID[:8], RUN_ID[-4:], RUN_ID[-8:-4], "last"])
    def test_takes_what_observe_runs_shows_and_its_parts(self, ledger: Ledger, asked: str) -> None:
        save(ledger, run())
        assert queries.find(ledger, asked) == RUN_ID
