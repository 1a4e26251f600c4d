"""Real Prometheus, Alertmanager and node-exporter beside real runs: good, bad, and good again.

Durations are shortened (`tests.monitoring.hurry`), thresholds are not. The runs of yesterday's kind
are made by faketime: `dev` ran its schedule seven hours ago and then no more, `prod` ran by hand
at that time, twice: a project that was tried once is none of the rules' business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import psutil
import pytest
import requests

from orchestrate.ledger import FILE
from orchestrate.ledger.collect import collect
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import stack
from orchestrate.monitoring.exposition import write_textfile
from orchestrate.monitoring.gathering import gather
from tests import project
from tests.dashboards import unanswered
from tests.monitoring import (
    Alert,
    Receiver,
    Watch,
    free_ports,
    needs,
    needs_stack,
    wait_until,
    watching,
)
from tests.project import Project

pytestmark = [pytest.mark.slow, needs_stack(), needs("faketime")]

SCHEDULED = ("run", "sentry-to-marts")
BY_HAND = ("run", "tap-sentry", "target-duckdb", "dbt")
FRESHNESS = ("run", "dbt:source-freshness")
DEMO = {"TAP_SENTRY_BASE_URL": "https://demo.invalid", "TAP_SENTRY_RATE_LIMIT": "1000"}
HOUR_S = 3600
# In each run's log as soon as the tap has read its catalog.
TAP_AT_WORK = "Beginning sync of 'detectors'"

WATCHDOG = Alert("Watchdog", "")
METRICS_STALE = {Alert("MetricsStale", name) for name in ("demo", "dev", "prod")}
# What the bad runs set off and nothing else explains: each is told.
TOLD = {
    Alert("DbtTestFailed", "demo"),
    Alert("RunKilled", "demo"),
    Alert("RunMissed", "dev"),
    Alert("DataStale", "prod"),
    Alert("ReplicationLag", "prod"),
}
# What one of those explains: it fires and is not told.
EXPLAINED = {
    Alert("RunFailed", "demo"),
    Alert("DataStale", "dev"),
    Alert("ReplicationLag", "dev"),
}


def write_metrics(meltano: Project, ago_s: float = 0) -> Path:
    """Collect what runs left behind, and write the metrics as if that had been some time ago."""
    output = meltano.folder / "output"
    complaints: list[str] = []
    with Ledger(output / FILE) as ledger:
        collect(ledger, output)
        now_us = int((time.time() - ago_s) * 1e6)
        written = write_textfile(gather(ledger, output, now_us, complaints.append), metrics(output))
    assert complaints == []
    return written


def metrics(output: Path) -> Path:
    return output / "metrics"


def hours_ago(hours: int) -> dict[str, str]:
    """The variables with which a program takes that for the present."""
    printed = subprocess.run(
        ["faketime", "-f", f"-{hours}h", "env"], capture_output=True, text=True, check=True
    ).stdout
    given = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return {name: given[name] for name in ("LD_PRELOAD", "FAKETIME")}


def ends_well(*runs: subprocess.Popen[str]) -> None:
    """Wait for all of them, and complain of one that failed only then."""
    printed = [run.communicate(timeout=300)[0] for run in runs]
    for run, text in zip(runs, printed, strict=True):
        assert run.returncode == 0, text[-4000:]


def run_dev_and_prod(meltano: Project, **environment: str) -> None:
    """The schedule of `dev`, and `prod` by hand, largely at the same time."""
    log = meltano.folder / "output/logs/meltano.jsonl"
    begun = log.read_text().count(TAP_AT_WORK)
    dev = meltano.start("--environment=dev", *SCHEDULED, **environment)
    # Meltano has one catalog of the tap for all environments, and writes it in every run.
    assert wait_until(lambda: dev.poll() is not None or log.read_text().count(TAP_AT_WORK) > begun)
    ends_well(dev, meltano.start("--environment=prod", *BY_HAND, **environment))


@pytest.fixture(scope="module")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = project.copy(tmp_path_factory.mktemp("monitoring"))
    ends_well(made.start(*SCHEDULED))
    write_metrics(made)
    return made


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as heard:
        yield heard


@pytest.fixture(scope="module")
def watch(
    meltano: Project, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watch]:
    slack = tmp_path_factory.mktemp("secrets") / "slack"
    slack.write_text(f"{receiver.url}/slack\n")
    channels = {
        "OBSERVE_ALERTS_WEBHOOK_URL": f"{receiver.url}/webhook",
        "OBSERVE_ALERTS_HEARTBEAT_URL": f"{receiver.url}/heartbeat",
        "OBSERVE_ALERTS_SLACK_URL_FILE": str(slack),
    }
    with watching(meltano.folder / "output", {**os.environ, **channels}) as begun:
        yield begun


@pytest.fixture(scope="module")
def well(watch: Watch, receiver: Receiver) -> set[Alert]:
    """What fires after a good run alone."""
    assert receiver.wait_until(lambda: bool(receiver.messages.get("/heartbeat")))
    wait_until(lambda: watch.firing() == {WATCHDOG})
    return watch.firing()


class TestAfterAGoodRun:
    def test_every_target_is_up(self, watch: Watch, well: set[Alert]) -> None:
        targets = watch.prometheus("targets")["activeTargets"]
        jobs = {target["labels"]["job"]: target["health"] for target in targets}
        assert jobs == {"prometheus": "up", "alertmanager": "up", "node": "up"}

    def test_prometheus_has_found_alertmanager(self, watch: Watch, well: set[Alert]) -> None:
        (found,) = watch.prometheus("alertmanagers")["activeAlertmanagers"]
        assert found["url"].startswith(f"http://127.0.0.1:{watch.ports.alertmanager}/")

    def test_every_rule_can_be_evaluated(self, watch: Watch, well: set[Alert]) -> None:
        rules = list(watch.rules())
        assert len(rules) > 50
        assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}

    def test_the_metrics_are_those_of_the_file(self, watch: Watch, well: set[Alert]) -> None:
        (sample,) = watch.prometheus(
            "query", query='tap_sentry_last_run_result{result="success",environment="demo"}'
        )["result"]
        assert sample["value"][1] == "1"
        assert sample["metric"]["pipeline"] == "sentry-to-marts"

    def test_only_the_watchdog_fires(self, well: set[Alert]) -> None:
        assert well == {WATCHDOG}

    def test_the_heartbeat_goes_out_apart_from_all_else(
        self, receiver: Receiver, well: set[Alert]
    ) -> None:
        for message in receiver.messages["/heartbeat"]:
            assert message["status"] == "firing"
            assert message["commonLabels"]["alertname"] == "TapSentryWatchdog"
        assert WATCHDOG not in receiver.told("firing")


@pytest.fixture(scope="module")
def ill(meltano: Project, watch: Watch, receiver: Receiver, well: set[Alert]) -> set[Alert]:
    """What fires after the bad runs, once all of it has been told."""
    past = DEMO | hours_ago(7)
    run_dev_and_prod(meltano, **past)
    ends_well(meltano.start("--environment=prod", *FRESHNESS, **past))
    broken = meltano.folder / "transform/tests/broken_on_purpose.sql"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("select * from {{ ref('stg_sentry__issues') }}")
    assert meltano.meltano("run", "dbt:test").returncode == 1
    broken.unlink()
    kill(meltano.start(*FRESHNESS))
    assert well == {WATCHDOG}
    write_metrics(meltano)
    assert wait_until(lambda: watch.firing() >= TOLD | EXPLAINED), watch.firing()
    assert receiver.wait_until(lambda: set(receiver.told("firing")) >= TOLD)
    return watch.firing()


def kill(run: subprocess.Popen[str]) -> None:
    """End a run and all its processes at once, as soon as it has begun."""
    process = psutil.Process(run.pid)
    assert wait_until(lambda: bool(process.children()))
    for one in [*process.children(recursive=True), process]:
        one.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)


class TestAfterBadRuns:
    def test_each_alert_is_told_once(self, receiver: Receiver, ill: set[Alert]) -> None:
        told = receiver.told("firing")
        assert {alert: told[alert] for alert in TOLD} == dict.fromkeys(TOLD, 1)

    def test_what_another_explains_fires_and_is_not_told(
        self, watch: Watch, receiver: Receiver, ill: set[Alert]
    ) -> None:
        assert ill >= EXPLAINED
        assert watch.silenced() >= EXPLAINED
        assert not EXPLAINED & set(receiver.told("firing"))

    def test_what_fires_is_told_or_explained(
        self, watch: Watch, receiver: Receiver, ill: set[Alert]
    ) -> None:
        assert wait_until(
            lambda: watch.firing() == {WATCHDOG, *receiver.told("firing"), *watch.silenced()}
        ), (watch.firing(), receiver.told("firing"), watch.silenced())

    def test_the_environment_without_trouble_is_not_blamed(self, ill: set[Alert]) -> None:
        assert Alert("DataStale", "demo") not in ill
        assert Alert("RunMissed", "prod") not in ill
        assert Alert("RunMissed", "demo") not in ill

    def test_slack_gets_a_text_that_a_person_can_act_on(
        self, receiver: Receiver, ill: set[Alert]
    ) -> None:
        (text,) = [
            attachment["text"]
            for message in receiver.messages["/slack"]
            for attachment in message["attachments"]
            if "broken_on_purpose" in attachment["text"]
        ]
        (alert,) = [
            alert
            for message in receiver.messages["/webhook"]
            for alert in message["alerts"]
            if _name(alert) == "TapSentryDbtTestFailed"
        ]
        for part in ("summary", "description", "runbook"):
            assert alert["annotations"][part] in text
        assert "Environment: demo" in text


def _name(alert: dict[str, dict[str, str]]) -> str:
    return alert["labels"]["alertname"]


@pytest.fixture(scope="module")
def well_again(meltano: Project, watch: Watch, receiver: Receiver, ill: set[Alert]) -> set[Alert]:
    """What fires after each of them ran well again."""
    run_dev_and_prod(meltano, **DEMO)
    ends_well(meltano.start(*FRESHNESS))
    ends_well(meltano.start("run", "dbt:test"))
    assert ill
    write_metrics(meltano)
    assert wait_until(lambda: watch.firing() == {WATCHDOG}), watch.firing()
    told = set(receiver.told("firing"))
    assert receiver.wait_until(lambda: set(receiver.told("resolved")) >= told)
    return watch.firing()


class TestAfterGoodRunsAgain:
    def test_each_alert_has_ended_and_that_is_told_once(
        self, receiver: Receiver, well_again: set[Alert]
    ) -> None:
        resolved = receiver.told("resolved")
        assert {alert: resolved[alert] for alert in TOLD} == dict.fromkeys(TOLD, 1)

    def test_none_was_told_a_second_time(self, receiver: Receiver, well_again: set[Alert]) -> None:
        assert set(receiver.told("firing").values()) == {1}
        assert not EXPLAINED & (set(receiver.told("firing")) | set(receiver.told("resolved")))


class TestDashboards:
    def test_get_an_answer_to_every_query(
        self, meltano: Project, watch: Watch, well_again: set[Alert]
    ) -> None:
        published = meltano.folder / "output/demo/published/warehouse.duckdb"
        assert unanswered(watch.url, published, "demo") == []


@pytest.fixture(scope="module")
def unattended(
    meltano: Project, watch: Watch, receiver: Receiver, well_again: set[Alert]
) -> Counter[Alert]:
    """What was told since the metrics were last written an hour ago, the data stale by then."""
    assert well_again == {WATCHDOG}
    before = receiver.told("firing")
    write_metrics(meltano, ago_s=HOUR_S)
    assert receiver.wait_until(lambda: set(receiver.told("firing")) >= METRICS_STALE)
    age(meltano, "prod")
    assert wait_until(lambda: Alert("DataStale", "prod") in watch.silenced()), watch.firing()
    return receiver.told("firing") - before


def age(meltano: Project, environment: str) -> None:
    """Make the newest rows of an environment seven hours older in the file of metrics."""
    path = metrics(meltano.folder / "output") / "tap_sentry.prom"
    lines = []
    for line in path.read_text().splitlines(keepends=True):
        name, _, value = line.rpartition(" ")
        if name.startswith("tap_sentry_source_loaded_") and f'"{environment}"' in name:
            lines.append(f"{name} {float(value) - 7 * HOUR_S}\n")
        else:
            lines.append(line)
    written = path.with_suffix(".new")
    written.write_text("".join(lines))
    written.replace(path)


class TestMetricsThatNobodyWrites:
    def test_are_told_once_and_silence_what_they_say(self, unattended: Counter[Alert]) -> None:
        assert unattended == dict.fromkeys(METRICS_STALE, 1)

    def test_are_told_once_when_they_are_written_again(
        self, meltano: Project, watch: Watch, receiver: Receiver, unattended: Counter[Alert]
    ) -> None:
        write_metrics(meltano)
        assert receiver.wait_until(lambda: set(receiver.told("resolved")) >= METRICS_STALE)
        assert wait_until(lambda: watch.firing() == {WATCHDOG}), watch.firing()
        assert {receiver.told("resolved")[one] for one in METRICS_STALE} == {1}
        assert receiver.told("firing")[Alert("DataStale", "prod")] == 1


class TestBehindAPassword:
    def test_prometheus_reaches_all_targets_and_strangers_reach_nothing(
        self, tmp_path: Path
    ) -> None:
        web, client = tmp_path / "web.yml", tmp_path / "client.yml"
        hashed = bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()
        web.write_text(f"basic_auth_users: {{watcher: '{hashed}'}}\n")
        client.write_text("basic_auth: {username: watcher, password: word}\n")
        stop, said, ports = threading.Event(), list[str](), free_ports()
        thread = threading.Thread(
            target=stack.run,
            args=(tmp_path / "output", os.environ, int),
            kwargs={
                "ports": ports, "web_config": web, "web_client": client,
                "stop": stop, "say": said.append,
            },
        )  # fmt: skip
        thread.start()
        try:
            assert wait_until(lambda: "Ctrl-C stops them." in said)
            url = f"http://127.0.0.1:{ports.prometheus}/api/v1/targets"

            def health() -> list[str]:
                answer = requests.get(url, auth=("watcher", "word"), timeout=10)
                return [one["health"] for one in answer.json()["data"]["activeTargets"]]

            assert wait_until(lambda: health() == ["up"] * 3), health()
            for port in ports:
                address = f"http://127.0.0.1:{port}/metrics"
                assert requests.get(address, timeout=10).status_code == 401
        finally:
            stop.set()
            thread.join()
