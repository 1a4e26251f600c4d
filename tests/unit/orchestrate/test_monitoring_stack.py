"""The local stack and where its alerts go: with programs that only look like the real ones."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring import notifications, stack
from orchestrate.monitoring.programs import Ports, answer_of, started
from tests.monitoring import free_ports, wait_until

SECRET = "T0K3N"
WEBHOOK = {"OBSERVE_ALERTS_WEBHOOK_URL": f"https://hooks.example.com/{SECRET}"}
EMAIL = {
    "OBSERVE_ALERTS_EMAIL_TO": "on-call@example.com,lead@example.com",
    "OBSERVE_ALERTS_EMAIL_FROM": "alerts@example.com",
    "OBSERVE_ALERTS_EMAIL_SMARTHOST": "smtp.example.com:587",
}

# Listens where it is told to, and answers what Prometheus would, as long as nobody stops it.
LISTENS = """#!{python}
import http.server, json, sys
given = dict(one[2:].split("=", 1) for one in sys.argv[1:])
host, port = given["web.listen-address"].split(":")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        target = dict(labels=dict(job="node"), health="up", scrapeUrl="http://a", lastError="")
        body = json.dumps(dict(data=dict(activeTargets=[target]))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""
DIES = """#!/bin/sh
echo 'level=info msg="Starting"'
echo 'level=error err="the disk is full"'
exit 3
"""
NAMES = ("prometheus", "prometheus-alertmanager", "node_exporter")


def install(folder: Path, script: str, *names: str) -> dict[str, str]:
    """Programs in a folder. Returns the variables with which only those are found."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.write_text(script.replace("{python}", sys.executable))
        path.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return install(tmp_path / "bin", LISTENS, *NAMES)


def configured(environ: dict[str, str]) -> dict[str, list[str]]:
    """The kinds of channels of each receiver."""
    content = notifications.configuration(environ)
    return {
        receiver["name"]: sorted(key for key in receiver if key != "name")
        for receiver in content["receivers"]
    }


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(LedgerError) as caught:
        notifications.configuration(environ)
    (line,) = str(caught.value).splitlines()
    return line


class TestChannels:
    def test_that_are_not_set_up_are_left_out_and_every_receiver_stays(self) -> None:
        assert configured({}) == {"critical": [], "warning": [], "info": [], "heartbeat": []}

    def test_get_what_is_meant_for_them(self, tmp_path: Path) -> None:
        slack, key = tmp_path / "slack", tmp_path / "key"
        slack.write_text("https://hooks.example.com/services/x\n")
        key.write_text("0123456789abcdef")
        assert configured(
            {
                **WEBHOOK,
                **EMAIL,
                "OBSERVE_ALERTS_SLACK_URL_FILE": str(slack),
                "OBSERVE_ALERTS_PAGERDUTY_KEY_FILE": str(key),
                "OBSERVE_ALERTS_HEARTBEAT_URL": "https://beat.example.com",
            }
        ) == {
            "critical": ["email_configs", "pagerduty_configs", "slack_configs", "webhook_configs"],
            "warning": ["email_configs", "slack_configs", "webhook_configs"],
            "info": ["webhook_configs"],
            "heartbeat": ["webhook_configs"],
        }

    def test_leave_no_placeholder(self, tmp_path: Path) -> None:
        for environ in ({}, WEBHOOK, EMAIL):
            assert "$OBSERVE" not in yaml.safe_dump(notifications.configuration(environ))

    def test_send_mail_without_a_password_where_there_is_none(self) -> None:
        (_, warning, *_) = notifications.configuration(EMAIL)["receivers"]
        (mail,) = warning["email_configs"]
        assert mail["to"] == "on-call@example.com, lead@example.com"
        assert mail["smarthost"] == "smtp.example.com:587"
        assert not {"auth_username", "auth_password_file"} & set(mail)

    def test_ignore_a_variable_that_is_empty(self) -> None:
        assert configured({"OBSERVE_ALERTS_WEBHOOK_URL": " "})["info"] == []

    def test_have_secrets_in_files_that_only_alertmanager_reads(self, tmp_path: Path) -> None:
        key = tmp_path / "key"
        key.write_text(SECRET)
        content = notifications.configuration({"OBSERVE_ALERTS_PAGERDUTY_KEY_FILE": str(key)})
        assert content["receivers"][0]["pagerduty_configs"][0]["routing_key_file"] == str(key)
        assert SECRET not in yaml.safe_dump(content)


class TestAChannelThatIsSetUpWrongly:
    @pytest.mark.parametrize(
        "value",
        [
            f"hooks.example.com/{SECRET}",
            f"ftp://{SECRET}",
            f"http://[{SECRET}",
            f"http://a b/{SECRET}",
        ],
    )
    def test_is_refused_without_telling_its_address(self, value: str) -> None:
        line = refused({"OBSERVE_ALERTS_WEBHOOK_URL": value})
        assert "OBSERVE_ALERTS_WEBHOOK_URL is no address" in line
        assert SECRET not in line

    @pytest.mark.parametrize(
        ("name", "value", "wrong"),
        [
            ("EMAIL_TO", "on-call", "no e-mail address"),
            ("EMAIL_TO", "a@example.com,", "no e-mail address"),
            ("EMAIL_SMARTHOST", "smtp.example.com", "no host with a port"),
            ("EMAIL_SMARTHOST", "smtp.example.com:70000", "no host with a port"),
        ],
    )
    def test_by_mail_is_refused(self, name: str, value: str, wrong: str) -> None:
        line = refused({**EMAIL, f"OBSERVE_ALERTS_{name}": value})
        assert f"OBSERVE_ALERTS_{name} is {wrong}" in line

    def test_by_mail_is_refused_where_half_of_it_is_missing(self) -> None:
        line = refused({"OBSERVE_ALERTS_EMAIL_TO": "on-call@example.com"})
        assert "OBSERVE_ALERTS_EMAIL_FROM is not set" in line

    def test_is_refused_where_its_file_is_missing(self, tmp_path: Path) -> None:
        line = refused({"OBSERVE_ALERTS_SLACK_URL_FILE": str(tmp_path / "none")})
        assert "OBSERVE_ALERTS_SLACK_URL_FILE names a file" in line
        assert "No such file or directory" in line

    @pytest.mark.parametrize("value", [SECRET, f"https://{SECRET}/x", f"~{SECRET}/x", "/"])
    @pytest.mark.parametrize("name", ["SLACK_URL_FILE", "PAGERDUTY_KEY_FILE"])
    def test_does_not_tell_a_secret_that_stands_where_its_file_should(
        self, name: str, value: str
    ) -> None:
        line = refused({f"OBSERVE_ALERTS_{name}": value})
        assert f"OBSERVE_ALERTS_{name} names" in line
        assert SECRET not in line

    @pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe\x00"])
    def test_is_refused_where_its_file_holds_no_secret(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        line = refused({"OBSERVE_ALERTS_PAGERDUTY_KEY_FILE": str(path)})
        assert "OBSERVE_ALERTS_PAGERDUTY_KEY_FILE names a file that does not hold one line" in line

    def test_is_refused_where_its_file_holds_no_address_and_does_not_tell_it(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "slack"
        path.write_text(SECRET)
        line = refused({"OBSERVE_ALERTS_SLACK_URL_FILE": str(path)})
        assert "no address" in line
        assert SECRET not in line


class TestConfigurations:
    def test_are_for_the_owner_alone_where_addresses_stand_in_them(self, tmp_path: Path) -> None:
        path = tmp_path / "monitoring/alertmanager.yml"
        path.parent.mkdir()
        path.write_text("of before")
        path.chmod(0o644)
        assert stack.configure(tmp_path, WEBHOOK) == ["webhook"]
        assert SECRET in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_show_a_password_of_prometheus_to_the_owner_alone(self, tmp_path: Path) -> None:
        client = {"basic_auth": {"username": "ada", "password": SECRET}}
        stack.configure(tmp_path, {}, client=client)
        path = tmp_path / "monitoring/prometheus.yml"
        assert SECRET in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # Logs lie there too, with the addresses of webhooks that do not answer.
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_have_the_ports_that_were_asked_for(self, tmp_path: Path) -> None:
        stack.configure(tmp_path, {}, Ports(1, 2, 3))
        content = prometheus(tmp_path)
        jobs = {job["job_name"]: job for job in content["scrape_configs"]}
        for name, port in (("prometheus", 1), ("alertmanager", 2), ("node", 3)):
            assert jobs[name]["static_configs"] == [{"targets": [f"127.0.0.1:{port}"]}]
        (manager,) = content["alerting"]["alertmanagers"]
        assert manager["static_configs"] == [{"targets": ["127.0.0.1:2"]}]

    def test_find_rules_and_targets_from_wherever_they_lie(self, tmp_path: Path) -> None:
        stack.configure(tmp_path, {})
        content = prometheus(tmp_path)
        (rules,) = content["rule_files"]
        folder = Path(stack.TEMPLATE).parent
        assert Path(rules).parent.resolve() == folder.parent / "alerts"
        for job in content["scrape_configs"]:
            for discovery in job.get("file_sd_configs", []):
                assert all(Path(path).parent == folder / "targets" for path in discovery["files"])

    def test_tell_in_one_line_that_the_folder_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "monitoring").write_text("a file")
        with pytest.raises(LedgerError, match="Cannot write the configurations"):
            stack.configure(tmp_path, {})


def prometheus(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((output / "monitoring/prometheus.yml").read_text())
    return content


@contextmanager
def in_background(output: Path, environ: dict[str, str], ports: Ports) -> Iterator[list[str]]:
    """The stack while the block runs, and what it says."""
    stop, said = threading.Event(), list[str]()
    arguments = {"ports": ports, "stop": stop, "say": said.append}
    thread = threading.Thread(
        target=stack.run, args=(output, environ, lambda: None), kwargs=arguments
    )
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join()


class TestTheStack:
    def test_says_where_it_is_and_what_is_up(self, tmp_path: Path, environ: dict[str, str]) -> None:
        ports = free_ports()
        with in_background(tmp_path, environ | WEBHOOK, ports) as said:
            assert wait_until(lambda: "Ctrl-C stops them." in said)
        addresses, targets, _ = said
        for port in ports:
            assert f"http://127.0.0.1:{port}/" in addresses
        assert "alerts go to   webhook\n" in addresses
        assert "targets up: 1 of 1" in targets
        assert SECRET not in "".join(said)

    def test_ends_all_three_with_it(self, tmp_path: Path, environ: dict[str, str]) -> None:
        stack.configure(tmp_path, environ)
        ports = free_ports()
        with started(tmp_path, environ, ports) as running:
            found = [one.process.pid for one in running]
            assert all(answer_of(port, "/") for port in ports)
        assert not any(psutil.pid_exists(pid) for pid in found)

    def test_goes_on_where_metrics_cannot_be_written(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        def fails() -> None:
            raise LedgerError("The disk is full.")

        stop, said = threading.Event(), list[str]()
        stop.set()
        stack.run(tmp_path, environ, fails, ports=free_ports(), stop=stop, say=said.append)
        assert said[0] == "WARN  The disk is full."
        assert said[-1] == "Ctrl-C stops them."

    def test_gives_the_programs_none_of_our_variables(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        stack.configure(tmp_path, environ)
        given = {**environ, **WEBHOOK, "TAP_SENTRY_API_TOKEN": SECRET, "TZ": "UTC"}
        with started(tmp_path, given, free_ports()) as running:
            for one in running:
                found = psutil.Process(one.process.pid).environ()
                assert SECRET not in repr(found)
                assert found["TZ"] == "UTC"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_ends_with_a_signal(
        self, tmp_path: Path, environ: dict[str, str], number: signal.Signals
    ) -> None:
        ports = free_ports()
        code = (
            "import sys; from pathlib import Path; from orchestrate.monitoring import stack;"
            f"stack.run(Path({str(tmp_path)!r}), {environ!r}, int, ports=stack.Ports(*{[*ports]}));"
            "print('over')"
        )
        command = [sys.executable, "-u", "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                if line == "Ctrl-C stops them.\n":
                    process.send_signal(number)
        assert process.returncode == 0
        assert not any(answer_of(port, "/") for port in ports)


class TestAStackThatCannotStart:
    @pytest.mark.parametrize("missing", NAMES)
    def test_says_what_to_install(self, tmp_path: Path, missing: str) -> None:
        environ = install(tmp_path / "bin", LISTENS, *(name for name in NAMES if name != missing))
        line = stopped(tmp_path, environ, free_ports())
        assert "apt install prometheus prometheus-alertmanager prometheus-node-exporter" in line
        assert f"no {missing}" in line

    def test_says_which_port_is_taken(self, tmp_path: Path, environ: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = stopped(tmp_path, environ, free_ports()._replace(alertmanager=port))
        assert f"Cannot start alertmanager on port {port}" in line
        assert "--alertmanager-port" in line

    @pytest.mark.parametrize("name", NAMES)
    def test_says_which_one_died_and_of_what(
        self, tmp_path: Path, environ: dict[str, str], name: str
    ) -> None:
        install(tmp_path / "bin", DIES, name)
        line = stopped(tmp_path, environ, free_ports())
        assert "stopped with exit code 3" in line
        assert "the disk is full" in line
        assert str(tmp_path / "monitoring") in line

    def test_has_ended_those_that_were_up(self, tmp_path: Path, environ: dict[str, str]) -> None:
        install(tmp_path / "bin", DIES, "node_exporter")
        ports = free_ports()
        stopped(tmp_path, environ, ports)
        assert not any(answer_of(port, "/") for port in ports)

    def test_wants_to_know_how_to_come_in_where_a_password_is_asked_for(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        web = tmp_path / "web.yml"
        with pytest.raises(LedgerError, match="reach neither Alertmanager nor itself"):
            stack.run(tmp_path, environ, int, web_config=web)

    @pytest.mark.parametrize(
        "content", ["basic_auth: {password: T0K3N", "T0K3N", "job_name: x", ""]
    )
    def test_refuses_a_way_in_that_is_none_and_does_not_tell_it(
        self, tmp_path: Path, environ: dict[str, str], content: str
    ) -> None:
        path = tmp_path / "client.yml"
        path.write_text(content)
        with pytest.raises(LedgerError, match="as in a scrape job") as caught:
            stack.run(tmp_path, environ, int, web_config=path, web_client=path)
        assert SECRET not in str(caught.value)


class TestAProgramThatDiesLater:
    def test_ends_the_stack(self, tmp_path: Path, environ: dict[str, str]) -> None:
        stack.configure(tmp_path, environ)
        with started(tmp_path, environ, free_ports()) as running:
            running[1].process.kill()
            running[1].process.wait()
            running[0].check()
            with pytest.raises(LedgerError, match="alertmanager stopped with exit code -9"):
                running[1].check()


def stopped(output: Path, environ: dict[str, str], ports: Ports) -> str:
    """The one line with which the stack ended."""
    with pytest.raises(LedgerError) as caught:
        stack.run(output, environ, int, ports=ports, stop=threading.Event())
    (line,) = str(caught.value).splitlines()
    return line
