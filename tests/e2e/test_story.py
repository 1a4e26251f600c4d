"""What the README tells of the demo is what its marts tell, on a day when all of it is recent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_sentry.demo import DemoSentry, World
from tap_sentry.streams import STREAMS
from tests.docs import README
from tests.sync import NOW, sync
from tests.warehouse import Row, Warehouse

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The demo as it is on 20 November 2026, with every stream."""
    file = tmp_path_factory.mktemp("story") / "warehouse.duckdb"
    variables = {"sample_events_until": f"{NOW:%Y-%m-%d %H:%M:%S}"}
    warehouse = Warehouse(transformer_bin / "dbt", file, variables)
    messages = sync(DemoSentry(World(clock=lambda: NOW), limits=None))
    for stream in STREAMS:
        name = str(vars(stream)["name"])
        warehouse.store(name, messages.rows(name).values())
    warehouse.run("build", "--exclude-resource-type", "test", "unit_test")
    return warehouse


def cells(*values: object) -> str:
    return " | ".join(map(str, values))


class TestReleases:
    def test_one_broke_the_checkout(self, demo: Warehouse) -> None:
        rows = demo.rows(
            "from marts.fct_release_quality where service = 'checkout-api' "
            "order by released_at desc limit 3"
        )
        assert [row["verdict"] for row in rows] == ["better", "worse", "no difference"]
        text = README.read_text(encoding="utf-8")
        for row in rows:
            assert cells(row["release_version"], row["new_issue_count"]) in text

    def test_no_other_is_blamed(self, demo: Warehouse) -> None:
        (blamed,) = demo.rows("from marts.fct_release_quality where verdict = 'worse'")
        assert blamed["service"] == "checkout-api"
        assert blamed["error_rate_ratio_low"] > 5

    def test_its_issues_burst(self, demo: Warehouse) -> None:
        (row,) = demo.rows(
            "select distinct service from marts.fct_issue_spikes where is_spike and is_new_issue"
        )
        assert row["service"] == "checkout-api"


class TestSlowEndpoint:
    def test_repeats_its_queries_most(self, demo: Warehouse) -> None:
        rows = demo.rows(
            "select service, transaction_name, query_text, sum(total_seconds) as seconds, "
            "max(longest_repetition_count) as longest, sum(possible_saving_seconds) as saving "
            "from marts.fct_n_plus_one_daily group by all order by seconds desc"
        )
        assert told(rows[0]) == ("catalog-api", "GET /search")
        assert rows[0]["saving"] > rows[0]["seconds"] / 2
        text = README.read_text(encoding="utf-8")
        for row in rows[:2]:
            assert cells(*told(row), f"`{row['query_text']}`") in text

    def test_is_what_people_wait_for(self, demo: Warehouse) -> None:
        (row,) = demo.rows(
            "select sum(critical_path_seconds) filter (where service = 'catalog-api') / "
            "sum(critical_path_seconds) as share from marts.fct_critical_path_daily "
            "where root_transaction_name = '/search'"
        )
        assert row["share"] == pytest.approx(0.7, abs=0.05)


class TestNoisyProject:
    def test_makes_half_of_the_noise_with_four_issues(self, demo: Warehouse) -> None:
        rows = demo.rows("from marts.fct_noisy_issues order by rank_7_days limit 4")
        assert {row["service"] for row in rows} == {"batch-worker"}
        assert rows[-1]["cumulative_share_7_days"] == pytest.approx(0.5, abs=0.05)
        text = README.read_text(encoding="utf-8")
        assert all(f"| {row['short_id']} |" in text for row in rows)


class TestCompleteness:
    def test_nothing_is_missing(self, demo: Warehouse) -> None:
        rows = demo.rows(
            "select status, count(*) as days from marts.fct_tap_completeness group by all"
        )
        days = {row["status"]: row["days"] for row in rows}
        assert days.keys() <= {"complete", "open day", "not comparable"}
        assert days["complete"] > 100


def told(row: Row) -> tuple[str, str]:
    return row["service"], row["transaction_name"]
