"""Check-ins at Sentry Crons: Sentry then misses a scheduled run that fails, hangs or never comes.

The monitors are made by the check-ins, from the schedules in meltano.yml.
https://docs.sentry.io/platforms/python/crons/
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import requests
import sentry_sdk
from sentry_sdk.crons import capture_checkin
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sentry_sdk.types import MonitorConfig
from sentry_sdk.utils import Dsn

from orchestrate.ledger.meltano.schedules import Schedule, schedules
from orchestrate.ledger.model import Delivery, PipelineRun, Result
from orchestrate.ledger.store import Ledger, LedgerError

_WINDOW_US = 86_400_000_000
_TIMEOUT_S = 10


def check_in(
    ledger: Ledger, project: Path, dsn: str, now_us: int, say: Callable[[str], None]
) -> int:
    """Tell Sentry of the scheduled runs of the last 24 hours, each thing once. Returns how many.

    A run under way is told of too, so that Sentry sees one that hangs. Sentry takes the instant at
    which a check-in arrives for that of the run: call it soon after a run.

    Args:
        ledger: Knows the runs, and remembers what has been delivered.
        project: The folder of meltano.yml.
        dsn: Of the project in Sentry that is to have the monitors.
        now_us: This instant.
        say: Takes a line when Sentry can't be reached; the next call tries again.

    Raises:
        LedgerError: If the DSN or meltano.yml can't be understood, or the ledger not be written.
    """
    post = _Post(dsn)
    delivered = 0
    for schedule in schedules(project):
        for run in _runs(ledger, schedule.job, now_us):
            start = "" if run.ended_us else "start "
            kind = f"check-in {start}{schedule.name}"
            if ledger.rows(Delivery, "run_id = ? and kind = ?", [run.run_id, kind]):
                continue
            _capture(post, run, schedule)
            if post.failure:
                say(f"WARN  Sentry did not take a check-in of {schedule.name}: {post.failure}.")
                return delivered
            row = Delivery(run_id=run.run_id, kind=kind, delivered_us=now_us, items=1)
            with ledger.writing():
                ledger.save([row])
            delivered += 1
    return delivered


class _Post(Transport):
    """Sends at once and keeps why it failed; the SDK's own transport tells nobody.

    Raises:
        LedgerError: If the DSN is malformed.
    """

    def __init__(self, dsn: str) -> None:
        try:
            self._auth = Dsn(dsn).to_auth("tap-sentry-orchestrate")
        except ValueError:  # BadDsn is one, and would print the key
            raise LedgerError(
                "Cannot send check-ins to Sentry: the DSN is not of the form "
                "https://KEY@HOST/PROJECT. Copy it from Sentry's project settings, Client Keys."
            ) from None
        super().__init__({"dsn": dsn})
        self.failure: str | None = None

    def capture_envelope(self, envelope: Envelope) -> None:
        try:
            response = requests.post(
                self._auth.get_api_url(),
                data=envelope.serialize(),
                headers={
                    "Content-Type": "application/x-sentry-envelope",
                    "X-Sentry-Auth": self._auth.to_header(),
                },
                timeout=_TIMEOUT_S,
                allow_redirects=False,  # the redirected request would be without its body
            )
        except requests.RequestException as error:
            self.failure = f"no answer ({type(error).__name__}), it is tried again next time"
            return
        if response.status_code == 429 or response.status_code >= 500:
            self.failure = f"it answered {response.status_code}, it is tried again next time"
        elif response.status_code >= 300:
            self.failure = f"it answered {response.status_code}, look at the DSN"
        else:
            self.failure = None


def _capture(post: _Post, run: PipelineRun, schedule: Schedule) -> None:
    post.failure = "the SDK kept it back"  # until it was posted
    client = sentry_sdk.Client(
        transport=post,
        dsn=str(post.parsed_dsn),
        environment=run.environment,
        release=run.revision or "",  # None would ask git, and the next the host's name
        server_name="",
        default_integrations=False,
        auto_enabling_integrations=False,
        spotlight=False,
    )
    ended_us, status, duration_s = run.ended_us, "in_progress", None
    if ended_us is not None:
        status = "ok" if run.result == Result.SUCCESS else "error"
        duration_s = (ended_us - run.started_us) / 1e6
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        scope.generate_propagation_context({"sentry-trace": f"{run.trace_id}-{run.span_id}"})
        capture_checkin(
            monitor_slug=schedule.name,
            # Of the end the same as of the start; each monitor needs ids of its own.
            check_in_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{run.run_id} {schedule.name}").hex,
            status=status,
            duration=duration_s,
            monitor_config=_monitor(schedule),
        )


def _monitor(schedule: Schedule) -> MonitorConfig:
    return {
        "schedule": {"type": "crontab", "value": schedule.crontab},
        "timezone": "UTC",
        # Minutes. The margin leaves time for what reads the log after a run.
        "checkin_margin": 30,
        "max_runtime": 180,
        # One bad or missed run makes an issue, one good run resolves it.
        "failure_issue_threshold": 1,
        "recovery_threshold": 1,
    }


def _runs(ledger: Ledger, job: str, now_us: int) -> list[PipelineRun]:
    return ledger.rows(
        PipelineRun,
        "job = ? and coalesce(ended_us, started_us) >= ?",
        [job, now_us - _WINDOW_US],
        "order by started_us",
    )
