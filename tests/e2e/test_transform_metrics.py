"""The semantic layer asked through MetricFlow, its answers compared with SQL on the marts."""

from __future__ import annotations

import csv
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests import plugins, project

pytestmark = pytest.mark.slow

SEMANTIC = plugins.ROOT / "transform/models/semantic"
SAVED_QUERIES = yaml.safe_load((SEMANTIC / "saved_queries.yml").read_text(encoding="utf-8"))

COMPARED = ("+fct_business_daily", "+span_volume_weekly")


@dataclass
class Metrics:
    """The project in a folder of its own, with what the metrics need built from the seeds."""

    bin: Path
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "target/sample_warehouse.duckdb"

    def run(self, command: str, *arguments: str) -> str:
        """Run a command, which must succeed. Returns what it printed."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DBT_")}
        variables = {
            "DBT_PROFILES_DIR": ".",
            "DBT_VERSION_CHECK": "false",
            # MetricFlow knows no --target.
            "DBT_WAREHOUSE_PATH": str(self.file),
        }
        done = subprocess.run(
            [self.bin / command, *arguments],
            cwd=self.folder,
            env=kept | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def ask(self, *arguments: str) -> list[tuple[Any, ...]]:
        """Rows of `mf query`, numbers as such, sorted."""
        answer = self.folder / "answer.csv"
        self.run("mf", "query", *arguments, "--csv", str(answer))
        with answer.open(newline="", encoding="utf-8") as lines:
            return comparable(list(csv.reader(lines))[1:])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return comparable(connection.execute(query).fetchall())


@pytest.fixture(scope="module")
def metrics(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    tools = plugins.install("transformer", shared_folder, "dbt-metricflow==0.15.0", name="metrics")
    copy = project.copy(tmp_path_factory.mktemp("metrics"))
    made = Metrics(tools, copy.folder / "transform")
    needed = ["--select", "+resource_type:semantic_model", "+dim_date", *COMPARED]
    made.run("dbt", "build", "--target", "sample", *needed, "--resource-type", "seed", "model")
    made.run("dbt", "parse")
    return made


def comparable(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Rows of numbers and texts, whichever way they came, in one order."""
    return sorted((tuple(map(_value, row)) for row in rows), key=repr)


def _value(value: Any) -> Any:
    try:
        return round(float(value), 6)
    except (TypeError, ValueError):
        return "" if value is None else str(value)[:10]


class TestMetrics:
    def test_are_valid_in_the_warehouse(self, metrics: Metrics) -> None:
        assert "Successfully validated" in metrics.run("mf", "validate-configs")

    def test_of_the_business_are_those_of_its_mart(self, metrics: Metrics) -> None:
        asked = metrics.ask(
            *("--metrics", "revenue,conversion_rate"),
            *("--group-by", "metric_time__month,person__plan"),
        )
        assert asked == metrics.rows(
            "select date_trunc('month', activity_date), plan, sum(revenue), "
            "sum(purchase_count) / nullif(sum(session_count), 0) "
            "from marts.fct_business_daily group by all"
        )
        assert len(asked) > 4

    def test_count_people_once_in_any_period(self, metrics: Metrics) -> None:
        asked = metrics.ask("--metrics", "active_users", "--group-by", "metric_time__month")
        assert asked == metrics.rows(
            "select date_trunc('month', activity_date), count(distinct user_id) "
            "from marts.user_engagement where engagement_score > 0 group by all"
        )

    def test_of_services_are_the_weighted_ones_of_longer_periods(self, metrics: Metrics) -> None:
        asked = metrics.ask(
            *("--metrics", "spans,error_rate"), *("--group-by", "metric_time__week,service")
        )
        assert asked == metrics.rows(
            "select week_start_date, service, sum(estimated_span_count), "
            "sum(estimated_error_count) / sum(estimated_span_count) "
            "from marts.span_volume_weekly group by all"
        )
        assert len(asked) > 4

    def test_of_the_backlog_are_its_last_day(self, metrics: Metrics) -> None:
        assert metrics.ask("--metrics", "open_issues", "--group-by", "service") == metrics.rows(
            "select service, open_at_end_count from marts.fct_issue_flow_daily "
            "where activity_date = (select max(activity_date) from marts.fct_issue_flow_daily)"
        )

    def test_accumulate_over_days_without_rows(self, metrics: Metrics) -> None:
        asked = metrics.ask("--metrics", "issues_opened_7d", "--group-by", "metric_time__day")
        expected = metrics.rows(
            "select days.activity_date, sum(flow.opened_count) from marts.dim_date as days "
            "join marts.fct_issue_flow_daily as flow on flow.activity_date "
            "between days.activity_date - 6 and days.activity_date group by all"
        )
        assert asked == expected

    @pytest.mark.parametrize("query", [query["name"] for query in SAVED_QUERIES["saved_queries"]])
    def test_saved_as_queries_have_answers(self, metrics: Metrics, query: str) -> None:
        assert metrics.ask("--saved-query", query)
