"""Metrics as text: what Prometheus's own parser reads back, and files that are whole or old."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.exposition import FILE, write_textfile
from orchestrate.monitoring.model import Family, Kind, Metric, Sample

ROOT = Path(__file__).parents[3]
ROWS = Family(
    Metric("stream_rows_total", "Rows that the tap wrote."),
    Kind.COUNTER,
    ("environment", "stream"),
    (Sample(("demo", "events"), 120.0), Sample(("demo", "issues"), 0.0)),
)
SIZE = Family(
    Metric("ledger_size_bytes", "Size of the ledger."), Kind.GAUGE, (), (Sample((), 4096.0),)
)
ODD_LABELS = [
    'with "quotes"',
    "with \\ backslash",
    "with\nline break",
    "ends in \\",
    "\\n is no line break",
    "",
    "größer, 日本語, 🙂",
    '{a="b"} 1 # TYPE',
]
# Writes a large file where files may have no more than 4,096 bytes; says what it was told.
TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.exposition import write_textfile
from orchestrate.monitoring.model import Family, Kind, Metric, Sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
samples = tuple(Sample((f"stream {number}",), 1.0) for number in range(1000))
try:
    write_textfile([Family(Metric("rows", "Rows."), Kind.GAUGE, ("stream",), samples)],
                   Path(sys.argv[1]))
except LedgerError as error:
    print(error)
"""

Read = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read_back(path: Path) -> Read:
    """Every sample by its name and labels, as Prometheus's client reads the file."""
    text = path.read_text(encoding="utf-8")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class TestTheText:
    def test_is_read_back_as_it_was(self, tmp_path: Path) -> None:
        assert read_back(write_textfile([ROWS, SIZE], tmp_path)) == {
            (
                "tap_sentry_stream_rows_total",
                frozenset({("environment", "demo"), ("stream", "events")}),
            ): 120,
            (
                "tap_sentry_stream_rows_total",
                frozenset({("environment", "demo"), ("stream", "issues")}),
            ): 0,
            ("tap_sentry_ledger_size_bytes", frozenset()): 4096,
        }

    def test_has_help_and_type_of_each_once(self, tmp_path: Path) -> None:
        lines = write_textfile([ROWS, SIZE], tmp_path).read_text().splitlines()
        assert [line for line in lines if line.startswith("#")] == [
            "# HELP tap_sentry_stream_rows_total Rows that the tap wrote.",
            "# TYPE tap_sentry_stream_rows_total counter",
            "# HELP tap_sentry_ledger_size_bytes Size of the ledger.",
            "# TYPE tap_sentry_ledger_size_bytes gauge",
        ]

    @pytest.mark.parametrize("label", ODD_LABELS)
    def test_keeps_labels_of_any_text(self, tmp_path: Path, label: str) -> None:
        family = ROWS._replace(samples=(Sample(("demo", label), 1.0),))
        ((_, labels),) = read_back(write_textfile([family], tmp_path))
        assert dict(labels) == {"environment": "demo", "stream": label}

    @pytest.mark.parametrize("value", [0.0, -0.99, 1_795_176_000.123456, 1e18, 1 / 3])
    def test_keeps_values_to_the_last_digit(self, tmp_path: Path, value: float) -> None:
        family = SIZE._replace(samples=(Sample((), value),))
        assert list(read_back(write_textfile([family], tmp_path)).values()) == [value]

    def test_has_no_times_which_node_exporter_refuses(self, tmp_path: Path) -> None:
        lines = write_textfile([ROWS, SIZE], tmp_path).read_text().splitlines()
        values = [line.rpartition("} ")[2] for line in lines if line.startswith("tap_sentry_s")]
        assert values == ["120.0", "0.0"]


class TestTheFile:
    def test_has_the_name_that_node_exporter_looks_for(self, tmp_path: Path) -> None:
        path = write_textfile([SIZE], tmp_path / "new/folder")
        assert path == tmp_path / "new/folder" / FILE
        assert path.suffix == ".prom"

    def test_can_be_read_by_node_exporters_user(self, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            path = write_textfile([SIZE], tmp_path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644

    def test_is_another_one_each_time_so_that_readers_see_a_whole_one(self, tmp_path: Path) -> None:
        path = write_textfile([SIZE], tmp_path)
        with path.open() as reader:
            write_textfile([ROWS], tmp_path)
            assert "ledger_size_bytes" in reader.read()
        assert "ledger_size_bytes" not in path.read_text()
        assert [found.name for found in tmp_path.iterdir()] == [FILE]

    def test_stays_the_old_one_when_the_disk_is_full(self, tmp_path: Path) -> None:
        path = write_textfile([SIZE], tmp_path)
        before = path.read_bytes()
        done = subprocess.run(
            [sys.executable, "-c", TOO_LARGE, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"Cannot write the metrics to {path}: File too large.")
        assert done.stderr == ""
        assert path.read_bytes() == before
        assert [found.name for found in tmp_path.iterdir()] == [FILE]

    def test_in_a_place_that_is_no_folder_is_refused_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "metrics").write_text("a file")
        with pytest.raises(LedgerError, match=r"^Cannot write the metrics to .*writable") as raised:
            write_textfile([SIZE], tmp_path / "metrics")
        assert "\n" not in str(raised.value)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_in_a_folder_that_may_not_be_written_stays(self, tmp_path: Path) -> None:
        path = write_textfile([SIZE], tmp_path)
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(LedgerError, match="Permission denied"):
                write_textfile([ROWS], tmp_path)
        finally:
            tmp_path.chmod(0o700)
        assert "ledger_size_bytes" in path.read_text()

    def test_in_the_way_of_a_folder_is_refused_and_leaves_nothing_behind(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / FILE).mkdir()
        with pytest.raises(LedgerError, match="Is a directory"):
            write_textfile([SIZE], tmp_path)
        assert [found.name for found in tmp_path.iterdir()] == [FILE]
