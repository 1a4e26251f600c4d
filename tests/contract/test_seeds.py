"""The sample business data fits the demo: same people, a pattern that can repeat for ever."""

from __future__ import annotations

import csv
from pathlib import Path

from tap_sentry.demo.people import END_USERS

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
