"""Definitions of jobs, kept beside the ledger."""

from __future__ import annotations

import pytest

from orchestrate.dbt_cloud import jobs
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.dbt_cloud.server import (
    HOURLY,
    DbtCloud,
    Fetch,
    Json,
)


class TestJobs:
    @pytest.fixture
    def read(self, ledger: Ledger, fetched: Fetch) -> dict[int, jobs.Job]:
        fetched()
        return {job.id: job for job in jobs.read(ledger.path)}

    def test_are_kept_as_they_are_defined(self, read: dict[int, jobs.Job]) -> None:
        assert read[HOURLY] == jobs.Job(
            id=900,
            name="Hourly build",
            environment="Production",
            environment_id=31,
            project_id=7,
            job_type="scheduled",
            is_scheduled=True,
            cron="0 * * * *",
            execute_steps=["dbt source freshness", "dbt build --select tag:hourly"],
            target="prod",
            threads=4,
            checks_freshness=True,
            is_state_aware=True,
            cost_optimization_features=["state_aware_orchestration"],
        )

    def test_have_their_types(self, read: dict[int, jobs.Job]) -> None:
        found = [read[job].job_type for job in sorted(read)]
        assert found == ["scheduled", "ci", "merge", "other"]

    def test_say_whether_they_reuse_as_far_as_that_is_told(self, read: dict[int, jobs.Job]) -> None:
        # Turned on; nothing turned on; all nodes forced; what the environment says.
        found = [read[job].is_state_aware for job in sorted(read)]
        assert found == [True, False, False, None]

    def test_build_does_not_check_freshness(self, read: dict[int, jobs.Job]) -> None:
        assert not read[903].checks_freshness

    def test_check_freshness_by_a_setting_of_theirs(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.jobs = [cloud.jobs[3] | {"run_generate_sources": True}]
        assert [job.checks_freshness for job in fetched().jobs] == [True]

    @pytest.mark.parametrize(
        ("told", "expected"),
        [
            ({"cost_optimization_features": ["dbt_state"]}, True),
            ({"cost_optimization_features": ["efficient_testing"]}, False),
            ({"cost_optimization_features": None, "force_node_selection": False}, True),
            ({"cost_optimization_features": [], "force_node_selection": False}, False),
            ({"cost_optimization_features": None}, None),
        ],
        ids=str,
    )
    def test_reuse_by_either_way_of_saying_so(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, told: Json, expected: bool | None
    ) -> None:
        cloud.jobs = [cloud.jobs[3] | told]
        assert [job.is_state_aware for job in fetched().jobs] == [expected]

    @pytest.mark.parametrize(
        ("trigger", "expected"),
        [("github_webhook", "ci"), ("on_merge", "merge"), ("schedule", "scheduled"), ("", "other")],
    )
    def test_without_a_type_have_one_by_what_starts_them(
        self, cloud: DbtCloud, fetched: Fetch, trigger: str, expected: str
    ) -> None:
        cloud.jobs = [cloud.jobs[3] | {"job_type": None, "triggers": {trigger: True}}]
        assert [job.job_type for job in fetched().jobs] == [expected]

    def test_are_none_where_nothing_was_fetched(self, ledger: Ledger) -> None:
        assert jobs.read(ledger.path) == []

    def test_that_are_broken_say_what_to_do(self, ledger: Ledger) -> None:
        ledger.path.with_suffix(".jobs.json").write_text("[{")
        with pytest.raises(DbtCloudError, match="Remove it and fetch once more"):
            jobs.read(ledger.path)

    def test_that_cannot_be_written_say_where(self, ledger: Ledger) -> None:
        ledger.path.with_suffix(".jobs.new").mkdir()
        with pytest.raises(DbtCloudError, match=r"ledger\.jobs\.json"):
            jobs.save(ledger.path, [])
