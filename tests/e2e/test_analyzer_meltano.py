"""The analyzer as a user of the project has it: `meltano invoke analyzer`, after a real run."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil
import pytest
import requests

from orchestrate.ledger.store import Ledger
from tests import browser, project
from tests.otlp import free_port
from tests.project import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which the pipeline has run once."""
    found = project.copy(tmp_path_factory.mktemp("meltano"))
    ran = found.meltano("run", "tap-sentry", "target-duckdb", "dbt")
    assert ran.returncode == 0, ran.stdout[-3000:]
    return found


def page(meltano: Project, *arguments: str) -> dict[str, Any]:
    done = meltano.meltano("invoke", "analyzer", *arguments, "--json")
    assert done.returncode == 0, done.stdout[-2000:]
    # Meltano's own lines come first.
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("\n{") :])
    return found


class TestPages:
    def test_of_a_real_run_tell_what_the_ledger_has(self, meltano: Project) -> None:
        found = page(meltano, "extraction")
        with Ledger(meltano.folder / "output/ledger.db") as ledger:
            ((rows,),) = ledger.select("select sum(stored_rows) from stream_sync")
        streams = found["tables"]["streams"]
        assert sum(stream["rows"] for stream in streams) == rows > 10_000

    def test_of_the_project_list_every_model(self, meltano: Project) -> None:
        with Ledger(meltano.folder / "output/ledger.db") as ledger:
            ((models,),) = ledger.select(
                "select count(*) from manifest_node where resource_type = 'model'"
            )
        nodes = page(meltano, "models")["tables"]["nodes"]
        assert sum(node["resource_type"] == "model" for node in nodes) == models > 80

    @pytest.mark.parametrize("name", ["overview", "trends", "cost", "overlap", "trace"])
    def test_of_one_run_alone_are_told_too(self, meltano: Project, name: str) -> None:
        assert page(meltano, name)["empty"] is None

    def test_of_what_is_not_there_are_one_clear_line(self, meltano: Project) -> None:
        done = meltano.meltano("invoke", "analyzer", "trace", "--run", "ffff0000")
        assert done.returncode == 1
        assert "ffff0000" in done.stdout
        assert "Traceback" not in done.stdout


class TestApp:
    def test_is_served_until_it_is_interrupted(self, meltano: Project) -> None:
        port = free_port()
        serving = meltano.start("invoke", "analyzer", "serve", "--port", str(port))
        try:
            browser.wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        finally:
            # As Ctrl-C in a terminal: to all that run in it.
            for process in (
                psutil.Process(serving.pid),
                *psutil.Process(serving.pid).children(True),
            ):
                process.send_signal(signal.SIGINT)
            printed, _ = serving.communicate(timeout=60)
        assert "Traceback" not in printed
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5)
