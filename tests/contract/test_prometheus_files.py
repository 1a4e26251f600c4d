"""What Prometheus and Alertmanager say of our files, and that these fit together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrate.monitoring import notifications, stack
from tests.monitoring import ALERTS, checked, needs

TEMPLATES = notifications.FOLDER / "messages.tmpl"
ABOUT_METRICS = {
    "TapSentryMetricsStale",
    "TapSentryMetricsMissing",
    "TapSentryMetricsUnreadable",
}
# It counts the others.
ESCALATION = "TapSentryAlertUnattended"


def alerts() -> Iterator[dict[str, Any]]:
    """Every alerting rule, those of options among them."""
    for path in sorted(ALERTS.rglob("*.yml")):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            for rule in group["rules"]:
                if "alert" in rule:
                    yield rule


RULES = list(alerts())
NAMES = {rule["alert"] for rule in RULES}


def alertmanager() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(notifications.TEMPLATE.read_text())
    return content


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The variables of each channel."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "slack").write_text("https://hooks.example.com/services/x\n")
    (folder / "word").write_text("0123456789abcdef0123456789abcdef\n")
    values = {
        "email": {
            "EMAIL_TO": "on-call@example.com, lead@example.com",
            "EMAIL_FROM": "alerts@example.com",
            "EMAIL_SMARTHOST": "smtp.example.com:587",
            "EMAIL_USERNAME": "alerts",
            "EMAIL_PASSWORD_FILE": str(folder / "word"),
        },
        "Slack": {"SLACK_URL_FILE": str(folder / "slack")},
        "PagerDuty": {"PAGERDUTY_KEY_FILE": str(folder / "word")},
        "webhook": {"WEBHOOK_URL": "https://example.com/hook?key=1"},
        "heartbeat": {"HEARTBEAT_URL": "https://beat.example.com/x"},
    }
    assert set(values) == set(notifications.CHANNELS)
    return {
        channel: {f"OBSERVE_ALERTS_{name}": value for name, value in found.items()}
        for channel, found in values.items()
    }


class TestPrometheusConfiguration:
    @needs("promtool")
    def test_is_valid_as_it_stands(self) -> None:
        checked("promtool", "check", "config", str(stack.TEMPLATE))

    @needs("promtool")
    def test_is_valid_as_the_stack_writes_it(self, tmp_path: Path) -> None:
        stack.configure(tmp_path, {})
        printed = checked(
            "promtool", "check", "config", str(tmp_path / "monitoring/prometheus.yml")
        )
        assert len(re.findall(r"SUCCESS: \d+ rules found", printed)) == len([*ALERTS.glob("*.yml")])

    @needs("promtool")
    def test_is_valid_with_a_way_past_a_password(self, tmp_path: Path) -> None:
        client = {"scheme": "https", "basic_auth": {"username": "a", "password": "b"}}
        stack.configure(tmp_path, {}, client=client)
        checked("promtool", "check", "config", str(tmp_path / "monitoring/prometheus.yml"))

    @needs("promtool")
    def test_is_valid_with_every_target_of_the_examples(self, tmp_path: Path) -> None:
        (tmp_path / "targets").mkdir()
        examples = sorted((stack.TEMPLATE.parent / "targets").glob("*.example"))
        for path in examples:
            (tmp_path / "targets" / path.stem).write_text(path.read_text())
        (tmp_path / "prometheus.yml").write_text(stack.TEMPLATE.read_text())
        printed = checked(
            "promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")
        )
        assert "does not exist" not in printed
        discovered = [
            discovery
            for job in yaml.safe_load(stack.TEMPLATE.read_text())["scrape_configs"]
            for discovery in job.get("file_sd_configs", [])
        ]
        assert len(examples) == len(discovered)

    def test_scrapes_every_fifteen_seconds(self) -> None:
        assert yaml.safe_load(stack.TEMPLATE.read_text())["global"] == {
            "scrape_interval": "15s",
            "evaluation_interval": "15s",
        }


@needs("amtool")
class TestAlertmanagerConfiguration:
    def test_is_valid_without_a_channel(self, tmp_path: Path) -> None:
        stack.configure(tmp_path, {})
        checked("amtool", "check-config", str(tmp_path / "monitoring/alertmanager.yml"))

    @pytest.mark.parametrize("number", [1, 2, len(notifications.CHANNELS)])
    def test_is_valid_with_channels(
        self, tmp_path: Path, channels: dict[str, dict[str, str]], number: int
    ) -> None:
        for names in combinations(channels, number):
            environ = {name: value for one in names for name, value in channels[one].items()}
            assert stack.configure(tmp_path, environ) == [*names]
            checked("amtool", "check-config", str(tmp_path / "monitoring/alertmanager.yml"))

    @pytest.mark.parametrize(
        ("labels", "receiver"),
        [
            (("alertname=TapSentryRunFailed", "severity=critical"), "critical"),
            (("alertname=TapSentryDataStale", "severity=warning"), "warning"),
            (("alertname=TapSentryDbtTestWarned", "severity=info"), "info"),
            (("alertname=TapSentryWatchdog", "severity=info"), "heartbeat"),
            (("alertname=TapSentryWatchdog", "severity=critical"), "heartbeat"),
            (("alertname=SomebodyElses",), "warning"),
        ],
    )
    def test_sends_an_alert_to_one_receiver(
        self, tmp_path: Path, labels: tuple[str, ...], receiver: str
    ) -> None:
        stack.configure(tmp_path, {})
        path = tmp_path / "monitoring/alertmanager.yml"
        printed = checked("amtool", "config", "routes", "test", f"--config.file={path}", *labels)
        assert printed.strip() == receiver


class TestReceivers:
    def test_are_woken_by_what_is_critical_alone(self) -> None:
        by_name = {one["name"]: one for one in alertmanager()["receivers"]}
        waking = {name for name, one in by_name.items() if "pagerduty_configs" in one}
        assert waking == {"critical"}
        assert set(by_name["info"]) == set(by_name["heartbeat"]) == {"name", "webhook_configs"}

    def test_hear_of_the_end_too(self) -> None:
        for receiver in alertmanager()["receivers"]:
            for kind in ("slack_configs", "email_configs", "webhook_configs"):
                for channel in receiver.get(kind, []):
                    assert channel["send_resolved"] is (receiver["name"] != "heartbeat")

    def test_hear_again_after_a_time_that_fits(self) -> None:
        route = alertmanager()["route"]
        repeats = {
            one["receiver"]: one.get("repeat_interval", route["repeat_interval"])
            for one in (route, *route["routes"])
        }
        assert repeats == {"critical": "1h", "warning": "12h", "info": "1d", "heartbeat": "2m"}


class TestInhibition:
    def test_names_alerts_that_there_are(self) -> None:
        for rule in alertmanager()["inhibit_rules"]:
            for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
                for name in spelled_out(matcher):
                    assert [one for one in NAMES if re.fullmatch(name, one)], name

    def test_by_metrics_that_nobody_writes_is_of_all_that_is_read_from_them(self) -> None:
        (rule,) = [
            rule
            for rule in alertmanager()["inhibit_rules"]
            if "MetricsStale" in sources_of(rule) or "(Stale|Missing)" in sources_of(rule)
        ]
        silenced = {name for name in NAMES if fits(rule, name)}
        read_from_them = {alert["alert"] for alert in RULES if "tap_sentry_" in alert["expr"]}
        assert silenced == (read_from_them | {ESCALATION}) - ABOUT_METRICS

    def test_holds_on_until_what_it_explains_has_ended_too(self) -> None:
        """They end with the same scrape, but each when its own group is evaluated."""
        for rule in alertmanager()["inhibit_rules"]:
            if "severity" in sources_of(rule) or "Freshness" in sources_of(rule):
                continue  # the milder one goes on
            for alert in RULES:
                if fits(rule, alert["alert"], "source_matchers"):
                    assert alert.get("keep_firing_for") == "1m", alert["alert"]


def sources_of(rule: dict[str, Any]) -> str:
    return " ".join(rule["source_matchers"])


MATCHER = re.compile(r'(\w+) (=|!=|=~|!~) "(.*)"')


def fits(rule: dict[str, Any], name: str, matchers: str = "target_matchers") -> bool:
    """Whether the rule's matchers of names fit; those of other labels are taken to fit."""
    for matcher in rule[matchers]:
        found = MATCHER.fullmatch(matcher)
        assert found, matcher
        label, operator, value = found.groups()
        same = re.fullmatch(value, name) if "~" in operator else value == name
        if label == "alertname" and bool(same) == operator.startswith("!"):
            return False
    return True


def spelled_out(matcher: str) -> Iterator[str]:
    """`A(B|C)` as the names `AB` and `AC`; those of other labels are left out."""
    found = MATCHER.fullmatch(matcher)
    assert found, matcher
    label, _, value = found.groups()
    if label not in {"alertname", "alert"}:
        return
    parts = re.fullmatch(r"([^(]*)\(?([^)]*)\)?(.*)", value)
    assert parts
    for choice in parts[2].split("|"):
        yield f"{parts[1]}{choice}{parts[3]}"


@needs("amtool")
class TestMessages:
    ALERT = {  # noqa: RUF012 -- nobody changes it
        "status": "firing",
        "labels": {"alertname": "TapSentryX", "severity": "critical", "environment": "demo"},
        "annotations": {
            "summary": "A test fails in demo.",
            "description": "3 rows are wrong.",
            "runbook": "data_quality.md#tapsentryx",
        },
        "startsAt": "2026-01-02T03:04:05Z",
    }

    def test_name_what_a_person_needs(self, tmp_path: Path) -> None:
        assert said(tmp_path, "text", self.ALERT).splitlines() == [
            "A test fails in demo.",
            "3 rows are wrong.",
            "Environment: demo",
            "Since: 2026-01-02 03:04 UTC",
            "Runbook: data_quality.md#tapsentryx",
        ]

    def test_have_a_subject_that_says_it(self, tmp_path: Path) -> None:
        assert said(tmp_path, "subject", self.ALERT) == "[CRITICAL] demo: A test fails in demo."
        two = said(tmp_path, "subject", self.ALERT, self.ALERT)
        assert two == "[CRITICAL] demo: TapSentryX (2)"

    def test_say_that_it_is_over(self, tmp_path: Path) -> None:
        over = {**self.ALERT, "status": "resolved"}
        assert said(tmp_path, "subject", over).startswith("[RESOLVED] demo: ")
        assert said(tmp_path, "text", over).startswith("Resolved: A test fails in demo.\n")
        assert said(tmp_path, "color", over) == "good"

    def test_do_without_an_environment(self, tmp_path: Path) -> None:
        host = {**self.ALERT, "labels": {"alertname": "TapSentryX", "severity": "warning"}}
        assert said(tmp_path, "subject", host) == "[WARNING] A test fails in demo."
        assert "Environment: all\n" in said(tmp_path, "text", host)

    def test_of_a_digest_count(self, tmp_path: Path) -> None:
        groups = {"environment": "demo"}
        subject = said(tmp_path, "subject", self.ALERT, self.ALERT, groups=groups)
        assert subject == "[CRITICAL] demo: 2 alerts"


def said(
    folder: Path, name: str, *alerts: dict[str, Any], groups: dict[str, str] | None = None
) -> str:
    """What the template makes of alerts with the same labels."""
    labels = alerts[0]["labels"]
    data = folder / "data.json"
    data.write_text(
        json.dumps(
            {
                "receiver": "critical",
                "status": alerts[0]["status"],
                "alerts": alerts,
                "groupLabels": {"alertname": labels["alertname"]} if groups is None else groups,
                "commonLabels": labels,
                "commonAnnotations": {},
                "externalURL": "http://127.0.0.1:9093",
            }
        )
    )
    return checked(
        "amtool", "template", "render", f"--template.glob={TEMPLATES}",
        f'--template.text={{{{ template "tap_sentry.{name}" . }}}}', f"--template.data={data}",
    ).removesuffix("\n")  # fmt: skip
