"""`dbt build` on a small warehouse whose right answers are known, loaded in two steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MARTS = ("engagement_daily", "span_volume_daily", "span_volume_weekly", "user_engagement")

MONDAY, TUESDAY = date(2026, 11, 2), date(2026, 11, 3)
FIRST_LOAD, SECOND_LOAD = datetime(2026, 11, 3, 6), datetime(2026, 11, 4, 6)

Row = dict[str, Any]


@dataclass
class Warehouse:
    """A warehouse file and dbt at work in it; what dbt writes lies beside it."""

    dbt: Path
    file: Path
    variables: dict[str, str]

    def run(self, *arguments: str) -> dict[str, str]:
        """Run dbt, which must succeed. Returns the status of each node."""
        target = self.file.parent / "target"
        command = [str(self.dbt), "--warn-error-options", '{"error": ["Deprecations"]}', *arguments]
        command += ["--vars", json.dumps(self.variables)] if self.variables else []
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("DBT_")},
            "DBT_WAREHOUSE_PATH": str(self.file),
            "DBT_PROJECT_DIR": str(ROOT / "transform"),
            "DBT_PROFILES_DIR": str(ROOT / "transform"),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_VERSION_CHECK": "false",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        results = json.loads((target / "run_results.json").read_bytes())["results"]
        return {result["unique_id"]: result["status"] for result in results}

    def rows(self, query: str) -> list[Row]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def marts(self) -> dict[str, list[Row]]:
        return {mart: self.rows(f"from marts.{mart} order by all") for mart in MARTS}

    def append(self, table: str, loaded_at: datetime, types: Row, *rows: Row) -> None:
        """Add rows as a loader does that only appends; absent columns are null."""
        columns = {
            **types,
            "_sdc_batched_at": "timestamp",
            "_sdc_extracted_at": "timestamp",
            "_sdc_deleted_at": "varchar",
        }
        extracted_at = datetime.now(timezone.utc).replace(tzinfo=None)
        with duckdb.connect(str(self.file)) as connection:
            schema = table.split(".", maxsplit=1)[0]
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table if not exists {table} ({listed})")
            for row in rows:
                stored = {"_sdc_batched_at": loaded_at, "_sdc_extracted_at": extracted_at, **row}
                connection.execute(
                    f"insert into {table} values ({', '.join('?' * len(columns))})",  # noqa: S608
                    [stored.get(name) for name in columns],
                )


PROJECTS = {"id": "varchar", "slug": "varchar"}
ISSUES = {"id": "varchar", "project": "json", "status": "varchar", "lastseen": "timestamp"}
MEMBERS = {"id": "varchar", "email": "varchar", "user": "json", "pending": "boolean"}
# An older load, before tags and much else was read.
EVENTS = {
    "eventid": "varchar",
    "projectid": "varchar",
    "groupid": "varchar",
    "user": "json",
    "datecreated": "timestamp",
    "sample_weight": "double",
}
SPANS = {
    "id": "varchar",
    "trace": "varchar",
    "project.id": "bigint",
    "is_transaction": "boolean",
    "timestamp": "timestamp",
    "precise.start_ts": "double",
    "span.duration": "double",
    "span.self_time": "double",
    "span.op": "varchar",
    "span.status": "varchar",
    "environment": "varchar",
    "user.id": "varchar",
    "sampling_rate": "double",
    "sample_weight": "double",
}
APP_USERS = {
    "user_id": "integer",
    "name": "varchar",
    "email": "varchar",
    "plan": "varchar",
    "country": "varchar",
    "signed_up_on": "date",
}
APP_EVENTS = {
    "event_id": "integer",
    "user_id": "integer",
    "session_id": "varchar",
    "event_type": "varchar",
    "page": "varchar",
    "campaign": "varchar",
    "revenue": "double",
    "occurred_at": "timestamp",
    "loaded_at": "timestamp",
}


def span(number: int, day: date, duration_ms: float, **fields: Any) -> Row:
    """One stored span that stands for two."""
    start = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    return {
        "id": f"{number:016x}",
        "trace": f"{number // 4:032x}",
        "project.id": 1,
        "is_transaction": True,
        "timestamp": start.replace(tzinfo=None),
        "precise.start_ts": start.timestamp() + 0.25,
        "span.duration": duration_ms,
        "span.self_time": duration_ms / 2,
        "span.op": "db",
        "span.status": "ok",
        "environment": "production",
        "user.id": "1001",
        "sampling_rate": 0.5,
        "sample_weight": 1.0,
        **fields,
    }


def error(number: int, day: date, user: int, issue: int, weight: float) -> Row:
    return {
        "eventid": f"{number:032x}",
        "projectid": "1",
        "groupid": str(issue),
        "user": json.dumps({"id": str(user)}),
        "datecreated": datetime(day.year, day.month, day.day, 13),
        "sample_weight": weight,
    }


def act(number: int, day: date, kind: str, loaded_at: datetime, **fields: Any) -> Row:
    return {
        "event_id": number,
        "user_id": 1001,
        "session_id": f"session of {day}",
        "event_type": kind,
        "occurred_at": datetime(day.year, day.month, day.day, 14, number),
        "loaded_at": loaded_at,
        **fields,
    }


def load_first(warehouse: Warehouse) -> None:
    at = FIRST_LOAD
    projects = [{"id": "1", "slug": "shop"}, {"id": "2", "slug": "api"}]
    warehouse.append("sentry.projects", at, PROJECTS, *projects)
    issue = {"id": "10", "project": '{"id": "1", "slug": "shop"}', "status": "resolved"}
    warehouse.append("sentry.issues", at, ISSUES, {**issue, "lastseen": at})
    warehouse.append(
        "sentry.users",
        at,
        MEMBERS,
        {"id": "1", "email": "ada@example.com", "user": '{"id": "9"}', "pending": False},
        {"id": "2", "email": "bob@example.com", "pending": True},
    )
    # 0.1 s, 0.2 s, ... 2.0 s, two of them failed.
    monday = [
        span(n, MONDAY, n * 100, **{"span.status": "not_found" if n > 18 else "ok"})
        for n in range(1, 21)
    ]
    warehouse.append("sentry.spans", at, SPANS, *monday, span(30, TUESDAY, 1000))
    # Issue 99 was deleted in Sentry.
    errors = [error(1, MONDAY, 1001, 10, 5.0), error(2, MONDAY, 1001, 99, 1.0)]
    warehouse.append("sentry.events", at, EVENTS, *errors)
    user = {"user_id": 1001, "name": "Ada", "plan": "team", "signed_up_on": MONDAY}
    warehouse.append("app.users", at, APP_USERS, user)
    acts = [act(1, MONDAY, "page_view", at), act(2, MONDAY, "purchase", at, revenue=9.5)]
    warehouse.append("app.events", at, APP_EVENTS, *acts)


def load_second(warehouse: Warehouse) -> None:
    """Monday's late span and a row of it again, the rest of Tuesday."""
    at = SECOND_LOAD
    late = span(40, MONDAY, 5000, **{"span.status": "internal_error"})
    again = span(1, MONDAY, 150)
    tuesday = [span(31, TUESDAY, 3000), span(32, TUESDAY, 10, environment="")]
    unlisted = span(33, TUESDAY, 10, **{"project.id": 3, "span.op": None, "user.id": ""})
    warehouse.append("sentry.spans", at, SPANS, late, again, *tuesday, unlisted)
    warehouse.append("sentry.events", at, EVENTS, error(3, TUESDAY, 1002, 10, 1.0))
    warehouse.append("app.events", at, APP_EVENTS, act(3, TUESDAY, "click", at))


@dataclass(frozen=True)
class Built:
    """What dbt gave after the first load, after the second, and all anew."""

    warehouse: Warehouse
    first_statuses: dict[str, str]
    first: dict[str, list[Row]]
    second: dict[str, list[Row]]
    anew: dict[str, list[Row]]


@pytest.fixture(scope="module")
def built(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    dbt, folder = transformer_bin / "dbt", tmp_path_factory.mktemp("built")
    relations = {"app_users_relation": "app.users", "app_events_relation": "app.events"}
    warehouse = Warehouse(dbt, folder / "warehouse.duckdb", relations)
    load_first(warehouse)
    first_statuses = warehouse.run("build")
    first = warehouse.marts()
    load_second(warehouse)
    warehouse.run("build", "--exclude-resource-type", "unit_test")
    second = warehouse.marts()
    fresh = Warehouse(dbt, folder / "anew" / "warehouse.duckdb", relations)
    fresh.file.parent.mkdir()
    shutil.copy(warehouse.file, fresh.file)
    fresh.run("build", "--full-refresh", "--select", "marts")
    return Built(warehouse, first_statuses, first, second, fresh.marts())


def only(rows: list[Row], **where: Any) -> Row:
    """The one row with these values."""
    (row,) = (row for row in rows if all(row[name] == value for name, value in where.items()))
    return row


class TestBuild:
    def test_warns_of_the_event_whose_issue_is_gone_and_of_nothing_else(self, built: Built) -> None:
        told = {name.split(".")[2] for name, how in built.first_statuses.items() if how == "warn"}
        assert {name.rsplit("__ref_")[0] for name in told} == {
            "relationships_stg_sentry__events_issue_id__issue_id"
        }
        assert set(built.first_statuses.values()) == {"success", "pass", "warn"}

    def test_of_what_changed_equals_a_build_of_everything(self, built: Built) -> None:
        assert built.second == built.anew
        assert built.second != built.first

    def test_of_no_change_changes_nothing(self, built: Built) -> None:
        built.warehouse.run("run", "--select", "marts")
        assert built.warehouse.marts() == built.second

    def test_leaves_freshness_and_docs_working(self, built: Built) -> None:
        built.warehouse.run("source", "freshness", "--select", "source:sentry.spans")
        sources = json.loads((built.warehouse.file.parent / "target/sources.json").read_bytes())
        assert [result["status"] for result in sources["results"]] == ["pass"]
        built.warehouse.run("docs", "generate")


class TestSpanVolumeDaily:
    def test_estimates_by_weight_with_exact_percentiles(self, built: Built) -> None:
        row = only(built.first["span_volume_daily"], activity_date=MONDAY)
        assert (row["service"], row["operation"], row["environment"]) == (
            "shop",
            "db",
            "production",
        )
        assert (row["stored_span_count"], row["estimated_span_count"]) == (20, 40)
        assert row["effective_span_count"] == 20
        assert (row["estimated_error_count"], row["error_rate"]) == (4, 0.1)
        assert row["total_duration_seconds"] == pytest.approx(42)
        assert row["total_self_time_seconds"] == pytest.approx(21)
        assert row["mean_duration_seconds"] == pytest.approx(1.05)
        percentiles = [row[f"p{share}_duration_seconds"] for share in (50, 75, 95, 99)]
        assert percentiles == [1.0, 1.5, 1.9, 2.0]
        assert sum(row["duration_histogram"].values()) == 40
        assert (row["trace_count"], row["user_count"]) == (6, 1)

    def test_counts_the_late_span_and_a_row_sent_again_once(self, built: Built) -> None:
        row = only(built.second["span_volume_daily"], activity_date=MONDAY)
        assert (row["stored_span_count"], row["estimated_error_count"]) == (21, 6)
        assert (row["min_duration_seconds"], row["max_duration_seconds"]) == (0.15, 5)
        assert row["error_rate"] == pytest.approx(6 / 42)

    def test_takes_in_the_second_load_of_a_day(self, built: Built) -> None:
        rows = [row for row in built.second["span_volume_daily"] if row["activity_date"] == TUESDAY]
        assert {
            (row["service"], row["operation"], row["environment"]): row["stored_span_count"]
            for row in rows
        } == {
            ("shop", "db", "production"): 2,
            ("shop", "db", "(none)"): 1,
            ("3", "(none)", "production"): 1,
        }


class TestSpanVolumeWeekly:
    def test_reads_percentiles_from_merged_histograms(self, built: Built) -> None:
        durations = sorted([0.15, *(n / 10 for n in range(2, 21)), 5.0, 1.0, 3.0])
        row = only(built.second["span_volume_weekly"], service="shop", operation="db", day_count=2)
        assert row["week_start_date"] == MONDAY
        assert row["estimated_span_count"] == 2 * len(durations)
        for share in (50, 75, 95, 99):
            exact = durations[-(-len(durations) * share // 100) - 1]
            assert row[f"p{share}_duration_seconds"] == pytest.approx(exact, rel=0.022)


class TestUserEngagement:
    def test_shows_three_sides_of_a_day(self, built: Built) -> None:
        row = only(built.first["user_engagement"], activity_date=MONDAY, user_id="1001")
        assert (row["event_count"], row["session_count"], row["engagement_score"]) == (2, 1, 11)
        assert (row["purchase_count"], row["revenue"]) == (1, 9.5)
        assert (row["stored_span_count"], row["estimated_transaction_count"]) == (20, 40)
        assert row["failed_transaction_rate"] == 0.1
        assert (row["stored_error_count"], row["estimated_error_count"]) == (2, 6)
        assert row["issue_count"] == 2

    def test_completes_a_day_that_one_side_saw_first(self, built: Built) -> None:
        early = only(built.first["user_engagement"], activity_date=TUESDAY, user_id="1001")
        assert (early["event_count"], early["product_loaded_at"]) == (0, None)
        row = only(built.second["user_engagement"], activity_date=TUESDAY, user_id="1001")
        assert (row["click_count"], row["stored_span_count"]) == (1, 3)
        only(built.second["user_engagement"], activity_date=TUESDAY, user_id="1002")

    def test_adds_up_to_the_day_by_plan(self, built: Built) -> None:
        row = only(built.second["engagement_daily"], activity_date=MONDAY)
        assert (row["plan"], row["user_count"], row["active_user_rate"]) == ("team", 1, 1)
        assert (row["conversion_rate"], row["email_open_rate"]) == (1, None)
        stranger = only(built.second["engagement_daily"], activity_date=TUESDAY, plan="unknown")
        assert (stranger["affected_user_count"], stranger["active_user_count"]) == (1, 0)


class TestStaging:
    def test_keeps_pending_members_without_a_user(self, built: Built) -> None:
        members = built.warehouse.rows("from staging.stg_sentry__users order by member_id")
        people = [(row["user_id"], row["is_pending"]) for row in members]
        assert people == [("9", False), (None, True)]

    def test_of_a_stream_without_a_table_is_empty_and_typed(self, built: Built) -> None:
        assert built.warehouse.rows("from staging.stg_sentry__release") == []
        described = built.warehouse.rows("describe staging.stg_sentry__release")
        types = {row["column_name"]: row["column_type"] for row in described}
        assert types["release_id"] == "BIGINT"
        assert types["project_slugs"] == "VARCHAR[]"

    def test_starts_spans_at_their_precise_time(self, built: Built) -> None:
        (row,) = built.warehouse.rows(
            "select min(started_at) as at from staging.stg_sentry__spans where duration_seconds = 3"
        )
        assert row["at"] == datetime(2026, 11, 3, 12, 0, 0, 250_000)


class TestEmptyWarehouse:
    def test_builds_on_the_sample_alone(self, transformer_bin: Path, tmp_path: Path) -> None:
        warehouse = Warehouse(transformer_bin / "dbt", tmp_path / "warehouse.duckdb", {})
        statuses = warehouse.run("build")
        assert set(statuses.values()) == {"success", "pass"}
        marts = warehouse.marts()
        assert marts["span_volume_daily"] == []
        days = {row["activity_date"] for row in marts["engagement_daily"]}
        assert 59 <= len(days) <= 61
