"""Check-ins, as a Sentry on this machine receives them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope

from orchestrate.ledger.meltano.schedules import Schedule, schedules
from orchestrate.ledger.model import Delivery, PipelineRun, Result
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.observe.crons import check_in

HOUR_US = 3_600_000_000
NOW_US = 100_000 * HOUR_US
KEY = "0123456789abcdef"
TRACE = "a" * 32
HOURLY = """
schedules:
  - {name: sentry-hourly, interval: "@hourly", job: sentry-to-marts}
"""


class Sentry:
    """What arrived, and what is answered: `status` from now on."""

    def __init__(self) -> None:
        self.status = 200
        self.check_ins: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.auths: list[str] = []
        self.bodies: list[bytes] = []
        self.dsn = ""

    def receive(self, path: str, headers: Any, body: bytes) -> None:
        self.paths.append(path)
        self.auths.append(headers["X-Sentry-Auth"])
        self.bodies.append(body)
        for item in Envelope.deserialize(body):
            assert item.type == "check_in"
            self.check_ins.append(json.loads(item.get_bytes()))

    def told(self, name: str) -> list[Any]:
        return [found.get(name) for found in self.check_ins]


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    found = Sentry()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.receive(self.path, self.headers, body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found.dsn = f"http://{KEY}@127.0.0.1:{server.server_address[1]}/42"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "meltano.yml").write_text(f"version: 1\n{HOURLY}")
    return tmp_path


def save(
    ledger: Ledger,
    run_id: str = "r1",
    result: Result | None = Result.SUCCESS,
    *,
    ended_hours_ago: float = 1,
    job: str = "sentry-to-marts",
    environment: str | None = "demo",
) -> None:
    """A run of 90 seconds; one without a result is still under way."""
    ended_us = NOW_US - round(ended_hours_ago * HOUR_US)
    run = PipelineRun(
        run_id=run_id,
        trace_id=TRACE,
        span_id="b" * 16,
        started_us=ended_us - 90_000_000,
        heard_us=ended_us,
        ended_us=ended_us if result else None,
        result=result,
        job=job,
        environment=environment,
        host="secret-host",
    )
    with ledger.writing():
        ledger.save([run])


class Lines(list[str]):
    """What was said."""

    def __call__(self, line: str) -> None:
        self.append(line)


def told(ledger: Ledger, project: Path, sentry: Sentry) -> int:
    """Check in where nothing is to go wrong."""
    said = Lines()
    count = check_in(ledger, project, sentry.dsn, NOW_US, said)
    assert said == []
    return count


class TestACheckIn:
    def test_tells_schedule_status_duration_and_environment(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        save(ledger, environment="prod")
        assert told(ledger, project, sentry) == 1
        (found,) = sentry.check_ins
        assert found["monitor_slug"] == "sentry-hourly"
        assert (found["status"], found["duration"]) == ("ok", 90.0)
        assert found["environment"] == "prod"
        config = found["monitor_config"]
        assert config["schedule"] == {"type": "crontab", "value": "0 * * * *"}
        assert config["timezone"] == "UTC"
        assert set(config) == {
            "schedule",
            "timezone",
            "checkin_margin",
            "max_runtime",
            "failure_issue_threshold",
            "recovery_threshold",
        }
        assert sentry.paths == ["/api/42/envelope/"]
        assert f"sentry_key={KEY}" in sentry.auths[0]

    def test_belongs_to_the_trace_of_its_run(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        save(ledger)
        told(ledger, project, sentry)
        trace = sentry.check_ins[0]["contexts"]["trace"]
        assert (trace["trace_id"], trace["parent_span_id"]) == (TRACE, "b" * 16)

    @pytest.mark.parametrize("result", [Result.FAILURE, Result.KILLED, Result.TIMEOUT])
    def test_of_any_run_that_did_not_succeed_is_an_error(
        self, ledger: Ledger, project: Path, sentry: Sentry, result: Result
    ) -> None:
        save(ledger, result=result)
        told(ledger, project, sentry)
        assert sentry.told("status") == ["error"]

    def test_names_no_machine(self, ledger: Ledger, project: Path, sentry: Sentry) -> None:
        save(ledger)
        told(ledger, project, sentry)
        assert sentry.check_ins[0]["server_name"] == ""
        assert b"secret-host" not in sentry.bodies[0]

    def test_leaves_no_client_behind(self, ledger: Ledger, project: Path, sentry: Sentry) -> None:
        save(ledger)
        told(ledger, project, sentry)
        assert not sentry_sdk.is_initialized()


class TestRuns:
    def test_are_told_of_once_each_oldest_first(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        save(ledger, "r2", ended_hours_ago=1)
        save(ledger, "r1", Result.FAILURE, ended_hours_ago=2)
        assert told(ledger, project, sentry) == 2
        assert told(ledger, project, sentry) == 0
        assert sentry.told("status") == ["error", "ok"]
        assert len(set(sentry.told("check_in_id"))) == 2
        assert {(row.run_id, row.kind, row.delivered_us) for row in ledger.rows(Delivery)} == {
            ("r1", "check-in sentry-hourly", NOW_US),
            ("r2", "check-in sentry-hourly", NOW_US),
        }

    def test_of_more_than_a_day_ago_or_another_job_are_left_out(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        save(ledger, "old", ended_hours_ago=24.01)
        save(ledger, "stuck", None, ended_hours_ago=24.01)
        save(ledger, "other", job="tap-sentry target-duckdb")
        assert told(ledger, project, sentry) == 0

    def test_under_way_are_told_of_and_end_under_the_same_id(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        save(ledger, result=None)
        assert told(ledger, project, sentry) == 1
        assert told(ledger, project, sentry) == 0
        save(ledger, result=Result.KILLED)
        assert told(ledger, project, sentry) == 1
        assert sentry.told("status") == ["in_progress", "error"]
        assert sentry.told("duration") == [None, 90.0]
        start, end = sentry.told("check_in_id")
        assert start == end

    def test_of_a_job_with_two_schedules_are_told_to_both(
        self, ledger: Ledger, project: Path, sentry: Sentry
    ) -> None:
        entries = '  - {name: nightly, interval: "0 3 * * *", job: sentry-to-marts}\n'
        (project / "meltano.yml").write_text(HOURLY + entries)
        save(ledger)
        assert told(ledger, project, sentry) == 2
        assert told(ledger, project, sentry) == 0
        assert sentry.told("monitor_slug") == ["sentry-hourly", "nightly"]
        assert len(set(sentry.told("check_in_id"))) == 2


class TestASentryThatDoesNotTakeIt:
    @pytest.mark.parametrize(
        ("status", "hint"),
        [(429, "tried again"), (503, "tried again"), (401, "look at the DSN"), (302, "DSN")],
    )
    def test_gets_it_again_next_time(
        self, ledger: Ledger, project: Path, sentry: Sentry, status: int, hint: str
    ) -> None:
        save(ledger)
        save(ledger, "r2")
        sentry.status = status
        said = Lines()
        assert check_in(ledger, project, sentry.dsn, NOW_US, said) == 0
        assert len(sentry.check_ins) == 1, "goes on after the first refusal"
        (line,) = said
        assert line.startswith(
            f"WARN  Sentry did not take a check-in of sentry-hourly: it answered {status}"
        )
        assert hint in line
        assert ledger.rows(Delivery) == []
        sentry.status = 200
        assert told(ledger, project, sentry) == 2
        first, again, _ = sentry.told("check_in_id")
        assert first == again

    def test_may_be_away(self, ledger: Ledger, project: Path) -> None:
        save(ledger)
        said = Lines()
        assert check_in(ledger, project, f"http://{KEY}@127.0.0.1:1/42", NOW_US, said) == 0
        (line,) = said
        assert "no answer (ConnectionError)" in line
        assert KEY not in line
        assert ledger.rows(Delivery) == []


class TestTheDsn:
    @pytest.mark.parametrize(
        "dsn",
        [
            "",
            KEY,
            f"ftp://{KEY}@host/1",
            f"https://{KEY}@host/project",
            f"https://{KEY}@host",
            f"https://{KEY}@host:port/1",
            f"https://{KEY}@/1",
            "https://host/1",
        ],
    )
    def test_malformed_is_told_in_one_line_without_the_key(
        self, ledger: Ledger, project: Path, dsn: str
    ) -> None:
        with pytest.raises(LedgerError, match=r"^Cannot send check-ins .* Copy it from ") as error:
            check_in(ledger, project, dsn, NOW_US, Lines())
        assert KEY not in str(error.value)
        assert "\n" not in str(error.value)
        assert error.value.__suppress_context__


class TestSchedules:
    def test_come_from_meltano_yml_and_what_it_includes(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        included = 'include_paths: [sub/*.meltano.yml, "*.yml", sub/a.meltano.yml]\n'
        (tmp_path / "meltano.yml").write_text(included + HOURLY)
        (tmp_path / "sub/a.meltano.yml").write_text(
            'schedules: [{name: a, interval: "*/5 1-3 * * 1,2", job: b}]'
        )
        (tmp_path / "sub/empty.meltano.yml").touch()
        assert schedules(tmp_path) == [
            Schedule("sentry-hourly", "sentry-to-marts", "0 * * * *"),
            Schedule("a", "b", "*/5 1-3 * * 1,2"),
        ]

    def test_of_this_project_have_the_hourly_one(self) -> None:
        root = Path(__file__).parents[3]
        assert Schedule("sentry-hourly", "sentry-to-marts", "0 * * * *") in schedules(root)

    @pytest.mark.parametrize(
        ("interval", "crontab"),
        [("@daily", "0 0 * * *"), ("@Weekly", "0 0 * * 0"), ("@midnight", "0 0 * * *")],
    )
    def test_know_meltanos_names_of_intervals(
        self, tmp_path: Path, interval: str, crontab: str
    ) -> None:
        (tmp_path / "meltano.yml").write_text(
            f'schedules: [{{name: n, interval: "{interval}", job: j}}]'
        )
        assert schedules(tmp_path) == [Schedule("n", "j", crontab)]

    @pytest.mark.parametrize(
        "entry",
        [
            '{name: n, interval: "@once", job: j}',
            '{name: n, interval: "@manual", job: j}',
            '{name: n, interval: "@none", job: j}',
            "{name: n, job: j}",
            "{name: n, interval: null, job: j}",
            '{name: n, interval: "* * * *", job: j}',
            '{name: n, interval: "@hourly", extractor: tap-sentry, loader: target-duckdb}',
            '{interval: "@hourly", job: j}',
        ],
    )
    def test_without_times_or_a_job_are_left_out(self, tmp_path: Path, entry: str) -> None:
        (tmp_path / "meltano.yml").write_text(f"schedules: [{entry}]")
        assert schedules(tmp_path) == []

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (None, "No such file"),
            (b"a: [\nb: }", "no YAML at line 2"),
            (b"\xff\xfe\xff", "no YAML"),
            (b"include_paths: [/etc/*]", "include_paths"),
            (b"include_paths: 5", "include_paths"),
            (b"include_paths: ['']", "include_paths"),
            (b"schedules: {a: b}", "no list of entries"),
            (b"schedules: [x]", "no list of entries"),
            (b"schedules: 3", "no list of entries"),
        ],
    )
    def test_that_cannot_be_read_are_told_in_one_line(
        self, tmp_path: Path, content: bytes | None, told: str
    ) -> None:
        if content is not None:
            (tmp_path / "meltano.yml").write_bytes(content)
        with pytest.raises(LedgerError, match=told) as error:
            schedules(tmp_path)
        assert "\n" not in str(error.value)
