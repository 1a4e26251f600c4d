from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tap_sentry.demo import DemoSentry, World, sessions
from tests.unit.demo.client import NOW, ORGANIZATION, Client, MovingClock, frozen_world

PATH = f"{ORGANIZATION}sessions/"
SUM, USERS = "sum(session)", "count_unique(user)"
RATE = "crash_free_rate(session)"
WINDOW = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-19T00:00:00Z"}
QUERY: dict[str, Any] = {"field": SUM, "project": -1, "interval": "1d", **WINDOW}


@pytest.fixture
def client() -> Client:
    return Client()


class TestSessions:
    def test_are_what_the_totals_say(self, client: Client) -> None:
        slugs = {int(project.id): project.slug for project in frozen_world().projects()}
        groups = client.json(PATH, groupBy=["project", "release", "environment"], **QUERY)["groups"]
        found = {
            (slugs[g["by"]["project"]], g["by"]["release"], g["by"]["environment"]): g
            for g in groups
        }
        end = (NOW - timedelta(days=1, hours=12)).timestamp()
        expected = sessions.totals(frozen_world(), end - 7 * 86_400, end)
        assert {key: group["totals"][SUM] for key, group in found.items()} == expected
        assert all(sum(g["series"][SUM]) == g["totals"][SUM] for g in groups)
        assert {slug for slug, _, _ in found} == {"storefront", "checkout-api", "mobile-app"}

    def test_crash_more_under_the_bad_release(self, client: Client) -> None:
        rates = {}
        fields = [SUM, RATE, "crash_free_rate(user)"]
        query = {**QUERY, "field": fields, "groupBy": "release", "statsPeriod": "30d"}
        for group in client.json(PATH, **query)["groups"]:
            if group["totals"][SUM] > 100:
                rates[group["by"]["release"]] = group["totals"]
        bad = {r.version for r in frozen_world().releases() if r.is_bad} & rates.keys()
        assert bad
        for field in fields[1:]:
            worst = max(rates[version][field] for version in bad)
            assert worst + 0.05 < min(rates[v][field] for v in rates.keys() - bad)
            assert worst > 0.5

    def test_are_split_by_how_they_ended(self, client: Client) -> None:
        groups = client.json(PATH, groupBy="session.status", **QUERY)["groups"]
        by_status = {g["by"]["session.status"]: g["totals"][SUM] for g in groups}
        assert set(by_status) == {"healthy", "errored", "crashed", "abnormal"}
        assert sum(by_status.values()) == client.json(PATH, **QUERY)["groups"][0]["totals"][SUM]

    def test_count_a_user_once(self, client: Client) -> None:
        (group,) = client.json(PATH, **{**QUERY, "field": [USERS, SUM]})["groups"]
        assert 0 < group["totals"][USERS] < sum(group["series"][USERS])
        assert group["totals"][USERS] < group["totals"][SUM]

    def test_have_no_rate_where_there_are_none(self, client: Client) -> None:
        query = {**QUERY, "field": RATE, "groupBy": "release", "query": "release:8*"}
        assert client.json(PATH, **query)["groups"] == []
        query = {**QUERY, "field": RATE, "groupBy": "release", "statsPeriod": "30d"}
        series = [g["series"][RATE] for g in client.json(PATH, **query)["groups"]]
        assert any(value is None for values in series for value in values)

    def test_beyond_the_cap_are_lost_without_a_word(self, client: Client) -> None:
        keys = ["project", "release", "environment"]
        whole = client.json(PATH, **{**QUERY, "groupBy": keys, "statsPeriod": "30d"})["groups"]
        query = {**QUERY, "groupBy": keys, "interval": "1h", "statsPeriod": "30d"}
        cut = client.json(PATH, **query)
        assert 0 < len(cut["groups"]) < len(whole)
        assert len(cut["groups"]) * len(cut["intervals"]) <= sessions.MAX_POINTS

    def test_show_the_parts_that_were_asked_for(self, client: Client) -> None:
        assert "series" not in client.json(PATH, includeSeries=0, **QUERY)["groups"][0]
        assert "totals" not in client.json(PATH, includeTotals=0, **QUERY)["groups"][0]
        query = {**QUERY, "groupBy": "release", "per_page": 2, "orderBy": SUM}
        totals = [g["totals"][SUM] for g in client.json(PATH, **query)["groups"]]
        assert len(totals) == 2
        assert totals == sorted(totals)

    def test_can_be_filtered(self, client: Client) -> None:
        query = {**QUERY, "groupBy": ["project", "environment"], "environment": "staging"}
        groups = client.json(PATH, **{**query, "project": "storefront"})["groups"]
        assert [group["by"]["environment"] for group in groups] == ["staging"]

    def test_become_more_within_the_hour(self) -> None:
        clock = MovingClock()
        client = Client(DemoSentry(World(clock=clock), limits=None))
        clock.move(minutes=5)
        query = {"field": SUM, "project": -1, "statsPeriod": "2h"}
        before = client.json(PATH, **query)["groups"][0]["series"][SUM]
        clock.move(minutes=50)
        after = client.json(PATH, **query)["groups"][0]["series"][SUM]
        assert before[:-1] == after[:-1]
        assert before[-1] < after[-1]

    @pytest.mark.parametrize(
        "change",
        [
            {"field": []},
            {"field": "sum(sessions)"},
            {"field": "count_unique(session)"},
            {"groupBy": "colour"},
            {"interval": "30m"},
            {"orderBy": RATE},
            {"per_page": "x"},
        ],
    )
    def test_refuse_nonsense(self, client: Client, change: dict[str, Any]) -> None:
        assert client.get(PATH, **{**QUERY, **change}).status_code == 400
