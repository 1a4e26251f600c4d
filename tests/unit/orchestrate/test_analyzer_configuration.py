"""The page `configuration`: ledgers, what is set, addresses to share. No secret is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from orchestrate.analyzer.choice import ChoiceError, choose
from orchestrate.analyzer.report import Report, Tone, as_json
from orchestrate.analyzer.reports.configuration import address, configuration
from orchestrate.ledger.migrations import MIGRATIONS
from orchestrate.ledger.model import ReuseDecision, Row
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

SECRET = "dbtc_very_secret"
CLOUD = {"DBT_CLOUD_TOKEN": SECRET, "DBT_CLOUD_ACCOUNT_ID": "7"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "meltano.yml").write_text(
        "schedules:\n- {name: hourly, interval: '@hourly', job: sentry-to-marts}\n"
        "- {name: by hand, interval: '@manual', job: other}\n"
    )
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def fill(output: Path, *rows: Row, name: str = "ledger.db") -> None:
    with Ledger(output / name) as ledger, ledger.writing():
        ledger.save(rows)


def said(output: Path, environ: dict[str, str] | None = None, **chosen: str) -> Report:
    now = pd.Timestamp(records.at(7200), unit="us", tz="UTC")
    return configuration(output, choose(chosen), environ or {}, now=now)


def value(found: Report, name: str) -> object:
    return next(metric.value for metric in found.metrics if metric.name == name)


def texts(found: Report, tone: Tone) -> str:
    return "\n".join(insight.text for insight in found.insights if insight.tone is tone)


class TestLedgers:
    def test_each_answers_with_its_runs(self, output: Path) -> None:
        fill(output, records.run("a"), records.run("b", started_us=records.at(3600)))
        fill(output, records.run("c"), name="dbt_cloud/7.db")
        found = said(output)
        told = texts(found, Tone.GOOD)
        assert "Ledger local answers: 2 runs from 2026-11-20 12:00 to 2026-11-20 13:00" in told
        assert "Ledger dbt_cloud/7 answers: 1 runs" in told
        assert value(found, "Newest run ago") == 3600
        table = found.tables["ledgers"].frame
        assert list(table["ledger"]) == ["local", "dbt_cloud/7"]
        assert list(table["path"]) == ["output/ledger.db", "output/dbt_cloud/7.db"]
        assert list(table["schema_version"]) == [len(MIGRATIONS)] * 2
        assert list(table["answers"]) == [True, True]

    def test_a_missing_one_is_told_and_not_made(self, output: Path) -> None:
        found = said(output)
        assert "Ledger local is not there yet (output/ledger.db). Run the pipeline" in texts(
            found, Tone.WARNING
        )
        assert not list(output.iterdir())
        assert value(found, "Runs") is None
        assert value(found, "Newest run ago") is None
        assert found.empty is None

    def test_an_empty_one_answers(self, output: Path) -> None:
        fill(output)
        assert "Ledger local answers, and no run is in it yet." in texts(said(output), Tone.NOTE)
        assert value(said(output), "Runs") == 0

    def test_a_broken_one_is_one_line_and_the_others_are_told(self, output: Path) -> None:
        (output / "ledger.db").write_text("this is no database, and long enough to be sure of it")
        fill(output, records.run("c"), name="dbt_cloud/7.db")
        found = said(output)
        bad = texts(found, Tone.BAD)
        assert bad.startswith("Ledger local does not answer: ")
        assert "It is no ledger" in bad
        assert "dbt_cloud/7 answers" in texts(found, Tone.GOOD)

    def test_an_unknown_one_is_refused(self, output: Path) -> None:
        with pytest.raises(ChoiceError, match="there is no such ledger"):
            said(output, source="dbt_cloud/8")


class TestEnvironments:
    def test_have_runs_and_files(self, output: Path) -> None:
        fill(output, records.run("a"), records.run("b", environment="prod"))
        kept = output / "demo" / "dbt" / "runs"
        (kept / "manifests").mkdir(parents=True)
        (kept / "manifests" / "1.json").touch()
        for name in ("one", "two"):
            (kept / name).mkdir()
            (kept / name / "invocation.json").touch()
        (output / "demo" / "warehouse.duckdb").write_bytes(b"0" * 2_500_000)
        table = said(output).tables["environments"].frame.set_index("environment")
        assert list(table.index) == ["demo", "prod"]
        demo = table.loc["demo"]
        assert (demo["runs"], demo["kept_invocations"], demo["kept_projects"]) == (1, 2, 1)
        assert demo["warehouse_megabytes"] == 2.5
        rows = as_json(said(output))["tables"]["environments"]
        assert rows[0]["published_megabytes"] is None
        assert rows[1]["kept_invocations"] is None

    def test_one_without_runs_is_listed(self, output: Path) -> None:
        (output / "demo" / "dbt").mkdir(parents=True)
        rows = as_json(said(output))["tables"]["environments"]
        assert [(row["environment"], row["runs"], row["newest_run_at"]) for row in rows] == [
            ("demo", 0, None)
        ]


class TestReuse:
    def test_is_off_where_the_newest_build_planned_nothing(self, output: Path) -> None:
        fill(output, records.run(), records.invocation())
        assert value(said(output), "Reuse") == "off"

    def test_is_the_mode_of_the_newest_build(self, output: Path) -> None:
        decision = ReuseDecision(
            invocation_id=records.INVOCATION_ID,
            unique_id="model.sentry.a",
            mode="shadow",
            decision="build",
            reason="new",
        )
        fill(output, records.run(), records.invocation(), decision)
        assert value(said(output), "Reuse") == "shadow"

    def test_is_unknown_without_a_build(self, output: Path) -> None:
        fill(output, records.run())
        assert value(said(output), "Reuse") is None


class TestSettings:
    def test_schedules_are_those_with_set_times(self, output: Path) -> None:
        rows = as_json(said(output))["tables"]["schedules"]
        assert rows == [{"name": "hourly", "job": "sentry-to-marts", "crontab": "0 * * * *"}]

    def test_a_broken_meltano_yml_is_one_line(self, output: Path) -> None:
        (output.parent / "meltano.yml").write_text("a: [")
        found = said(output)
        assert "it is no YAML" in texts(found, Tone.WARNING)
        assert found.tables["schedules"].frame.empty

    def test_variables_are_set_or_not_and_no_value_is_shown(self, output: Path) -> None:
        found = said(output, CLOUD | {"DBT_REUSE": "shadow"})
        table = found.tables["variables"].frame.set_index("variable")
        assert table.loc["DBT_CLOUD_TOKEN", "is_set"]
        assert table.loc["DBT_CLOUD_TOKEN", "is_secret"]
        assert not table.loc["DBT_CLOUD_URL", "is_set"]
        assert SECRET not in json.dumps(as_json(found))

    def test_versions_name_the_dbt_of_the_newest_build(self, output: Path) -> None:
        fill(output, records.run(), records.invocation())
        table = said(output).tables["versions"].frame.set_index("component")
        assert table.loc["dbt of the newest build", "version"] == "1.11.16"
        assert table.loc["schema of the ledger", "version"] == str(len(MIGRATIONS))


class TestDbtCloud:
    def test_unused_says_which_variables_to_set(self, output: Path) -> None:
        found = said(output)
        assert value(found, "dbt Cloud") == "not used"
        assert "set DBT_CLOUD_TOKEN and DBT_CLOUD_ACCOUNT_ID" in texts(found, Tone.NOTE)

    def test_half_set_names_the_missing_one(self, output: Path) -> None:
        found = said(output, {"DBT_CLOUD_TOKEN": SECRET})
        assert value(found, "dbt Cloud") == "incomplete"
        assert "DBT_CLOUD_ACCOUNT_ID is not set" in texts(found, Tone.BAD)

    def test_set_up_names_account_and_address(self, output: Path) -> None:
        found = said(output, CLOUD)
        assert value(found, "dbt Cloud") == "set up"
        assert "account 7 at https://cloud.getdbt.com" in texts(found, Tone.NOTE)


class TestAddresses:
    def test_hold_what_is_other_than_usual_and_matters_to_the_page(self) -> None:
        choice = choose({"days": "7", "job": ["a b", "c"], "currency": "EUR"})
        assert address(choice, "cost") == "/cost?days=7&job=a+b&job=c&currency=EUR"
        assert address(choice, "overview") == "/overview?days=7&job=a+b&job=c"

    def test_are_bare_where_nothing_was_chosen(self, output: Path) -> None:
        rows = as_json(said(output))["tables"]["pages"]
        assert rows[0]["address"] == "/overview"
        assert {row["page"] for row in rows} >= {"Extraction", "Trace", "Configuration"}
