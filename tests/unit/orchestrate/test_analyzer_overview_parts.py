"""The overview: sentences that cite their numbers, tables, figures."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import pytest

from orchestrate.analyzer.charts import overview as charts
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.report import Report, Tone
from orchestrate.analyzer.reports.overview import report
from orchestrate.ledger.model import Row
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.small_histories import (
    HOUR,
    LIMITS,
    decision,
    declared,
    load,
    node,
    rows_of,
    run,
    said,
)

ISSUES = declared("source.p.s.issues", freshness=LIMITS)
FACT = declared("model.p.fact", "source.p.s.issues")


def of(
    ledger: Ledger, rows: Iterable[Row], *, now_s: float = HOUR, jobs: Iterable[str] = ()
) -> Report:
    return report(load(ledger, rows, now_s=now_s, jobs=jobs), Choice())


class TestInsights:
    def test_count_how_often_a_job_has_failed_in_a_row(self, ledger: Ledger) -> None:
        rows = [
            *run("a", 0, result="failure"),
            *run("b", 100),
            *run("c", 200, result="failure", error="no token"),
            *run("d", 300, result="failure", error="no token"),
            *run("e", 400, job="other"),
        ]
        assert said(of(ledger, rows), Tone.BAD) == [
            "The last 2 runs of hourly (prod) did not succeed, last 2026-11-20 12:05 UTC "
            "(failure): no token."
        ]

    def test_name_late_models_and_the_one_furthest_over_its_limit(self, ledger: Ledger) -> None:
        rows = run("a", 0, node("fact", "success", 0, 20), streams={"issues": (HOUR, 1)})
        found = of(ledger, [ISSUES, FACT, *rows], now_s=4 * HOUR)
        assert (
            "1 of 1 models are late: fact (prod). fact is 4 h old and may be 2 h (source issues)."
            in said(found, Tone.BAD)
        )
        assert any(text.startswith("1 of 1 sources are late") for text in said(found, Tone.WARNING))

    def test_tell_of_a_job_that_takes_longer(self, ledger: Ledger) -> None:
        """Five good runs of 20 s, then five of 30 s: half as long again."""
        rows = [
            row
            for n in range(10)
            for row in run(f"r{n}", n * 100, seconds=20 if n < 5 else 30, command=None)
        ]
        assert said(of(ledger, rows), Tone.WARNING) == [
            "hourly (prod) takes longer: 30.0 s in the median of its newer 5 good runs, 20.0 s in "
            "its older 5 (50 % more)."
        ]

    def test_warn_of_wrong_reuses(self, ledger: Ledger) -> None:
        decided = [decision("a", "reuse", "changed"), decision("b", "reuse", "identical")]
        (text,) = said(of(ledger, run("a", 0, decided=decided)), Tone.BAD)
        assert text.startswith("The reuse planner was wrong in 1 of 2 reuses judged in the shadow")

    def test_name_sources_without_a_limit(self, ledger: Ledger) -> None:
        project = [ISSUES, declared("source.p.s.users"), declared("source.p.s.teams")]
        (text,) = said(of(ledger, [*project, *run("a", 0)]), Tone.WARNING)
        assert text.startswith("2 of 3 sources have no limit (warn_after): teams, users.")

    def test_begin_with_the_worst_and_have_good_news_too(self, ledger: Ledger) -> None:
        rows = [*run("a", 0, result="failure"), *run("b", 100, node("fact", "reused"), job="b")]
        tones = [insight.tone for insight in of(ledger, [ISSUES, FACT, *rows]).insights]
        assert tones == sorted(tones, key=list(Tone)[::-1].index)
        assert (tones[0], tones[-1]) == (Tone.BAD, Tone.GOOD)

    def test_say_what_the_planner_would_be_worth(self, ledger: Ledger) -> None:
        decided = [decision("fact", "reuse", "identical")]
        rows = run("a", 0, node("fact", "success", 0, 40), decided=decided)
        assert (
            "With the reuse planner hourly (prod) would save 40.0 s of 40.0 s of dbt's node time a "
            "day (measured: 1 of 1 builds in 1 shadow runs changed nothing; priority low)."
        ) in said(of(ledger, rows), Tone.NOTE)

    def test_propose_the_shadow_where_nobody_tried_the_planner(self, ledger: Ledger) -> None:
        texts = said(of(ledger, run("a", 0, node("fact", "success", 0, 40))), Tone.NOTE)
        assert any(
            "Nothing is known of reuse in 1 job of dbt: a run with DBT_REUSE" in text
            for text in texts
        )
        texts = said(of(ledger, run("b", 100, node("fact", "reused"))), Tone.NOTE)
        assert not any("Nothing is known" in text for text in texts)

    def test_tell_what_is_late_where_nothing_is_scheduled(self, ledger: Ledger) -> None:
        limits = {"warn_after": {"count": 2, "period": "hour"}}
        project = [declared("source.p.s.issues", freshness=limits)]
        rows = run("a", 0, streams={"issues": (30.0, 5)}, environment="dev", job="by hand")
        rows += run("b", 9 * HOUR, streams={"issues": (9 * HOUR + 30, 5)})
        found = report(load(ledger, [*project, *rows], now_s=10 * HOUR, jobs=["hourly"]), Choice())
        assert any("All 1 models and sources of prod" in text for text in said(found, Tone.GOOD))
        assert said(found, Tone.NOTE)[0] == (
            "Not counted among those in time or late: 1 table of dev older than its limit, where "
            "no run comes by schedule."
        )


class TestTables:
    def test_of_classes_keep_them_apart(self, ledger: Ledger) -> None:
        names = ("built", "reused", "same", "held", "broken", "unasked")
        project = [declared(f"model.p.{name}") for name in names]
        nodes = [
            node("built", "success", 0, 10),
            node("reused", "reused"),
            node("same", "success", 10, 15),
            node("held", "skipped"),
            node("broken", "error", 15, 18),
        ]
        earlier = run("a", 0, node("built", "success", 0, 7))
        rows = run("b", 100, *nodes, decided=[decision("same", "reuse", "identical")])
        found = rows_of(of(ledger, [*project, *earlier, *rows]), "classes")
        counts = {row["node_class"]: (row["nodes"], row["results"]) for row in found}
        assert counts == {
            "success": (1, 2),
            "reused": (1, 1),
            "no-op": (1, 1),
            "skipped": (1, 1),
            "error": (1, 1),
            "not selected": (1, 0),
        }
        assert sum(row["share"] for row in found) == pytest.approx(1)
        assert found[0]["node_seconds"] == 17  # 10 s and 7 s

    def test_of_cadences_count_models_and_those_without(self, ledger: Ledger) -> None:
        paced = {"build_after": {"count": 90, "period": "minute"}}
        project = [FACT, *(declared(f"model.p.{one}", freshness=paced) for one in ("a", "b"))]
        found = of(ledger, [ISSUES, *project, *run("a", 0)]).tables["cadence"].frame
        assert dict(zip(found["cadence"], found["models"], strict=True)) == {
            "1 h 30 min": 2,
            "none": 1,
        }

    def test_of_coverage_have_their_numerators(self, ledger: Ledger) -> None:
        found = rows_of(of(ledger, [ISSUES, FACT, *run("a", 0)]), "coverage")
        assert {row["kind"]: (row["declared"], row["nodes"], row["share"]) for row in found} == {
            "model": (0, 1, 0),
            "source": (1, 1, 1),
        }

    def test_of_four_classes_say_what_each_means(self, ledger: Ledger) -> None:
        found = rows_of(of(ledger, run("a", 0)), "coverage_of_jobs")
        assert {row["coverage"] for row in found} >= {"both", "planner only", "freshness only"}
        assert next(row for row in found if row["coverage"] == "neither")["names"] == ["hourly"]
        assert all(row["meaning"] for row in found)


class TestCharts:
    def test_are_drawn_of_little_and_of_nothing(self, ledger: Ledger) -> None:
        for rows in (
            run("a", 0, command=None),
            [ISSUES, FACT, *run("b", 0, node("fact", "reused"))],
        ):
            tables = {name: told.frame for name, told in of(ledger, rows).tables.items()}
            figures = [
                charts.strip(tables["runs"]),
                charts.adoption(tables["adoption_by_type"]),
                charts.by_job(tables["jobs"]),
                charts.by_type(tables["adoption_by_type"]),
                charts.classes(tables["classes"]),
                charts.cadence(tables["cadence"]),
                charts.coverage(tables["coverage"], 0.8),
            ]
            assert all(figure.layout.paper_bgcolor is None for figure in figures)

    def test_of_runs_have_a_sign_for_each_result(self, ledger: Ledger) -> None:
        rows = [*run("a", 0), *run("b", 100, result="failure"), *run("c", 200, result="killed")]
        traces = charts.strip(of(ledger, rows).tables["runs"].frame).data
        assert {trace.name: trace.marker.symbol for trace in traces} == {
            "success": "circle",
            "failure": "x",
            "killed": "diamond",
        }
        assert {trace.name: list(trace.x) for trace in traces}["killed"] == [3]

    def test_of_adoption_tell_the_share_of_those_that_are_known(self) -> None:
        types = pd.DataFrame({"on": [1], "shadow": [0], "off": [3], "unknown": [4]})
        (text,) = charts.adoption(types).layout.annotations
        assert text.text == "25 %<br>on"
