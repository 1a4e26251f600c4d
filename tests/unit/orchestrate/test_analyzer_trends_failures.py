"""Flaky tests apart from those that fail since a change, and failures brought together by cause."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.trends import flakiness as trends_tests
from orchestrate.analyzer.reports.trends.failures import cause, causes, gist
from orchestrate.ledger.model import Result, Step, StreamSync
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.small_histories import decision, declared, load, node, run

PROJECT = [
    declared("source.p.s.raw"),
    declared("model.p.a", "source.p.s.raw"),
    declared("test.p.check", "model.p.a"),
    declared("test.p.raw_check", "source.p.s.raw"),
]


def results(
    statuses: str, *, begin: int = 0, test: str = "test.p.check", **fields: Any
) -> list[Any]:
    """A run a minute with a test that passes, fails, warns, is skipped or killed, by its letter."""
    words = {"p": "pass", "f": "fail", "w": "warn", "s": "skipped", "k": "killed"}
    rows: list[Any] = []
    for number, letter in enumerate(statuses, start=begin):
        second = number * 60
        told = node(test, words[letter], second + 2, second + 3)
        rows += run(f"run-{number:03}", second, told, **fields)
    return rows


def history(ledger: Ledger, rows: list[Any]) -> History:
    return load(ledger, rows, now_s=100_000)


def flaky(ledger: Ledger, rows: list[Any]) -> list[dict[str, Any]]:
    found = history(ledger, rows)
    listed = trends_tests.flaky(found, trends_tests.executions(found))
    return [{str(name): value for name, value in row.items()} for row in listed.to_dict("records")]


def failing(ledger: Ledger, rows: list[Any]) -> pd.DataFrame:
    found = history(ledger, rows)
    return trends_tests.failing(found, trends_tests.executions(found))


class TestFlaky:
    def test_is_what_passes_and_fails_by_turns(self, ledger: Ledger) -> None:
        (found,) = flaky(ledger, [*PROJECT, *results("ppfppffp")])
        # p-f, f-p, p-f, f-p: 4 flips; 3 of 8 failed, z^2 / 8 = 0.4802: the centre is (0.375 +
        # 0.2401) / 1.4802 = 0.4155, half = 1.96 sqrt(0.2344 / 8 + 0.4802 / 32) / 1.4802 = 0.2787
        assert (found["executions"], found["failed"], found["flips"]) == (8, 3, 4)
        assert found["share_failed"] == 0.375
        assert (found["low"], found["high"]) == pytest.approx((0.1368, 0.6943), abs=1e-4)
        assert (found["environment"], found["target"]) == ("prod", "warehouse")
        assert found["last_failed"] == pd.Timestamp("2026-11-20 12:06:02Z")
        assert found["last_seen"] == pd.Timestamp("2026-11-20 12:07:02Z")

    @pytest.mark.parametrize("statuses", ["pppp", "ffff", "ppff", "ffpp"])
    def test_is_not_what_turns_once_or_never(self, ledger: Ledger, statuses: str) -> None:
        assert flaky(ledger, [*PROJECT, *results(statuses)]) == []

    def test_takes_a_warning_for_a_failure(self, ledger: Ledger) -> None:
        (found,) = flaky(ledger, [*PROJECT, *results("pwp")])
        assert (found["failed"], found["flips"]) == (1, 2)

    def test_takes_no_notice_of_what_has_no_verdict(self, ledger: Ledger) -> None:
        (found,) = flaky(ledger, [*PROJECT, *results("psfkp")])
        assert (found["executions"], found["flips"]) == (3, 2)

    def test_does_not_count_flips_with_which_the_project_changed(self, ledger: Ledger) -> None:
        rows = results("p", manifest_hash="m1") + results("f", begin=1, manifest_hash="m2")
        rows += results("pf", begin=2, manifest_hash="m3")
        assert flaky(ledger, rows) == []

    def test_goes_by_the_compiled_sql_where_the_project_is_not_known(self, ledger: Ledger) -> None:
        rows = results("pfp", manifest_hash=None)
        assert [found["flips"] for found in flaky(ledger, rows)] == [2]

    def test_is_not_proved_where_no_code_is_known(self, ledger: Ledger) -> None:
        rows = results("pfp", manifest_hash=None)
        for row in rows:
            if hasattr(row, "code_hash"):
                row.code_hash = None
        assert flaky(ledger, rows) == []

    def test_does_not_mix_places(self, ledger: Ledger) -> None:
        rows: list[Any] = []
        for number in range(6):
            target = "warehouse" if number % 2 else "sample"
            rows += results("f" if number % 2 else "p", begin=number, target=target)
        assert flaky(ledger, rows) == []

    def test_without_tests_is_empty(self, ledger: Ledger) -> None:
        assert flaky(ledger, run("one", 0, node("a", "success", 1, 2))) == []


class TestSameInput:
    def rows(self, classes: str) -> list[Any]:
        """Test results p f p, and in each run the model built, built identical or reused."""
        rows: list[Any] = list(PROJECT)
        for number, (verdict, letter) in enumerate(
            zip(("pass", "fail", "pass"), classes, strict=True)
        ):
            second = number * 60
            model = node("a", "reused" if letter == "r" else "success", second + 1, second + 2)
            if letter == "r":
                model.started_us = model.ended_us = None
            test = node("test.p.check", verdict, second + 3, second + 4)
            decided = [decision("a", "build", "identical")] if letter == "i" else []
            rows += run(f"run-{number}", second, model, test, decided=decided)
        return rows

    @pytest.mark.parametrize(
        ("classes", "proven"), [("bii", 2), ("brr", 2), ("bib", 1), ("bbi", 1), ("bbb", 0)]
    )
    def test_is_proved_by_what_was_identical_or_reused(
        self, ledger: Ledger, classes: str, proven: int
    ) -> None:
        (found,) = flaky(ledger, self.rows(classes))
        assert (found["flips"], found["flips_same_input"]) == (2, proven)

    def test_is_not_the_same_after_a_build_in_between(self, ledger: Ledger) -> None:
        rows = self.rows("bii")
        rows += run("between", 90, node("a", "success", 91, 92))
        (found,) = flaky(ledger, rows)
        assert found["flips_same_input"] == 1

    def test_is_unknown_of_a_source(self, ledger: Ledger) -> None:
        (found,) = flaky(ledger, [*PROJECT, *results("pfp", test="test.p.raw_check")])
        assert pd.isna(found["flips_same_input"])


class TestFailing:
    def test_tells_since_when_and_that_the_project_is_the_same(self, ledger: Ledger) -> None:
        found = failing(ledger, [*PROJECT, *results("fppff")])
        assert found["since"].tolist() == [pd.Timestamp("2026-11-20 12:03:02Z")]
        assert found["executions_since"].tolist() == [2]
        assert found["change"].tolist() == ["none: the same project passed before"]

    def test_tells_that_the_project_changed(self, ledger: Ledger) -> None:
        rows = results("pp", manifest_hash="old") + results("f", begin=2, manifest_hash="new")
        assert failing(ledger, rows)["change"].tolist() == ["the project"]

    def test_of_what_never_passed_knows_no_change(self, ledger: Ledger) -> None:
        found = failing(ledger, [*PROJECT, *results("ff")])
        assert found["change"].tolist() == ["not known: it failed the first time too"]

    def test_is_over_when_it_passes(self, ledger: Ledger) -> None:
        assert failing(ledger, [*PROJECT, *results("ffp")]).empty

    def test_leaves_out_tests_that_are_no_longer_in_the_project(self, ledger: Ledger) -> None:
        rows = [*PROJECT, *results("pf"), declared("model.p.a", manifest_hash="next")]
        rows += run("later", 600, node("a", "success", 601, 602), manifest_hash="next")
        assert failing(ledger, rows).empty


class TestCause:
    @pytest.mark.parametrize(
        ("message", "found"),
        [
            (
                "Got 3 results, configured to fail if != 0",
                "Got <n> results, configured to fail if != <n>",
            ),
            ("GET /x/ answered 503 after 12.5 s", "GET /x/ answered 503 after <n> s"),
            ("dbt ended with exit code 1", "dbt ended with exit code 1"),
            ("column \"a_1\" not in `t`, see 'v'", "column <name> not in <name>, see <name>"),
            ("run 01a1ffd7-5639-7d5b-969c-4958b9dbe0c3 is gone", "run <id> is gone"),
            ("event deadbeef01234567 is gone", "event <id> is gone"),
            ("no data since 2026-11-20T12:00:00.5Z", "no data since <time>"),
            ("table fct_2 has 1,000 rows", "table fct_2 has <n> rows"),
            ("  two\tspaces  ", "two spaces"),
            ("", "no message"),
        ],
    )
    def test_is_a_message_without_what_differs(self, message: str, found: str) -> None:
        assert cause(message) == found

    def test_is_behind_the_line_that_only_says_where(self) -> None:
        assert gist(records.DATABASE_ERROR).startswith("Binder Error: Referenced column")


class TestCauses:
    def test_bring_messages_together(self, ledger: Ledger) -> None:
        rows: list[Any] = []
        for number, name in enumerate(["a", "b", "a"]):
            broken = node(name, "error", number * 60, number * 60 + 1)
            broken.message = f"Out of Memory Error: no {number} MB"
            rows += run(f"run-{number}", number * 60, broken, result=Result.FAILURE)
        (found,) = causes(history(ledger, rows)).to_dict("records")
        assert found["cause"] == "Out of Memory Error: no <n> MB"
        assert (found["kind"], found["times"], found["runs"], found["places"]) == ("model", 3, 3, 2)
        assert found["where"] == ["a", "b"]
        assert found["first_seen"] == pd.Timestamp("2026-11-20 12:00:01Z")
        assert found["last_seen"] == pd.Timestamp("2026-11-20 12:02:01Z")
        assert found["example"] == "Out of Memory Error: no 2 MB"

    def test_do_not_count_what_follows_from_another(self, ledger: Ledger) -> None:
        broken = node("a", "error", 1, 2)
        broken.message = "no such table"
        rows = run("one", 0, broken, result=Result.FAILURE, error="dbt ended with exit code 1")
        rows += run("two", 60, result=Result.FAILURE, error="dbt ended with exit code 1")
        found = causes(history(ledger, rows))
        assert found[["kind", "cause", "times"]].to_numpy().tolist() == [
            ["run", "dbt ended with exit code 1", 1],
            ["model", "no such table", 1],
        ]

    def test_of_a_tap_are_told_by_stream_in_its_runs_words(self, ledger: Ledger) -> None:
        error = "Extractor failed: GET /events/ answered 503"
        rows = run("one", 0, command=None, result=Result.FAILURE, error=error)
        rows += [
            Step(
                run_id="one",
                position=0,
                name="tap-sentry target-duckdb",
                kind="extract_load",
                started_us=records.at(1),
                ended_us=records.at(9),
                result=Result.FAILURE,
                error="Extractor failed",
            ),
            StreamSync(run_id="one", position=0, stream="issues", result=Result.SUCCESS),
            StreamSync(run_id="one", position=0, stream="events", result=Result.FAILURE),
        ]
        (found,) = causes(history(ledger, rows)).to_dict("records")
        assert (found["kind"], found["where"], found["cause"]) == ("stream", ["events"], error)

    def test_of_a_killed_run_are_its_result_where_nothing_is_said(self, ledger: Ledger) -> None:
        at_work = node("a", "killed", 1, None)
        rows = run("one", 0, at_work, seconds=None, result=Result.KILLED)
        found = causes(history(ledger, rows))
        assert found[["kind", "cause"]].to_numpy().tolist() == [["run", "killed"]]

    def test_are_none_where_all_went_well(self, ledger: Ledger) -> None:
        skipped = node("a", "skipped")
        assert causes(history(ledger, run("one", 0, skipped))).empty
