"""The page `configuration` in the app: dbt Cloud tested and fetched from, addresses shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from orchestrate.ledger.model import PipelineRun
from orchestrate.ledger.store import Ledger
from tests.project import ROOT
from tests.unit.orchestrate.dbt_cloud.server import (
    ACCOUNT_ID,
    NOON,
    TOKEN,
    DbtCloud,
    serving,
)

pytestmark = pytest.mark.slow

PAGE = ROOT / "orchestrate" / "analyzer" / "app" / "layouts" / "configuration.py"
PATIENCE_S = 60


@pytest.fixture
def cloud() -> Iterator[DbtCloud]:
    """One with two runs, of an hour and of two hours ago."""
    since_noon = (datetime.now(timezone.utc) - NOON) / timedelta(hours=1)
    with serving() as started:
        for run_id in (1, 2):
            started.add(run_id, hours=since_noon - run_id)
        yield started


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the app looks at, without any ledger."""
    folder = tmp_path / "output"
    monkeypatch.setenv("ANALYZER_OUTPUT_PATH", str(folder))
    return folder


def use(cloud: DbtCloud, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> None:
    monkeypatch.setenv("DBT_CLOUD_TOKEN", token)
    monkeypatch.setenv("DBT_CLOUD_ACCOUNT_ID", str(ACCOUNT_ID))
    monkeypatch.setenv("DBT_CLOUD_URL", cloud.settings().url)


def opened() -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=PATIENCE_S).run()
    assert not page.exception
    return page


def click(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    shown = [*page.success, *page.warning, *page.error, *page.info, *page.caption]
    shown += [*page.text, *page.markdown]
    return "\n".join(element.value for element in shown).replace("\\", "")


@pytest.mark.usefixtures("output")
class TestWithoutDbtCloud:
    def test_says_which_variables_to_set(self) -> None:
        page = opened()
        assert "set DBT_CLOUD_TOKEN and DBT_CLOUD_ACCOUNT_ID" in texts(page)
        assert "Fetch" not in [button.label for button in page.button]

    def test_shows_the_address_of_a_choice(self) -> None:
        page = AppTest.from_file(str(PAGE), default_timeout=PATIENCE_S)
        page.query_params["days"] = "7"
        page.run()
        page.selectbox(key="shared page").set_value("cost")
        assert click(page, "Show its address").code[0].value.endswith("/cost?days=7")

    def test_refuses_an_unknown_ledger_in_a_line(self) -> None:
        page = AppTest.from_file(str(PAGE), default_timeout=PATIENCE_S)
        page.query_params["source"] = "dbt_cloud/8"
        page.run()
        assert not page.exception
        assert "there is no such ledger" in page.error[0].value


class TestWithDbtCloud:
    def test_tells_who_answers(
        self, output: Path, cloud: DbtCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(cloud, monkeypatch)
        told = texts(click(opened(), "Test the connection"))
        assert "answers. Its environments: " in told
        assert TOKEN not in told
        assert not output.exists()

    def test_fetches_into_a_ledger_to_look_at(
        self, output: Path, cloud: DbtCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(cloud, monkeypatch)
        page = click(opened(), "Fetch")
        assert "2 new runs; 0 were here already" in texts(page)
        assert f"dbt_cloud/{ACCOUNT_ID}" in page.selectbox(key="choose source").options
        with Ledger(output / "dbt_cloud" / f"{ACCOUNT_ID}.db") as ledger:
            assert len(ledger.rows(PipelineRun)) == 2
        assert "0 new runs; 2 were here already" in texts(click(page, "Fetch"))

    def test_a_refused_token_is_one_line_without_it(
        self, output: Path, cloud: DbtCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(cloud, monkeypatch, token="dbtc_wrong")
        page = click(opened(), "Fetch")
        assert len(page.error) == 1
        assert "dbtc_wrong" not in texts(page)
        assert "\n" not in page.error[0].value
        assert not output.exists()
