"""Page "overlap": which builds of one relation by several jobs were redundant."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from orchestrate.analyzer import report as reports
from orchestrate.analyzer.choice import choose
from orchestrate.analyzer.report import Report, Tone
from orchestrate.analyzer.reports.overlap import report
from orchestrate.ledger.model import ManifestNode, NodeRun, Result, Row, StreamSync
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.analyzer_rows import (
    DAY,
    HOUR,
    NOW,
    all_rows,
    called,
    decision,
    load,
    model,
    reused,
    run,
)

OTHER_CODE = "1" * 64


def project() -> list[Row]:
    """The source `issues`, the view `stg` on it, the table `int` on that, the table `fct` on it."""
    parents = {
        "source.sentry.sentry.issues": [],
        "model.sentry.stg": ["source.sentry.sentry.issues"],
        "model.sentry.int": ["model.sentry.stg"],
        "model.sentry.fct": ["model.sentry.int"],
    }
    return [records.described(unique_id, above) for unique_id, above in parents.items()]


def build(
    run_id: str, begin: float, *names: str, job: str = "hourly", **fields: object
) -> list[Row]:
    """A run of 100 s whose call of dbt builds these models one after the other in 10 s each."""
    rows: list[Row] = [run(run_id, begin, begin + 100, job), called(run_id, begin, begin + 100)]
    for place, name in enumerate(names):
        start = begin + 10 + 10 * place
        kind = "view" if name == "stg" else "table"
        rows.append(model(run_id, name, start, start + 10, **({"materialized": kind} | fields)))
    return rows


def sync(run_id: str, begin: float, stored_rows: int, **fields: object) -> StreamSync:
    """The stream `issues` in a run, for 5 s."""
    stream = records.stream("issues", begin, begin + 5, rows=stored_rows, **fields)
    return msgspec.structs.replace(stream, run_id=run_id)


def twice(*more: Row, names: tuple[str, ...] = ("int",)) -> list[Row]:
    """`hourly` builds at 0 s, `nightly` at 1,000 s; the stream was loaded before, at -100 s."""
    loaded = [run("load", -200, -100, "load"), sync("load", -100, 50)]
    first, second = build("first", 0, *names), build("second", 1000, *names, job="nightly")
    return [*project(), *loaded, *first, *second, *more]


def found(ledger: Ledger, rows: Sequence[Row], **chosen: object) -> Report:
    choice = choose({"machine_hour": 3.6, "days": 0, **chosen})
    return report(load(ledger, rows).chosen(choice), choice)


def verdicts(said: Report, name: str = "int") -> tuple[int, int, int]:
    """Redundant, needed, unknown builds of a model."""
    relations = said.tables["relations"].frame.set_index("name")
    redundant, needed, unknown = relations.loc[name, ["redundant", "needed", "unknown"]]
    return redundant, needed, unknown


def values(said: Report) -> dict[str, object]:
    return {metric.name: metric.value for metric in said.metrics}


REDUNDANT, NEEDED, UNKNOWN = (1, 0, 0), (0, 1, 0), (0, 0, 1)


class TestRelations:
    def test_overlap_where_two_jobs_build_them(self, ledger: Ledger) -> None:
        # int by both, fct by one of them.
        rows = [*twice(), *build("third", 3000, "fct")]
        said = found(ledger, rows)
        assert values(said)["Relations built"] == 2
        assert values(said)["Built by several jobs"] == 1
        assert values(said)["Overlap"] == 0.5
        relations = said.tables["relations"].frame
        assert relations["name"].tolist() == ["int"]
        assert relations["jobs"].tolist() == [["hourly", "nightly"]]

    @pytest.mark.parametrize("place", ["environment", "target", "relation"])
    def test_do_not_overlap_in_other_places(self, ledger: Ledger, place: str) -> None:
        other: dict[str, object] = {place: '"other"."main"."int"'}
        for_run = other if place == "environment" else {}
        for_call = {} if place == "relation" else other
        for_node = other if place == "relation" else {}
        second = [
            run("second", 1000, 1100, "nightly", **for_run),
            called("second", 1000, 1100, "", **for_call),
            model("second", "int", 1010, 1020, **for_node),
        ]
        said = found(ledger, [*project(), *build("first", 0, "int"), *second])
        assert values(said)["Relations built"] == 2
        assert values(said)["Built by several jobs"] == 0
        assert [one.tone for one in said.insights] == [Tone.GOOD]

    @pytest.mark.parametrize("status", ["skipped", "error", "no-op", None])
    def test_are_not_built_by_what_did_nothing_or_failed(
        self, ledger: Ledger, status: str | None
    ) -> None:
        second = [
            run("second", 1000, 1100, "nightly"),
            called("second", 1000, 1100),
            model("second", "int", 1010, 1020, status=status),
        ]
        said = found(ledger, [*project(), *build("first", 0, "int"), *second])
        assert values(said)["Built by several jobs"] == 0

    def test_are_not_built_where_they_are_reused(self, ledger: Ledger) -> None:
        second = [run("second", 1000, 1100, "nightly"), called("second", 1000, 1100)]
        rows = [*project(), *build("first", 0, "int"), *second, *reused("second", "int")]
        assert values(found(ledger, rows))["Built by several jobs"] == 0

    def test_are_not_tests(self, ledger: Ledger) -> None:
        test = "test.sentry.unique"
        rows: list[Row] = []
        for run_id, begin, job in (("first", 0, "hourly"), ("second", 1000, "nightly")):
            rows += build(run_id, begin, "int", job=job)
            rows.append(records.node(test, begin + 50, begin + 51, invocation_id=run_id))
        assert values(found(ledger, [*project(), *rows]))["Relations built"] == 1


class TestVerdict:
    def test_is_redundant_where_nothing_upstream_changed(self, ledger: Ledger) -> None:
        said = found(ledger, twice())
        assert verdicts(said) == REDUNDANT
        # One build of 10 s at 0.001 a second, in ten days.
        assert values(said)["Redundant builds"] == 1
        assert values(said)["Redundant time"] == pytest.approx(10.0)
        assert values(said)["Redundant cost"] == pytest.approx(0.010)
        assert values(said)["Redundant per day"] == pytest.approx(0.0010, rel=1e-3)

    def test_is_needed_where_a_stream_stored_rows_between(self, ledger: Ledger) -> None:
        more = [run("more", 490, 510, "load"), sync("more", 500, 7)]
        assert verdicts(found(ledger, twice(*more))) == NEEDED

    def test_is_redundant_where_a_stream_had_nothing_new(self, ledger: Ledger) -> None:
        more = [run("more", 490, 510, "load"), sync("more", 500, 0)]
        assert verdicts(found(ledger, twice(*more))) == REDUNDANT

    @pytest.mark.parametrize("begin", [-500.0, 1500.0], ids=["before", "after"])
    def test_does_not_look_at_what_came_earlier_or_later(
        self, ledger: Ledger, begin: float
    ) -> None:
        more = [run("more", begin, begin + 20, "load"), sync("more", begin, 7)]
        assert verdicts(found(ledger, twice(*more))) == REDUNDANT

    def test_is_needed_where_rows_were_stored_while_the_first_was_built(
        self, ledger: Ledger
    ) -> None:
        # The first build read from 10 to 20 s; the stream stored from 8 to 13 s.
        more = [run("more", 0, 20, "load"), sync("more", 8, 7)]
        assert verdicts(found(ledger, twice(*more))) == NEEDED

    def test_does_not_look_at_streams_of_other_environments(self, ledger: Ledger) -> None:
        more = [run("more", 490, 510, "load", environment="dev"), sync("more", 500, 7)]
        assert verdicts(found(ledger, twice(*more))) == REDUNDANT

    def test_is_unknown_where_a_load_ended_badly(self, ledger: Ledger) -> None:
        more = [run("more", 490, 510, "load"), sync("more", 500, 0, result=Result.KILLED)]
        assert verdicts(found(ledger, twice(*more))) == UNKNOWN

    def test_is_unknown_where_nobody_saw_the_source_being_loaded(self, ledger: Ledger) -> None:
        rows = [row for row in twice() if not isinstance(row, StreamSync)]
        said = found(ledger, rows)
        assert verdicts(said) == UNKNOWN
        assert values(said)["Redundant builds"] is None
        assert values(said)["Redundant cost"] is None
        assert values(said)["Not known"] == 1

    def test_is_unknown_without_the_project(self, ledger: Ledger) -> None:
        rows = [row for row in twice() if not isinstance(row, ManifestNode)]
        assert verdicts(found(ledger, rows)) == UNKNOWN

    def test_is_needed_where_the_sql_is_other(self, ledger: Ledger) -> None:
        rows = twice()
        for row in rows:
            if isinstance(row, NodeRun) and row.invocation_id == "second":
                row.code_hash = OTHER_CODE
        assert verdicts(found(ledger, rows)) == NEEDED

    def test_is_unknown_where_the_sql_is(self, ledger: Ledger) -> None:
        rows = twice()
        for row in rows:
            if isinstance(row, NodeRun) and row.invocation_id == "second":
                row.code_hash = None
        assert verdicts(found(ledger, rows)) == UNKNOWN

    def test_is_unknown_where_a_table_above_was_rebuilt_and_not_compared(
        self, ledger: Ledger
    ) -> None:
        said = found(ledger, twice(names=("int", "fct")))
        assert verdicts(said) == REDUNDANT
        assert verdicts(said, "fct") == UNKNOWN

    def test_is_redundant_where_a_table_above_came_out_as_it_was(self, ledger: Ledger) -> None:
        same = decision("second", "int", mode="shadow", outcome="identical")
        assert verdicts(found(ledger, twice(same, names=("int", "fct"))), "fct") == REDUNDANT

    def test_is_needed_where_a_table_above_came_out_otherwise(self, ledger: Ledger) -> None:
        other = decision("second", "int", decision="build", reason="input", outcome="changed")
        said = found(ledger, twice(other, names=("int", "fct")))
        assert verdicts(said, "fct") == NEEDED
        assert verdicts(said) == NEEDED  # it came out otherwise itself

    def test_is_redundant_where_only_a_view_above_was_built_again(self, ledger: Ledger) -> None:
        assert verdicts(found(ledger, twice(names=("stg", "int")))) == REDUNDANT

    def test_is_needed_where_a_view_above_has_other_sql(self, ledger: Ledger) -> None:
        rows = twice(names=("stg", "int"))
        for row in rows:
            if isinstance(row, NodeRun) and (row.invocation_id, row.name) == ("second", "stg"):
                row.code_hash = OTHER_CODE
        assert verdicts(found(ledger, rows)) == NEEDED

    def test_is_unknown_where_a_table_above_was_killed(self, ledger: Ledger) -> None:
        killed = [
            run("killed", 500, 600, "by hand", result=Result.KILLED),
            called("killed", 500, 600, ended_us=None),
            model("killed", "int", 510, None, status="killed"),
        ]
        rows = [*twice(names=("fct",)), *killed]
        assert verdicts(found(ledger, rows), "fct") == UNKNOWN

    def test_is_redundant_where_a_table_above_failed(self, ledger: Ledger) -> None:
        failed = build("failed", 500, "int", job="by hand", status="error")
        assert verdicts(found(ledger, [*twice(names=("fct",)), *failed]), "fct") == REDUNDANT

    def test_takes_its_own_contents_for_a_proof(self, ledger: Ledger) -> None:
        same = decision("second", "fct", mode="shadow", outcome="identical")
        assert verdicts(found(ledger, twice(same, names=("int", "fct"))), "fct") == REDUNDANT

    def test_is_not_asked_of_builds_of_one_job(self, ledger: Ledger) -> None:
        # hourly, hourly, nightly, hourly: two follow one by another job.
        rows = [*twice(), *build("early", -1000, "int"), *build("late", 2000, "int")]
        said = found(ledger, rows)
        assert sum(verdicts(said)) == 2
        assert said.tables["relations"].frame["builds"].tolist() == [4]

    @pytest.mark.parametrize(
        "chosen",
        [{"job": ["hourly", "nightly"]}, {"result": ["success"]}, {"target": "warehouse"}],
        ids=["job", "result", "target"],
    )
    def test_is_unknown_where_a_filter_hides_what_may_have_changed_rows(
        self, ledger: Ledger, chosen: dict[str, object]
    ) -> None:
        said = found(ledger, twice(), **chosen)
        assert verdicts(said) == UNKNOWN
        [insight] = said.insights
        assert insight.tone is Tone.WARNING
        assert next(iter(chosen)) in insight.text

    def test_is_told_in_one_environment_alone(self, ledger: Ledger) -> None:
        assert verdicts(found(ledger, twice(), environment="prod")) == REDUNDANT


class TestJobs:
    def test_are_told_with_how_often_they_run(self, ledger: Ledger) -> None:
        # Begins at 0, 1, 2 and 5 h: 1, 1 and 3 h between them.
        rows = [row for hour in (0, 1, 2, 5) for row in build(f"r{hour}", hour * HOUR, "int")]
        rows.append(run("load", 10, 20, "load"))
        jobs = found(ledger, [*project(), *rows]).tables["jobs"].frame.set_index("job")
        assert jobs.loc["hourly", ["runs", "every_seconds", "relations"]].tolist() == [4, HOUR, 1]
        assert jobs.loc["hourly", "targets"] == ["warehouse"]
        assert jobs.loc["hourly", "build_seconds"] == pytest.approx(40.0)
        assert jobs.loc["load", ["runs", "relations"]].tolist() == [1, 0]
        assert jobs.loc["load", "targets"] == []
        assert jobs["every_seconds"].isna().tolist() == [False, True]

    def test_stand_side_by_side_with_what_they_share(self, ledger: Ledger) -> None:
        rows = [*build("a", 0, "int", "fct"), *build("b", 1000, "int", "stg", "fct", job="nightly")]
        rows += build("c", 2000, "stg", job="by hand")
        matrix = found(ledger, [*project(), *rows]).tables["matrix"].frame.set_index("job")
        assert list(matrix.index) == ["prod: by hand", "prod: hourly", "prod: nightly"]
        assert matrix.to_numpy().tolist() == [[1, 0, 1], [0, 2, 2], [1, 2, 3]]

    def test_are_mapped_to_what_they_build(self, ledger: Ledger) -> None:
        mapping = found(ledger, [*twice(), *build("late", 2000, "int")]).tables["mapping"].frame
        assert mapping[["job", "builds"]].to_numpy().tolist() == [["hourly", 2], ["nightly", 1]]
        assert mapping["machine_seconds"].tolist() == pytest.approx([20.0, 10.0])


def cadence(
    seldom: str, *, every: float, times: int, new_rows: tuple[int, ...] = (), more: str = ""
) -> list[Row]:
    """`hourly` builds `int` each hour; the other job does 600 s later, at its own cadence.

    Between the two of these numbers the stream stores rows; and once an hour before `hourly`.
    """
    rows: list[Row] = [*project()]
    hours = round(every * (times - 1) / HOUR) + 1
    for hour in range(hours):
        rows += [*build(f"h{hour}", hour * HOUR, "int")]
        rows += [run(f"l{hour}", hour * HOUR - 60, hour * HOUR - 50, "load")]
        rows.append(sync(f"l{hour}", hour * HOUR - 60, 5))
    for number in range(times):
        begin = number * every + 600
        names = ("int", more) if more and not number else ("int",)
        rows += build(f"s{number}", begin, *names, job=seldom)
        if number in new_rows:
            rows.append(run(f"n{number}", begin - 100, begin - 90, "load"))
            rows.append(sync(f"n{number}", begin - 100, 5))
    return rows


class TestProposals:
    def propose(self, ledger: Ledger, rows: list[Row]) -> dict[str, object]:
        [proposal] = reports.rows(found(ledger, rows).tables["proposals"].frame)
        return proposal

    def test_leave_out_what_a_more_frequent_job_covers(self, ledger: Ledger) -> None:
        made = self.propose(ledger, cadence("daily", every=DAY, times=3))
        assert (made["action"], made["job"], made["other_job"]) == ("leave out", "hourly", "daily")
        assert "hourly (every 1 h) covers daily (every 1 d)" in str(made["proposal"])
        assert "leave its dbt step out of daily" in str(made["proposal"])
        # Three builds of daily found nothing new; two of hourly came after new rows.
        assert (made["redundant"], made["needed"], made["unknown"]) == (3, 2, 0)
        # 30 s in ten days and a minute, since the first load.
        assert made["redundant_seconds_per_day"] == pytest.approx(3.0, rel=1e-3)
        assert made["redundant_cost_per_day"] == pytest.approx(0.003, rel=1e-3)
        assert made["priority"] == "low"

    def test_leave_out_only_the_relations_that_both_build(self, ledger: Ledger) -> None:
        made = self.propose(ledger, cadence("daily", every=DAY, times=3, more="fct"))
        assert "leave the 1 relations that both build out of daily" in str(made["proposal"])

    def test_keep_a_seldom_job_that_mostly_finds_something_new(self, ledger: Ledger) -> None:
        made = self.propose(ledger, cadence("daily", every=DAY, times=3, new_rows=(0, 1)))
        assert made["action"] == "reuse"
        assert "1 of 5 builds that can be judged were redundant" in str(made["proposal"])

    def test_keep_both_where_every_build_was_needed(self, ledger: Ledger) -> None:
        made = self.propose(ledger, cadence("daily", every=DAY, times=3, new_rows=(0, 1, 2)))
        assert (made["action"], made["priority"]) == ("keep both", "none")

    def test_merge_jobs_that_run_as_often_as_each_other(self, ledger: Ledger) -> None:
        loaded = [run("load", -200, -100, "load"), sync("load", -100, 50)]
        rows = [*project(), *loaded]
        for hour in range(3):
            rows += build(f"a{hour}", hour * HOUR, "int")
            rows += build(f"b{hour}", hour * HOUR + 600, "int", job="twin")
        made = self.propose(ledger, rows)
        assert made["action"] == "merge"
        # Each but the first follows one by the other.
        assert "5 of 5 builds" in str(made["proposal"])

    def test_measure_where_nothing_is_known(self, ledger: Ledger) -> None:
        rows = [row for row in twice() if not isinstance(row, ManifestNode)]
        made = self.propose(ledger, rows)
        assert made["action"] == "measure"
        assert "--reuse shadow" in str(made["proposal"])
        assert "ran once" in str(made["proposal"])

    def test_do_not_call_a_job_covered_whose_cadence_is_unknown(self, ledger: Ledger) -> None:
        assert self.propose(ledger, twice())["action"] == "reuse"

    @pytest.mark.parametrize(
        ("seconds", "priority"),
        [(7000, "high"), (700, "medium"), (7, "low")],
        ids=["high", "medium", "low"],
    )
    def test_have_a_priority_by_redundant_seconds_a_day(
        self, ledger: Ledger, seconds: float, priority: str
    ) -> None:
        # In ten days: 700, 70 or 0.7 s a day.
        rows = [
            row
            for row in twice()
            if getattr(row, "invocation_id", getattr(row, "run_id", "")) != "second"
        ]
        rows += [
            run("second", 1000, 9000, "nightly"),
            called("second", 1000, 9000),
            model("second", "int", 1010, 1010 + seconds),
        ]
        assert self.propose(ledger, rows)["priority"] == priority


class TestNothing:
    def test_says_what_to_do(self, ledger: Ledger) -> None:
        said = found(ledger, [])
        assert said.empty is not None
        assert "meltano run" in said.empty

    def test_says_so_too_where_dbt_never_ran(self, ledger: Ledger) -> None:
        assert found(ledger, [run("r", 0, 10)]).empty is not None

    def test_is_told_of_a_run_that_was_killed(self, ledger: Ledger) -> None:
        said = found(ledger, all_rows(records.killed()))
        # A seed and two views were built before; what was at work was not, dim_release failed.
        assert values(said)["Relations built"] == 3
        assert said.tables["proposals"].frame.empty

    def test_goes_out_as_json(self, ledger: Ledger) -> None:
        said = reports.as_json(found(ledger, twice()))
        assert said["tables"]["relations"][0]["jobs"] == ["hourly", "nightly"]
        assert "nan" not in str(said)

    def test_has_a_window_of_ten_days_here(self) -> None:
        assert NOW == 10 * DAY
