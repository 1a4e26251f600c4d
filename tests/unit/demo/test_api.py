from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

from tap_sentry.demo import DemoSentry, World
from tests.unit.demo.client import (
    HOST,
    NOW,
    ORGANIZATION,
    PROJECT,
    Client,
    MovingClock,
    frozen_world,
)

ISSUES = f"{ORGANIZATION}issues/"
EVENTS = f"{PROJECT}checkout-api/events/"
TOKENS = {"all": ("org:read", "event:read"), "poor": ("org:read",)}
NOT_FOUND = {"detail": "The requested resource does not exist"}


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def world() -> World:
    return frozen_world()


class TestAccess:
    def client(self, token: str) -> Client:
        return Client(DemoSentry(frozen_world(), limits=None, tokens=TOKENS), token=token)

    @pytest.mark.parametrize(
        ("token", "path", "status", "words"),
        [
            ("", ISSUES, 401, "Authentication credentials were not provided."),
            ("wrong", ISSUES, 401, "Invalid token"),
            ("poor", ISSUES, 403, "You do not have permission to perform this action."),
            ("all", f"{ORGANIZATION}members/", 403, "You do not have permission"),
            ("all", ISSUES, 200, ""),
            ("poor", f"{ORGANIZATION}projects/", 200, ""),
            ("", f"{ORGANIZATION}nothing/", 401, "Authentication"),
        ],
    )
    def test_is_by_scope(self, token: str, path: str, status: int, words: str) -> None:
        response = self.client(token).get(path)
        assert response.status_code == status
        assert words in response.text

    def test_names_the_missing_scope(self) -> None:
        challenge = self.client("poor").get(ISSUES).headers["WWW-Authenticate"]
        assert "insufficient_scope" in challenge
        assert "event:read" in challenge

    def test_tells_a_token_its_scopes(self) -> None:
        assert self.client("poor").json("")["auth"] == {"scopes": ["org:read"]}
        assert self.client("").json("")["auth"] is None

    def test_is_open_without_tokens(self, client: Client) -> None:
        assert "event:read" in client.json("")["auth"]["scopes"]


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "organizations/nobody/",
            f"{PROJECT}nobody/",
            f"{PROJECT}nobody/events/",
            f"{ORGANIZATION}issues/1/",
            f"{ORGANIZATION}releases/nothing/",
            f"{ORGANIZATION}projects",
            f"{EVENTS}{'0' * 32}/",
            "nothing/",
        ],
    )
    def test_that_are_unknown_are_not_found(self, client: Client, path: str) -> None:
        response = client.get(path)
        assert (response.status_code, response.json()) == (404, NOT_FOUND)

    def test_take_an_id_for_a_slug(self, client: Client) -> None:
        by_slug = client.json(f"{PROJECT}payments/")
        by_id = client.json(f"projects/4507000000000001/{by_slug['id']}/")
        assert by_id == by_slug

    def test_with_a_renamed_slug_lead_to_the_new_one(self, client: Client) -> None:
        response = client.get(f"{PROJECT}web-shop/events/", per_page=3)
        (moved,) = response.history
        assert moved.status_code == 302
        assert moved.json()["detail"]["code"] == "resource-moved"
        assert response.url.endswith("/storefront/events/?per_page=3")
        assert len(response.json()) == 3

    def test_refuse_to_write(self, client: Client) -> None:
        response = client.session.post(f"{HOST}/api/0/{ISSUES}", json={}, timeout=5)
        assert response.status_code == 405

    def test_are_logged(self, client: Client) -> None:
        client.get(ISSUES, query="", project=["1", "2"])
        served = client.demo.requests[-1]
        assert served.path == f"/api/0/{ISSUES}"
        assert served.query == (("query", ""), ("project", "1"), ("project", "2"))


class TestOrganization:
    def test_points_to_the_address_that_was_asked(self, client: Client) -> None:
        detail = client.json(ORGANIZATION)
        assert detail["links"]["regionUrl"] == HOST
        (listed,) = client.json("organizations/")
        assert listed["slug"] == detail["slug"] == "acme-shop"

    def test_lists_projects_by_slug(self, client: Client, world: World) -> None:
        slugs = [row["slug"] for row in client.rows(f"{ORGANIZATION}projects/", per_page=4)]
        assert slugs == sorted(slugs)
        assert len(slugs) == world.counts()["projects"]

    def test_keeps_secrets_in_project_details(self, client: Client) -> None:
        detail = client.json(f"{PROJECT}storefront/")
        assert detail["securityToken"] == detail["options"]["sentry:token"]
        assert len(detail["securityToken"]) == 32

    def test_leaves_projects_out_of_teams_on_request(self, client: Client) -> None:
        assert all("projects" in team for team in client.json(f"{ORGANIZATION}teams/"))
        brief = client.json(f"{ORGANIZATION}teams/", detailed=0)
        assert not any("projects" in team for team in brief)

    def test_has_members_without_a_user(self, client: Client) -> None:
        members = client.rows(f"{ORGANIZATION}members/", per_page=7)
        assert len(members) == 25
        assert sum(member["user"] is None for member in members) == 3
        assert sum(member["expired"] for member in members) == 1
        assert [m["id"] for m in members] == sorted((m["id"] for m in members), key=int)

    def test_has_environments(self, client: Client) -> None:
        path = f"{ORGANIZATION}environments/"
        assert client.json(path)[0]["name"] == "production"
        assert client.json(path, visibility="hidden") == []
        assert client.get(path, visibility="some").status_code == 400


class TestIssues:
    def test_are_unresolved_ones_without_a_query(self, client: Client) -> None:
        rows = client.rows(ISSUES, project=-1)
        assert {row["status"] for row in rows} == {"unresolved"}

    def test_are_all_with_an_empty_query(self, client: Client, world: World) -> None:
        rows = client.rows(ISSUES, project=-1, query="")
        assert len(rows) == len({row["id"] for row in rows}) == world.counts()["issues"]
        assert all(isinstance(row["count"], str) for row in rows)
        seen = [row["lastSeen"] for row in rows]
        assert seen == sorted(seen, reverse=True)

    def test_leave_out_projects_of_other_teams_without_the_parameter(self, client: Client) -> None:
        slugs = {row["project"]["slug"] for row in client.rows(ISSUES, query="")}
        assert "mobile-app" not in slugs
        assert "storefront" in slugs

    def test_hide_feedback_and_so_show_short_and_empty_pages(self, client: Client) -> None:
        pages = client.pages(ISSUES, project=-1, query="", limit=1)
        assert pages.count([]) == 3
        category = client.rows(ISSUES, project=-1, query="issue.category:feedback")
        assert len(category) == 3
        assert {row["issueCategory"] for row in category} == {"feedback"}

    def test_can_be_cut_on_the_last_sighting(self, client: Client) -> None:
        everything = client.rows(ISSUES, project=-1, query="")
        days = ("2026-11-10T00:00:00Z", "2026-11-17T00:00:00Z")
        query = f"lastSeen:>={days[0]} lastSeen:<{days[1]}"
        found = client.rows(ISSUES, project=-1, query=query, limit=7)
        assert [row["id"] for row in found] == [
            row["id"] for row in everything if days[0] <= row["lastSeen"] < days[1]
        ]

    @pytest.mark.parametrize("size", [1, 3, 100])
    @pytest.mark.parametrize("sort", ["date", "new", "freq", "user"])
    def test_come_once_each_whatever_the_page(self, client: Client, size: int, sort: str) -> None:
        rows = client.rows(ISSUES, project=-1, query="is:resolved", sort=sort, limit=size)
        resolved = sum(seen.status == "resolved" for seen in frozen_world().issues())
        assert len(rows) == len({row["id"] for row in rows}) == resolved

    def test_can_be_paged_backwards(self, client: Client) -> None:
        query = {"project": -1, "query": "", "limit": 10}
        first = client.get(ISSUES, **query)
        second = client.get(ISSUES, **query, cursor=first.links["next"]["cursor"])
        assert second.links["previous"]["results"] == "true"
        back = client.get(ISSUES, **query, cursor=second.links["previous"]["cursor"])
        assert back.json() == first.json()

    def test_give_figures_of_a_window(self, client: Client) -> None:
        window = {"start": "2026-11-18T00:00:00Z", "end": "2026-11-19T00:00:00Z"}
        rows = client.rows(ISSUES, project=-1, query="", **window)
        assert rows
        for row in rows:
            assert window["start"] <= row["lastSeen"] < window["end"]
            assert int(row["count"]) <= int(row["lifetime"]["count"])
        assert client.json(ISSUES, query="", start="2020-01-01", end="2020-01-02") == []

    def test_clamp_the_limit(self, client: Client) -> None:
        assert len(client.json(ISSUES, project=-1, query="", limit=1000)) <= 100
        assert client.get(ISSUES, limit="many").status_code == 400

    def test_tell_hits(self, client: Client) -> None:
        headers = client.get(ISSUES, project=-1, query="").headers
        assert int(headers["X-Hits"]) >= 148
        assert headers["X-Max-Hits"] == "1000"

    def test_show_parts_on_request(self, client: Client) -> None:
        (plain,) = client.json(ISSUES, query="", limit=1)
        assert len(plain["stats"]["24h"]) == 24
        assert "inbox" not in plain
        (changed,) = client.json(
            ISSUES, query="", limit=1, collapse=["stats", "unhandled"], expand=["inbox", "owners"]
        )
        assert not {"stats", "isUnhandled"} & changed.keys()
        assert {"inbox", "owners"} <= changed.keys()

    def test_have_details_and_events(self, client: Client) -> None:
        row = client.json(ISSUES, project=-1, query="", limit=1)[0]
        detail = client.json(f"{ISSUES}{row['id']}/")
        assert detail["lastSeen"] == row["lastSeen"]
        assert detail["activity"]
        assert detail["openPeriods"][0]["isOpen"] == (row["status"] != "resolved")
        events = client.rows(f"{ISSUES}{row['id']}/events/")
        assert {event["groupID"] for event in events} == {row["id"]}
        latest = client.json(f"{ISSUES}{row['id']}/events/latest/")
        assert latest["eventID"] == events[0]["eventID"]
        named = client.json(f"{ISSUES}{row['id']}/events/{events[0]['id']}/")
        assert named == latest

    @pytest.mark.parametrize(
        "query",
        [{"sort": "colour"}, {"query": "is:blue"}, {"groupStatsPeriod": "1y"}, {"cursor": "x"}],
    )
    def test_refuse_nonsense(self, client: Client, query: dict[str, str]) -> None:
        assert client.get(ISSUES, **query).status_code == 400

    def test_are_hit_directly_by_ids(self, client: Client, world: World) -> None:
        event = world.events()[0]
        for query in (event.id, event.issue.short_id):
            response = client.get(ISSUES, project=-1, query=query)
            assert [row["id"] for row in response.json()] == [event.issue.id]
            assert response.headers["X-Sentry-Direct-Hit"] == "1"
            assert "Link" not in response.headers

    def test_know_groups_and_statuses(self, client: Client) -> None:
        rows = client.rows(ISSUES, project=-1, query="")
        some = [row["id"] for row in rows[:2]]
        assert [row["id"] for row in client.rows(ISSUES, project=-1, group=some)] == some
        found = client.rows(ISSUES, project=-1, query="is:escalating")
        assert {row["substatus"] for row in found} == {"escalating"}


class TestEvents:
    def test_are_all_there_newest_first(self, client: Client, world: World) -> None:
        found = [
            row
            for project in client.rows(f"{ORGANIZATION}projects/")
            for row in client.rows(f"{PROJECT}{project['slug']}/events/")
        ]
        assert len({row["id"] for row in found}) == world.counts()["events"]
        times = [row["dateCreated"] for row in found[:100]]
        assert times == sorted(times, reverse=True)
        assert {"event.type", "groupID", "tags", "user"} <= found[0].keys()

    def test_come_ten_at_a_time_when_full(self, client: Client) -> None:
        rows = client.json(EVENTS, full="true", per_page=100)
        assert len(rows) == 10
        assert {"entries", "contexts", "type"} <= rows[0].keys()
        assert "event.type" not in rows[0]
        assert len(client.json(EVENTS, full="yes")) == 100

    def test_can_be_ordered_by_id(self, client: Client) -> None:
        ids = [row["id"] for row in client.rows(EVENTS, sample="true")]
        assert ids == sorted(ids)
        assert set(ids) == {row["id"] for row in client.rows(EVENTS)}

    def test_can_be_cut_by_time(self, client: Client) -> None:
        window = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-13T00:00:00Z"}
        rows = client.rows(EVENTS, **window)
        expected = [r for r in client.rows(EVENTS) if r["dateCreated"][:10] == "2026-11-12"]
        assert rows == expected
        assert rows
        assert [r["id"] for r in client.rows(EVENTS, sample=1, **window)] == sorted(
            row["id"] for row in rows
        )

    def test_have_details_with_neighbours(self, client: Client) -> None:
        row = client.json(EVENTS)[3]
        detail = client.json(f"{EVENTS}{row['id']}/")
        assert detail["dateCreated"][:19] == row["dateCreated"][:19]
        assert "nextEventID" in detail
        tags = {tag["key"]: tag["value"] for tag in row["tags"]}
        assert detail["release"]["version"] == tags["release"]

    def test_have_users_from_the_table(self, client: Client) -> None:
        users = [row["user"] for row in client.rows(EVENTS) if row["user"]]
        names = {(user["id"], user["email"]) for user in users}
        assert len(names) == len({user["id"] for user in users})

    def test_drift_while_a_client_pages(self) -> None:
        clock = MovingClock()
        client = Client(DemoSentry(World(clock=clock), limits=None))
        first = client.get(f"{PROJECT}batch-worker/events/", per_page=50)
        clock.move(hours=12)
        second = client.get(
            f"{PROJECT}batch-worker/events/",
            per_page=50,
            cursor=first.links["next"]["cursor"],
        )
        repeated = {r["id"] for r in first.json()} & {r["id"] for r in second.json()}
        assert repeated

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ({"per_page": 0}, "Invalid per_page value. Must be between 1 and 100."),
            ({"per_page": 101}, "Invalid per_page value. Must be between 1 and 100."),
            ({"per_page": "x"}, "Invalid per_page parameter."),
            ({"cursor": "x"}, "Invalid cursor parameter."),
            ({"cursor": "0:0:7"}, "Invalid cursor parameter."),
            ({"cursor": "0:-5:0"}, "Pagination offset cannot be negative"),
            ({"start": "2026-11-12"}, "Invalid date range parameters provided"),
        ],
    )
    def test_refuse_nonsense(self, client: Client, query: dict[str, Any], detail: str) -> None:
        response = client.get(EVENTS, **query)
        assert (response.status_code, response.json()) == (400, {"detail": detail})


class TestReleases:
    PATH = f"{ORGANIZATION}releases/"

    def test_are_open_ones_by_default(self, client: Client, world: World) -> None:
        everything = client.rows(self.PATH, project=-1, status="", per_page=5)
        assert len(everything) == world.counts()["releases"]
        open_ones = client.rows(self.PATH, project=-1)
        assert {row["status"] for row in open_ones} == {"open"}
        archived = client.rows(self.PATH, project=-1, status="archived")
        assert len(open_ones) + len(archived) == len(everything)

    def test_are_newest_first_with_whole_number_ids(self, client: Client) -> None:
        rows = client.rows(self.PATH, project=-1, status="")
        created = [row["dateCreated"] for row in rows]
        assert created == sorted(created, reverse=True)
        assert all(isinstance(row["id"], int) for row in rows)
        assert max(len(row["projects"]) for row in rows) == 2

    def test_have_details_commits_and_deploys(self, client: Client) -> None:
        for row in client.rows(self.PATH, project=-1, status=""):
            path = f"{self.PATH}{quote(row['version'], safe='')}/"
            assert client.json(path) == row
            commits = client.rows(f"{path}commits/", per_page=3)
            assert len(commits) == row["commitCount"]
            assert row["lastCommit"]["id"] == commits[-1]["id"]
            deploys = client.json(f"{path}deploys/")
            assert len(deploys) == row["deployCount"]

    def test_have_versions_that_need_encoding(self, client: Client) -> None:
        versions = "".join(row["version"] for row in client.rows(self.PATH, project=-1, status=""))
        assert set("@+%# ") <= set(versions)

    def test_count_the_issues_they_brought(self, client: Client) -> None:
        rows = client.rows(self.PATH, project=-1, status="")[:12]
        worst = max(rows, key=lambda row: row["newGroups"])
        assert {project["slug"] for project in worst["projects"]} == {"checkout-api", "payments"}


class TestProjectParameter:
    @pytest.mark.parametrize("value", ["1", "nobody"])
    def test_is_forbidden_for_what_is_not_there(self, client: Client, value: str) -> None:
        assert client.get(ISSUES, project=value).status_code == 403

    def test_takes_ids_and_slugs(self, client: Client) -> None:
        rows = client.rows(ISSUES, query="", project=["4507200000000104", "catalog-api"])
        slugs = Counter(row["project"]["slug"] for row in rows)
        assert set(slugs) == {"payments", "catalog-api"}

    def test_is_not_found_with_an_unknown_environment(self, client: Client) -> None:
        assert client.get(ISSUES, environment="moon").status_code == 404


class TestEmptyOrganization:
    @pytest.mark.parametrize(
        ("path", "query", "body"),
        [
            (ISSUES, {}, []),
            (f"{ORGANIZATION}releases/", {}, []),
            (
                f"{ORGANIZATION}events/",
                {"field": "id", "dataset": "spans"},
                {"data": [], "meta": {"tips": {}}},
            ),
        ],
    )
    def test_answers_without_link(self, path: str, query: dict[str, str], body: Any) -> None:
        client = Client(DemoSentry(World(clock=lambda: NOW, project_count=0), limits=None))
        response = client.get(path, **query)
        assert (response.status_code, response.json()) == (200, body)
        assert "Link" not in response.headers


class TestLink:
    def test_is_written_as_sentry_does(self, client: Client) -> None:
        header = client.get(EVENTS, full="1", sample="1").headers["Link"]
        url = f"{HOST}/api/0/{EVENTS}?full=1&sample=1"
        assert header == (
            f'<{url}&cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
            f'<{url}&cursor=0:10:0>; rel="next"; results="true"; cursor="0:10:0"'
        )

    def test_of_pages_by_number(self, client: Client) -> None:
        header = client.get(f"{ORGANIZATION}teams/").headers["Link"]
        assert f"<{HOST}/api/0/{ORGANIZATION}teams/?&cursor=100:-1:1>" in header
        assert 'rel="next"; results="false"; cursor="100:1:0"' in header

    def test_keeps_repeated_parameters_and_drops_the_old_cursor(self, client: Client) -> None:
        query = {"project": ["4507200000000104", "4507200000000101"], "query": "", "limit": 2}
        first = client.get(ISSUES, **query)
        second = client.get(ISSUES, **query, cursor=first.links["next"]["cursor"])
        url = second.links["next"]["url"]
        assert url.count("project=") == 2
        assert url.count("cursor=") == 1
