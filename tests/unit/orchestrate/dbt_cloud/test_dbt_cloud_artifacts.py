"""Artifacts of runs: manifests are downloaded once, what is missing is told."""

from __future__ import annotations

import pytest

from orchestrate.ledger.model import (
    DbtInvocation,
    LogEvent,
    Manifest,
    NodeRun,
    Result,
    Step,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.dbt_cloud.server import (
    BUILD_STEP,
    FRESHNESS_STEP,
    DbtCloud,
    Fetch,
    Json,
    recorded,
    steps_of,
)


class TestManifests:
    def manifests(self, cloud: DbtCloud) -> int:
        return sum(
            count for path, count in cloud.counted().items() if path.endswith("manifest.json")
        )

    def test_are_downloaded_once_for_a_revision(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        for run_id in range(1, 9):
            cloud.add(run_id, hours=-run_id / 10)
        fetched()
        # One of `source freshness`, one of `build`: what dbt has as arguments may change it.
        assert self.manifests(cloud) == 2
        assert {one.manifest_hash for one in ledger.rows(DbtInvocation)} == {
            one.manifest_hash for one in ledger.rows(Manifest)
        }

    def test_are_downloaded_again_the_next_day(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        cloud.add(2, hours=-11)  # 23:00 of the day before
        fetched()
        assert self.manifests(cloud) == 4

    @pytest.mark.parametrize(
        "other",
        [{"git_sha": "0" * 40}, {"git_branch": "next"}, {"job_definition_id": 903}],
        ids=lambda other: next(iter(other)),
    )
    def test_are_downloaded_for_all_that_may_change_them(
        self, cloud: DbtCloud, fetched: Fetch, other: Json
    ) -> None:
        cloud.add(1)
        cloud.add(2, **other)
        fetched()
        assert self.manifests(cloud) == 4

    def test_are_downloaded_each_time_where_no_revision_is_told(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, git_sha=None)
        cloud.add(2, git_sha=None)
        fetched()
        assert self.manifests(cloud) == 4
        assert len(ledger.rows(Manifest)) == 1  # of equal projects one is kept


class TestMissingArtifacts:
    def test_leave_the_run_with_what_is_known(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        cloud.artifacts.clear()
        done = fetched()
        assert (done.new, done.incomplete) == (1, ["1"])
        assert done.problems == [
            f"Run 1: Step {step} (Invoke dbt with `{command}`) has no {name}: "
            "it expired or never was."
            for step, command, name in (
                (4, "dbt source freshness", "sources.json"),
                (5, "dbt build --select tag:hourly", "run_results.json"),
            )
        ]
        assert len(ledger.rows(Step)) == 5
        assert ledger.rows(DbtInvocation) == []

    def test_are_in_the_log_of_the_run(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        del cloud.artifacts[1, BUILD_STEP, "run_results.json"]
        fetched()
        [line] = ledger.rows(LogEvent)
        assert (line.level, line.source) == ("warning", "dbt Cloud")
        assert "has no run_results.json" in line.text

    def test_of_a_cancelled_step_are_told_so(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1, status=30, run_steps=steps_of(recorded("run.json"), 30))
        del cloud.artifacts[1, BUILD_STEP, "run_results.json"]
        [problem] = fetched().problems
        assert problem.endswith("has no run_results.json: the step was cancelled.")

    def test_do_not_cost_a_manifest(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        del cloud.artifacts[1, BUILD_STEP, "run_results.json"]
        fetched()
        assert "1/5/manifest.json" not in cloud.counted()

    def test_are_a_manifest_too(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        for step in (FRESHNESS_STEP, BUILD_STEP):
            del cloud.artifacts[1, step, "manifest.json"]
        assert fetched().incomplete == ["1"]
        assert len(ledger.rows(NodeRun)) == 4
        assert ledger.rows(Manifest) == []

    @pytest.mark.parametrize(
        "body",
        [b'{"metadata"', b"[]", b'{"metadata": {}, "results": []}', b'{"results": 1}'],
        ids=["cut", "list", "nothing said", "other shape"],
    )
    def test_are_those_that_cannot_be_read(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, body: bytes
    ) -> None:
        cloud.add(1)
        cloud.artifacts[1, BUILD_STEP, "run_results.json"] = body
        done = fetched()
        assert done.incomplete == ["1"]
        assert [one.command for one in ledger.rows(DbtInvocation)] == ["source freshness"]

    def test_are_a_broken_manifest(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        for step in (FRESHNESS_STEP, BUILD_STEP):
            cloud.artifacts[1, step, "manifest.json"] = b"[]"
        assert fetched().incomplete == ["1"]
        assert {one.manifest_hash for one in ledger.rows(DbtInvocation)} == {None}

    def test_are_those_that_an_earlier_step_left(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        # The second build failed before it wrote results: those of the first are still there.
        steps = recorded("run.json")["run_steps"]
        run = cloud.add(1, status=20, run_steps=[*steps, steps[-1] | {"index": 6, "status": 20}])
        cloud.artifacts[1, 6, "run_results.json"] = cloud.artifacts[
            1, BUILD_STEP, "run_results.json"
        ]
        done = fetched()
        assert run["status"] == 20
        assert [one.command for one in ledger.rows(DbtInvocation, then="order by started_us")] == [
            "source freshness",
            "build",
        ]
        [build] = ledger.rows(DbtInvocation, "command = 'build'")
        assert build.result == Result.SUCCESS  # as its own step
        assert any("left no run_results.json of its own" in line for line in done.problems)
