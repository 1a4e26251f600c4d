"""Decisions to reuse, from the folder of an invocation into the ledger and out of it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrate.ledger.dbt.collect import collect
from orchestrate.ledger.model import DbtInvocation, NodeRun, PipelineRun, ReuseDecision
from orchestrate.ledger.pruning import prune
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.results import node_result

FACTS = {
    "invocation_id": "i1",
    "arguments": ["build", "--reuse", "on"],
    "started_at": "2026-11-20T12:00:00+00:00",
    "finished_at": "2026-11-20T12:00:05+00:00",
    "exit_code": 0,
    "run_id": "r1",
}
BUILT, LEFT = "model.shop.built", "model.shop.left"


def told(unique_id: str, decision: str, **more: Any) -> dict[str, Any]:
    return {
        "unique_id": unique_id,
        "decision": decision,
        "reason": "input",
        "detail": "why",
        **more,
    }


def folder(output: Path, mode: str, *nodes: dict[str, Any]) -> Path:
    made = output / "runs/20261120T120000Z-i1"
    made.mkdir(parents=True)
    results = [{"unique_id": BUILT, "status": "success"}]
    (made / "invocation.json").write_text(json.dumps(FACTS))
    (made / "run_results.json").write_text(json.dumps({"metadata": {}, "results": results}))
    (made / "reuse.json").write_text(json.dumps({"mode": mode, "nodes": nodes}))
    return made


def read(ledger: Ledger, output: Path) -> None:
    with ledger.writing():
        collect(ledger, output, lambda *_: False)


class TestReuseDecisions:
    def test_are_kept_and_reused_nodes_are_among_the_nodes(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        built = told(BUILT, "build", content_before="1", content_after="1", outcome="identical")
        left = told(LEFT, "reuse", reason="unchanged", detail="nothing has changed")
        folder(tmp_path / "dbt", "on", built, left)
        read(ledger, tmp_path / "dbt")
        decided = {row.unique_id: row for row in ledger.rows(ReuseDecision)}
        assert (decided[BUILT].mode, decided[BUILT].outcome) == ("on", "identical")
        assert (decided[LEFT].reason, decided[LEFT].outcome) == ("unchanged", None)
        nodes = {row.unique_id: row for row in ledger.rows(NodeRun)}
        assert {name: row.status for name, row in nodes.items()} == {
            BUILT: "success",
            LEFT: "reused",
        }
        assert (nodes[LEFT].message, nodes[LEFT].started_us) == ("nothing has changed", None)
        [invocation] = ledger.rows(DbtInvocation)
        assert (invocation.run_id, invocation.result) == ("r1", "success")

    def test_in_shadow_reuse_nothing(self, ledger: Ledger, tmp_path: Path) -> None:
        folder(tmp_path / "dbt", "shadow", told(BUILT, "reuse", outcome="identical"))
        read(ledger, tmp_path / "dbt")
        assert [row.status for row in ledger.rows(NodeRun)] == ["success"]
        assert [row.mode for row in ledger.rows(ReuseDecision)] == ["shadow"]

    def test_do_not_hide_that_dbt_built_a_node_all_the_same(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        folder(tmp_path / "dbt", "on", told(BUILT, "reuse"))
        read(ledger, tmp_path / "dbt")
        assert [row.status for row in ledger.rows(NodeRun)] == ["success"]

    def test_that_cannot_be_read_are_one_line(self, ledger: Ledger, tmp_path: Path) -> None:
        made = folder(tmp_path / "dbt", "on")
        (made / "reuse.json").write_text("{")
        said: list[str] = []
        with ledger.writing():
            collect(ledger, tmp_path / "dbt", lambda *_: False, say=said.append)
        [line] = said
        assert "reuse.json can't be read" in line
        assert ledger.rows(ReuseDecision) == []

    def test_leave_with_their_run(self, ledger: Ledger, tmp_path: Path) -> None:
        folder(tmp_path / "dbt", "on", told(LEFT, "reuse"))
        read(ledger, tmp_path / "dbt")
        [run] = ledger.rows(PipelineRun)
        assert prune(ledger, (run.ended_us or 0) + 1, 0, 0).rows["reuse_decision"] == 1
        assert ledger.rows(ReuseDecision) == []


def test_a_reused_node_is_no_failure_in_traces() -> None:
    assert node_result("reused") == "skip"
