"""Every page of the analyzer, as Streamlit runs it: on no ledger, a month, and 10,000 runs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from orchestrate.analyzer.sitemap import PAGES
from orchestrate.ledger.store import Ledger
from tests import histories

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE_FILES = ROOT / "orchestrate/analyzer/app/layouts"
NEEDS_RUNS = sorted(set(PAGES) - {"configuration"})


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("month") / "output"
    histories.write(output, datetime.now(timezone.utc))
    return output


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("many") / "output"
    histories.write(output, datetime.now(timezone.utc), days=400)
    with Ledger(output / "ledger.db") as ledger:
        ((runs,),) = ledger.select("select count(*) from pipeline_run")
    assert runs >= 10_000
    return output


def page(name: str, output: Path, monkeypatch: pytest.MonkeyPatch, **chosen: str) -> AppTest:
    """The page after its first run, in which nothing went wrong."""
    monkeypatch.setenv("ANALYZER_OUTPUT_PATH", str(output))
    app = AppTest.from_file(str(PAGE_FILES / f"{name}.py"), default_timeout=300)
    for field, value in chosen.items():
        app.query_params[field] = value
    return app.run()


def assert_well(app: AppTest) -> None:
    assert [error.value for error in app.exception] == []
    assert [error.value for error in app.error if "choose" in error.value.lower()] == []


class TestEmptyLedger:
    @pytest.mark.parametrize("name", NEEDS_RUNS)
    def test_says_what_to_do(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page(name, tmp_path / "output", monkeypatch)
        assert_well(app)
        assert "run the pipeline" in app.info[0].value
        assert not app.metric

    def test_is_told_where_histories_come_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page("configuration", tmp_path / "output", monkeypatch)
        assert_well(app)
        assert app.title[0].value == "Configuration"


class TestMonth:
    @pytest.mark.parametrize("name", sorted(PAGES))
    def test_is_shown_on_every_page(
        self, name: str, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page(name, month, monkeypatch)
        assert_well(app)
        assert app.title[0].value == PAGES[name].title
        assert app.metric or app.dataframe

    @pytest.mark.parametrize("name", NEEDS_RUNS)
    def test_is_shown_of_one_environment_alone(
        self, name: str, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert_well(page(name, month, monkeypatch, environment="dev", days="0"))

    def test_is_looked_at_through_the_sidebar(
        self, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page("overview", month, monkeypatch)
        app.sidebar.selectbox[2].set_value("dev").run()
        assert_well(app)
        assert app.query_params["environment"] == "dev"

    @pytest.mark.parametrize(
        ("chosen", "said"),
        [
            ({"environment": "nowhere"}, "environment is 'nowhere'"),
            ({"days": "many"}, "days is 'many'"),
            ({"colour": "red"}, "'colour' can't be chosen"),
            ({"source": "elsewhere"}, "source is 'elsewhere'"),
        ],
    )
    def test_of_an_address_with_a_slip_is_one_clear_line(
        self, chosen: dict[str, str], said: str, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page("overview", month, monkeypatch, **chosen)
        assert not app.exception
        assert said in app.error[0].value
        app.button[0].click().run()
        assert_well(app)
        assert app.metric

    def test_of_filters_that_leave_nothing_says_so(
        self, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page("cost", month, monkeypatch, environment="ci", result="timeout")
        assert_well(app)
        assert "Choose fewer filters" in app.info[0].value


class TestManyRuns:
    @pytest.mark.parametrize("name", NEEDS_RUNS)
    def test_are_shown_on_every_page(
        self, name: str, many: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = page(name, many, monkeypatch, days="0")
        assert_well(app)
        assert app.metric or app.dataframe


class TestCommand:
    @pytest.mark.parametrize("name", sorted(PAGES))
    def test_prints_every_page_as_json(self, name: str, month: Path) -> None:
        found = json.loads(command("--output", str(month), name, "--json"))
        assert found["page"] == name
        assert found["tables"]

    def test_says_the_numbers_that_the_page_shows(
        self, month: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those that do not change while time goes on."""
        app = page("cost", month, monkeypatch)
        shown = {metric.label for metric in app.metric}
        printed = {
            one["name"]
            for one in json.loads(command("--output", str(month), "cost", "--json"))["metrics"]
        }
        assert shown <= printed

    def test_prints_text_for_people(self, month: Path) -> None:
        text = command("--output", str(month), "overview", "--days", "7")
        assert text.startswith("Overview  Is all well, in ten seconds?")

    def test_refuses_a_slip_in_one_line(self, month: Path) -> None:
        done = run("--output", str(month), "cost", "--currency", "CHF")
        assert done.returncode == 1
        assert done.stdout == ""
        assert "currency is 'CHF'" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrate.analyzer", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def command(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done.stdout
