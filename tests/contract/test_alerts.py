"""Rules, their tests and their runbooks agree with each other, with the metrics and the streams."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from orchestrate.monitoring import PREFIX
from orchestrate.monitoring.gathering import DECLARED
from tap_sentry.streams import STREAMS
from tap_sentry.streams.fan_out import FanOutStream
from tests.monitoring import needs

ALERTS = Path(__file__).parents[2] / "orchestrate" / "monitoring" / "alerts"
RULES = sorted([*ALERTS.glob("*.yml"), *ALERTS.glob("options/*.yml")])
TESTS = sorted(ALERTS.glob("tests/*_test.yml"))
RUNBOOKS = sorted(ALERTS.glob("runbooks/*.md"))

# The one that must never resolve, so that its silence is noticed.
ALWAYS_FIRES = "TapSentryWatchdog"

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


class Evaluation(NamedTuple):
    at_s: int
    series: tuple[frozenset[tuple[str, str]], ...]


@cache
def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def rules(path: Path) -> list[dict[str, Any]]:
    return [rule for group in read(path)["groups"] for rule in group["rules"]]


def alerts(path: Path) -> list[dict[str, Any]]:
    return [rule for rule in rules(path) if "alert" in rule]


def seconds(text: str) -> int:
    """Of a duration such as 1h30m."""
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


def evaluations(alert: str) -> list[list[Evaluation]]:
    """What the tests expect of an alert, by test, in order of time."""
    found = []
    for path in TESTS:
        for test in read(path)["tests"]:
            asked = [one for one in test.get("alert_rule_test", []) if one["alertname"] == alert]
            found.append(
                sorted(
                    Evaluation(
                        seconds(one["eval_time"]),
                        tuple(
                            frozenset(expected.get("exp_labels", {}).items())
                            for expected in one.get("exp_alerts") or ()
                        ),
                    )
                    for one in asked
                )
            )
    return found


def resolves(test: list[Evaluation]) -> bool:
    """Whether a series that was expected is not expected any more later."""
    return any(
        set(before.series) - set(after.series)
        for number, before in enumerate(test)
        for after in test[number + 1 :]
    )


def names(text: str) -> set[str]:
    """Those metrics in a text that are of ours, recorded ones too."""
    return {name for name in _NAME.findall(text) if PREFIX in name}


ALL_ALERTS = [(path, alert) for path in RULES for alert in alerts(path)]
BY_NAME = {alert["alert"]: path for path, alert in ALL_ALERTS}
EACH = pytest.mark.parametrize(
    ("path", "alert"),
    ALL_ALERTS,
    ids=[f"{alert['alert']}-{alert['labels']['severity']}" for _, alert in ALL_ALERTS],
)


def passes(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("promtool")
class TestPromtool:
    def test_takes_the_rules(self) -> None:
        passes("promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES))

    @pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
    def test_finds_that_they_do_what_their_tests_say(self, path: Path) -> None:
        passes("promtool", "test", "rules", str(path))


class TestTests:
    @pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
    def test_say_in_which_order_groups_are_evaluated(self, path: Path) -> None:
        # Without it promtool takes any order, and rules now and then see records of before.
        content = read(path)
        files = [(path.parent / name).resolve() for name in content["rule_files"]]
        groups = [group["name"] for file in files for group in read(file)["groups"]]
        assert sorted(content.get("group_eval_order", groups[:1])) == sorted(groups)


class TestRules:
    def test_are_there(self) -> None:
        assert {path.name for path in RULES} >= {
            *("data_quality.yml", "pipeline.yml", "slo.yml", "system.yml", "business.yml"),
            "airflow.yml",
        }

    @EACH
    def test_tell_who_is_woken_and_what_to_do(self, path: Path, alert: dict[str, Any]) -> None:
        name, annotations = alert["alert"], alert["annotations"]
        assert name.startswith("TapSentry")
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["labels"]["service"] == "tap-sentry"
        assert set(annotations) == {"summary", "description", "runbook"}
        assert annotations["runbook"] == f"{path.stem}.md#{name.lower()}"

    @EACH
    def test_tell_figures_for_people(self, path: Path, alert: dict[str, Any]) -> None:
        for text in alert["annotations"].values():
            assert not re.search(r"\{\{-? *\$value *-?\}\}", text), "such as 0.30000000000000004"

    def test_have_one_name_per_file(self) -> None:
        assert all(BY_NAME[alert["alert"]] == path for path, alert in ALL_ALERTS)

    def test_know_the_bookmarks_that_rest_while_nothing_new_comes(self) -> None:
        resting = "|".join(
            sorted(
                str(vars(stream)["name"])
                for stream in STREAMS
                if issubclass(stream, FanOutStream) and isinstance(stream.replication_key, str)
            )
        )
        for name in ("TapSentryReplicationLag", "TapSentryStateNotMoving"):
            [rule] = [alert for _, alert in ALL_ALERTS if alert["alert"] == name]
            assert f'stream!~"{resting}"' in rule["expr"]

    def test_escalate_no_warning_that_mends_only_as_days_pass(self) -> None:
        [rule] = [one for _, one in ALL_ALERTS if one["alert"] == "TapSentryAlertUnattended"]
        [left_out] = re.findall(r'alertname!~"TapSentry\((.+?)\)"', rule["expr"])
        business = {alert["alert"] for alert in alerts(ALERTS / "business.yml")}
        ours = {"TapSentryAlertUnattended", "TapSentryIncomplete"}
        assert {f"TapSentry{name}" for name in left_out.split("|")} == business | ours


class TestEvaluations:
    @pytest.mark.parametrize("alert", sorted({*BY_NAME} - {ALWAYS_FIRES}))
    def test_show_each_alert_fire_stay_silent_and_resolve(self, alert: str) -> None:
        tests = evaluations(alert)
        flat = [one for test in tests for one in test]
        assert any(one.series for one in flat), "none expects it to fire"
        assert any(not one.series for one in flat), "none expects it not to fire"
        assert any(map(resolves, tests)), "none expects it to resolve"

    @pytest.mark.parametrize(
        ("alert", "severity"),
        sorted({(one["alert"], one["labels"]["severity"]) for _, one in ALL_ALERTS}),
    )
    def test_expect_each_severity(self, alert: str, severity: str) -> None:
        expected = [series for test in evaluations(alert) for one in test for series in one.series]
        assert any(("severity", severity) in series for series in expected)

    def test_show_the_watchdog_always_fire(self) -> None:
        flat = [one for test in evaluations(ALWAYS_FIRES) for one in test]
        assert flat
        assert all(one.series for one in flat)

    def test_are_of_alerts_that_exist(self) -> None:
        asked = {
            one["alertname"]
            for path in TESTS
            for test in read(path)["tests"]
            for one in test.get("alert_rule_test", [])
        }
        assert asked <= {*BY_NAME}


class TestRunbooks:
    def test_are_one_per_file_of_rules(self) -> None:
        assert {path.stem for path in RUNBOOKS} == {path.stem for path in RULES}

    @pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
    def test_have_a_section_for_each_alert_and_no_other(self, path: Path) -> None:
        text = (ALERTS / "runbooks" / f"{path.stem}.md").read_text(encoding="utf-8")
        sections = re.findall(r"^## (TapSentry\w+)$", text, re.MULTILINE)
        assert sorted(sections) == sorted({alert["alert"] for alert in alerts(path)})

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_name_alerts_that_exist(self, path: Path) -> None:
        assert set(re.findall(r"TapSentry\w+", path.read_text(encoding="utf-8"))) <= {*BY_NAME}


class TestMetrics:
    @pytest.mark.parametrize("path", [*RULES, *TESTS, *RUNBOOKS], ids=lambda path: path.name)
    def test_that_are_named_exist(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        if path in RULES:
            text = "\n".join(rule["expr"] for rule in rules(path))
        elif path in TESTS:
            tests = read(path)["tests"]
            text = "\n".join(one["series"] for test in tests for one in test["input_series"])
        recorded = {rule["record"] for one in RULES for rule in rules(one) if "record" in rule}
        declared = {PREFIX + family.metric.name for family in DECLARED}
        assert names(text) <= recorded | declared
