"""What the published copy's metrics are, worked out by hand from small marts."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestrate.ledger.model import DbtInvocation, ManifestNode
from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import from_warehouse
from tests.unit.orchestrate.records import at

TODAY = date(2026, 11, 20)
TODAY_S = at(-12 * 3600) / 1e6
SHOP = {"environment": "demo", "service": "shop"}

# Of each mart, the columns that are asked for.
MARTS = {
    "fct_business_daily": (
        "activity_date date, plan varchar, session_count bigint, purchase_count bigint, "
        "revenue double, active_user_count bigint, engagement_score bigint, "
        "email_sent_count bigint, email_opened_count bigint"
    ),
    "fct_campaigns_daily": (
        "activity_date date, campaign varchar, email_sent_count bigint, "
        "email_opened_count bigint, revenue double"
    ),
    "fct_release_health_daily": (
        "activity_date date, service varchar, session_count bigint, crashed_session_count bigint"
    ),
    "fct_service_daily": (
        "activity_date date, service varchar, estimated_transaction_count double, "
        "stored_transaction_count bigint, "
        "estimated_error_count double"
    ),
    "fct_issue_flow_daily": (
        "activity_date date, service varchar, opened_count bigint, open_at_end_count bigint"
    ),
    "fct_service_slo": (
        "service varchar, environment varchar, hour_started_at timestamp, "
        "remaining_error_budget_share_30d double, is_current boolean, is_fast_burn boolean, "
        "is_slow_burn boolean"
    ),
    "fct_stream_freshness": (
        "stream_name varchar, is_loaded boolean, newest_loaded_at timestamp, "
        "newest_event_at timestamp"
    ),
    "fct_tap_completeness": (
        "activity_date date, project_id varchar, category varchar, accepted_quantity bigint, "
        "estimated_count double, status varchar"
    ),
    "fct_usage_daily": (
        "activity_date date, category varchar, accepted_quantity bigint, "
        "rate_limited_quantity bigint, received_quantity bigint, is_complete boolean"
    ),
}


class Warehouse:
    """An environment's published copy, which is written when it is measured."""

    def __init__(self, output: Path, ledger: Ledger) -> None:
        self.output, self.ledger = output, ledger
        self.lines: list[str] = []
        self.rows: dict[str, list[tuple[Any, ...]]] = {}
        self.left_out: set[str] = set()
        self.more: list[str] = []

    def path(self, environment: str = "demo") -> Path:
        path = self.output / environment / "published/warehouse.duckdb"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, environment: str = "demo") -> None:
        with duckdb.connect(str(self.path(environment))) as connection:
            connection.execute("create schema marts")
            for mart, columns in MARTS.items():
                if mart not in self.left_out:
                    connection.execute(f"create table marts.{mart} ({columns})")
            for mart, rows in self.rows.items():
                places = ", ".join("?" * len(rows[0]))
                connection.executemany(f"insert into marts.{mart} values ({places})", rows)  # noqa: S608
            for statement in self.more:
                connection.execute(statement)

    def measure(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples by name and labels; a second one of the same labels is a fault."""
        found = {}
        for family in from_warehouse.measure(self.ledger, self.output, self.lines.append):
            for sample in family.samples:
                labels = frozenset(zip(family.labels, sample.labels, strict=True))
                key = (family.metric.name, labels)
                assert key not in found
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        return self.measure().get((name, frozenset({"environment": "demo", **labels}.items())))

    def values(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Of the samples with these labels, the values by one more label."""
        return {
            dict(found)[label]: number
            for (metric, found), number in self.measure().items()
            if metric == name and labels.items() <= found
        }


@pytest.fixture
def warehouse(tmp_path: Path, ledger: Ledger) -> Warehouse:
    return Warehouse(tmp_path, ledger)


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def business(ago: int, plan: str = "free", **facts: float) -> tuple[Any, ...]:
    """A row of fct_business_daily, zero where nothing is said."""
    names = ("sessions", "purchases", "revenue", "users", "score", "sent", "opened")
    return (days_ago(ago), plan, *(facts.get(name, 0) for name in names))


class TestBusinessWindows:
    """Today is day 0, so the newest day that is over is day 1."""

    def test_take_whole_days_and_leave_out_today(self, warehouse: Warehouse) -> None:
        # Each day's sessions are told apart by their size: 1 today, 10 on day 1, ...
        sizes = {0: 1, 1: 10, 2: 100, 7: 1_000, 8: 10_000, 35: 100_000, 36: 1_000_000}
        warehouse.rows["fct_business_daily"] = [
            business(ago, sessions=size) for ago, size in sizes.items()
        ]
        warehouse.write()
        assert warehouse.values("business_sessions", "window") == {
            "1d": 10,  # day 1
            "7d": 1_110,  # days 1 to 7
            "28d": 110_000,  # days 8 to 35
        }

    def test_days_and_plans_add_up_and_means_count_days_without_rows(
        self, warehouse: Warehouse
    ) -> None:
        warehouse.rows["fct_business_daily"] = [
            business(0),
            business(1, sessions=6, purchases=1, revenue=10, users=4, score=20, sent=10, opened=3),
            business(1, "team", sessions=2, purchases=1, revenue=4, users=1, score=8),
            business(3, sessions=8, purchases=2, revenue=7, users=2, score=7, sent=10, opened=1),
            business(7),  # days 2, 4, 5 and 6 have no row
        ]
        warehouse.write()
        expected = {
            "business_sessions": 16,
            "business_purchases": 4,
            "business_conversion_ratio": 0.25,
            "business_daily_revenue": 3,  # 14, 0, 7, 0, 0, 0, 0
            # 11² + 4² + 5 · 3² = 182, over 6
            "business_daily_revenue_stddev": (182 / 6) ** 0.5,
            "business_daily_active_users": 1,
            "business_daily_engagement_score": 5,  # 28, 0, 7, 0, 0, 0, 0
            # 23² + 2² + 5 · 5² = 658, over 6
            "business_daily_engagement_score_stddev": (658 / 6) ** 0.5,
            "business_emails_sent": 20,
            "business_email_open_ratio": 0.2,
        }
        for name, number in expected.items():
            assert warehouse.value(name, window="7d") == pytest.approx(number), name

    def test_of_one_day_differ_from_no_other(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0), business(1, revenue=5)]
        warehouse.write()
        assert warehouse.values("business_daily_revenue", "window") == {"1d": 5}
        assert warehouse.values("business_daily_revenue_stddev", "window") == {}

    def test_of_a_short_history_begin_with_it(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [
            business(0),
            business(1, revenue=2),
            business(2, revenue=4),
            business(8, revenue=30),
            business(22, revenue=60),
        ]
        warehouse.write()
        # The baseline has 15 days, not 28, and the last week seven.
        found = warehouse.values("business_daily_revenue", "window")
        assert found == {"1d": 2, "7d": pytest.approx(6 / 7), "28d": 6}

    def test_of_which_there_is_less_than_half_are_left_out(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0), business(4), business(21)]
        warehouse.write()
        assert set(warehouse.values("business_daily_revenue", "window")) == {"1d", "7d"}

    def test_without_a_day_that_is_over_are_none(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0, sessions=3)]
        warehouse.write()
        assert warehouse.values("business_sessions", "window") == {}
        assert warehouse.value("mart_readable", mart="fct_business_daily") == 1

    def test_shares_of_nothing_are_none_and_not_an_error(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0), business(1)]
        warehouse.write()
        assert warehouse.value("business_sessions", window="1d") == 0
        assert warehouse.value("business_conversion_ratio", window="1d") is None
        assert warehouse.value("business_email_open_ratio", window="1d") is None


class TestCampaigns:
    def test_are_summed_over_30_days_up_to_the_newest(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0)]
        warehouse.rows["fct_campaigns_daily"] = [
            (days_ago(0), "sale", 0, 1, 9.5),
            (days_ago(29), "sale", 40, 9, 0.5),
            (days_ago(30), "sale", 1_000, 0, 99.0),
            (days_ago(3), "opened only", 0, 5, 1.0),
        ]
        warehouse.write()
        assert warehouse.values("campaign_emails_sent", "campaign") == {"sale": 40}
        assert warehouse.value("campaign_email_open_ratio", campaign="sale") == 0.25
        assert warehouse.value("campaign_revenue", campaign="sale") == 10


class TestServices:
    def test_crash_free_sessions_are_divided_after_adding(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_release_health_daily"] = [
            (days_ago(0), "shop", 1_000, 1_000),
            (days_ago(1), "shop", 90, 9),
            (days_ago(1), "shop", 10, 0),  # another release
            (days_ago(5), "shop", 300, 3),
            (days_ago(1), "search", 0, 0),
        ]
        warehouse.write()
        found = warehouse.values("service_crash_free_sessions_ratio", "window", **SHOP)
        assert found == {"1d": pytest.approx(0.91), "7d": pytest.approx(0.97)}
        assert warehouse.values("service_sessions", "window", **SHOP) == {"1d": 100, "7d": 400}
        assert warehouse.value("service_sessions", service="search", window="1d") == 0
        crash_free = "service_crash_free_sessions_ratio"
        assert warehouse.value(crash_free, service="search", window="1d") is None

    def test_error_ratios_are_divided_after_adding(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_service_daily"] = [
            (days_ago(0), "shop", 1e6, 1000, 1e6),
            (days_ago(1), "shop", 100.0, 25, 1.0),
            (days_ago(2), "shop", 300.0, 75, 99.0),
            (days_ago(22), "shop", 50.0, 50, 0.0),
        ]
        warehouse.write()
        found = warehouse.values("service_error_ratio", "window", **SHOP)
        assert found == {"1d": 0.01, "7d": 0.25, "28d": 0}
        found = warehouse.values("service_transactions", "window", **SHOP)
        assert found == {"1d": 100, "7d": 400, "28d": 50}
        found = warehouse.values("service_stored_transactions", "window", **SHOP)
        assert found == {"1d": 25, "7d": 100, "28d": 50}

    def test_new_issues_are_means_over_the_days_there_are(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_issue_flow_daily"] = [
            (days_ago(0), "shop", 50, 7),
            (days_ago(1), "shop", 3, 12),
            (days_ago(7), "shop", 4, 30),
            (days_ago(8), "shop", 6, 30),
            (days_ago(9), "shop", 3, 30),
            (days_ago(22), "shop", 21, 30),
        ]
        warehouse.write()
        found = warehouse.values("service_daily_new_issues", "window", **SHOP)
        assert found == {"1d": 3, "7d": 1, "28d": 2}
        assert warehouse.values("service_open_issues", "service") == {"shop": 7}

    def test_budgets_are_of_the_newest_hour_and_alarms_of_current_ones(
        self, warehouse: Warehouse
    ) -> None:
        hour = datetime(2026, 11, 20, 12)
        warehouse.rows["fct_service_slo"] = [
            ("shop", "production", hour, -0.5, True, None, True),
            ("shop", "production", hour - timedelta(hours=1), 0.25, True, True, False),
            ("shop", "staging", hour - timedelta(hours=5), 0.75, False, True, True),
        ]
        warehouse.write()
        budget = warehouse.values(
            "service_error_budget_remaining_ratio", "service_environment", **SHOP
        )
        assert budget == {"production": -0.5, "staging": 0.75}
        fast = warehouse.values("service_fast_burn", "service_environment", **SHOP)
        assert fast == {"production": 1, "staging": 0}
        slow = warehouse.values("service_slow_burn", "service_environment", **SHOP)
        assert slow == {"production": 1, "staging": 0}


class TestTheData:
    def test_is_as_fresh_as_its_newest_rows(self, warehouse: Warehouse) -> None:
        noon = datetime(2026, 11, 20, 12)
        warehouse.rows["fct_stream_freshness"] = [
            ("events", True, noon, noon - timedelta(hours=1)),
            ("projects", True, noon, None),
            ("spans", False, None, None),
        ]
        warehouse.write()
        noon_s = at(0) / 1e6
        loaded = warehouse.values("source_loaded_timestamp_seconds", "stream")
        assert loaded == {"events": noon_s, "projects": noon_s}
        newest = warehouse.values("source_newest_timestamp_seconds", "stream")
        assert newest == {"events": noon_s - 3600}

    def test_is_as_complete_as_the_last_seven_closed_days(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_tap_completeness"] = [
            (days_ago(0), "p", "error", 500, 0.0, "open day"),
            (days_ago(1), "p", "error", 60, 45.0, "short"),
            (days_ago(7), "q", "error", 40, 45.0, "over"),
            (days_ago(7), "p", "error", 100, 90.0, "short"),
            (days_ago(8), "p", "error", 1_000, 0.0, "short"),
            (days_ago(2), "p", "span", 0, 0.0, "complete"),
            (days_ago(2), "p", "replay", 9, 0.0, "not comparable"),
        ]
        warehouse.write()
        assert warehouse.values("completeness_ratio", "category") == {"error": 0.9}
        shortfalls = warehouse.values("completeness_shortfalls", "category")
        assert shortfalls == {"error": 2, "span": 0}

    def test_usage_is_a_mean_of_seven_complete_days(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_usage_daily"] = [
            (days_ago(0), "error", 9_999, 9_999, 9_999, False),
            (days_ago(1), "error", 60, 30, 100, True),
            (days_ago(1), "error", 10, 0, 40, True),  # another project
            (days_ago(7), "error", 70, 5, 60, True),
            (days_ago(8), "error", 9_999, 9_999, 9_999, True),
            (days_ago(1), "replay", 7, 0, 0, True),
        ]
        warehouse.write()
        assert warehouse.values("usage_daily_accepted", "category") == {"error": 20, "replay": 1}
        found = warehouse.values("usage_rate_limited_ratio", "category")
        assert found == {"error": pytest.approx(35 / 200)}

    def test_usage_of_a_short_history_is_a_mean_of_its_days(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_usage_daily"] = [
            (days_ago(1), "error", 60, 0, 60, True),
            (days_ago(2), "error", 40, 0, 40, True),
            (days_ago(2), "replay", 4, 0, 4, True),
        ]
        warehouse.write()
        assert warehouse.values("usage_daily_accepted", "category") == {"error": 50, "replay": 2}


class TestTables:
    def test_have_their_rows_without_deleted_ones(self, warehouse: Warehouse) -> None:
        warehouse.more = [
            "create table marts.fct_odd as select range as n from range(5000)",
            "delete from marts.fct_odd where n >= 3",
            'create schema "raw data"',
            'create table "raw data"."select" (a int)',
            "create view marts.seen as select 1 as one",
            'create table marts."say ""hello""" (one int)',
        ]
        warehouse.write()
        found = warehouse.values("table_rows", "table")
        assert (found["fct_odd"], found["select"]) == (3, 0)
        assert "seen" not in found
        assert warehouse.value("table_rows", schema="raw data", table="select") == 0
        assert found['say "hello"'] == 0

    def test_without_rows_are_readable_and_have_no_samples(self, warehouse: Warehouse) -> None:
        warehouse.write()
        assert set(warehouse.values("mart_readable", "mart").values()) == {1}
        names = {name for name, _ in warehouse.measure()}
        assert names == {
            "mart_readable",
            "published_timestamp_seconds",
            "table_rows",
            "warehouse_size_bytes",
        }
        assert warehouse.lines == []

    def test_that_are_missing_are_said_and_spoil_no_other(self, warehouse: Warehouse) -> None:
        warehouse.left_out = {"fct_usage_daily"}
        warehouse.rows["fct_stream_freshness"] = [("events", True, datetime(2026, 11, 20), None)]
        warehouse.write()
        readable = warehouse.values("mart_readable", "mart")
        assert [mart for mart, is_readable in readable.items() if not is_readable] == [
            "fct_usage_daily"
        ]
        assert set(readable) == set(from_warehouse.QUERIES)
        (line,) = warehouse.lines
        assert line.startswith("WARN  No metrics from fct_usage_daily of demo: ")
        assert "\n" not in line
        assert warehouse.value("source_loaded_timestamp_seconds", stream="events") == TODAY_S

    def test_whose_columns_changed_are_said(self, warehouse: Warehouse) -> None:
        warehouse.left_out = {"fct_service_slo"}
        warehouse.more = ["create table marts.fct_service_slo (service varchar)"]
        warehouse.write()
        assert warehouse.value("mart_readable", mart="fct_service_slo") == 0
        assert len(warehouse.lines) == 1


def in_manifest(ledger: Ledger, *nodes: ManifestNode) -> None:
    """The project as dbt knew it in its last invocation in the environment demo."""
    invocation = DbtInvocation(
        invocation_id="i",
        run_id="r",
        started_us=1,
        heard_us=2,
        environment="demo",
        manifest_hash="h",
    )
    with ledger.writing():
        ledger.save([invocation, *nodes])


def model(name: str, column: str | None, **fields: Any) -> ManifestNode:
    config: dict[str, Any] = {"tags": ["marts"], "meta": {"time_column": column} if column else {}}
    facts: dict[str, Any] = {"resource_type": "model", "schema": "marts", "config": config}
    return ManifestNode(
        manifest_hash="h",
        unique_id=f"model.sentry.{name}",
        name=name,
        package="sentry",
        **(facts | fields),
    )


class TestTheNewestTime:
    def test_is_that_of_the_marts_time_column(self, warehouse: Warehouse) -> None:
        warehouse.more = [
            "create table marts.of_days as select date '2026-11-20' as day",
            "create table marts.of_times as select timestamp '2026-11-20 12:00:00' as moment",
            "set timezone = 'Asia/Tokyo'",
            "create table marts.of_zones as select timestamptz '2026-11-20 12:00:00+00' as moment",
            "create table marts.of_none (moment timestamp)",
            "create table marts.renamed as select timestamp '2026-11-20 12:00:00' as moment",
        ]
        warehouse.write()
        in_manifest(
            warehouse.ledger,
            model("of_days", "day"),
            model("of_times", "moment"),
            model("of_zones", "moment"),
            model("of_none", "moment"),
            model("alias", "moment", identifier="renamed"),
            model("fct_usage_daily", None),
            model("not_built", "moment"),
            model(
                "untagged",
                "moment",
                identifier="of_times",
                config={"meta": {"time_column": "moment"}},
            ),
        )
        assert warehouse.values("mart_newest_timestamp_seconds", "mart") == {
            "of_days": TODAY_S,
            "of_times": at(0) / 1e6,
            "of_zones": at(0) / 1e6,
            "alias": at(0) / 1e6,
        }

    def test_of_a_column_that_is_none_is_said_and_spoils_no_other(
        self, warehouse: Warehouse
    ) -> None:
        warehouse.more = [
            "create table marts.odd as select 'yesterday' as moment",
            "create table marts.of_times as select timestamp '2026-11-20 12:00:00' as moment",
        ]
        warehouse.write()
        in_manifest(
            warehouse.ledger,
            model("gone", "no_such", identifier="of_times"),
            model("odd", "moment"),
            model("of_times", "moment"),
        )
        found = warehouse.values("mart_newest_timestamp_seconds", "mart")
        assert found == {"of_times": at(0) / 1e6}
        assert [line.partition(": ")[0] for line in warehouse.lines] == [
            "WARN  No newest time of gone of demo",
            "WARN  No newest time of odd of demo",
        ]
        assert set(warehouse.values("mart_readable", "mart").values()) == {1}


class TestHowOldASourceMayGet:
    def test_is_what_dbt_has_in_seconds(self, warehouse: Warehouse) -> None:
        warehouse.write()
        freshness = {
            "hours": {"warn_after": {"count": 26, "period": "hour"}, "error_after": None},
            "days": {"warn_after": {"count": 7, "period": "day"}},
            "minutes": {"warn_after": {"count": 5, "period": "minute"}},
            "never": {"warn_after": {"count": None, "period": None}},
            "unset": None,
        }
        sources = [
            model(name, None, resource_type="source", config={"freshness": found})
            for name, found in freshness.items()
        ]
        in_manifest(warehouse.ledger, *sources, model("a_model", None))
        assert warehouse.values("source_warn_after_seconds", "stream") == {
            "hours": 93_600,
            "days": 604_800,
            "minutes": 300,
        }


class TestFiles:
    def test_have_their_sizes_and_the_time_of_publication(self, warehouse: Warehouse) -> None:
        warehouse.write()
        live = warehouse.output / "demo/warehouse.duckdb"
        live.write_bytes(b"x" * 1000)  # never opened
        os.utime(warehouse.path(), (at(0) / 1e6, at(0) / 1e6))
        assert warehouse.value("warehouse_size_bytes", file="live") == 1000
        size = warehouse.path().stat().st_size
        assert warehouse.value("warehouse_size_bytes", file="published") == size
        assert warehouse.value("published_timestamp_seconds") == at(0) / 1e6

    def test_of_several_environments_stay_apart(self, warehouse: Warehouse) -> None:
        warehouse.rows["fct_business_daily"] = [business(0), business(1, sessions=3)]
        warehouse.write("demo")
        warehouse.rows["fct_business_daily"] = [business(0), business(1, sessions=4)]
        warehouse.write("prod")
        found = warehouse.values("business_sessions", "environment", window="1d")
        assert found == {"demo": 3, "prod": 4}

    def test_that_are_not_there_are_no_metrics(self, warehouse: Warehouse) -> None:
        (warehouse.output / "demo/dbt").mkdir(parents=True)
        assert warehouse.measure() == {}
        assert warehouse.lines == []

    @pytest.mark.parametrize("damage", ["cut off", "other"])
    def test_that_are_damaged_are_said_and_spoil_no_other_environment(
        self, warehouse: Warehouse, damage: str
    ) -> None:
        warehouse.write("prod")
        warehouse.write("demo")
        path = warehouse.path("demo")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 3] if damage == "cut off" else b"no database\n" * 9)
        demo = warehouse.values("mart_readable", "mart", environment="demo")
        assert demo == dict.fromkeys(from_warehouse.QUERIES, 0)
        assert warehouse.lines[0].startswith(f"WARN  No metrics from {path}: ")
        prod = warehouse.values("mart_readable", "mart", environment="prod")
        assert set(prod.values()) == {1}

    def test_are_not_changed_by_measuring(self, warehouse: Warehouse) -> None:
        warehouse.write()
        before = warehouse.path().read_bytes()
        warehouse.measure()
        assert warehouse.path().read_bytes() == before
        assert [path.name for path in warehouse.path().parent.iterdir()] == ["warehouse.duckdb"]
