"""A run of dbt Cloud as rows of the ledger, with all that it left."""

from __future__ import annotations

import msgspec
import pytest

from orchestrate.dbt_cloud.answers import Run
from orchestrate.dbt_cloud.runs import run_row
from orchestrate.ledger.model import (
    DbtInvocation,
    FreshnessResult,
    Manifest,
    ManifestNode,
    NodeRun,
    PipelineRun,
    Result,
    Step,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.dbt_cloud.server import (
    BUILD_STEP,
    FCT,
    STG,
    DbtCloud,
    Fetch,
    Json,
    invocation_id,
    recorded,
    steps_of,
    us,
)


class TestARun:
    def test_is_kept_with_all_that_its_list_tells(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(77)
        fetched()
        [run] = ledger.rows(PipelineRun)
        assert (run.run_id, run.job, run.environment) == ("77", "Hourly build", "Production")
        assert (run.trigger, run.result, run.error) == ("scheduled", Result.SUCCESS, None)
        assert (run.started_us, run.ended_us) == (us("10:00:05"), us("10:02:00"))
        assert run.planned_steps == ["dbt source freshness", "dbt build --select tag:hourly"]
        assert run.arguments == ["job_id=900", "environment_id=31", "project_id=7"]
        assert (run.branch, (run.revision or "")[:7]) == ("main", "3f1c9a7")

    def test_has_its_steps(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(77)
        fetched()
        steps = ledger.rows(Step, then="order by position")
        assert [(step.position, step.name) for step in steps] == [
            (1, "Clone git repository"),
            (2, "Create profile from connection Warehouse"),
            (3, "dbt:deps"),
            (4, "dbt:source freshness"),
            (5, "dbt:build"),
        ]
        assert (steps[4].started_us, steps[4].ended_us) == (us("10:00:40"), us("10:01:58"))
        assert {step.result for step in steps} == {Result.SUCCESS}

    def test_has_the_invocations_of_dbt_that_left_artifacts(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(77)
        assert fetched().incomplete == []
        freshness, build = ledger.rows(DbtInvocation, then="order by started_us")
        assert build.invocation_id == invocation_id(77, BUILD_STEP)
        assert (build.run_id, build.environment, build.target) == ("77", "Production", "prod")
        assert (build.command, build.arguments) == ("build", ["build", "--select", "tag:hourly"])
        assert (build.threads, build.dbt_version, build.exit_code) == (4, "1.11.16", 0)
        # When dbt began and wrote its results, not when the step did.
        assert (build.started_us, build.ended_us) == (us("10:00:42"), us("10:01:55"))
        assert freshness.command == "source freshness"
        assert freshness.manifest_hash == build.manifest_hash is not None

    def test_has_its_nodes(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(77)
        fetched()
        [node] = ledger.rows(NodeRun, "unique_id = ?", [FCT])
        assert (node.status, node.rows_affected, node.materialized) == ("success", 40, "table")
        assert (node.started_us, node.ended_us) == (us("10:00:50.5"), us("10:01:21"))
        assert len(ledger.rows(NodeRun)) == 4  # three of the build, and the source

    def test_has_the_freshness_of_sources(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(77)
        fetched()
        [found] = ledger.rows(FreshnessResult)
        assert (found.status, found.age_s, found.warn_after_s) == ("warn", 7200, 3600)
        assert found.max_loaded_at_us == us("08:00:30")

    def test_has_its_manifest(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(77)
        fetched()
        [manifest] = ledger.rows(Manifest)
        assert manifest.project == "shop"
        [node] = ledger.rows(ManifestNode, "unique_id = ?", [FCT])
        assert node.depends_on == [STG]
        assert node.config["freshness"]["build_after"]["count"] == 4

    @pytest.mark.parametrize(
        ("status", "expected"),
        [(10, Result.SUCCESS), (20, Result.FAILURE), (30, Result.KILLED), (1, None), (3, None)],
        ids=["success", "error", "cancelled", "queued", "running"],
    )
    def test_has_a_result_by_its_status(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, status: int, expected: Result | None
    ) -> None:
        cloud.add(1, status=status, run_steps=steps_of(recorded("run.json"), status))
        fetched()
        [run] = ledger.rows(PipelineRun)
        assert run.result == expected
        assert (run.ended_us is None) == (expected is None)
        assert (run.error is None) == (expected in {None, Result.SUCCESS})
        assert ledger.rows(Step, then="order by position")[-1].result == expected
        build = ledger.rows(DbtInvocation, "command = 'build'")
        assert [one.result for one in build] == ([expected] if expected else [])

    def test_says_why_it_failed_in_one_line(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, status=20, status_message="Run failed:\n  1 of 3 models\n")
        cloud.add(2, status=20, run_steps=steps_of(recorded("run.json"), 20))
        fetched()
        found = {run.run_id: run.error for run in ledger.rows(PipelineRun)}
        assert found["1"] == "Run failed: 1 of 3 models"
        assert found["2"] == "Invoke dbt with `dbt build --select tag:hourly` failed"

    def test_that_was_cancelled_has_no_step_under_way(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        steps = steps_of(recorded("run.json"), 3)
        steps[-1]["finished_at"] = None
        steps.append(steps[-1] | {"index": 6, "status": 1, "started_at": None})
        cloud.add(1, status=30, run_steps=steps)
        fetched()
        found = ledger.rows(Step, then="order by position")
        assert [step.position for step in found] == [1, 2, 3, 4, 5]  # the sixth never began
        assert (found[-1].result, found[-1].ended_us) == (Result.KILLED, us("10:02:00"))
        assert [one.result for one in ledger.rows(DbtInvocation, "command = 'build'")] == [
            Result.KILLED
        ]

    @pytest.mark.parametrize(
        ("job_type", "cause", "expected"),
        [
            ("scheduled", {"cause": "scheduled"}, "scheduled"),
            ("scheduled", {"cause": "Kicked off from UI by ann@acme.test"}, "other"),
            ("scheduled", {"cause": "Kicked off via API", "github_pull_request_id": 12}, "ci"),
            ("ci", {"cause": "Github pull request"}, "ci"),
            ("merge", {"cause": "Merge"}, "merge"),
            ("other", {"cause": "Kicked off via API"}, "other"),
            ("scheduled", None, "scheduled"),
        ],
        ids=["schedule", "person", "pull request", "ci job", "merge", "api", "not told"],
    )
    def test_says_what_set_it_off(self, job_type: str, cause: Json, expected: str) -> None:
        told = recorded("run.json") | {"job": recorded("jobs.json")[0], "trigger": cause}
        told["job"]["job_type"] = job_type
        assert run_row(msgspec.convert(told, Run), {}).trigger == expected

    def test_has_what_it_was_told_to_do_otherwise_than_its_job(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        told = {
            "cause": "Kicked off via API",
            "steps_override": ["dbt build --full-refresh"],
            "schema_override": "pr_12",
            "threads_override": 16,
            "target_name_override": "ci",
        }
        cloud.add(1, trigger=told)
        fetched()
        [run] = ledger.rows(PipelineRun)
        [build] = ledger.rows(DbtInvocation, "command = 'build'")
        assert run.planned_steps == ["dbt build --full-refresh"]
        assert "schema_override=pr_12" in run.arguments
        assert (build.threads, build.target) == (16, "ci")

    def test_is_named_by_numbers_where_its_job_is_gone(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, job=None, environment=None)
        cloud.add(2, job=None, environment=None, environment_id=99)
        fetched()
        found = {run.run_id: (run.job, run.environment) for run in ledger.rows(PipelineRun)}
        assert found == {"1": ("job 900", "Production"), "2": ("job 900", "environment 99")}

    def test_is_asked_for_its_steps_where_the_list_leaves_them_out(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.lists_steps = False
        cloud.add(1)
        fetched()
        assert len(ledger.rows(Step)) == 5
        assert len(ledger.rows(DbtInvocation)) == 2

    def test_ends_when_it_was_heard_of_last_where_no_end_is_told(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        steps = steps_of(recorded("run.json"), 30)
        steps[-1]["finished_at"] = None
        cloud.add(1, status=30, finished_at=None, run_steps=steps)
        fetched()
        last = ledger.rows(Step, then="order by position")[-1]
        assert [run.ended_us for run in ledger.rows(PipelineRun)] == [us("10:02:00")]
        assert last.ended_us == us("10:02:00")


class TestTime:
    def test_is_utc_whatever_it_is_written_in(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, started_at="2026-11-20 12:00:05+02:00", finished_at="2026-11-20T10:02:00")
        fetched()
        [run] = ledger.rows(PipelineRun)
        assert (run.started_us, run.ended_us) == (us("10:00:05"), us("10:02:00"))
