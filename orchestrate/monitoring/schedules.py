"""When the schedules of meltano.yml are next due.

Whoever starts them (cron, systemd, Airflow) may do so minutes later than the crontab line says, or
in another time zone. So a run is held against the run before: it is due as long after its instant
of the crontab line as that one was after its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

from cronsim import CronSim, CronSimError

from orchestrate.ledger.meltano.schedules import Schedule, schedules
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring.model import PRESENT_US, Family, Kind, Metric, Sample

_LABELS = ("environment", "schedule", "pipeline")
DUE = Family(
    Metric("schedule_due_timestamp_seconds", "When the next run of a schedule is due to begin."),
    Kind.GAUGE,
    _LABELS,
)
INTERVAL = Family(
    Metric("schedule_interval_seconds", "Time from the last run's turn to the next one's."),
    Kind.GAUGE,
    _LABELS,
)
FAMILIES = (DUE, INTERVAL)

_LAST = """
select coalesce(environment, ''), max(started_us) as last_us
from pipeline_run
where job = ?
group by 1
having last_us >= ?
"""


def measure(
    ledger: Ledger,
    project: Path,
    now_us: int,
    say: Callable[[str], None],
    zone: tzinfo | None = None,
) -> Iterator[Family]:
    """Of each environment in which the job of a schedule has run of late.

    Args:
        ledger: Knows the runs.
        project: The folder of meltano.yml.
        now_us: This instant, microseconds since 1970.
        say: Takes a line where a schedule can't be understood; the others are measured.
        zone: Time zone of the crontab lines; the machine's own, as cron has it, if None.

    Raises:
        LedgerError: If meltano.yml or the ledger can't be read.
    """
    for schedule in schedules(project):
        for environment, started_us in ledger.select(_LAST, [schedule.job, now_us - PRESENT_US]):
            labels = (environment, schedule.name, schedule.job)
            started_at = datetime.fromtimestamp(started_us / 1e6, timezone.utc).astimezone(zone)
            try:
                due_at, interval = next_run(schedule, started_at)
            except LedgerError as error:
                say(f"WARN  {error}")
                break
            yield DUE._replace(samples=(Sample(labels, due_at.timestamp()),))
            yield INTERVAL._replace(samples=(Sample(labels, interval.total_seconds()),))


def next_run(schedule: Schedule, started_at: datetime) -> tuple[datetime, timedelta]:
    """When the run after one that began then is due, and how long its turn is after that one's.

    Raises:
        LedgerError: If the crontab line can't be understood.
    """
    try:
        # A run that begins in the minute of its turn belongs to it.
        turn = next(CronSim(schedule.crontab, started_at + timedelta(minutes=1), reverse=True))
        following = next(CronSim(schedule.crontab, turn))
    except (CronSimError, StopIteration) as error:
        raise LedgerError(
            f"Cannot tell when the schedule {schedule.name} is due: {schedule.crontab!r} "
            f"({str(error) or 'no such day'}). Correct its interval in meltano.yml."
        ) from None
    offset = max(started_at - turn, timedelta(0))
    return following + offset, following - turn
