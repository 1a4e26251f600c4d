"""The ways out of the metrics, with the programs they are for: Prometheus and its Pushgateway."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests

from orchestrate.ledger.model import Result, Row
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.monitoring import PREFIX, from_ledger
from orchestrate.monitoring.exposition import write_textfile
from orchestrate.monitoring.history import HEAD_S, Span, write
from orchestrate.monitoring.model import Family, Kind, Metric, Sample
from orchestrate.monitoring.push import PASSWORD, URL, USER, WORKER, delete, gateway, push
from orchestrate.monitoring.server import LOOPBACK, Source, serving
from orchestrate.monitoring.web_config import WebConfig
from tests.certificates import Authority
from tests.otlp import free_port, stop
from tests.unit.orchestrate import records

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0
PAUSE_S = 0.2
SECRET = "s3cret"
ROWS = PREFIX + "stream_rows_total"

# Seconds from the beginning of the past to the runs of the ledger: two, an hour apart.
GOOD, BAD = (0, 60), (3600, 3690)


def eventually(asked: Callable[[], Any]) -> Any:
    """The first answer that is one."""
    rest = threading.Event()
    for _ in range(int(PATIENCE_S / PAUSE_S)):
        with suppress(requests.ConnectionError):
            found = asked()
            if found:
                return found
        rest.wait(PAUSE_S)
    raise AssertionError("it never came to be")


@contextmanager
def running(folder: Path, program: str, *options: str) -> Iterator[Path]:
    """A program of Debian's, up while the block runs. Gives its log."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    log = folder / f"{program}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([program, *options], stdout=out, stderr=out, cwd=folder)
        try:
            yield log
        finally:
            stop(process)


class Prometheus:
    """One that runs and may be asked."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log

    def values(self, query: str, at_s: float | None = None) -> dict[frozenset[Any], float]:
        """What a query gives at an instant (default: now), by labels."""
        given = {"query": query, **({} if at_s is None else {"time": str(at_s)})}
        answer = requests.get(f"{self.url}/api/v1/query", given, timeout=PATIENCE_S).json()
        assert answer["status"] == "success", answer
        return {
            frozenset(one["metric"].items()): float(one["value"][1])
            for one in answer["data"]["result"]
        }

    def value(self, query: str, at_s: float | None = None) -> float | None:
        """The one value that a query gives, None for nothing."""
        found = self.values(query, at_s)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def has(self, query: str) -> dict[frozenset[Any], float]:
        """The first answer of now that is not empty."""
        found: dict[frozenset[Any], float] = eventually(lambda: self.values(query))
        return found


@contextmanager
def prometheus(
    folder: Path, scrapes: Sequence[dict[str, Any]] = (), port: int | None = None
) -> Iterator[Prometheus]:
    """Prometheus with its data in `folder/data`, scraping each second."""
    port = port or free_port()
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": list(scrapes)}
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    with running(
        folder,
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ) as log:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: requests.get(f"{url}/-/ready", timeout=PATIENCE_S).ok)
        yield Prometheus(url, log)


def scrape(job: str, *ports: int, **more: Any) -> dict[str, Any]:
    targets = [f"127.0.0.1:{port}" for port in ports]
    return {"job_name": job, "static_configs": [{"targets": targets}], **more}


def rows(value: float, stream: str = "issues", text: str = "Rows that the tap wrote.") -> Family:
    samples = (Sample(("demo", stream), value),)
    metric = Metric("stream_rows_total", text)
    return Family(metric, Kind.COUNTER, ("environment", "stream"), samples)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture
def secured(tmp_path: Path) -> Path:
    """A web configuration with TLS and a password."""
    Authority(tmp_path).sign("server")
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
    path = tmp_path / "web.yml"
    path.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS12}\n"
        f"basic_auth_users: {{ada: {hashed}}}\n"
    )
    return path


@pytest.fixture
def began_s() -> int:
    """When the past began: 6 hours ago, at a full hour."""
    return int(time.time()) // 3600 * 3600 - 6 * 3600


@pytest.fixture
def ledger(tmp_path: Path, began_s: int) -> Iterator[Ledger]:
    """A run that went well with 120 rows, and one that failed with 30."""
    found: list[Row] = []
    for run_id, (begin, end), count, result in (
        (records.EARLIER_RUN_ID, GOOD, 120, Result.SUCCESS),
        (records.RUN_ID, BAD, 30, Result.FAILURE),
    ):
        began_us, ended_us = ((began_s + at) * 1_000_000 for at in (begin, end))
        times = {"started_us": began_us, "heard_us": ended_us, "ended_us": ended_us}
        found.append(records.run(run_id, **times, result=result))
        stream = records.stream("events", 0, 1, rows=count, started_us=began_us, ended_us=ended_us)
        stream.run_id, stream.result = run_id, result
        found.append(stream)
    with Ledger(tmp_path / "ledger.db") as opened:
        with opened.writing():
            opened.save(found)
        yield opened


class TestServer:
    def test_is_scraped_with_the_configuration_that_others_have_too(
        self, tmp_path: Path, secured: Path
    ) -> None:
        source = Source(lambda: [rows(120)], print, max_age_s=0)
        client = {
            "scheme": "https",
            "tls_config": {"ca_file": "authority.crt"},
            "basic_auth": {"username": "ada", "password": SECRET},
        }
        node_port = free_port()
        with (
            serving(source, LOOPBACK, 0, print, WebConfig(secured, print)) as url,
            running(
                tmp_path,
                "prometheus-node-exporter",
                f"--web.listen-address=127.0.0.1:{node_port}",
                f"--web.config.file={secured}",
            ),
            prometheus(
                tmp_path,
                [
                    scrape("tap-sentry", port_of(url), **client),
                    scrape("node", node_port, **client),
                    scrape("stranger", port_of(url), **{**client, "basic_auth": {}}),
                ],
            ) as asked,
        ):
            labels = {"job": "tap-sentry", "instance": f"127.0.0.1:{port_of(url)}"}
            labels |= {"__name__": ROWS, "environment": "demo", "stream": "issues"}
            assert asked.has(ROWS) == {frozenset(labels.items()): 120}
            assert list(asked.has('up{job="node"} == 1').values()) == [1]
            assert list(asked.has('up{job="stranger"}').values()) == [0]


class TestPushgateway:
    @pytest.fixture
    def environ(self, tmp_path: Path) -> Iterator[dict[str, str]]:
        """The variables that lead to a gateway that wants a password."""
        hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
        (tmp_path / "gateway.yml").write_text(f"basic_auth_users: {{ada: {hashed}}}\n")
        port = free_port()
        with running(
            tmp_path,
            "prometheus-pushgateway",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.config.file=gateway.yml",
            "--persistence.file=",  # Debian's keeps groups for the next one
        ):
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: requests.get(url, timeout=PATIENCE_S).status_code == 401)
            yield {URL: url, USER: "ada", PASSWORD: SECRET}

    def pushed(self, environ: dict[str, str]) -> set[str]:
        """The lines of our metrics that it shows."""
        url, auth = f"{environ[URL]}/metrics", (environ[USER], environ[PASSWORD])
        text = requests.get(url, auth=auth, timeout=PATIENCE_S).text
        return {line for line in text.splitlines() if line.startswith(PREFIX)}

    def test_has_what_was_pushed_last_and_nothing_else(self, environ: dict[str, str]) -> None:
        push([rows(1, "events")], gateway(environ))
        push([rows(2, "issues")], gateway(environ))
        shown = f'{ROWS}{{environment="demo",instance="",job="tap-sentry",stream="issues"}} 2'
        assert self.pushed(environ) == {shown}

    def test_has_a_group_for_each_worker_until_it_leaves(self, environ: dict[str, str]) -> None:
        one, two = (gateway({**environ, WORKER: name}) for name in ("eu/1", "two"))
        push([rows(1)], one)
        push([rows(2)], two)
        assert len(self.pushed(environ)) == 2
        delete(one)
        (left,) = self.pushed(environ)
        assert 'instance="two"' in left
        delete(two)
        delete(two)
        assert not self.pushed(environ)

    def test_gives_it_to_prometheus_as_it_came(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        push([rows(120)], gateway({**environ, WORKER: "worker-1"}))
        auth = {"username": "ada", "password": SECRET}
        target = scrape("push", port_of(environ[URL]), basic_auth=auth, honor_labels=True)
        with prometheus(tmp_path, [target]) as asked:
            (labels,) = asked.has(ROWS)
        assert dict(labels)["job"] == "tap-sentry"
        assert dict(labels)["instance"] == "worker-1"

    def test_that_lets_us_not_in_is_one_clear_line(self, environ: dict[str, str]) -> None:
        with pytest.raises(LedgerError, match=f"it answered 401. Correct {USER}") as failed:
            push([rows(1)], gateway({**environ, PASSWORD: "wr0ng"}))
        assert "wr0ng" not in str(failed.value)

    def test_that_refuses_says_why_and_keeps_what_it_had(self, environ: dict[str, str]) -> None:
        push([rows(1)], gateway(environ))
        twice = rows(2)._replace(samples=rows(2).samples * 2)
        with pytest.raises(LedgerError, match=r"it answered 400 \(.*collected before") as failed:
            push([twice], gateway(environ))
        assert "\n" not in str(failed.value)
        assert len(self.pushed(environ)) == 1


class TestHistory:
    def backfilled(
        self, ledger: Ledger, folder: Path, span: Span, instance: str = "127.0.0.1:9100"
    ) -> None:
        """Put the past into Prometheus's folder, as the message tells a person to."""
        if not shutil.which("promtool"):
            pytest.skip("promtool is not installed")
        labels = {"job": "node", "instance": instance}
        written = write(ledger, folder / "history.txt", span, labels, print)
        command = [*shlex.split(written.command), "data"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_answers_what_was(self, ledger: Ledger, tmp_path: Path, began_s: int) -> None:
        self.backfilled(ledger, tmp_path, Span(began_s - 3600, began_s + 2 * 3600))
        expected = {
            ("run_active", -10): None,
            ("run_active", 30): 1,
            ("run_active", 90): 0,
            ("run_active", 3600): 1,
            ("run_active", 3689): 1,
            ("run_active", 3690): 0,
            ("run_active", 7200): 0,
            ("run_active", 7200 + 301): None,
            ('runs_total{result="success"}', 59): None,
            ('runs_total{result="success"}', 60): 1,
            ('runs_total{result="failure"}', 1800): 0,
            ('runs_total{result="failure"}', 3700): 1,
            ("run_seconds_total", 1800): 60,
            ("run_seconds_total", 5400): 150,
            ("stream_rows_total", 3600): 120,
            ("stream_rows_total", 7200): 150,
            ("stream_last_rows", 7200): 30,
            ("last_run_duration_seconds", 1800): 60,
            ("last_run_duration_seconds", 5400): 90,
            ('last_run_result{result="success"}', 1800): 1,
            ('last_run_result{result="success"}', 5400): 0,
            ("last_success_timestamp_seconds", 5400): began_s + 60,
        }
        with prometheus(tmp_path) as asked:
            found = {(name, at): asked.value(PREFIX + name, began_s + at) for name, at in expected}
            assert found == expected
            age = f"time() - {PREFIX}last_success_timestamp_seconds"
            assert asked.value(age, began_s + 4000) == 3940
            active = f"sum_over_time({PREFIX}run_active[2h])"
            assert (asked.value(active, began_s + 7200) or 0) >= 2

    def test_has_no_gap_between_its_samples(
        self, ledger: Ledger, tmp_path: Path, began_s: int
    ) -> None:
        self.backfilled(ledger, tmp_path, Span(began_s, began_s + 6 * 3600))
        with prometheus(tmp_path) as asked:
            for at_s in range(began_s + 61, began_s + 6 * 3600, 487):
                assert asked.value(f"{PREFIX}run_seconds_total", at_s) is not None

    def test_goes_over_into_the_present(self, ledger: Ledger, tmp_path: Path, began_s: int) -> None:
        now_s = int(time.time())
        node_port = free_port()
        instance = f"127.0.0.1:{node_port}"
        self.backfilled(ledger, tmp_path, Span(began_s, now_s), instance)
        write_textfile(from_ledger.newest(ledger, now_s * 1_000_000), tmp_path / "metrics")
        with (
            running(
                tmp_path,
                "prometheus-node-exporter",
                f"--web.listen-address={instance}",
                "--collector.disable-defaults",
                "--collector.textfile",
                "--collector.textfile.directory=metrics",
            ),
            prometheus(tmp_path, [scrape("node", node_port)]) as asked,
        ):
            asked.has("node_textfile_mtime_seconds")
            ours = f'{{__name__=~"{PREFIX}.+"}}'
            present = asked.values(ours)
            assert present == asked.values(ours, now_s)
            assert len(present) > 15
            assert asked.value(f"count({ours})") == len(present)
            both = asked.values(f"count_over_time({PREFIX}run_seconds_total[6h])")
            assert len(both) == 1  # one series, not one of the past and one of the present
            log = asked.log.read_text()
        assert "out of order" not in log
        assert "out-of-order" not in log
        assert "overlap" not in log
        assert "level=error" not in log

    def test_takes_nothing_from_a_prometheus_that_ran_before(
        self, ledger: Ledger, tmp_path: Path, began_s: int
    ) -> None:
        def first_s(asked: Prometheus) -> float:
            """When the oldest sample of its own was scraped."""
            (found,) = asked.has('min_over_time(timestamp(up{job="itself"})[1h:1s])').values()
            return found

        port = free_port()
        itself = scrape("itself", port)
        with prometheus(tmp_path, [itself], port) as asked:
            eventually(lambda: (asked.value("count_over_time(up[1h])") or 0) > 2)
            before_s = first_s(asked)
            self.backfilled(ledger, tmp_path, Span(began_s, int(time.time()) - HEAD_S))
        with prometheus(tmp_path, [itself], port) as asked:
            assert first_s(asked) == before_s
            assert asked.value(f"{PREFIX}run_seconds_total", began_s + 5400) == 150
