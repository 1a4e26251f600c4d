"""Runs of dbt Cloud in the ledger: all of a window, each once, whatever goes wrong."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from orchestrate.dbt_cloud import jobs
from orchestrate.dbt_cloud.client import ATTEMPTS
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.ledger.model import (
    DbtInvocation,
    NodeRun,
    PipelineRun,
    Result,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records
from tests.unit.orchestrate.dbt_cloud.server import (
    CHECKS,
    HOURLY,
    PATIENCE_S,
    STAGING,
    TOKEN,
    UNDER_WAY,
    DbtCloud,
    Fault,
    Fetch,
    recorded,
)


class TestWindow:
    def test_is_read_to_its_end_and_not_further(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        # One every 6 minutes for 45 hours: 216 within 21.65 hours, which end on the third page.
        bare = {"run_steps": recorded("run.json")["run_steps"][:2]}
        for number in range(450):
            # The recorded run was created at 10:00.
            cloud.add(1000 - number, hours=2 - 0.1 * (number + 1), **bare)
        done = fetched(days=21.65 / 24)
        assert done.new == 216
        found = [int(run.run_id) for run in ledger.rows(PipelineRun)]
        assert sorted(found) == list(range(785, 1001))
        assert cloud.counted()["runs"] == 3

    def test_may_begin_at_an_instant(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1, hours=-1)
        cloud.add(2)
        assert fetched(since=datetime(2026, 11, 20, 10, tzinfo=timezone.utc)).new == 1
        east = timezone(timedelta(hours=5))
        assert fetched(since=datetime(2026, 11, 20, 14, tzinfo=east)).new == 1

    def test_may_be_of_some_jobs(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        cloud.add(2, job_definition_id=CHECKS)
        cloud.add(3, job_definition_id=902)
        fetched(job_ids=[HOURLY, CHECKS])
        assert {run.run_id for run in ledger.rows(PipelineRun)} == {"1", "2"}

    def test_is_of_the_environment_that_the_settings_name(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        cloud.add(2, environment_id=STAGING, environment=cloud.environments[1])
        assert fetched(settings={"environment_id": STAGING}).new == 1
        assert [run.environment for run in ledger.rows(PipelineRun)] == ["Staging"]

    @pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
    def test_must_have_a_length(self, fetched: Fetch, days: float) -> None:
        with pytest.raises(DbtCloudError, match="window"):
            fetched(days=days)


class TestWhatIsKnown:
    def test_is_not_fetched_again(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        fetched()
        cloud.add(2, hours=1)
        cloud.asked.clear()
        done = fetched()
        assert (done.new, done.already_known) == (1, 1)
        artifacts = {path.split("/")[0] for path in cloud.counted() if "/" in path}
        assert artifacts == {"2"}

    def test_is_fetched_again_while_it_is_under_way(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        run = cloud.add(1, **UNDER_WAY)
        done = fetched()
        assert (done.new, done.under_way) == (0, 1)
        assert [one.result for one in ledger.rows(PipelineRun)] == [None]
        run |= {"status": 10, "finished_at": recorded("run.json")["finished_at"]}
        done = fetched()
        assert (done.new, done.under_way) == (1, 0)
        assert [one.result for one in ledger.rows(PipelineRun)] == [Result.SUCCESS]
        assert len(ledger.rows(NodeRun)) == 4

    def test_is_ended_even_when_its_window_is_over(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        run = cloud.add(1, **UNDER_WAY)
        fetched()
        run["status"] = 30
        fetched(days=0.01)
        assert [one.result for one in ledger.rows(PipelineRun)] == [Result.KILLED]

    def test_is_kept_when_dbt_cloud_has_it_no_more(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1, **UNDER_WAY)
        fetched()
        cloud.runs.clear()
        done = fetched()
        assert done.problems == ["Run 1: it was under way, and dbt Cloud has it no more."]
        assert len(ledger.rows(PipelineRun)) == 1

    def test_must_be_of_dbt_cloud(self, ledger: Ledger, fetched: Fetch) -> None:
        with ledger.writing():
            ledger.save([records.run()])
        with pytest.raises(DbtCloudError, match="name a ledger of its own"):
            fetched()

    def test_is_whole_after_a_fetch_was_broken_off(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        for run_id in range(1, 7):
            cloud.add(run_id, hours=-run_id / 10)

        def interrupt(done: int, _: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetched(progress=interrupt, parallel=2)
        assert {run.run_id for run in ledger.rows(PipelineRun)} == {"1", "2"}
        assert len(ledger.rows(DbtInvocation)) == 4
        cloud.asked.clear()
        assert fetched().new == 4
        assert len(ledger.rows(DbtInvocation)) == 12
        assert not [path for path in cloud.counted() if path.startswith(("1/", "2/"))]
        # The manifest is one that the ledger has.
        assert not [path for path in cloud.counted() if path.endswith("manifest.json")]


class TestAtOnce:
    def test_are_as_many_runs_as_is_said_and_no_more(self, cloud: DbtCloud, fetched: Fetch) -> None:
        for run_id in range(1, 9):
            cloud.add(run_id, hours=-run_id / 10)
        # Lets nobody through who is not one of four, and gives a fifth the time to come.
        cloud.gate = threading.Barrier(4, action=partial(time.sleep, 0.1))
        assert fetched(parallel=4).new == 8
        assert cloud.most_at_once == 4

    def test_are_not_far_ahead_of_what_is_kept(self, cloud: DbtCloud, fetched: Fetch) -> None:
        for run_id in range(1, 9):
            cloud.add(run_id)

        def look(done: int, _: int) -> None:
            # Two for each thread, and one more for each that is kept before.
            asked = {path.split("/")[0] for path in cloud.counted() if "/" in path}
            assert asked <= {str(run_id) for run_id in range(1, 4 + max(done, 1))}

        fetched(parallel=2, progress=look)

    def test_end_when_the_work_is_broken_off(self, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        cloud.add(2)
        cloud.faults["2/4/sources.json"] = [Fault(429)] * ATTEMPTS
        waiting = threading.Event()
        cloud.on_fault = waiting.set

        def interrupt(done: int, _: int) -> None:
            if done == 1:
                assert waiting.wait(PATIENCE_S)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetched(progress=interrupt, sleep=None)
        assert cloud.counted()["2/4/sources.json"] == 1

    @pytest.mark.parametrize("parallel", [0, 11])
    def test_are_one_to_ten(self, fetched: Fetch, parallel: int) -> None:
        with pytest.raises(DbtCloudError, match="1 to 10 at once"):
            fetched(parallel=parallel)

    def test_progress_is_told(self, cloud: DbtCloud, fetched: Fetch) -> None:
        for run_id in range(1, 4):
            cloud.add(run_id)
        told: list[tuple[int, int]] = []
        fetched(progress=lambda done, total: told.append((done, total)))
        assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


class TestFaults:
    def test_that_pass_lose_nothing(self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch) -> None:
        cloud.add(1)
        cloud.faults = {
            "runs": [Fault(429, {"Retry-After": "3"})],
            "1/5/run_results.json": [Fault(500), Fault(500), Fault(cut=True)],
            "manifest.json": [Fault(503)],
        }
        done = fetched()
        assert (done.new, done.incomplete) == (1, [])
        assert len(ledger.rows(NodeRun)) == 4

    def test_that_stay_stop_with_one_line_and_keep_what_was_fetched(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch
    ) -> None:
        cloud.add(1)
        cloud.add(2)
        cloud.faults["2/5/run_results.json"] = [Fault(500)] * ATTEMPTS
        with pytest.raises(DbtCloudError, match="answered 500, 5 times") as caught:
            fetched()
        assert TOKEN not in str(caught.value)
        assert [run.run_id for run in ledger.rows(PipelineRun)] == ["1"]
        assert fetched().new == 1

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_of_the_account_stop_before_anything_is_kept(
        self, ledger: Ledger, cloud: DbtCloud, fetched: Fetch, status: int
    ) -> None:
        cloud.add(1)
        cloud.faults["environments"] = [Fault(status)]
        with pytest.raises(DbtCloudError, match=f"answered {status}"):
            fetched()
        assert ledger.rows(PipelineRun) == []
        assert jobs.read(ledger.path) == []
