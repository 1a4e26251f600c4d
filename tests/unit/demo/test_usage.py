from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tap_sentry.demo import DemoSentry, usage
from tests.unit.demo.client import NOW, ORGANIZATION, Client, frozen_world

PATH = f"{ORGANIZATION}stats_v2/"
SUM = "sum(quantity)"
WINDOW = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-19T00:00:00Z"}
QUERY: dict[str, Any] = {"field": SUM, "project": -1, **WINDOW}


@pytest.fixture
def client() -> Client:
    return Client()


def bounds() -> tuple[float, float]:
    end = (NOW - timedelta(days=1, hours=12)).timestamp()
    return end - 7 * 86_400, end


class TestUsage:
    def test_accepts_the_rows_of_the_world_hour_by_hour(self, client: Client) -> None:
        start, end = bounds()
        world = frozen_world()
        for category, rows in (
            ("error", world.events_between(start, end)),
            ("span_indexed", world.spans_between(start, end)),
        ):
            hours = Counter(int(row.timestamp - start) // 3600 for row in rows)
            query = {**QUERY, "category": category, "groupBy": "outcome", "interval": "1h"}
            groups = client.json(PATH, **query)["groups"]
            (accepted,) = [g for g in groups if g["by"]["outcome"] == "accepted"]
            assert accepted["series"][SUM] == [hours[hour] for hour in range(7 * 24)]
            assert accepted["totals"][SUM] == len(rows)

    def test_has_every_category_and_refusals_with_reasons(self, client: Client) -> None:
        groups = client.json(PATH, groupBy=["category", "outcome", "reason"], **QUERY)["groups"]
        found = {(g["by"]["category"], g["by"]["outcome"]) for g in groups}
        assert {category for category, outcome in found if outcome == "accepted"} == {
            "error", "transaction", "span", "span_indexed", "replay", "monitor", "session",
        }  # fmt: skip
        assert {outcome for _, outcome in found} == {
            "accepted", "filtered", "rate_limited", "invalid", "client_discard",
        }  # fmt: skip
        assert all(g["by"]["reason"] for g in groups)

    def test_is_what_the_totals_say(self, client: Client) -> None:
        expected: Counter[tuple[int, str]] = Counter()
        for use, quantity in usage.totals(frozen_world(), *bounds()).items():
            expected[use.project, use.category] += quantity
        groups = client.json(PATH, groupBy=["project", "category"], **QUERY)["groups"]
        found = {(g["by"]["project"], g["by"]["category"]): g["totals"][SUM] for g in groups}
        assert found == {key: count for key, count in expected.items() if count}

    def test_has_no_series_by_project(self, client: Client) -> None:
        body = client.json(PATH, groupBy=["project", "category"], **QUERY)
        assert not any("series" in group for group in body["groups"])

    def test_has_buckets_of_the_asked_width(self, client: Client) -> None:
        body = client.json(PATH, groupBy="category", interval="1d", **QUERY)
        assert body["intervals"] == [f"2026-11-{day}T00:00:00Z" for day in range(12, 19)]
        for group in body["groups"]:
            assert sum(group["series"][SUM]) == group["totals"][SUM]

    def test_can_be_filtered(self, client: Client) -> None:
        query = {**QUERY, "groupBy": "outcome", "category": "error", "outcome": "filtered"}
        (group,) = client.json(PATH, **query)["groups"]
        assert group["by"] == {"outcome": "filtered"}
        one = client.json(PATH, **{**query, "project": "payments"})["groups"]
        assert sum(g["totals"][SUM] for g in one) < group["totals"][SUM]

    def test_loses_figures_beyond_its_cap(self, client: Client) -> None:
        query = {**QUERY, "groupBy": ["category", "outcome", "reason"], "statsPeriod": "30d"}
        groups = client.json(PATH, interval="1h", **query)["groups"]
        figures = sum(value > 0 for g in groups for value in g["series"][SUM])
        assert figures == usage.MAX_ROWS
        assert any(sum(g["series"][SUM]) < g["totals"][SUM] for g in groups)

    def test_is_answered_twenty_times_a_second(self) -> None:
        client = Client(DemoSentry(frozen_world(), limit_clock=NOW.timestamp))
        answers = [client.get(PATH, groupBy="category", **QUERY).status_code for _ in range(21)]
        assert answers == [200] * 20 + [429]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"groupBy": "outcome"}, "category"),
            ({"groupBy": "colour"}, "groupBy"),
            ({"field": "count()"}, "field"),
            ({"interval": "10m"}, "interval"),
            ({"interval": "5h"}, "interval"),
            ({"interval": "x"}, "interval"),
            ({"start": "2026-11-12"}, "start must be before end"),
        ],
    )
    def test_refuses_nonsense(self, client: Client, change: dict[str, Any], words: str) -> None:
        query = {**QUERY, "groupBy": "category", "end": "2026-11-11", **change}
        if "start" not in change:
            query["end"] = WINDOW["end"]
        response = client.get(PATH, **query)
        assert response.status_code == 400
        assert words in response.json()["detail"]
