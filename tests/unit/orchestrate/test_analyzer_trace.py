"""The page `trace`: which run is meant, what it did, what decided its end."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer import loading
from orchestrate.analyzer.charts.trace import path as path_figure
from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report, Tone, as_json
from orchestrate.analyzer.reports import trace
from orchestrate.ledger.model import Record, Result, Row
from orchestrate.ledger.store import Ledger, LedgerError
from tests.unit.orchestrate import records


def rows_of(record: Record) -> list[Row]:
    parts = [*record.steps, *record.streams, *record.requests, *record.retries, *record.skipped]
    return [record.run, *parts, *record.invocations, *record.nodes, *record.manifest_nodes]


def load(ledger: Ledger, rows: list[Row]) -> History:
    with ledger.writing():
        ledger.save(rows)
    return loading.load(ledger.path, days=0, now_us=records.at(3600))


def said(ledger: Ledger, record: Record, **chosen: str) -> Report:
    return trace.report(load(ledger, rows_of(record)), choose(chosen))


def value(found: Report, name: str) -> object:
    return next(metric.value for metric in found.metrics if metric.name == name)


def texts(found: Report, tone: Tone) -> str:
    return "\n".join(insight.text for insight in found.insights if insight.tone is tone)


class TestWhichRun:
    def history(self, ledger: Ledger) -> History:
        runs: list[Row] = [
            records.run("aaaa1111", environment="demo", started_us=records.at(0)),
            records.run("bbbb2222", environment="prod", started_us=records.at(60)),
        ]
        return load(ledger, runs)

    def test_last_is_the_newest_of_what_was_chosen(self, ledger: Ledger) -> None:
        history = self.history(ledger)
        assert trace.find(history, "last") == "bbbb2222"
        assert trace.find(history.chosen(choose({"environment": "demo"})), "last") == "aaaa1111"

    def test_digits_are_looked_for_in_the_whole_ledger(self, ledger: Ledger) -> None:
        demo = self.history(ledger).chosen(choose({"environment": "demo"}))
        assert trace.find(demo, "bbbb") == "bbbb2222"

    def test_an_unknown_run_is_one_line(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match="does not have a run cccc") as error:
            trace.report(self.history(ledger), choose({"run": "cccc"}))
        assert "\n" not in str(error.value)

    def test_digits_of_several_runs_are_one_line(self, ledger: Ledger) -> None:
        history = load(ledger, [records.run("aaaa1111"), records.run("aaaa2222")])
        with pytest.raises(LedgerError, match="aaaa may be any of 2 runs"):
            trace.find(history, "aaaa")

    def test_an_empty_ledger_says_what_to_do(self, ledger: Ledger) -> None:
        found = trace.report(load(ledger, []), choose({}))
        assert found.empty
        assert "meltano run" in found.empty


class TestReport:
    def test_counts_what_the_run_did(self, ledger: Ledger) -> None:
        found = said(ledger, records.demo_like())
        assert value(found, "Result") == "failure"
        assert value(found, "Duration") == 60
        assert value(found, "Rows") == 120 + 250 + 1 + 6
        # 14 nodes, of which one was skipped.
        assert value(found, "Nodes") == 13

    def test_tells_the_cause(self, ledger: Ledger) -> None:
        found = said(ledger, records.demo_like())
        told = texts(found, Tone.BAD)
        assert told.startswith("The run ended with failure: ")
        assert "\n" not in told

    def test_tells_what_sentry_would_not_give(self, ledger: Ledger) -> None:
        told = texts(said(ledger, records.demo_like()), Tone.WARNING)
        assert "Sentry would not give 2 parts, one of them events project payments" in told

    def test_steps_have_their_share_of_the_run(self, ledger: Ledger) -> None:
        steps = said(ledger, records.demo_like()).tables["steps"].frame
        # From 1 to 30 s and from 31 to 59 s, of 60 s.
        assert list(steps["seconds"]) == [29, 28]
        assert list(steps["share"]) == [pytest.approx(29 / 60), pytest.approx(28 / 60)]

    def test_nodes_are_the_slowest_first_and_the_skipped_without_seconds(
        self, ledger: Ledger
    ) -> None:
        nodes = said(ledger, records.demo_like()).tables["nodes"].frame
        assert nodes.iloc[0]["unique_id"] == "model.sentry.fct_activity"
        assert nodes.iloc[0]["seconds"] == 6
        assert nodes.iloc[-1]["status"] == "skipped"
        assert pd.isna(nodes.iloc[-1]["seconds"])

    def test_a_killed_run_has_no_duration(self, ledger: Ledger) -> None:
        found = said(ledger, records.killed())
        assert value(found, "Result") == "killed"
        assert value(found, "Last heard after") == 43
        steps = found.tables["steps"].frame
        assert pd.isna(steps.iloc[-1]["seconds"])
        assert as_json(found)["tables"]["steps"][-1]["share"] is None

    def test_a_run_under_way_is_told(self, ledger: Ledger) -> None:
        record = records.killed()
        record.run.result = None
        found = said(ledger, record)
        assert value(found, "Result") == "running"
        assert "last heard of after 43.0 s" in texts(found, Tone.NOTE)

    def test_a_run_of_dbt_alone_has_no_rows(self, ledger: Ledger) -> None:
        found = said(ledger, records.only_dbt())
        assert value(found, "Rows") is None
        assert found.tables["streams"].frame.empty

    def test_a_run_without_dbt_has_no_nodes(self, ledger: Ledger) -> None:
        record = records.demo_like()
        record.invocations, record.nodes, record.manifest_nodes = [], [], []
        found = said(ledger, record)
        assert value(found, "Nodes") is None
        assert found.tables["nodes"].frame.empty

    def test_a_run_of_nothing_is_all_overhead(self, ledger: Ledger) -> None:
        found = said(ledger, Record(run=records.run(result=Result.SUCCESS)))
        assert list(found.tables["path_kinds"].frame["parts"].iloc[:1]) == [1]

    def test_is_slow_where_good_runs_before_took_less(self, ledger: Ledger) -> None:
        earlier: list[Row] = [
            records.run(
                f"earlier-{number}",
                started_us=records.at(-100 * number),
                heard_us=records.at(-100 * number + 20),
                ended_us=records.at(-100 * number + 20),
            )
            for number in range(1, 6)
        ]
        history = load(ledger, [*earlier, records.run()])
        found = trace.report(history, choose({}))
        # 60 s, and 20 s before.
        told = "1 min, 3.00 times as long as good runs of the job usually do (20.0 s)"
        assert told in texts(found, Tone.WARNING)


class TestCriticalPath:
    def test_adds_up_to_the_run(self, ledger: Ledger) -> None:
        tables = said(ledger, records.demo_like()).tables
        assert tables["path"].frame["seconds"].sum() == pytest.approx(60)
        assert tables["path"].frame["share"].sum() == pytest.approx(1)
        assert tables["path_kinds"].frame["share"].sum() == pytest.approx(1)

    def test_names_its_nodes_the_longest_first(self, ledger: Ledger) -> None:
        path = said(ledger, records.demo_like()).tables["path"].frame
        assert path["seconds"].is_monotonic_decreasing
        fact = path[path["unique_id"] == "model.sentry.fct_activity"].iloc[0]
        # From 44 to 50 s, of 60 s.
        assert (fact["after_seconds"], fact["seconds"]) == (44, 6)
        assert fact["share"] == pytest.approx(0.1)

    def test_marks_them_among_the_nodes(self, ledger: Ledger) -> None:
        nodes = said(ledger, records.demo_like()).tables["nodes"].frame.set_index("unique_id")
        assert nodes.loc["model.sentry.fct_activity", "is_critical"]
        assert not nodes.loc["model.sentry.fct_errors", "is_critical"]

    def test_is_drawn_by_kinds(self, ledger: Ledger) -> None:
        figure = path_figure(said(ledger, records.demo_like()).tables["path"].frame)
        assert {bar.name.split()[0] for bar in figure.data} <= {"work", "wait", "overhead"}
        assert sum(sum(bar.x) for bar in figure.data) == pytest.approx(60)


class TestDocument:
    def test_is_the_page_that_observe_writes(self, ledger: Ledger) -> None:
        history = load(ledger, rows_of(records.demo_like()))
        text = trace.document(trace.read(history, records.RUN_ID))
        assert text.startswith("<!doctype html>")
        assert "Content-Security-Policy" in text
        assert records.RUN_ID in text
