"""What leaves the ledger, when, and what never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrate.ledger.model import (
    TABLES,
    DbtInvocation,
    ForgottenTotal,
    LogEvent,
    Manifest,
    ManifestNode,
    NodeRun,
    PipelineRun,
    Result,
    Retry,
    Row,
    SourceFile,
)
from orchestrate.ledger.pruning import Pruned, prune
from orchestrate.ledger.store import Ledger, LedgerError

DAY_US = 86_400_000_000
NOW_US = 1000 * DAY_US
OF_NO_RUN: set[type[Row]] = {ForgottenTotal, SourceFile}
OF_A_RUN = [table for table in TABLES if table not in {PipelineRun, *OF_NO_RUN}]


def save(ledger: Ledger, *rows: Row) -> None:
    with ledger.writing():
        ledger.save(rows)


def pipeline_run(run_id: str, age_days: float | None) -> PipelineRun:
    """A run that ended so long ago; None for one that has not."""
    began_us = NOW_US - 500 * DAY_US
    ended_us = None if age_days is None else NOW_US - round(age_days * DAY_US)
    return PipelineRun(
        run_id=run_id,
        trace_id="t",
        span_id="s",
        started_us=began_us,
        heard_us=ended_us or began_us,
        ended_us=ended_us,
        result=Result.SUCCESS if ended_us else None,
    )


def everything(run_id: str, age_days: float | None, manifest: str = "shared") -> list[Row]:
    """A row of each table for one run; the manifest is `manifest`, its dbt invocation `d<run>`."""
    known = {"run_id": run_id, "invocation_id": f"d{run_id}", "manifest_hash": manifest}
    rows: list[Row] = [pipeline_run(run_id, age_days)]
    for table in OF_A_RUN:
        values: dict[str, Any] = {
            field.name: known.get(field.name, "x" if field.type is str else 0)
            for field in msgspec.structs.fields(table)
            if field.required or field.name in known
        }
        rows.append(table(**values))
    return rows


def left(ledger: Ledger, table: type[Row], column: str = "run_id") -> list[str]:
    return sorted(getattr(row, column) for row in ledger.rows(table))


class TestRuns:
    def test_go_with_all_that_belongs_to_them(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31, "old project"), *everything("new", 29, "new project"))
        counts = prune(ledger, NOW_US, log_days=7, run_days=30).rows
        assert left(ledger, PipelineRun) == ["new"]
        for table in (table for table in TABLES if table not in {LogEvent, *OF_NO_RUN}):
            assert len(ledger.rows(table)) == 1, table
            assert counts[table.TABLE] == 1, table
        assert left(ledger, NodeRun, "invocation_id") == ["dnew"]
        assert left(ledger, Manifest, "manifest_hash") == ["new project"]

    def test_are_named_before_they_go_and_may_be_counted(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31), *everything("older", 40), *everything("new", 29))
        named: list[list[str]] = []

        def before(run_ids: str) -> None:
            named.append(sorted(json.loads(run_ids)))
            assert left(ledger, PipelineRun) == ["new", "old", "older"]
            ledger.save([ForgottenTotal(metric="runs_total", labels=["demo"], value=2)])

        prune(ledger, NOW_US, 30, 30, dry_run=True, before=before)
        assert named == []
        prune(ledger, NOW_US, 30, 30, before=before)
        assert named == [["old", "older"]]
        (kept,) = ledger.rows(ForgottenTotal)
        assert (kept.labels, kept.value) == (["demo"], 2)

    def test_stay_when_they_can_not_be_counted(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31))

        def fail(_: str) -> None:
            raise LedgerError("broken")

        with pytest.raises(LedgerError, match="broken"):
            prune(ledger, NOW_US, 30, 30, before=fail)
        assert left(ledger, PipelineRun) == ["old"]

    def test_stay_while_they_have_not_ended(self, ledger: Ledger) -> None:
        save(ledger, *everything("open", None))
        assert prune(ledger, NOW_US, 0, 0) == Pruned({})
        assert left(ledger, LogEvent) == ["open"]

    def test_are_as_old_as_their_end(self, ledger: Ledger) -> None:
        save(ledger, pipeline_run("on the hour", 30), pipeline_run("later", 30.0001))
        prune(ledger, NOW_US, 30, 30)
        assert left(ledger, PipelineRun) == ["on the hour"]

    def test_take_their_log_along_even_if_logs_are_kept_longer(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31))
        prune(ledger, NOW_US, log_days=365, run_days=30)
        assert ledger.rows(LogEvent) == []


class TestLogs:
    def test_go_before_their_runs(self, ledger: Ledger) -> None:
        save(ledger, *everything("week", 8), *everything("day", 1))
        assert prune(ledger, NOW_US, log_days=7, run_days=30).rows == {"log_event": 1}
        assert left(ledger, LogEvent) == ["day"]
        assert left(ledger, Retry) == ["day", "week"]


class TestManifests:
    def test_stay_while_one_invocation_names_them(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31), *everything("new", 1))
        prune(ledger, NOW_US, 30, 30)
        assert left(ledger, Manifest, "manifest_hash") == ["shared"]
        assert len(ledger.rows(ManifestNode)) == 1

    def test_go_when_nobody_ever_named_them(self, ledger: Ledger) -> None:
        nameless = DbtInvocation(invocation_id="d", run_id="open", started_us=1, heard_us=1)
        save(ledger, Manifest(manifest_hash="stray", project="p"), nameless)
        assert prune(ledger, NOW_US, 30, 30).rows == {"manifest": 1}


class TestSourceFiles:
    def test_are_remembered_as_long_as_the_file_or_an_older_one_of_it_is_there(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        here, turned = tmp_path / "here.jsonl", tmp_path / "turned.jsonl"
        here.touch()
        turned.with_name("turned.jsonl.1").touch()
        for path in (here, turned, tmp_path / "gone.jsonl"):
            save(ledger, SourceFile(fingerprint=path.stem, path=str(path), offset=1))
        assert prune(ledger, NOW_US, 30, 30).rows == {"source_file": 1}
        assert left(ledger, SourceFile, "fingerprint") == ["here", "turned"]

    def test_of_a_project_that_was_moved_are_remembered(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        elsewhere = str(tmp_path / "elsewhere/meltano.jsonl")
        save(ledger, SourceFile(fingerprint="moved", path=elsewhere, offset=1))
        assert prune(ledger, NOW_US, 30, 30).rows == {}


class TestPruning:
    def test_counts_dry_what_it_then_does(self, ledger: Ledger) -> None:
        save(ledger, *everything("old", 31, "old project"), *everything("new", 8))
        before = [ledger.rows(table) for table in TABLES]
        dry = prune(ledger, NOW_US, 7, 30, dry_run=True)
        assert [ledger.rows(table) for table in TABLES] == before
        assert dry == prune(ledger, NOW_US, 7, 30)
        assert prune(ledger, NOW_US, 7, 30) == Pruned({})
        assert dry.rows["log_event"] == 2

    def test_gives_room_back_to_the_disk(self, ledger: Ledger) -> None:
        long = "word " * 1000
        lines = [
            LogEvent(run_id="old", number=number, at_us=1, level="info", source="s", text=long)
            for number in range(200)
        ]
        save(ledger, pipeline_run("old", 31), *lines)
        ledger.select("pragma wal_checkpoint(truncate)")
        before = ledger.path.stat().st_size
        prune(ledger, NOW_US, 7, 30)
        ledger.select("pragma wal_checkpoint(truncate)")
        assert ledger.path.stat().st_size < before / 2

    def test_does_without_that_where_the_disk_has_no_room_for_it(self, tmp_path: Path) -> None:
        class Full(Ledger):
            def vacuum(self) -> None:
                raise LedgerError("database or disk is full")

        long = "word " * 1000
        lines = [
            LogEvent(run_id="old", number=number, at_us=1, level="info", source="s", text=long)
            for number in range(200)
        ]
        with Full(tmp_path / "full.db") as ledger:
            save(ledger, pipeline_run("old", 31), *lines)
            assert prune(ledger, NOW_US, 7, 30).rows["log_event"] == 200

    @pytest.mark.parametrize(("log_days", "run_days"), [(-1, 30), (7, -0.5), (7, float("nan"))])
    def test_refuses_days_below_zero_in_one_line(
        self, ledger: Ledger, log_days: float, run_days: float
    ) -> None:
        save(ledger, *everything("old", 31))
        with pytest.raises(LedgerError, match=r"^Cannot prune .*Give the days to keep, 0 or more"):
            prune(ledger, NOW_US, log_days, run_days)
        assert left(ledger, PipelineRun) == ["old"]
