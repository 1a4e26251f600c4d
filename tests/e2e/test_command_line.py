"""`tap-sentry` as a user types it: one clear line for what is wrong, never a token."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tap_sentry.demo import DemoSentry, StallForever, Unauthorized, World, serve
from tap_sentry.streams import STREAMS

# The command knows no other clock than the machine's; the world stands still beside it.
NOW = datetime.now(timezone.utc)
TOKEN = "sntryu_0123456789abcdef"
SCOPES = ("org:read", "project:read", "event:read", "member:read", "team:read")


def tap(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, with its settings in the environment."""
    environment = {"rate_limit": "1000", **environment}
    return subprocess.run(
        [sys.executable, "-m", "tap_sentry", "--config=ENV", *arguments],
        env={f"TAP_SENTRY_{name.upper()}": value for name, value in environment.items()}
        | {"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def errors(finished: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in finished.stderr.splitlines() if "| ERROR" in line]


def world() -> World:
    """Stands still at the machine's own time, the only clock that the command knows."""
    now = datetime.now(timezone.utc)
    return World(clock=lambda: now)


@pytest.fixture(scope="module")
def sentry() -> Iterator[str]:
    demo = DemoSentry(
        world(),
        limits=None,
        tokens={TOKEN: SCOPES, "sntryu_narrow": ("org:read", "project:read")},
    )
    with serve(demo) as url:
        yield url


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"base_url": "sentry dot io"}, "base_url is 'sentry dot io'"),
            ({"start_date": "yesterday"}, "start_date is 'yesterday'"),
            ({"sample_fraction": "2"}, "sample_fraction is '2'"),
            ({"rate_limit": "0"}, "rate_limit is '0'"),
            ({"rate_limit": "fast"}, "rate_limit is 'fast'"),
            ({"max_concurrency": "1.5"}, "max_concurrency is '1.5'"),
            ({"base_url": "https://sentry.io"}, "api_token is missing"),
            ({"api_token": "two words"}, "api_token holds a space"),
        ],
    )
    def test_are_one_line_and_no_traceback(self, settings: dict[str, str], said: str) -> None:
        finished = tap(**{"base_url": "https://demo.invalid", **settings})
        assert finished.returncode == 1
        assert len(errors(finished)) == 1
        assert said in errors(finished)[0]
        assert "TAP_SENTRY_" in errors(finished)[0]
        assert "Traceback" not in finished.stderr

    def test_an_unknown_organization_is_named_with_those_there_are(self, sentry: str) -> None:
        finished = tap(base_url=sentry, api_token=TOKEN, organization="nobody")
        assert finished.returncode == 1
        assert len(errors(finished)) == 1
        assert "acme-shop" in errors(finished)[0]

    def test_a_wrong_token_is_one_line_that_does_not_hold_it(self, sentry: str) -> None:
        finished = tap(base_url=sentry, api_token="sntryu_wrong")
        assert finished.returncode == 1
        assert len(errors(finished)) == 1
        assert "answered 401" in errors(finished)[0]
        assert "sntryu_wrong" not in finished.stderr + finished.stdout

    def test_a_host_that_is_not_there_is_one_line(self) -> None:
        finished = tap("--test", base_url="http://127.0.0.1:9", api_token=TOKEN)
        assert finished.returncode == 1
        assert "is 127.0.0.1:9 reachable?" in errors(finished)[0]


class TestEnd:
    def test_comes_at_once_though_other_threads_still_wait_for_sentry(self) -> None:
        stalling = world()
        first = stalling.projects()[0].id
        script = (
            Unauthorized(path=f"*/{first}/events/", at=5, times=1000),
            StallForever(path="*/workflows/"),  # asked for at once, and last to be written
        )
        with serve(DemoSentry(stalling, limits=None, faults=script)) as url:
            # The run would outlast the test's patience if it waited for the silent request.
            finished = tap(base_url=url, api_token=TOKEN, request_timeout_seconds="3600")
        assert finished.returncode == 1
        assert "answered 401" in errors(finished)[0]


class TestCheck:
    def test_says_that_all_is_well(self, sentry: str) -> None:
        finished = tap("--test", base_url=sentry, api_token=TOKEN)
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.count(" ok\n") == len(STREAMS)

    def test_names_the_scope_that_a_stream_lacks(self, sentry: str) -> None:
        finished = tap("--test", base_url=sentry, api_token="sntryu_narrow")
        assert finished.returncode == 1
        lines = {line.split()[0]: line for line in finished.stdout.splitlines()}
        assert "event:read" in lines["issues"]
        assert "member:read" in lines["users"]
        assert lines["projects"].endswith("ok")

    def test_reads_no_more_than_it_must(self, sentry: str) -> None:
        finished = tap("--test", base_url=sentry, api_token=TOKEN)
        assert "RECORD" not in finished.stdout


class TestLogs:
    def test_hold_no_token_even_when_everything_is_told(self, sentry: str) -> None:
        finished = tap(base_url=sentry, api_token=TOKEN, loglevel="DEBUG", projects='["payments"]')
        assert finished.returncode == 0, finished.stderr[-2000:]
        assert "GET /organizations/acme-shop/issues/" in finished.stderr
        assert TOKEN not in finished.stderr
        assert TOKEN not in finished.stdout

    def test_end_with_the_requests_that_were_needed(self, sentry: str) -> None:
        finished = tap(base_url=sentry, api_token=TOKEN, projects='["payments"]')
        assert re.search(r"Sync finished after .+: \d+ requests \(.*explore \d+", finished.stderr)
        assert re.search(r"spans: [\d,]+ rows, \d+ requests \(planned: ", finished.stderr)


class TestSinger:
    def test_discovers_without_settings_or_network(self) -> None:
        catalog = json.loads(tap("--discover").stdout)
        names = {stream["tap_stream_id"] for stream in catalog["streams"]}
        assert names == {vars(stream)["name"] for stream in STREAMS}

    def test_reads_only_what_the_catalog_selects_and_goes_on_from_the_state(
        self, sentry: str, tmp_path: Path
    ) -> None:
        catalog = json.loads(tap("--discover").stdout)
        for stream in catalog["streams"]:
            root = next(entry for entry in stream["metadata"] if entry["breadcrumb"] == [])
            root["metadata"]["selected"] = stream["stream"] == "spans"
        (tmp_path / "catalog.json").write_text(json.dumps(catalog))
        select = f"--catalog={tmp_path / 'catalog.json'}"
        # At night the demo is quiet: an hour may be empty, half a day is not.
        settings = {"base_url": sentry, "api_token": TOKEN, "lookback_minutes": "720"}

        first = messages(tap(select, **settings))
        assert {line["stream"] for line in first if line["type"] == "RECORD"} == {"spans"}
        state = next(line["value"] for line in reversed(first) if line["type"] == "STATE")
        (tmp_path / "state.json").write_text(json.dumps(state))

        second = messages(tap(select, f"--state={tmp_path / 'state.json'}", **settings))
        count = [sum(line["type"] == "RECORD" for line in run) for run in (first, second)]
        assert 0 < count[1] < 0.1 * count[0]


def messages(finished: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert finished.returncode == 0, finished.stderr[-2000:]
    return [json.loads(line) for line in finished.stdout.splitlines()]
