"""Builds that reuse: through the launcher, on a small project in which much happens at random."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestrate.ledger.dbt.collect import collect
from orchestrate.ledger.model import NodeRun, ReuseDecision
from orchestrate.ledger.store import Ledger
from tests.project import ROOT
from tests.reuse_history import FILES, RAW

pytestmark = pytest.mark.slow

STEPS = 64
LEAST_REUSE_RATE = 0.4


@pytest.fixture(scope="module")
def history(
    transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Each step of a history in which both ways to build took part."""
    folder = tmp_path_factory.mktemp("history")
    done = subprocess.run(
        [transformer_bin / "python", "-m", "tests.reuse_history", folder, "7", str(STEPS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


class TestHistory:
    def test_has_builds_that_all_end_well(self, history: list[dict[str, Any]]) -> None:
        assert len(history) == STEPS
        for step in history:
            assert (step["plain"]["code"], step["reused"]["code"]) == (0, 0), step

    def test_has_not_one_wrong_reuse(self, history: list[dict[str, Any]]) -> None:
        wrong = [
            (step["step"], step["did"], node)
            for step in history
            for node in step["plain"]["nodes"]
            if node["decision"] == "reuse"
            and node["reason"] == "unchanged"
            and node["outcome"] != "identical"
        ]
        assert wrong == []

    def test_ends_each_step_with_the_tables_of_a_whole_build(
        self, history: list[dict[str, Any]]
    ) -> None:
        differing = {
            (step["step"], name): step["did"] for step in history for name in step["differing"]
        }
        assert differing == {}

    def test_reuses_much(self, history: list[dict[str, Any]]) -> None:
        decided = Counter(node["decision"] for step in history for node in step["reused"]["nodes"])
        assert decided["reuse"] / decided.total() > LEAST_REUSE_RATE

    def test_has_all_reasons(self, history: list[dict[str, Any]]) -> None:
        reasons = {node["reason"] for step in history for node in step["reused"]["nodes"]}
        assert reasons >= {
            *("new", "definition", "input", "missing", "tampered", "volatile", "hidden_input"),
            *("unchanged", "build_after"),
        }


class Shop:
    """The project of the history in a folder, with the launcher as a process."""

    def __init__(self, command: Path, root: Path) -> None:
        self.command, self.root = command, root
        self.output = root / "output/demo"
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.output.mkdir(parents=True)
        self.sql(RAW)

    def sql(self, text: str) -> None:
        with duckdb.connect(str(self.output / "warehouse.duckdb")) as connection:
            connection.execute(text)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBT_", "MELTANO_"))
        }
        return subprocess.run(
            [self.command, *arguments],
            env={**kept, "MELTANO_PROJECT_ROOT": str(self.root), **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def shop(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Built twice already, so that all is known."""
    made = Shop(transformer_bin / "dbt-launcher", tmp_path_factory.mktemp("shop"))
    for _ in range(2):
        built = made.run("build", "--reuse", "on")
        assert built.returncode == 0, built.stdout
    return made


class TestBuild:
    def test_with_reuse_is_told_published_and_in_the_ledger(
        self, shop: Shop, tmp_path: Path
    ) -> None:
        built = shop.run("build", DBT_REUSE="on", MELTANO_RUN_ID="01a1f955-2d27-7bc7-a0b6-000")
        assert built.returncode == 0, built.stdout
        [line] = [line for line in built.stdout.splitlines() if "nodes to build," in line]
        assert "unchanged, " in line
        assert "Published" in built.stdout
        with Ledger(tmp_path / "ledger.db") as ledger:
            with ledger.writing():
                collect(ledger, shop.output / "dbt", lambda *_: False)
            decided = ledger.rows(
                ReuseDecision,
                "invocation_id in (select invocation_id from dbt_invocation where run_id like ?)",
                ["01a1%"],
            )
            nodes = {
                row.unique_id: row
                for row in ledger.rows(NodeRun)
                if row.invocation_id == decided[0].invocation_id
            }
        reasons = {row.unique_id.split(".")[2]: row.reason for row in decided}
        assert (reasons["paid"], reasons["clock"]) == ("unchanged", "volatile")
        assert nodes["model.shop.paid"].status == "reused"
        assert nodes["model.shop.clock"].status == "success"
        assert nodes["model.shop.paid"].materialized == "table"

    def test_explained_builds_nothing(self, shop: Shop) -> None:
        before = (shop.output / "warehouse.duckdb").stat().st_mtime_ns
        invocations = len(list((shop.output / "dbt/runs").glob("2*")))
        explained = shop.run("build", "--explain")
        assert explained.returncode == 0
        [line] = [line for line in explained.stdout.splitlines() if line.startswith("by_clock ")]
        assert line.split()[1:3] == ["build", "input"]
        found = json.loads(shop.run("build", "--explain", "--json").stdout)
        assert {one["unique_id"] for one in found} >= {"model.shop.paid", "model.shop.clock"}
        assert len(list((shop.output / "dbt/runs").glob("2*"))) == invocations
        assert (shop.output / "warehouse.duckdb").stat().st_mtime_ns == before

    def test_of_a_part_reuses_nothing_and_says_so(self, shop: Shop) -> None:
        built = shop.run("build", "--select", "customers", DBT_REUSE="on")
        assert built.returncode == 0
        assert "Reuse is off for this build: with --select" in built.stdout
        explained = shop.run("build", "--select", "customers", "--explain")
        assert explained.returncode == 1
        assert explained.stdout.startswith("ERROR Cannot explain what would be reused: with --sel")

    def test_of_a_broken_project_ends_as_dbt_does(self, shop: Shop) -> None:
        path = shop.root / "transform/models/customers.sql"
        good = path.read_text()
        try:
            path.write_text("{{ config(materialized='table') }} select no_such from raw.customers")
            failed = shop.run("build", "--reuse", "on")
            assert failed.returncode == 1
            assert "no_such" in failed.stdout
            path.write_text("{{ no_such_end")
            unread = shop.run("build", "--reuse", "on")
            assert unread.returncode == 2
            assert "no_such_end" in unread.stdout
            assert "Traceback" not in failed.stdout + failed.stderr + unread.stdout + unread.stderr
        finally:
            path.write_text(good)
        mended = shop.run("build", "--reuse", "on")
        assert mended.returncode == 0, mended.stdout

    def test_says_which_modes_there_are(self, shop: Shop) -> None:
        wrong = shop.run("build", "--reuse", "maybe")
        assert wrong.returncode == 1
        assert wrong.stdout.startswith("ERROR Cannot build: reuse is 'maybe'. Give --reuse")
