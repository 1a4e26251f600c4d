"""Reuse, as artifacts and the Discovery API tell of it."""

from __future__ import annotations

import pytest

from orchestrate.ledger.model import (
    NodeRun,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate.dbt_cloud.server import (
    BUILD_STEP,
    FCT,
    PRODUCTION,
    STG,
    DbtCloud,
    Fault,
    Fetch,
    Json,
    invocation_id,
    model,
    recorded,
    steps_of,
)


class TestReuse:
    def status(self, ledger: Ledger, unique_id: str = FCT) -> list[str | None]:
        return [node.status for node in ledger.rows(NodeRun, "unique_id = ?", [unique_id])]

    def with_result(self, cloud: DbtCloud, run_id: int, **fields: Json) -> None:
        """Change what the artifact says of FCT, or leave it out."""
        results = cloud.results(run_id)
        for result in results["results"]:
            if result["unique_id"] == FCT:
                result.update(fields)
        if not fields:
            results["results"] = [one for one in results["results"] if one["unique_id"] != FCT]
        cloud.keep(run_id, BUILD_STEP, "run_results.json", results)

    def test_that_artifacts_tell_is_kept(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        why = "No new changes on any upstreams"
        self.with_result(cloud, 1, status="reused", timing=[], message=why)
        fetched()
        [node] = ledger.rows(NodeRun, "unique_id = ?", [FCT])
        assert (node.status, node.message, node.started_us) == ("reused", why, None)

    def test_is_told_by_the_discovery_api_where_artifacts_do_not(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        self.with_result(cloud, 1)
        cloud.models = [model(FCT, 1, "reused")]
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 1
        [node] = ledger.rows(NodeRun, "unique_id = ?", [FCT])
        assert node.invocation_id == invocation_id(1, BUILD_STEP)
        assert node.status == "reused"
        assert "Discovery API" in (node.message or "")

    def test_is_told_by_the_discovery_api_of_what_was_skipped_without_a_failure(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        self.with_result(cloud, 1, status="skipped", timing=[])
        cloud.models = [model(FCT, 1, "reused")]
        fetched(settings={"environment_id": PRODUCTION})
        assert self.status(ledger) == ["reused"]

    def test_is_not_what_was_skipped_after_a_failure(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, status=20, run_steps=steps_of(recorded("run.json"), 20))
        results = cloud.results(1)
        results["results"][0]["status"] = "error"
        results["results"][1] |= {"status": "skipped", "timing": []}
        cloud.keep(1, BUILD_STEP, "run_results.json", results)
        cloud.models = [model(FCT, 1, "reused")]
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 0
        assert self.status(ledger) == ["skipped"]

    @pytest.mark.parametrize("status", ["success", "error"])
    def test_is_not_believed_against_the_artifact_of_the_run(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, status: str
    ) -> None:
        cloud.add(1)
        self.with_result(cloud, 1, status=status)
        cloud.models = [model(FCT, 1, "reused")]
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 0
        assert self.status(ledger) == [status]

    @pytest.mark.parametrize("told", ["success", "skipped", "error", None])
    def test_is_not_any_other_status(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, told: str
    ) -> None:
        cloud.add(1)
        self.with_result(cloud, 1, status="skipped", timing=[])
        cloud.models = [model(FCT, 1, told)]
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 0
        assert self.status(ledger) == ["skipped"]

    def test_is_of_the_run_that_is_named_alone(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        for run_id in (1, 2):
            cloud.add(run_id, hours=run_id / 10)
            self.with_result(cloud, run_id)
        cloud.models = [model(FCT, 2, "reused"), model(STG, 999, "reused")]
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 1
        [node] = ledger.rows(NodeRun, "unique_id = ?", [FCT])
        assert node.invocation_id == invocation_id(2, BUILD_STEP)

    def test_is_read_from_all_pages(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        cloud.models = [model(f"model.shop.m{number}", 1, "reused") for number in range(7)]
        cloud.models_per_page = 3
        assert fetched(settings={"environment_id": PRODUCTION}).reused == 7
        assert cloud.counted()["graphql"] == 3

    def test_is_not_asked_for_without_an_environment(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        fetched()
        assert "graphql" not in cloud.counted()

    @pytest.mark.parametrize("fault", ["refused", "errors", "shape"])
    def test_that_cannot_be_asked_for_stops_nothing(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, fault: str
    ) -> None:
        cloud.add(1)
        if fault == "refused":
            cloud.faults["graphql"] = [Fault(403)]
        elif fault == "errors":
            cloud.graphql_errors = [{"message": "Cannot query field lastRunStatus"}]
        else:
            cloud.faults["graphql"] = [Fault(body=b'{"data": {"environment": {"applied": 3}}}')]
        done = fetched(settings={"environment_id": PRODUCTION})
        assert done.new == 1
        [problem] = done.problems
        assert problem.startswith("Of reuse only artifacts tell: ")
        assert done.incomplete == []
