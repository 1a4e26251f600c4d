"""Rules of the dbt project (transform/dbt-bouncer.yml), and its lineage, from what dbt parses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import plugins

pytestmark = pytest.mark.slow

TRANSFORM = plugins.ROOT / "transform"

Manifest = dict[str, Any]

# Staged for questions of one's own; fct_stream_freshness, which reads every source, watches them.
WITHOUT_A_MART_OF_THEIR_OWN = {
    "organization": "one row of settings",
    "release_commits": "hashes and messages; their number and authors come with releases",
    "detectors": "settings of alerts, not what happened",
    "workflows": "settings of alerts, not what happened",
    "user_feedback": "texts",
}


@pytest.fixture(scope="module")
def manifest_file(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dbt parse` writes, deprecations being errors."""
    target = tmp_path_factory.mktemp("parsed") / "target"
    options = ["--warn-error-options", '{"error": ["Deprecations", "NothingToDo"]}']
    command = [str(transformer_bin / "dbt"), *options, "parse", "--target-path", str(target)]
    environment = without_dbt() | {
        "DBT_PROFILES_DIR": str(TRANSFORM),
        "DBT_LOG_PATH": str(target),
        "DBT_VERSION_CHECK": "false",
        "DBT_WAREHOUSE_PATH": str(target / "warehouse.duckdb"),
    }
    done = subprocess.run(
        command, cwd=TRANSFORM, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return target / "manifest.json"


@pytest.fixture(scope="module")
def manifest(manifest_file: Path) -> Manifest:
    return dict(json.loads(manifest_file.read_bytes()))


@pytest.fixture(scope="module")
def linter(shared_folder: Path) -> Path:
    if sys.version_info < (3, 11):
        pytest.skip("dbt-bouncer needs Python 3.11")
    return plugins.install("transformer", shared_folder, "dbt-bouncer==4.3.0", name="linter")


def findings(linter: Path, manifest: Path, report: Path) -> set[tuple[str, str]]:
    """Rule and node of each finding."""
    command = [str(linter / "dbt-bouncer"), "run", "--output-file", str(report)]
    done = subprocess.run(
        command,
        cwd=TRANSFORM,
        # It looks for the artifacts in `target` below.
        env=without_dbt() | {"DBT_PROJECT_DIR": str(manifest.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    results = json.loads(report.read_bytes())
    found = {
        (name, node)
        for name, _, node in (
            result["check_run_id"].split(":", 2)
            for result in results
            if result["outcome"] != "success"
        )
    }
    assert bool(found) == bool(done.returncode), done.stdout + done.stderr
    return found


class TestLinter:
    def test_finds_nothing(self, linter: Path, manifest_file: Path, tmp_path: Path) -> None:
        assert findings(linter, manifest_file, tmp_path / "report.json") == set()

    def test_finds_what_breaks_a_rule(
        self, linter: Path, manifest: Manifest, tmp_path: Path
    ) -> None:
        broken = json.loads(json.dumps(manifest))
        nodes = {node["name"]: node for node in broken["nodes"].values()}
        nodes["stg_sentry__issues"]["description"] = ""
        nodes["fct_traces"]["raw_code"] = "select 1"
        nodes["fct_team_load"]["contract"]["enforced"] = False
        nodes["user_engagement"]["patch_path"] = "sentry://models/marts/metrics/all.yml"
        nodes["dim_date"]["config"]["meta"] = nodes["dim_date"]["meta"] = {}
        for name, test in nodes.items():
            if name.startswith("unique_combination_dim_team"):
                test["attached_node"] = None
        nodes["dim_person"]["depends_on"]["nodes"].append("source.sentry.sentry.users")
        exposure = broken["exposures"]["exposure.sentry.published_warehouse"]
        exposure["depends_on"]["nodes"].remove("model.sentry.dim_release")
        path = tmp_path / "target" / "manifest.json"
        path.parent.mkdir()
        path.write_text(json.dumps(broken))
        assert {
            ("check_model_description_populated", "stg_sentry__issues"),
            ("check_model_code_does_not_contain_regexp_pattern", "fct_traces"),
            ("check_model_contract_enforced_for_public_model", "fct_team_load"),
            ("check_model_property_file_location", "user_engagement"),
            ("check_model_has_meta_keys", "dim_date"),
            ("check_model_has_unique_test", "dim_team"),
            ("check_lineage_source_cannot_be_used", "dim_person"),
            ("check_model_has_exposure", "dim_release"),
        } <= findings(linter, path, tmp_path / "report.json")


class TestLineage:
    def test_leads_from_each_source_to_a_mart(self, manifest: Manifest) -> None:
        answered = set(marts(manifest)) - {"model.sentry.fct_stream_freshness"}
        unanswered = {
            source.rpartition(".")[2]
            for source in manifest["sources"]
            if not answered & set(reached(source, manifest["child_map"]))
        }
        assert unanswered == WITHOUT_A_MART_OF_THEIR_OWN.keys()

    def test_leads_from_each_seed_to_a_mart(self, manifest: Manifest) -> None:
        seeds = [node for node in manifest["nodes"] if node.startswith("seed.")]
        assert seeds
        for seed in seeds:
            assert set(marts(manifest)) & set(reached(seed, manifest["child_map"])), seed

    def test_leads_from_each_mart_to_a_source_or_seed(self, manifest: Manifest) -> None:
        assert len(marts(manifest)) > 30
        for mart in marts(manifest):
            kinds = {node.partition(".")[0] for node in reached(mart, manifest["parent_map"])}
            assert kinds & {"source", "seed"}, mart


def marts(manifest: Manifest) -> list[str]:
    return [
        name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and "marts" in node["fqn"]
    ]


def reached(start: str, following: dict[str, list[str]]) -> Iterator[str]:
    """Every node that a way leads to."""
    seen, ahead = {start}, [start]
    while ahead:
        for node in following.get(ahead.pop(), []):
            if node not in seen:
                seen.add(node)
                ahead.append(node)
                yield node


def without_dbt() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("DBT_")}
