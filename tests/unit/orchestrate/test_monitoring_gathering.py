"""All metrics together: which there are, what they may be called, what one fault leaves of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import from_warehouse
from orchestrate.monitoring.exposition import write_textfile
from orchestrate.monitoring.gathering import DECLARED, gather
from orchestrate.monitoring.model import Family, Kind, Sample
from tests.unit.orchestrate import records
from tests.unit.orchestrate.test_monitoring_ledger import fill

NAMES = [family.metric.name for family in DECLARED]
# What a label may hold is of a set that stays small, whatever happens.
LABELS = {
    "campaign",
    "category",
    "command",
    "endpoint",
    "environment",
    "file",
    "mart",
    "model",
    "pipeline",
    "result",
    "schedule",
    "schema",
    "service",
    "service_environment",
    "source",
    "step",
    "stream",
    "table",
    "test",
    "window",
}
NOW_US = records.at(300)
HOURLY = """
schedules:
  - {name: hourly, interval: "@hourly", job: "tap-sentry target-duckdb dbt:build"}
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "meltano.yml").write_text(HOURLY)
    return tmp_path / "output"


@pytest.fixture
def ledger(output: Path) -> Iterator[Ledger]:
    with Ledger(output / "ledger.db") as opened:
        yield opened


class Clock:
    """Seconds that grow by a quarter with each look."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        self.now_s += 0.25
        return self.now_s


class Gathering:
    """What was gathered, and the lines that were said."""

    def __init__(self, ledger: Ledger, output: Path) -> None:
        self.lines: list[str] = []
        self.families = gather(ledger, output, NOW_US, self.lines.append, Clock())
        self.by_name = {family.metric.name: family for family in self.families}


class TestDeclared:
    def test_names_are_unique(self) -> None:
        assert len(set(NAMES)) == len(NAMES)

    @pytest.mark.parametrize("family", DECLARED, ids=NAMES)
    def test_names_follow_prometheus(self, family: Family) -> None:
        name = family.metric.name
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
        assert (family.kind == Kind.COUNTER) == name.endswith("_total")
        # Base units only; a gauge of the client would lose such an end.
        assert not re.search(r"_(ms|us|minutes|hours|days|percent|kb|mb|count|sum|bucket)$", name)
        assert "timestamp" not in name or name.endswith("_timestamp_seconds")

    @pytest.mark.parametrize("family", DECLARED, ids=NAMES)
    def test_labels_are_known_ones_of_few_values(self, family: Family) -> None:
        assert set(family.labels) <= LABELS
        assert len(set(family.labels)) == len(family.labels)
        if family.labels:
            assert family.labels[0] == "environment"

    @pytest.mark.parametrize("family", DECLARED, ids=NAMES)
    def test_each_says_in_a_sentence_what_it_is(self, family: Family) -> None:
        assert re.fullmatch(r"[A-Z0-9].*\.", family.metric.help)
        assert "\n" not in family.metric.help

    @pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
    def test_promtool_finds_no_fault_with_them(self, tmp_path: Path) -> None:
        filled = [
            family._replace(samples=(Sample(tuple("x" for _ in family.labels), 1.0),))
            for family in DECLARED
        ]
        text = write_textfile(filled, tmp_path).read_bytes()
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


class TestGathering:
    def test_takes_ledger_schedules_warehouse_and_itself(
        self, ledger: Ledger, output: Path
    ) -> None:
        fill(ledger, records.demo_like())
        copy = output / "demo/published/warehouse.duckdb"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(b"no database")
        found = Gathering(ledger, output).by_name
        labels = ("demo", "tap-sentry target-duckdb dbt:build")
        assert found["last_run_duration_seconds"].samples == (Sample(labels, 60.0),)
        assert found["schedule_interval_seconds"].samples[0].value == 3600
        assert found["warehouse_size_bytes"].samples == (Sample(("demo", "published"), 11.0),)
        assert found["metrics_timestamp_seconds"].samples == (Sample((), NOW_US / 1e6),)
        assert found["metrics_duration_seconds"].samples == (Sample((), 0.25),)
        size = float(ledger.path.stat().st_size)
        assert found["ledger_size_bytes"].samples == (Sample((), size),)

    def test_keeps_the_order_of_the_declared_and_leaves_out_what_has_no_samples(
        self, ledger: Ledger, output: Path
    ) -> None:
        fill(ledger, records.demo_like())
        found = [family.metric.name for family in Gathering(ledger, output).families]
        assert found == [name for name in NAMES if name in set(found)]
        assert "last_run_duration_seconds" in found
        assert "last_success_timestamp_seconds" not in found

    def test_of_an_empty_ledger_is_only_about_itself(self, ledger: Ledger, output: Path) -> None:
        found = Gathering(ledger, output)
        assert set(found.by_name) == {
            "ledger_size_bytes",
            "metrics_timestamp_seconds",
            "metrics_duration_seconds",
        }
        assert found.lines == []

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("schedules: [", "it is no YAML at line 2"),
            (HOURLY.replace("@hourly", "61 * * * *"), "'61 * * * *'"),
            ("schedules: [hourly]", "they are no list of entries"),
            (None, "No such file"),
        ],
    )
    def test_a_broken_meltano_yml_is_said_and_spoils_only_schedules(
        self, ledger: Ledger, output: Path, text: str | None, reason: str
    ) -> None:
        fill(ledger, records.demo_like())
        project = output.parent / "meltano.yml"
        project.unlink() if text is None else project.write_text(f"{text}\n")
        found = Gathering(ledger, output)
        assert "schedule_due_timestamp_seconds" not in found.by_name
        assert found.by_name["last_run_duration_seconds"].samples
        (line,) = found.lines
        assert line.startswith("WARN  ")
        assert reason in line
        assert "\n" not in line

    def test_has_one_sample_of_the_same_labels_at_most(self, ledger: Ledger, output: Path) -> None:
        fill(ledger, records.demo_like())
        again = HOURLY.replace("\nschedules:\n", "").replace("@hourly", "@daily")
        (output.parent / "meltano.yml").write_text(HOURLY + again)
        (found,) = Gathering(ledger, output).by_name["schedule_interval_seconds"].samples
        assert found.value == 86_400

    def test_environments_add_up(self, ledger: Ledger, output: Path) -> None:
        for environment, size in (("demo", 11), ("prod", 22)):
            copy = output / environment / "published/warehouse.duckdb"
            copy.parent.mkdir(parents=True)
            copy.write_bytes(b"x" * size)
        found = Gathering(ledger, output).by_name["warehouse_size_bytes"].samples
        assert found == (Sample(("demo", "published"), 11.0), Sample(("prod", "published"), 22.0))

    def test_a_broken_copy_is_said_once_and_spoils_only_its_own(
        self, ledger: Ledger, output: Path
    ) -> None:
        fill(ledger, records.demo_like())
        copy = output / "demo/published/warehouse.duckdb"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(b"no database")
        found = Gathering(ledger, output)
        readable = found.by_name["mart_readable"].samples
        assert {sample.labels[1]: sample.value for sample in readable} == dict.fromkeys(
            from_warehouse.QUERIES, 0
        )
        assert found.by_name["last_run_duration_seconds"].samples
        assert len(found.lines) == 1

    def test_says_nothing_of_what_runs_were_given_or_wrote(
        self, ledger: Ledger, output: Path, tmp_path: Path
    ) -> None:
        record = records.demo_like()
        secret = "sntrys_0123456789abcdef"
        record.run.arguments = ["run", secret]
        record.run.error = f"401 for {secret}"
        record.steps[1].error = record.invocations[0].error = f"failed with {secret}"
        for node in record.nodes:
            node.message = f"column secret_column holds {secret}"
        for line in record.logs:
            line.text = f"token {secret}"
        for part in record.skipped:
            part.part = part.reason = f"part {secret}"
        for retry in record.retries:
            retry.reason = secret
        fill(ledger, record)
        text = write_textfile(Gathering(ledger, output).families, tmp_path).read_text()
        assert "dim_release" in text
        for word in (secret, "secret_column", record.run.run_id, record.run.trace_id, "worker-1"):
            assert word not in text
