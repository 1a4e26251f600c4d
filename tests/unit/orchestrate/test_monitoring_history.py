"""The past of the ledger's metrics, held against instants and sums worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from orchestrate.ledger.model import ForgottenTotal, PipelineRun, Result, Row
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring import PREFIX, from_ledger
from orchestrate.monitoring.history import Span, Written, write
from tests.unit.orchestrate import records

NOON = records.at(0) // 1_000_000
DAY = 86_400
SCRAPED = {"job": "node", "instance": "127.0.0.1:9100"}
JOB = "tap-sentry target-duckdb dbt:build"
HOURS = Span(NOON - 7200, NOON + 600, 300)

# By instant, in seconds from NOON.
Samples = dict[int, float]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.txt"


def save(ledger: Ledger, *rows: Row) -> None:
    with ledger.writing():
        ledger.save(rows)


def run(begin: float, end: float | None, run_id: str = records.RUN_ID) -> PipelineRun:
    """A run between two instants, in seconds from NOON."""
    return records.run(
        run_id,
        started_us=records.at(begin),
        heard_us=records.at(begin if end is None else end),
        ended_us=None if end is None else records.at(end),
        result=None if end is None else Result.SUCCESS,
    )


def written(ledger: Ledger, path: Path, span: Span = HOURS) -> Written:
    return write(ledger, path, span, SCRAPED, lambda _: None)


def parsed(path: Path) -> list[Metric]:
    """What others read in the file; they refuse what is mixed up."""
    return list(text_string_to_metric_families(path.read_text()))  # type: ignore[no-untyped-call]


def series(path: Path, name: str, **labels: str) -> Samples:
    """The samples of the one series with these labels among others."""
    wanted = set(labels.items())
    found: dict[frozenset[tuple[str, str]], Samples] = {}
    for family in parsed(path):
        for sample in family.samples:
            if sample.name == PREFIX + name and wanted <= set(sample.labels.items()):
                key = frozenset(sample.labels.items())
                at_s = float(sample.timestamp or 0) - NOON
                found.setdefault(key, {})[round(at_s)] = sample.value
    assert len(found) <= 1, f"{len(found)} series"
    return next(iter(found.values()), {})


def all_of_demo(ledger: Ledger) -> None:
    record = records.demo_like()
    assert record.previous
    save(ledger, record.run, record.previous, *record.steps, *record.streams, *record.requests)
    save(ledger, *record.skipped, *record.invocations, *record.nodes, *record.manifest_nodes)


class TestGauges:
    def test_hold_from_their_change_to_the_next(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(-1000, -700.5))
        written(ledger, path)
        assert series(path, "run_active") == {
            -1000: 1, -900: 1,
            -700: 0, -600: 0, -300: 0, 0: 0, 300: 0, 600: 0,
        }  # fmt: skip

    def test_have_a_sample_of_a_run_shorter_than_a_step(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(10, 12), run(20, 22, records.EARLIER_RUN_ID))
        written(ledger, path)
        found = series(path, "run_active")
        assert {at: found[at] for at in (10, 12, 20, 22)} == {10: 1, 12: 0, 20: 1, 22: 0}

    def test_never_change_before_what_changed_them(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(0.001, 1.001))
        written(ledger, path)
        assert list(series(path, "run_active"))[:2] == [1, 2]

    def test_have_the_last_value_of_a_second(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(10.2, 10.9))
        written(ledger, path)
        assert series(path, "run_active") == {11: 0, 300: 0, 600: 0}

    def test_begin_with_what_was_before_the_first_instant(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(-20_000, -10_000), run(-9000, -8000, records.EARLIER_RUN_ID))
        written(ledger, path)
        found = series(path, "last_run_end_timestamp_seconds")
        assert list(found)[:2] == [-7200, -6900]
        assert set(found.values()) == {NOON - 8000}

    def test_are_gone_after_35_days(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(-35 * DAY - 100, -35 * DAY))
        written(ledger, path)
        assert list(series(path, "last_run_end_timestamp_seconds"))[-1] == 0

    def test_end_where_the_newest_row_has_no_value(self, ledger: Ledger, path: Path) -> None:
        planned, unplanned = (
            records.stream("events", begin, begin + 9, rows=5, planned_rows=rows)
            for begin, rows in ((-1000, 5), (0, None))
        )
        planned.run_id = records.EARLIER_RUN_ID
        save(ledger, run(-1000, -900, records.EARLIER_RUN_ID), run(0, 60), planned, unplanned)
        written(ledger, path)
        assert list(series(path, "stream_last_planned_rows", stream="events")) == [
            -991, -900, -600, -300, 0,
        ]  # fmt: skip
        assert list(series(path, "stream_last_rows", stream="events"))[-1] == 600


class TestCounters:
    def test_are_sums_of_all_that_came(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(-20_000, -19_990), run(100, 130, records.EARLIER_RUN_ID))
        written(ledger, path, HOURS._replace(since_s=NOON - 300))
        assert series(path, "run_seconds_total") == {-300: 10, 0: 10, 130: 40, 300: 40, 600: 40}

    def test_go_on_from_what_is_forgotten(self, ledger: Ledger, path: Path) -> None:
        total = ForgottenTotal(metric="run_seconds_total", labels=["demo", JOB], value=500.0)
        other = ForgottenTotal(metric="run_seconds_total", labels=["demo", "gone"], value=7.0)
        save(ledger, total, other, run(100, 130))
        written(ledger, path, HOURS._replace(since_s=NOON))
        assert series(path, "run_seconds_total", pipeline=JOB) == {
            0: 500, 130: 530, 300: 530, 600: 530,
        }  # fmt: skip
        assert series(path, "run_seconds_total", pipeline="gone") == {0: 7, 300: 7, 600: 7}

    def test_add_up_within_a_second(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(0, 0.5), run(0, 1.0, records.EARLIER_RUN_ID))
        written(ledger, path)
        found = series(path, "runs_total", result="success")
        assert found == {1: 2, 300: 2, 600: 2}

    def test_stay_longer_than_gauges(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(-100 * DAY, -99 * DAY))
        written(ledger, path)
        assert series(path, "run_seconds_total")[600] == DAY
        assert not series(path, "last_run_duration_seconds")


class TestFile:
    def test_is_openmetrics_with_each_family_and_series_in_one_place(
        self, ledger: Ledger, path: Path
    ) -> None:
        all_of_demo(ledger)
        found = written(ledger, path)
        text = path.read_text()
        assert text.endswith("\n# EOF\n")
        families = parsed(path)
        assert len({family.name for family in families}) == len(families) > 30
        assert found.samples == sum(len(family.samples) for family in families)
        assert found.samples == len([line for line in text.splitlines() if line[0] != "#"])
        names = {line.rpartition("}")[0] for line in text.splitlines() if line[0] != "#"}
        assert found.series == len(names)

    def test_ends_with_the_present(self, ledger: Ledger, path: Path) -> None:
        all_of_demo(ledger)
        written(ledger, path)
        last = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parsed(path)
            for sample in family.samples
            if float(sample.timestamp or 0) == HOURS.until_s
        }
        present = {
            (
                PREFIX + family.metric.name,
                frozenset({**dict(zip(family.labels, labels, strict=True)), **SCRAPED}.items()),
            ): value
            for family in from_ledger.newest(ledger, HOURS.until_s * 1_000_000)
            for labels, value in family.samples
        }
        assert len(present) > 100
        assert last == pytest.approx(present)

    def test_knows_nothing_of_later(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(0, 100), run(500, 700, records.EARLIER_RUN_ID))
        written(ledger, path, HOURS._replace(until_s=NOON + 400))
        assert max(series(path, "run_active")) == 400
        assert series(path, "runs_total", result="success")[400] == 1

    def test_escapes_what_a_label_may_hold(self, ledger: Ledger, path: Path) -> None:
        odd = 'a "b" \\ c\nd'
        save(ledger, records.run(job=odd))
        written(ledger, path)
        assert series(path, "run_active", pipeline=odd)

    def test_replaces_the_old_one_only_when_it_is_whole(self, ledger: Ledger, path: Path) -> None:
        path.write_text("old\n# EOF\n")
        with pytest.raises(LedgerError, match="no run of that time"):
            written(ledger, path)
        assert path.read_text() == "old\n# EOF\n"
        assert not list(path.parent.glob("*.part"))
        save(ledger, run(0, 60))
        written(ledger, path)
        assert path.read_text() != "old\n# EOF\n"
        assert not list(path.parent.glob("*.part"))

    def test_that_cannot_be_written_is_one_clear_line(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(0, 60))
        path.with_name("file").write_text("")
        with pytest.raises(LedgerError, match=r"^Cannot write the history to .*Make room [^\n]*$"):
            written(ledger, path.with_name("file") / "history.txt")

    def test_is_told_of_while_it_takes_long(self, ledger: Ledger, path: Path) -> None:
        save(ledger, run(0, 60))
        said: list[str] = []
        hours = iter(range(0, 1_000_000, 3600))
        write(ledger, path, HOURS, SCRAPED, said.append, clock=lambda: next(hours))
        assert len(said) == len(from_ledger.QUERIES)
        assert said[0].startswith(f"1 of {len(said)} groups of metrics, ")
        said.clear()
        write(ledger, path, HOURS, SCRAPED, said.append, clock=lambda: 0)
        assert not said


class TestArguments:
    @pytest.mark.parametrize(
        ("span", "reason"),
        [
            (HOURS._replace(until_s=HOURS.since_s), "it ends before it begins"),
            (HOURS._replace(step_s=0), "the step is 0 s"),
            (HOURS._replace(step_s=301), "the step is 301 s"),
        ],
    )
    def test_that_make_no_sense_are_refused(
        self, ledger: Ledger, path: Path, span: Span, reason: str
    ) -> None:
        with pytest.raises(LedgerError, match=reason):
            written(ledger, path, span)

    @pytest.mark.parametrize("name", ["environment", "__name__", "a-b", "", "1a"])
    def test_with_a_label_that_cannot_be_are_refused(
        self, ledger: Ledger, path: Path, name: str
    ) -> None:
        with pytest.raises(LedgerError, match="Cannot write the history with the label"):
            write(ledger, path, HOURS, {name: "x"}, lambda _: None)

    def test_are_told_on_in_a_command_for_a_shell(self) -> None:
        command = Written(Path("a b.txt"), 1, 1).command
        assert command.startswith("promtool tsdb create-blocks-from openmetrics ")
        assert command.endswith(" 'a b.txt'")
