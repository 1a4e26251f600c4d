"""The dbt launcher as a process, on a small project of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestrate.ledger.dbt.collect import collect
from orchestrate.ledger.model import DbtInvocation, NodeRun, Result
from orchestrate.ledger.processes import is_gone
from orchestrate.ledger.store import Ledger
from orchestrate.transformer.__main__ import target_of

pytestmark = pytest.mark.slow

PROFILE = """
sentry:
  target: warehouse
  outputs:
    warehouse: {type: duckdb, path: "{{ env_var('DBT_WAREHOUSE_PATH') }}", schema: main}
    sample: {type: duckdb, path: "{{ env_var('DBT_SAMPLE_PATH') }}", schema: main}
    mine: {type: duckdb, path: "{{ env_var('MY_FILE') }}", schema: main}
"""
SOURCES = """
sources:
  - name: sentry
    config: {loaded_at_field: _sdc_extracted_at}
    tables: [{name: issues}]
"""


@dataclass
class Dbt:
    """A project folder in which the launcher runs."""

    command: Path
    root: Path

    @property
    def output(self) -> Path:
        return self.root / "output/demo"

    @property
    def published(self) -> Path:
        return self.output / "published/warehouse.duckdb"

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBT_", "MELTANO_"))
        }
        return kept | {"MELTANO_PROJECT_ROOT": str(self.root)} | variables

    def run(
        self, *arguments: str, before: Callable[[], None] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=before,
        )

    def fill(self, rows: int) -> None:
        with duckdb.connect(str(self.output / "warehouse.duckdb")) as connection:
            connection.execute("create schema if not exists sentry")
            connection.execute(
                "create or replace table sentry.issues as "  # noqa: S608
                f"select i as id, timestamp '2026-11-20 12:00' as _sdc_extracted_at, "
                f"md5(i::varchar) as text from range({rows}) as r(i)"
            )

    def invocations(self) -> list[dict[str, Any]]:
        runs = sorted((self.output / "dbt/runs").glob("2*/invocation.json"))
        return [json.loads(path.read_text()) for path in runs]

    def says(self, event: str, node: str) -> bool:
        log = self.output / "dbt/logs/dbt.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return any(f'"name": "{event}"' in line and node in line for line in lines)

    def model(self, sql: str) -> None:
        path = self.root / "transform/models/marts/daily.sql"
        config = "{{ config(materialized='table', meta={'time_column': 'day'}) }}"
        path.write_text(f"{config}\n{sql}")


GOOD = """
    select _sdc_extracted_at::date as day, count(*) as n
    from {{ source('sentry', 'issues') }}
    group by day
"""
BAD = "select no_such_column from {{ source('sentry', 'issues') }}"
ALONE = "select 1 as n"
ENDLESS = "select count(*) as n from range(1000000000) as a, range(1000000000) as b"


@pytest.fixture
def dbt(transformer_bin: Path, tmp_path: Path) -> Dbt:
    made = Dbt(transformer_bin / "dbt-launcher", tmp_path / "a project")
    models = made.root / "transform/models"
    (models / "marts").mkdir(parents=True)
    made.output.mkdir(parents=True)
    (made.root / "transform/dbt_project.yml").write_text("name: sentry\nprofile: sentry\n")
    (made.root / "transform/profiles.yml").write_text(PROFILE)
    (models / "sources.yml").write_text(SOURCES)
    made.model(GOOD)
    (models / "stg.sql").write_text(ALONE)
    made.fill(3)
    return made


class TestNoArguments:
    def test_build_publish_archive_and_say_what_there_is(self, dbt: Dbt) -> None:
        built = dbt.run(MELTANO_RUN_ID="01a1f955-2d27-7bc7-a0b6-01bbe987527f")
        assert built.returncode == 0, built.stdout
        lines = built.stdout.splitlines()
        told = [line for line in lines if line.startswith("ok ")]
        assert [line.split()[-2:] for line in told] == [["daily", "(table)"]]  # no view
        cells = [line.split() for line in lines]
        assert ["issues", "3", "2026-11-20", "12:00"] in cells
        assert ["daily", "1", "2026-11-20"] in cells
        assert "\x1b" not in built.stdout
        assert len(lines) < 20
        [invocation] = dbt.invocations()
        assert invocation["arguments"] == ["build"]
        assert invocation["exit_code"] == 0
        assert invocation["invocation_id"] in built.stdout
        with duckdb.connect(str(dbt.published), read_only=True) as reader:
            assert reader.execute("select n from main.daily").fetchall() == [(3,)]
        log = (dbt.output / "dbt/logs/dbt.log").read_text().splitlines()
        events = [json.loads(line)["info"] for line in log]
        assert {"NodeStart", "NodeFinished", "CommandCompleted"} <= {e["name"] for e in events}
        assert {e["extra"].get("MELTANO_RUN_ID") for e in events} == {invocation["run_id"]}


class TestRecord:
    def test_is_there_after_a_kill_and_names_the_project_and_what_ran(
        self, dbt: Dbt, tmp_path: Path
    ) -> None:
        dbt.model(ENDLESS)
        with subprocess.Popen([dbt.command], env=dbt.environment()) as process:
            # `daily` runs as soon as the log says so, or the test's own limit ends it.
            while not dbt.says("NodeExecuting", "model.sentry.daily"):
                assert process.poll() is None
                time.sleep(0.05)
            process.kill()
        [record] = dbt.invocations()
        assert (record["pid"], record["host"]) == (process.pid, socket.gethostname())
        assert (record["finished_at"], record["exit_code"]) == (None, None)
        manifest = json.loads((dbt.output / "dbt/runs" / record["manifest"]).read_bytes())
        assert "model.sentry.daily" in manifest["nodes"]
        with Ledger(tmp_path / "ledger.db") as ledger:
            with ledger.writing():
                collect(ledger, dbt.output / "dbt", is_gone)
            [invocation] = ledger.rows(DbtInvocation)
            [killed] = ledger.rows(NodeRun, "status = 'killed'")
        assert invocation.result is Result.KILLED
        assert killed.unique_id == "model.sentry.daily"
        assert killed.execute_started_us
        assert killed.ended_us == invocation.ended_us

    def test_names_one_manifest_whichever_command_reads_an_unchanged_project(
        self, dbt: Dbt
    ) -> None:
        for arguments in (["build"], ["build"], ["parse"], ["source", "freshness"]):
            assert dbt.run(*arguments).returncode == 0
        assert len({one["manifest"] for one in dbt.invocations()}) == 1


class TestFailure:
    def test_keeps_the_published_copy_and_dbts_exit_code(self, dbt: Dbt) -> None:
        assert dbt.run().returncode == 0
        before = dbt.published.stat().st_ino
        dbt.model(BAD)
        failed = dbt.run()
        assert failed.returncode == 1
        assert "no_such_column" in failed.stdout
        assert "Traceback" not in failed.stdout + failed.stderr
        assert dbt.published.stat().st_ino == before
        assert [one["exit_code"] for one in dbt.invocations()] == [0, 1]

    def test_a_part_of_the_project_is_not_published(self, dbt: Dbt) -> None:
        built = dbt.run("build", "--select", "daily")
        assert built.returncode == 0
        assert "Not published" in built.stdout
        assert not dbt.published.exists()

    def test_a_full_disk_while_publishing_is_one_line(self, dbt: Dbt) -> None:
        assert dbt.run().returncode == 0
        before = dbt.published.read_bytes()
        dbt.fill(300_000)
        size = (dbt.output / "warehouse.duckdb").stat().st_size

        def few_bytes() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size - 100_000, size - 100_000))

        script = (
            "import sys; from pathlib import Path\n"
            "from orchestrate.transformer.publication import PublicationError, publish\n"
            "try: publish(Path(sys.argv[1]), Path(sys.argv[2]))\n"
            "except PublicationError as error: sys.exit(str(error))\n"
        )
        files = (dbt.output / "warehouse.duckdb", dbt.published)
        refused = subprocess.run(
            [str(dbt.command.parent / "python"), "-c", script, *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=few_bytes,
        )
        assert refused.returncode == 1
        assert "the disk is full" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert dbt.published.read_bytes() == before
        assert [path.name for path in dbt.published.parent.iterdir()] == ["warehouse.duckdb"]


class TestTargets:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["build"], "warehouse"),
            (["build", "--target", "sample"], "sample"),
            (["build", "--target=sample", "--full-refresh"], "sample"),
            (["build", "-s", "daily", "-t", "sample"], "sample"),
            (["build", "--target-path", "sample"], "warehouse"),
            (["build", "--target"], "warehouse"),
        ],
    )
    def test_are_read_from_arguments(self, arguments: list[str], expected: str) -> None:
        assert target_of(arguments, {}) == expected

    def test_are_read_from_dbts_variable_when_no_argument_says_another(self) -> None:
        assert target_of(["build"], {"DBT_TARGET": "sample"}) == "sample"
        assert target_of(["build", "-t", "warehouse"], {"DBT_TARGET": "sample"}) == "warehouse"

    def test_sample_stays_apart_from_the_warehouse_even_while_that_is_locked(
        self, dbt: Dbt
    ) -> None:
        dbt.model(ALONE)
        with duckdb.connect(str(dbt.output / "warehouse.duckdb")):
            built = dbt.run("build", "--target", "sample")
        assert built.returncode == 0, built.stdout
        assert "Not published: the target is sample" in built.stdout
        assert [path.name for path in dbt.output.iterdir()] == ["warehouse.duckdb"]
        sample = dbt.root / "output/sample"
        assert {path.name for path in sample.iterdir()} == {"warehouse.duckdb", "dbt"}
        with duckdb.connect(str(sample / "warehouse.duckdb"), read_only=True) as reader:
            assert reader.execute("select n from daily").fetchall() == [(1,)]

    def test_a_locked_sample_is_told_as_a_locked_warehouse_is(self, dbt: Dbt) -> None:
        file = dbt.root / "sample.duckdb"
        with duckdb.connect(str(file)):
            refused = dbt.run("build", "--target", "sample", DBT_SAMPLE_PATH=str(file))
        assert refused.returncode == 1
        assert f"Cannot open {file}: it is open in another process" in refused.stdout

    def test_somebodys_own_is_left_to_dbt(self, dbt: Dbt) -> None:
        dbt.model(ALONE)
        file = dbt.root / "mine.duckdb"
        with duckdb.connect(str(dbt.output / "warehouse.duckdb")):
            built = dbt.run("build", DBT_TARGET="mine", MY_FILE=str(file))
        assert built.returncode == 0, built.stdout
        assert file.exists()
        assert not dbt.published.exists()
        assert len(dbt.invocations()) == 1


class TestPassedThrough:
    def test_other_commands_answer_as_dbt_does(self, dbt: Dbt) -> None:
        listed = dbt.run("ls", "--resource-type", "model")
        assert listed.stdout.split()[-2:] == ["sentry.marts.daily", "sentry.stg"]
        assert dbt.run("build").returncode == 0
        shown = dbt.run("show", "--inline", "select n + 39 as answer from {{ ref('daily') }}")
        assert "42" in shown.stdout

    def test_a_command_that_does_not_exist_is_dbts_exit_code_and_one_line(self, dbt: Dbt) -> None:
        refused = dbt.run("buidl")
        assert refused.returncode == 2
        assert refused.stdout.splitlines() == ["ERROR No such command 'buidl'."]


class TestLocked:
    def test_is_one_line_that_says_who_and_what_to_do(self, dbt: Dbt) -> None:
        with duckdb.connect(str(dbt.output / "warehouse.duckdb")):
            refused = dbt.run()
        assert refused.returncode == 1
        waits, gives_up = refused.stdout.splitlines()
        assert "waiting up to 15 s" in waits
        assert "it is open in another process" in gives_up
