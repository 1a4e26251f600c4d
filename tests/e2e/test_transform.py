"""`dbt build` on a small warehouse whose right answers are known, loaded in three steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.warehouse import Row, Warehouse

pytestmark = pytest.mark.slow

LONG_AGO, MONDAY, TUESDAY = date(2026, 10, 9), date(2026, 11, 2), date(2026, 11, 3)
WEDNESDAY = date(2026, 11, 4)
FIRST_LOAD, SECOND_LOAD, THIRD_LOAD = (datetime(2026, 11, day, 6) for day in (3, 4, 5))

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


def load_third(warehouse: Warehouse) -> None:
    """Rows that are weeks late, the rest of a trace beyond midnight, and a project renamed."""
    at = THIRD_LOAD
    warehouse.append("sentry.projects", at, PROJECTS, {"id": "2", "slug": "gateway"})
    spans = [
        span(50, LONG_AGO, 700, **{"project.id": 2}),
        span(51, TUESDAY, 400, trace=f"{40 // 4:032x}", parent_span=f"{40:016x}"),
    ]
    warehouse.append("sentry.spans", at, SPANS, *spans)
    warehouse.append("sentry.events", at, EVENTS, error(4, LONG_AGO, 1002, 10, 3.0))
    # Before a session of the next day, which thereby began earlier.
    late = act(4, MONDAY, "click", at, session_id=f"session of {TUESDAY}")
    warehouse.append("app.events", at, APP_EVENTS, late)


@dataclass(frozen=True)
class Built:
    """What dbt gave after each load; after the later ones also all anew."""

    warehouse: Warehouse
    first_statuses: dict[str, str]
    first: dict[str, list[Row]]
    second: dict[str, list[Row]]
    second_anew: dict[str, list[Row]]
    third: dict[str, list[Row]]
    third_anew: dict[str, list[Row]]


@pytest.fixture(scope="module")
def built(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    dbt, folder = transformer_bin / "dbt", tmp_path_factory.mktemp("built")
    relations = {"app_users_relation": "app.users", "app_events_relation": "app.events"}
    warehouse = Warehouse(dbt, folder / "warehouse.duckdb", relations)
    load_first(warehouse)
    first_statuses = warehouse.run("build")
    first = warehouse.marts()
    later = []
    for load in (load_second, load_third):
        load(warehouse)
        warehouse.run("build", "--exclude-resource-type", "unit_test")
        later += [warehouse.marts(), anew(warehouse, folder / load.__name__)]
    return Built(warehouse, first_statuses, first, *later)


def anew(warehouse: Warehouse, folder: Path) -> dict[str, list[Row]]:
    """What all models give when they are built from the same rows at once."""
    folder.mkdir()
    fresh = Warehouse(warehouse.dbt, folder / warehouse.file.name, warehouse.variables)
    shutil.copy(warehouse.file, fresh.file)
    fresh.run("run", "--full-refresh", "--select", "intermediate", "marts")
    return fresh.marts()


def only(rows: list[Row], **where: Any) -> Row:
    """The one row with these values."""
    (row,) = (row for row in rows if all(row[name] == value for name, value in where.items()))
    return row


class TestBuild:
    def test_warns_of_the_event_whose_issue_is_gone_and_of_nothing_else(self, built: Built) -> None:
        told = {name.split(".")[2] for name, how in built.first_statuses.items() if how == "warn"}
        assert {name.rsplit("__ref_")[0] for name in told} == {
            "relationships_int_issue_days_issue_id__issue_id"
        }
        assert set(built.first_statuses.values()) == {"success", "pass", "no-op", "warn"}

    def test_of_what_changed_equals_a_build_of_everything(self, built: Built) -> None:
        assert len(built.second) > 20
        assert built.second == built.second_anew
        assert built.second != built.first

    def test_finds_rows_that_are_weeks_late_and_a_renamed_project(self, built: Built) -> None:
        assert built.third == built.third_anew
        row = only(built.third["span_volume_daily"], activity_date=LONG_AGO)
        assert (row["service"], row["stored_span_count"]) == ("gateway", 1)

    def test_of_no_change_changes_nothing(self, built: Built) -> None:
        built.warehouse.run("run", "--select", "intermediate", "marts")
        assert built.warehouse.marts() == built.third
        compiled = (built.warehouse.file.parent / "target/compiled/sentry/models").rglob("*/*.sql")
        models = [path for path in compiled if ".yml/" not in str(path)]  # those are unit tests
        assert len(models) > 50
        assert [path.stem for path in models if "in (date '" in path.read_text()] == []  # no day

    def test_leaves_freshness_and_docs_working(self, built: Built) -> None:
        built.warehouse.run("source", "freshness", "--select", "source:sentry.spans")
        sources = json.loads((built.warehouse.file.parent / "target/sources.json").read_bytes())
        assert [result["status"] for result in sources["results"]] == ["pass"]
        built.warehouse.run("docs", "generate")


class TestForgetfulSource:
    def test_leaves_built_days_whole(self, built: Built, tmp_path: Path) -> None:
        file = tmp_path / "warehouse.duckdb"
        kept = Warehouse(built.warehouse.dbt, file, built.warehouse.variables)
        shutil.copy(built.warehouse.file, file)
        models = ("run", "--select", "int_day_versions", "int_event_rollups", "fct_campaigns_daily")
        long_ago = act(5, LONG_AGO, "click", THIRD_LOAD)
        email = act(6, WEDNESDAY, "email_sent", THIRD_LOAD, campaign="sale", user_id=None)
        kept.append("app.events", THIRD_LOAD, APP_EVENTS, long_ago, email)
        kept.run(*models)
        counts = (
            "select activity_date, sum(event_count) as events, sum(session_count) as sessions "
            "from intermediate.int_event_rollups group by all order by all"
        )
        before = kept.rows(counts)
        assert [row["events"] for row in before] == [1, 3, 1, 1]
        with duckdb.connect(str(file)) as connection:
            # Of Monday the last act is left.
            connection.execute("delete from app.events where occurred_at < '2026-11-02 14:03'")
        kept.run(*models)
        assert kept.rows(counts) == before

    def test_drops_the_last_row_of_a_day_that_was_corrected(
        self, built: Built, tmp_path: Path
    ) -> None:
        file = tmp_path / "warehouse.duckdb"
        corrected = Warehouse(built.warehouse.dbt, file, built.warehouse.variables)
        shutil.copy(built.warehouse.file, file)
        models = ("run", "--select", "int_day_versions", "fct_campaigns_daily")
        email = act(6, WEDNESDAY, "email_sent", THIRD_LOAD, campaign="sale")
        corrected.append("app.events", THIRD_LOAD, APP_EVENTS, email)
        corrected.run(*models)
        campaigns = "select campaign from marts.fct_campaigns_daily"
        assert corrected.rows(campaigns) == [{"campaign": "sale"}]
        with duckdb.connect(str(file)) as connection:
            connection.execute(
                "update app.events set campaign = null, loaded_at = loaded_at + interval '1 day'"
            )
        corrected.run(*models)
        assert corrected.rows(campaigns) == []


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

    def test_knows_how_sure_a_sample_of_traces_is(self, built: Built) -> None:
        row = only(built.first["span_volume_daily"], activity_date=MONDAY)
        # Numbers 1 to 20 in fours: traces of 3, 4, 4, 4, 4 and 1 spans, each kept with 1/2.
        variance = sum(2 * spans * (2 * spans - spans) for spans in (3, 4, 4, 4, 4, 1))
        assert row["stored_trace_count"] == 6
        assert row["estimated_span_count_standard_error"] == pytest.approx(variance**0.5)
        assert row["is_low_sample"]
        assert row["error_rate_low"] < row["error_rate"] < row["error_rate_high"]

    def test_spreads_durations_over_buckets(self, built: Built) -> None:
        buckets = [
            row for row in built.first["span_duration_daily"] if row["activity_date"] == MONDAY
        ]
        assert sum(row["estimated_span_count"] for row in buckets) == 40

    def test_counts_the_late_span_and_a_row_sent_again_once(self, built: Built) -> None:
        row = only(built.second["span_volume_daily"], activity_date=MONDAY)
        assert (row["stored_span_count"], row["estimated_error_count"]) == (21, 6)
        assert (row["stored_trace_count"], row["max_duration_seconds"]) == (7, 5)
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
        assert row["stored_issue_count"] == 2

    def test_completes_a_day_that_one_side_saw_first(self, built: Built) -> None:
        early = only(built.first["user_engagement"], activity_date=TUESDAY, user_id="1001")
        assert (early["event_count"], early["is_seen_in_product"]) == (0, False)
        row = only(built.second["user_engagement"], activity_date=TUESDAY, user_id="1001")
        assert (row["click_count"], row["stored_span_count"]) == (1, 3)
        only(built.second["user_engagement"], activity_date=TUESDAY, user_id="1002")

    def test_adds_up_to_the_day_by_plan(self, built: Built) -> None:
        row = only(built.second["fct_business_daily"], activity_date=MONDAY)
        assert (row["plan"], row["user_count"], row["active_user_rate"]) == ("team", 1, 1)
        assert (row["conversion_rate"], row["email_open_rate"]) == (1, None)
        stranger = only(built.second["fct_business_daily"], activity_date=TUESDAY, plan="unknown")
        assert (stranger["stored_affected_user_count"], stranger["active_user_count"]) == (1, 0)


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
            "select started_at as at from staging.stg_sentry__spans where duration_seconds = 3"
        )
        assert row["at"] == datetime(2026, 11, 3, 12, 0, 0, 250_000)


class TestEmptyWarehouse:
    def test_builds_on_the_sample_alone(self, transformer_bin: Path, tmp_path: Path) -> None:
        warehouse = Warehouse(transformer_bin / "dbt", tmp_path / "warehouse.duckdb", {})
        statuses = warehouse.run("build")
        assert set(statuses.values()) == {"success", "pass", "no-op"}  # exposures do nothing
        marts = warehouse.marts()
        assert marts["span_volume_daily"] == []
        days = {row["activity_date"] for row in marts["fct_business_daily"]}
        assert 59 <= len(days) <= 61
