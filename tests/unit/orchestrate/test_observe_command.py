"""`observe` as it is typed, without Meltano around it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrate.ledger import FILE
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import history
from orchestrate.monitoring.programs import DEFAULT_PORTS
from orchestrate.monitoring.server import LOOPBACK
from orchestrate.observe.parser import parser
from tests.project import ROOT
from tests.unit.orchestrate import records


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A project's folder `output` with one run in its ledger, five days old."""
    (tmp_path / "meltano.yml").write_text("schedules: []\n")
    save_run(tmp_path / "output", days_ago=5)
    return tmp_path / "output"


def save_run(output: Path, days_ago: float) -> None:
    began_us = round((time.time() - days_ago * 86_400) * 1e6)
    ended_us = began_us + 60_000_000
    with Ledger(output / FILE) as ledger, ledger.writing():
        ledger.save([records.run(started_us=began_us, heard_us=ended_us, ended_us=ended_us)])


def observe(output: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrate.observe", "--output", str(output), *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestCollect:
    def test_writes_the_metrics(self, output: Path) -> None:
        done = observe(output, "collect")
        assert (done.returncode, done.stderr) == (0, "0 runs read, metrics written\n")
        text = (output / "metrics/tap_sentry.prom").read_text()
        assert 'tap_sentry_runs_total{environment="demo"' in text

    def test_tells_what_was_done_when_the_gateway_is_away(self, output: Path) -> None:
        done = observe(output, "collect", OBSERVE_PUSHGATEWAY_URL="http://ada:secret@127.0.0.1:1/")
        assert done.returncode == 1
        assert "0 runs read" in done.stderr
        assert "ERROR Cannot push the metrics at http://127.0.0.1:1: no answer" in done.stderr
        assert "secret" not in done.stderr
        assert (output / "metrics/tap_sentry.prom").exists()

    def test_tells_sentry_of_runs_also_when_the_gateway_is_away(self, output: Path) -> None:
        # It gets as far as to look at the DSN.
        down = {"OBSERVE_PUSHGATEWAY_URL": "http://127.0.0.1:1", "OBSERVE_CRONS_DSN": "none"}
        assert "ERROR Cannot send check-ins to Sentry" in observe(output, "collect", **down).stderr

    def test_keeps_what_it_forgets_in_the_counters(self, output: Path) -> None:
        for _ in range(2):
            done = observe(output, "collect", "--run-days", "0")
            assert done.returncode == 0
            printed = observe(output, "metrics").stdout
            assert re.search(r'tap_sentry_runs_total\{.*result="success"\} 1\.0\n', printed)
        assert "last_run_start" not in printed

    def test_forgets_nothing_because_the_clock_is_years_ahead(self, output: Path) -> None:
        save_run(output, days_ago=1000)
        assert "deleted" not in observe(output, "collect").stderr
        assert len(json.loads(observe(output, "runs", "--json").stdout)) == 1
        assert "deleted" in observe(output, "prune").stderr


class TestMetrics:
    def test_are_printed_alone(self, output: Path) -> None:
        done = observe(output, "metrics")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert all(line.startswith(("# HELP ", "# TYPE ", "tap_sentry_")) for line in lines)
        assert not (output / "metrics").exists()


class TestBackfill:
    def test_says_how_to_go_on_and_ends_before_what_prometheus_holds(self, output: Path) -> None:
        done = observe(output, "backfill", str(output / "history.om"))
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"promtool tsdb .* \S+/history\.om <data folder of .*>\n", done.stdout)
        text = (output / "history.om").read_text()
        newest = max(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#")
        now = observe(output, "backfill", str(output / "all.om"), "--into-new")
        assert now.returncode == 0
        text = (output / "all.om").read_text()
        last = max(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#")
        assert last - newest == pytest.approx(history.HEAD_S, abs=60)

    @pytest.mark.parametrize("days", ["nan", "inf", "-1", "1e18", "x"])
    def test_of_no_number_of_days_is_refused(self, output: Path, days: str) -> None:
        done = observe(output, "backfill", str(output / "history.om"), "--days", days)
        assert done.returncode == 2
        assert "argument --days: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_replaces_no_file_but_its_own(self, output: Path) -> None:
        done = observe(output, "backfill", str(output / FILE))
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR Cannot write the history to ")
        assert observe(output, "runs").returncode == 0
        for _ in range(2):
            assert observe(output, "backfill", str(output / "history.om")).returncode == 0

    def test_of_no_run_is_refused_in_one_line(self, tmp_path: Path) -> None:
        done = observe(tmp_path, "backfill", str(tmp_path / "history.om"))
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR Cannot write the history: ")
        assert done.stderr.count("\n") == 1


class TestPush:
    def test_without_an_address_is_refused_in_one_line(self, output: Path) -> None:
        for words in (("push",), ("push", "--delete")):
            done = observe(output, *words, OBSERVE_PUSHGATEWAY_URL="")
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "OBSERVE_PUSHGATEWAY_URL is not set" in done.stderr


class TestStack:
    def test_that_is_not_installed_says_what_to_install(self, output: Path) -> None:
        done = observe(output, "stack", PATH="")
        assert done.returncode == 1
        assert "apt install prometheus prometheus-alertmanager" in done.stderr
        assert "Traceback" not in done.stderr


class TestDefaults:
    def test_are_those_of_the_modules(self) -> None:
        # The parser names them again: to load the modules takes longer than most commands.
        reader = parser({})
        past = reader.parse_args(["backfill", "history.om"])
        assert (past.days, past.step) == (history.DAYS, history.STEP_S)
        assert reader.parse_args(["serve"]).address == LOOPBACK
        stack = reader.parse_args(["stack"])
        ports = [getattr(stack, f"{name}_port") for name in DEFAULT_PORTS._fields]
        assert ports == list(DEFAULT_PORTS)
