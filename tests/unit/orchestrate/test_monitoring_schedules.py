"""When the next run of a schedule is due."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from orchestrate.ledger.meltano.schedules import Schedule
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring.schedules import measure, next_run
from tests.unit.orchestrate import records
from tests.unit.orchestrate.records import at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


def due(crontab: str, started_at: datetime) -> tuple[datetime, timedelta]:
    return next_run(Schedule("nightly", "job", crontab), started_at)


class TestTheNextRun:
    @pytest.mark.parametrize(
        ("crontab", "started_at", "due_at", "interval"),
        [
            ("17 * * * *", utc(2026, 11, 20, 12, 17), utc(2026, 11, 20, 13, 17), HOUR),
            ("17,47 * * * *", utc(2026, 11, 20, 12, 47), utc(2026, 11, 20, 13, 17), HOUR / 2),
            ("*/5 * * * *", utc(2026, 11, 20, 23, 55), utc(2026, 11, 21, 0, 0), HOUR / 12),
            ("0 2 * * *", utc(2026, 12, 31, 2, 0), utc(2027, 1, 1, 2, 0), DAY),
            # 20 November 2026 is a Friday.
            ("0 2 * * 1-5", utc(2026, 11, 19, 2, 0), utc(2026, 11, 20, 2, 0), DAY),
            ("0 2 * * 1-5", utc(2026, 11, 20, 2, 0), utc(2026, 11, 23, 2, 0), 3 * DAY),
            ("0 0 * * 0", utc(2026, 11, 22), utc(2026, 11, 29), 7 * DAY),
            ("0 0 28 * *", utc(2027, 1, 28), utc(2027, 2, 28), 31 * DAY),
            ("0 0 28 * *", utc(2027, 2, 28), utc(2027, 3, 28), 28 * DAY),
            # Months without such a day are passed over.
            ("0 0 31 * *", utc(2027, 1, 31), utc(2027, 3, 31), 59 * DAY),
            ("0 0 L * *", utc(2028, 1, 31), utc(2028, 2, 29), 29 * DAY),
            ("0 0 29 2 *", utc(2028, 2, 29), utc(2032, 2, 29), 1461 * DAY),
            ("0 0 1 1 *", utc(2026, 1, 1), utc(2027, 1, 1), 365 * DAY),
        ],
    )
    def test_is_due_at_the_next_turn(
        self, crontab: str, started_at: datetime, due_at: datetime, interval: timedelta
    ) -> None:
        assert due(crontab, started_at) == (due_at, interval)

    def test_of_one_that_begins_late_is_due_as_late(self) -> None:
        # cron, then a queue: 90 s after the turn.
        started_at = utc(2026, 11, 20, 12, 1, 30)
        assert due("0 * * * *", started_at) == (utc(2026, 11, 20, 13, 1, 30), HOUR)

    def test_of_one_a_second_before_its_turn_is_not_that_turn_again(self) -> None:
        started_at = utc(2026, 11, 20, 12, 59, 59)
        assert due("0 * * * *", started_at) == (utc(2026, 11, 20, 14, 0), HOUR)
        assert due("0 2 * * *", utc(2026, 11, 20, 1, 59, 59)) == (utc(2026, 11, 21, 2, 0), DAY)

    def test_of_every_minute_is_due_within_two(self) -> None:
        due_at, interval = due("* * * * *", utc(2026, 11, 20, 12, 0, 30))
        assert utc(2026, 11, 20, 12, 1, 30) <= due_at <= utc(2026, 11, 20, 12, 2, 30)
        assert interval == timedelta(minutes=1)

    @pytest.mark.parametrize("offset_h", [-11, -5, 0, 2, 9, 13])
    def test_of_a_day_is_due_a_day_later_in_whatever_time_zone_it_is_started(
        self, offset_h: int
    ) -> None:
        zone = timezone(timedelta(hours=offset_h))
        started_at = datetime(2026, 11, 20, 2, 0, 5, tzinfo=zone)
        due_at, interval = due("0 2 * * *", started_at.astimezone(timezone.utc))
        assert (due_at - started_at, interval) == (DAY, DAY)

    def test_never_is_due_before_a_run_begins_that_is_on_time(self) -> None:
        # Ten days of a run every six hours, each some minutes late.
        lateness = [3, 0, 7, 1, 0, 12, 5, 0, 0, 4] * 4
        begun = [
            utc(2026, 11, 20) + number * 6 * HOUR + timedelta(minutes=late)
            for number, late in enumerate(lateness)
        ]
        for one, following in itertools.pairwise(begun):
            due_at, interval = due("0 */6 * * *", one)
            assert interval == 6 * HOUR
            # What is missed is said after half an hour.
            assert due_at - HOUR / 2 < following < due_at + HOUR / 2

    @pytest.mark.parametrize("crontab", ["61 * * * *", "a b c d e", "*/0 * * * *", "0 0 30 2 *"])
    def test_of_a_line_that_is_none_is_refused_in_one_line(self, crontab: str) -> None:
        with pytest.raises(LedgerError) as raised:
            due(crontab, utc(2026, 11, 20))
        message = str(raised.value)
        assert message.startswith("Cannot tell when the schedule nightly is due: ")
        assert crontab in message
        assert "()" not in message
        assert message.endswith("Correct its interval in meltano.yml.")
        assert "\n" not in message


HOURLY = """
schedules:
  - {name: hourly, interval: "@hourly", job: sentry-to-marts}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "output/ledger.db") as opened:
        yield opened


def save(ledger: Ledger, *runs: tuple[str, float, str | None, str]) -> None:
    """Runs, each by its id, its start in seconds, its environment, its job."""
    with ledger.writing():
        ledger.save(
            records.run(run_id, started_us=at(started), environment=environment, job=job)
            for run_id, started, environment, job in runs
        )


def measured(
    ledger: Ledger,
    project: Path,
    *,
    after_s: float = 86_400,
    zone: timezone = timezone.utc,
    say: Callable[[str], None] = pytest.fail,
) -> dict[tuple[str, ...], float]:
    """Each sample by the metric's name and the values of its labels, so long after NOON."""
    return {
        (family.metric.name, *sample.labels): sample.value
        for family in measure(ledger, project, at(after_s), say, zone)
        for sample in family.samples
    }


class TestMeasuring:
    def test_takes_the_newest_run_of_each_environment(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "meltano.yml").write_text(HOURLY)
        save(
            ledger,
            ("c", 7200, "demo", "sentry-to-marts"),
            ("a", 0, "demo", "sentry-to-marts"),
            ("b", 60, "prod", "sentry-to-marts"),
            ("d", 9000, None, "sentry-to-marts"),
            ("e", 9000, "demo", "tap-sentry target-duckdb"),
        )
        name, interval = "schedule_due_timestamp_seconds", "schedule_interval_seconds"
        labels = ("hourly", "sentry-to-marts")
        assert measured(ledger, tmp_path) == {
            (name, "demo", *labels): at(3 * 3600) / 1e6,
            (name, "prod", *labels): at(3660) / 1e6,
            (name, "", *labels): at(9000 + 3600) / 1e6,
            (interval, "demo", *labels): 3600,
            (interval, "prod", *labels): 3600,
            (interval, "", *labels): 3600,
        }

    def test_of_a_job_that_never_ran_says_nothing(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "meltano.yml").write_text(HOURLY)
        save(ledger, ("a", 0, "demo", "another"))
        assert measured(ledger, tmp_path) == {}

    def test_knows_schedules_of_included_files(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "more").mkdir()
        (tmp_path / "meltano.yml").write_text("include_paths: [./more/*.yml]\n")
        (tmp_path / "more/schedules.meltano.yml").write_text(HOURLY)
        save(ledger, ("a", 0, "demo", "sentry-to-marts"))
        assert {key[2] for key in measured(ledger, tmp_path)} == {"hourly"}

    def test_leaves_out_schedules_without_times(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "meltano.yml").write_text(HOURLY.replace("@hourly", "@once"))
        save(ledger, ("a", 0, "demo", "sentry-to-marts"))
        assert measured(ledger, tmp_path) == {}

    def test_two_schedules_of_one_job_are_both_due(self, ledger: Ledger, tmp_path: Path) -> None:
        more = '  - {name: daily, interval: "0 12 * * *", job: sentry-to-marts}\n'
        (tmp_path / "meltano.yml").write_text(HOURLY + more)
        save(ledger, ("a", 0, "demo", "sentry-to-marts"))
        due_us = {
            key[2]: number
            for key, number in measured(ledger, tmp_path).items()
            if key[0] == "schedule_due_timestamp_seconds"
        }
        assert due_us == {"hourly": at(3600) / 1e6, "daily": at(86_400) / 1e6}

    def test_forgets_an_environment_that_has_not_run_for_five_weeks(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        (tmp_path / "meltano.yml").write_text(HOURLY)
        save(ledger, ("a", 0, "demo", "sentry-to-marts"))
        day_s = 86_400
        assert measured(ledger, tmp_path, after_s=34 * day_s)
        assert measured(ledger, tmp_path, after_s=36 * day_s) == {}

    def test_go_by_the_clock_that_starts_them(self, ledger: Ledger, tmp_path: Path) -> None:
        weekdays = HOURLY.replace('"@hourly"', '"0 2 * * 1-5"').replace("@hourly", "0 2 * * 1-5")
        (tmp_path / "meltano.yml").write_text(weekdays)
        # Friday at two in the morning at UTC+8 is Thursday in UTC; the next turn is on Monday.
        friday = (datetime(2026, 11, 19, 18, tzinfo=timezone.utc).timestamp() * 1e6 - at(0)) / 1e6
        save(ledger, ("a", friday, "demo", "sentry-to-marts"))
        due = measured(ledger, tmp_path, zone=timezone(timedelta(hours=8)))
        monday = datetime(2026, 11, 22, 18, tzinfo=timezone.utc).timestamp()
        assert monday in due.values()

    def test_that_make_no_sense_are_said_and_spoil_no_other(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        bad = '  - {name: never, interval: "61 * * * *", job: sentry-to-marts}\n'
        (tmp_path / "meltano.yml").write_text(
            HOURLY.replace("schedules:\n", f"schedules:\n{bad}", 1)
        )
        save(
            ledger,
            ("a", 0, "demo", "sentry-to-marts"),
            ("b", 0, "prod", "sentry-to-marts"),
        )
        said: list[str] = []
        found = measured(ledger, tmp_path, say=said.append)
        assert {key[2] for key in found} == {"hourly"}
        (line,) = said
        assert line.startswith("WARN  Cannot tell when the schedule never is due: '61 * * * *'")

    def test_without_meltano_yml_is_refused_in_one_line(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        with pytest.raises(LedgerError, match=r"^Cannot read the schedules of .*project's folder"):
            measured(ledger, tmp_path)
