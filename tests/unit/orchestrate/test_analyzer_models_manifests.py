"""The page `models`: how the project changed, what is said where little is known, its figures."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from orchestrate.analyzer.charts import models as charts
from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.report import as_json
from orchestrate.ledger.model import ManifestNode, Result
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.model_runs import (
    FACTS,
    LEFT,
    MART,
    NEW,
    STAGED,
    Runs,
    decided,
    described,
    looked,
    metric,
    project,
    ran,
    texts,
)

OLD = "a" * 64
BRANCH = "ab" + "c" * 62


def older() -> list[ManifestNode]:
    """The project before: without the mart, with a model that is gone, the facts a view of Bo's."""
    kept = [node for node in project() if node.unique_id != MART]
    facts = next(node for node in kept if node.unique_id == FACTS)
    facts.owner = "Bo"
    facts.depends_on = [facts.depends_on[1], facts.depends_on[0]]
    facts.config = facts.config | {"materialized": "view", "tags": ["twice"]}
    return [
        ManifestNode(**{name: getattr(node, name) for name in node.__struct_fields__})
        for node in [*kept, described("model.sentry.gone")]
    ]


@pytest.fixture
def runs(ledger: Ledger) -> Runs:
    """Runs of a ledger that knows the project as it was, too."""
    for node in (found := older()):
        node.manifest_hash = OLD
    ledger.save(found)
    return Runs(ledger)


class TestManifests:
    def test_are_listed_the_newest_first(self, runs: Runs) -> None:
        runs.add(manifest_hash=OLD)
        runs.add(manifest_hash=OLD, environment="dev")
        runs.add(manifest_hash=NEW)
        frame = runs.report().tables["manifests"].frame
        assert list(frame["manifest"]) == ["b" * 12, "a" * 12]
        assert list(frame["runs"]) == [1, 2]
        assert list(frame["environments"]) == [["prod"], ["dev", "prod"]]
        assert [f"{at:%H:%M:%S}" for at in frame["first_used_at"]] == ["14:00:05", "12:00:05"]
        assert [f"{at:%H:%M:%S}" for at in frame["last_used_at"]] == ["14:00:05", "13:00:05"]

    def test_differ_by_nodes_and_by_what_these_are(self, runs: Runs) -> None:
        runs.add(manifest_hash=OLD)
        runs.add(manifest_hash=NEW)
        found = runs.report()
        rows = found.tables["changes"].frame[["change", "name", "what", "before", "after"]]
        assert [tuple(row) for row in rows.fillna("").itertuples(index=False)] == [
            ("added", "mart", "", "", ""),
            ("removed", "gone", "", "", ""),
            # What it reads is the same in another order; the config's tags are the node's.
            ("changed", "facts", "owner", "Bo", "Ana"),
            ("changed", "facts", "config: materialized", "view", "table"),
        ]
        counts = [metric(found, f"{name} nodes") for name in ("Added", "Removed", "Changed")]
        assert counts == [1, 1, 1]
        assert "1 added, 1 removed, 1 changed." in texts(found.insights)

    def test_are_compared_the_way_that_was_chosen(self, runs: Runs) -> None:
        runs.add(manifest_hash=OLD)
        runs.add(manifest_hash=NEW)
        found = runs.report(manifest="aaa", other_manifest="bbb")
        assert found.tables["changes"].title == f"From {'b' * 12} to {'a' * 12}"
        assert list(found.tables["changes"].frame["name"][:2]) == ["gone", "mart"]

    def test_are_compared_with_the_newest_other_one(self, runs: Runs) -> None:
        runs.ledger.save([described(LEFT, manifest_hash=BRANCH)])
        runs.add(manifest_hash=OLD)
        runs.add(manifest_hash=NEW)
        runs.add(manifest_hash=BRANCH)
        assert runs.report().tables["changes"].title == f"From {NEW[:12]} to {BRANCH[:12]}"
        one = runs.report(manifest="b").tables["changes"].title
        assert one == f"From {BRANCH[:12]} to {NEW[:12]}"
        other = runs.report(other_manifest="abc").tables["changes"].title
        assert other == f"From {BRANCH[:12]} to {NEW[:12]}"

    @pytest.mark.parametrize(
        ("chosen", "said"),
        [
            ({"manifest": "dd"}, "manifest is 'dd': no run of this window used it. There are "),
            ({"other_manifest": "a"}, "other_manifest is 'a': 2 begin so. Give more digits: "),
        ],
        ids=["unknown", "ambiguous"],
    )
    def test_must_be_named_well(self, runs: Runs, chosen: dict[str, Any], said: str) -> None:
        runs.ledger.save([described(LEFT, manifest_hash=BRANCH)])
        for manifest_hash in (OLD, NEW, BRANCH):
            runs.add(manifest_hash=manifest_hash)
        with pytest.raises(ChoiceError) as caught:
            runs.report(**chosen)
        assert said in str(caught.value)

    def test_are_not_compared_where_there_is_one(self, runs: Runs) -> None:
        runs.add()
        found = runs.report()
        assert "changes" not in found.tables
        assert "All 1 runs of dbt in this window read the same project." in texts(found.insights)

    def test_are_not_compared_where_one_was_not_kept(self, runs: Runs) -> None:
        runs.add(manifest_hash=BRANCH)
        runs.add(manifest_hash=NEW)
        found = runs.report()
        assert "changes" not in found.tables
        assert f"does not hold the nodes of manifest {BRANCH[:12]}" in texts(found.insights)


class TestCompiledSql:
    def test_differs_where_no_code_is_common(self, runs: Runs) -> None:
        runs.add(ran(FACTS, code_hash="1"), ran(STAGED, code_hash="1"), manifest_hash=OLD)
        runs.add(ran(FACTS, code_hash="2"), ran(STAGED, code_hash="1"))
        found = runs.report()
        frame = found.tables["changes"].frame
        assert list(frame.loc[frame["what"] == "compiled SQL", "name"]) == ["facts"]
        assert metric(found, "Other SQL") == 1

    def test_is_the_same_where_a_run_of_each_compiled_it_so(self, runs: Runs) -> None:
        # Of an incremental model the first build compiles to other SQL.
        runs.add(ran(FACTS, code_hash="first"), manifest_hash=OLD)
        runs.add(ran(FACTS, code_hash="later"), manifest_hash=OLD)
        runs.add(ran(FACTS, code_hash="later"))
        assert metric(runs.report(), "Other SQL") == 0

    def test_is_unknown_where_they_ran_on_different_targets(self, runs: Runs) -> None:
        runs.add(ran(FACTS, code_hash="1"), manifest_hash=OLD, target="sample")
        runs.add(ran(FACTS, code_hash="2"))
        assert metric(runs.report(), "Other SQL") is None

    def test_is_unknown_of_what_has_no_code(self, runs: Runs) -> None:
        runs.add(ran(FACTS, code_hash=None), manifest_hash=OLD)
        runs.add(ran(FACTS, code_hash="2"))
        assert metric(runs.report(), "Other SQL") is None


class TestWhereLittleIsKnown:
    def test_says_what_to_do_without_any_run(self, runs: Runs) -> None:
        assert "meltano invoke dbt:build" in str(runs.report().empty)

    def test_says_what_to_do_without_dbt(self, runs: Runs) -> None:
        runs.ledger.save([records.run("r")])
        assert "meltano invoke dbt:build" in str(runs.report().empty)

    def test_says_what_to_do_without_the_projects_nodes(self, runs: Runs) -> None:
        runs.add(ran(FACTS), manifest_hash="c" * 64)
        assert "meltano invoke dbt:build" in str(runs.report().empty)

    def test_does_without_results(self, runs: Runs) -> None:
        runs.add()
        frame = runs.report().tables["nodes"].frame
        built = frame[frame["resource_type"].isin(["model", "seed"])]
        assert set(built["node_class"].dropna()) == {"not selected"}

    def test_takes_a_run_that_is_under_way(self, runs: Runs) -> None:
        at_work = ran(FACTS, None)
        at_work.ended_us = None
        runs.add(at_work)
        run = records.run("r0", ended_us=None, result=None)
        invocation = records.invocation(run_id="r0", ended_us=None, result=None, manifest_hash=NEW)
        invocation.invocation_id = "i0"
        runs.ledger.save([run, invocation])
        facts = runs.node(FACTS)
        assert facts["last_classes"] == "·"
        assert pd.isna(facts["node_class"])
        counts = runs.report(owner=["Ana"]).tables["classes"].frame
        assert list(counts["node_class"]) == ["under way"]

    def test_becomes_json_and_csv_whatever_is_missing(self, runs: Runs) -> None:
        runs.add(ran(FACTS, "skipped"), decided(FACTS, "build", "new"), manifest_hash=OLD)
        runs.add(looked("runtime error", None, 30), ran(MART, "killed"))
        for model in ("", "facts", "issues", "left"):
            found = runs.report(model=model, group_by="tag")
            told = json.loads(json.dumps(as_json(found), allow_nan=False))
            assert len(told["tables"]["nodes"]) == 9

    def test_tells_a_run_that_was_killed_as_an_error(self, runs: Runs) -> None:
        killed = ran(FACTS, "killed")
        killed.ended_us = None
        runs.add(killed)
        runs.ledger.save([records.run("r0", environment="prod", result=Result.KILLED)])
        assert "1 of 6 models, seeds and snapshots ended in an error" in texts(
            runs.report().insights
        )


class TestFigures:
    def test_show_a_bar_for_each_class(self, runs: Runs) -> None:
        runs.add(ran(FACTS), ran(STAGED), ran(MART, "reused"))
        counts = runs.report(group_by="package").tables["classes"].frame
        bars = {
            bar.name: dict(zip(bar.y, bar.x, strict=True)) for bar in charts.classes(counts).data
        }
        assert bars == {
            "success": {"sentry": 2},
            "reused": {"other": 1},
            # The source, two tests, the seed and `left`.
            "not selected": {"sentry": 5},
            "ephemeral": {"sentry": 1},
        }

    def test_show_what_took_no_time_at_the_bottom(self, runs: Runs) -> None:
        runs.add(ran(FACTS, seconds=3))
        runs.add(ran(FACTS, "reused"))
        figure = charts.durations(runs.report(model="facts").tables["node_runs"].frame)
        assert {trace.name: list(trace.y) for trace in figure.data} == {
            "success": [3],
            "reused": [0],
        }
        assert "not built" in figure.data[1].customdata

    def test_show_ages_beside_their_limits_in_hours(self, runs: Runs) -> None:
        runs.add(looked("warn", 7_200, 30))
        figure = charts.ages(runs.report(model="issues").tables["node_freshness"].frame)
        shown = {trace.name: list(trace.y) for trace in figure.data}
        assert shown == {"warn": [2], "warn_after": [0.5], "error_after": [24]}

    def test_show_a_dozen_neighbours_and_how_many_more(self, runs: Runs) -> None:
        runs.ledger.save(described(f"model.sentry.m{number:02}", LEFT) for number in range(15))
        runs.add()
        neighbours = runs.report(model="left").tables["node_lineage"].frame
        figure = charts.lineage(neighbours)
        names = [name for trace in figure.data[1:] for name in trace.text]
        assert len(neighbours) == 16
        assert len(names) == 1 + 12
        assert names[-1] == "and 4 more"

    def test_draw_a_line_from_each_node_to_what_reads_it(self, runs: Runs) -> None:
        runs.add()
        figure = charts.lineage(runs.report(model="facts").tables["node_lineage"].frame)
        # The source to stg, stg to the facts, part to the facts, the facts to the mart, two points
        # each; and stg to part beside it, with a bend between.
        assert sum(pd.notna(x) for x in figure.data[0].x) == 4 * 2 + 3
