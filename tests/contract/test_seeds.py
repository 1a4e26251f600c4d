"""The seeds fit the demo: same people, a pattern that can repeat, rows that the tap reads."""

from __future__ import annotations

import csv
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from tap_sentry.demo.people import END_USERS
from tests import sample
from tests.sync import NOW

SEEDS = Path(__file__).parents[2] / "transform" / "seeds"
MINUTES_OF_CYCLE = 28 * 24 * 60


def rows(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


class TestUsers:
    def test_are_the_end_users_of_the_demo(self) -> None:
        listed = {(row["user_id"], row["name"], row["email"]) for row in rows("users")}
        assert listed == {(user.id, user.name, user.email) for user in END_USERS}

    def test_have_a_known_plan_each(self) -> None:
        assert {row["plan"] for row in rows("users")} == {"free", "team", "business"}
        assert len(rows("users")) == len(END_USERS)


class TestEvents:
    def test_stay_within_the_cycle_in_order(self) -> None:
        minutes = [int(row["minute_of_cycle"]) for row in rows("events")]
        assert minutes == sorted(minutes)
        assert minutes[0] >= 0
        assert minutes[-1] < MINUTES_OF_CYCLE

    def test_have_a_number_of_their_own(self) -> None:
        numbers = [row["pattern_id"] for row in rows("events")]
        assert len(set(numbers)) == len(numbers)

    def test_are_done_by_users_of_the_seed(self) -> None:
        known = {row["user_id"] for row in rows("users")}
        assert {row["user_id"] for row in rows("events")} == known

    def test_of_a_session_belong_to_one_user(self) -> None:
        owners: dict[str, set[str]] = {}
        for row in rows("events"):
            if row["session_number"]:
                owners.setdefault(row["session_number"], set()).add(row["user_id"])
        assert all(len(users) == 1 for users in owners.values())

    def test_earn_money_by_purchases_alone(self) -> None:
        for row in rows("events"):
            assert bool(row["revenue"]) == (row["event_type"] == "purchase")
        assert sum(float(row["revenue"] or 0) for row in rows("events")) > 0

    def test_emails_name_their_campaign(self) -> None:
        emails = [row for row in rows("events") if row["event_type"].startswith("email_")]
        assert emails
        assert all(row["campaign"] and not row["session_number"] for row in emails)


@pytest.fixture(scope="module")
def sample_files() -> dict[Path, str]:
    return sample.files()


class TestSample:
    def test_is_what_the_tap_reads_from_the_demo(self, sample_files: dict[Path, str]) -> None:
        kept = {*(SEEDS / "sentry").iterdir(), *sample_files}
        differing = [path.name for path in kept if read(path) != sample_files.get(path)]
        assert not differing, "run python -m tests.sample"

    def test_has_rows_of_every_table_and_stays_small(self, sample_files: dict[Path, str]) -> None:
        assert all(text.count("\n") > 1 for text in sample_files.values())
        assert sum(path.stat().st_size for path in SEEDS.rglob("*.csv")) < 1_600_000

    def test_ends_when_the_project_says(self) -> None:
        project = yaml.safe_load((SEEDS.parent / "dbt_project.yml").read_text(encoding="utf-8"))
        end = datetime.fromisoformat(project["vars"]["sample_end"])
        assert end.replace(tzinfo=timezone.utc) == NOW

    def test_keeps_traces_whole(self) -> None:
        spans = rows("spans")
        found = {(span["trace"], span["id"]) for span in spans}
        parents = {(span["trace"], span["parent_span"]) for span in spans if span["parent_span"]}
        assert parents
        assert parents <= found

    def test_has_the_issue_of_every_event(self) -> None:
        issues = {row["id"] for row in rows("sentry/issues")}
        assert {row["groupid"] for row in rows("sentry/sentry_events")} <= issues | {""}


def read(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None
