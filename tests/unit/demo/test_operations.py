from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from tap_sentry.demo import DemoSentry, World
from tests.unit.demo.client import NOW, ORGANIZATION, PROJECT, Client, MovingClock, frozen_world

MONITORS = f"{ORGANIZATION}monitors/"
REPLAYS = f"{ORGANIZATION}replays/"
FEEDBACK = f"{PROJECT}storefront/user-feedback/"
KEYS = f"{ORGANIZATION}project-keys/"


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def world() -> World:
    return frozen_world()


class TestMonitors:
    def test_have_both_schedules_one_muted_one_failing(self, client: Client) -> None:
        rows = client.rows(MONITORS, project=-1, per_page=2)
        assert {row["config"]["schedule_type"] for row in rows} == {"crontab", "interval"}
        assert sum(row["isMuted"] for row in rows) == 1
        assert rows[0]["environments"][0]["status"] == "error"
        assert rows[0]["environments"][0]["activeIncident"]["resolvingTimestamp"] is None
        assert len(rows) == frozen_world().counts()["monitors"]

    def test_are_those_of_the_asked_projects(self, client: Client) -> None:
        rows = client.json(MONITORS, project="checkout-api")
        assert [row["slug"] for row in rows] == ["cart-cleanup"]

    def test_are_found_by_id_and_slug(self, client: Client) -> None:
        row = client.json(f"{MONITORS}feeds-export/")
        assert client.json(f"{MONITORS}{row['id']}/") == row
        assert client.get(f"{MONITORS}nothing/").status_code == 404

    def test_open_to_the_scopes_of_alerts(self) -> None:
        demo = DemoSentry(
            frozen_world(), limits=None, tokens={"a": ["alerts:read"], "o": ["org:read"]}
        )
        assert Client(demo, token="a").get(f"{MONITORS}feeds-export/checkins/").ok
        assert Client(demo, token="o").get(MONITORS).ok
        assert Client(demo, token="o").get(f"{MONITORS}feeds-export/").status_code == 403


class TestCheckIns:
    PATH = f"{MONITORS}feeds-export/checkins/"

    def test_are_all_there_latest_first(self, client: Client, world: World) -> None:
        added = [row["dateAdded"] for row in client.rows(self.PATH, per_page=7)]
        assert added == sorted(added, reverse=True)
        count = sum(len(client.rows(f"{MONITORS}{m.slug}/checkins/")) for m in world.monitors())
        assert count == world.counts()["monitor_checkins"]

    def test_end_in_every_way(self, client: Client) -> None:
        statuses = Counter(row["status"] for row in client.rows(self.PATH))
        assert {"ok", "error", "missed", "timeout"} <= statuses.keys()
        for row in client.rows(self.PATH):
            assert (row["duration"] is None) == (row["status"] in {"missed", "timeout"})
            assert row["dateUpdated"] >= row["dateAdded"]

    def test_can_be_cut_by_time(self, client: Client) -> None:
        window = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-13T00:00:00Z"}
        rows = client.rows(self.PATH, **window)
        assert rows == [r for r in client.rows(self.PATH) if r["dateAdded"][:10] == "2026-11-12"]
        assert 10 <= len(rows) <= 12

    def test_change_when_their_run_ends(self) -> None:
        clock = MovingClock()
        client = Client(DemoSentry(World(clock=clock), limits=None))
        clock.now = datetime.fromisoformat("2026-11-20T02:31:00+00:00")
        path = f"{MONITORS}ledger-close/checkins/"
        before = client.json(path, per_page=1)[0]
        assert (before["status"], before["duration"]) == ("in_progress", None)
        clock.move(hours=1)
        after = client.json(path, per_page=1)[0]
        assert after["id"] == before["id"]
        assert after["status"] in {"ok", "error"}
        assert after["duration"] > 0
        assert after["dateUpdated"] > before["dateUpdated"]
        assert after["dateAdded"] == before["dateAdded"]

    def test_become_more(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        before = world.counts()["monitor_checkins"]
        clock.move(hours=5)
        assert before < world.counts()["monitor_checkins"]


class TestAlerts:
    def test_are_bound_to_each_other(self, client: Client, world: World) -> None:
        detectors = client.rows(f"{ORGANIZATION}detectors/", project=-1, per_page=3)
        workflows = client.rows(f"{ORGANIZATION}workflows/", project=-1)
        counts = world.counts()
        assert (len(detectors), len(workflows)) == (counts["detectors"], counts["workflows"])
        assert len({row["id"] for row in detectors}) == len(detectors)
        by_detector = {row["id"]: row["workflowIds"] for row in detectors}
        for row in workflows:
            assert row["detectorIds"]
            assert all(row["id"] in by_detector[detector] for detector in row["detectorIds"])

    def test_show_the_issue_last_seen(self, client: Client) -> None:
        newest = client.json(f"{ORGANIZATION}issues/", project=-1, query="", limit=1)[0]
        shown = [row["latestGroup"] for row in client.json(f"{ORGANIZATION}detectors/", project=-1)]
        assert newest["id"] in {issue["id"] for issue in shown if issue}


class TestProjectKeys:
    def test_hold_their_secrets(self, client: Client, world: World) -> None:
        rows = client.rows(KEYS, per_page=2)
        assert len(rows) == len({row["id"] for row in rows}) == world.counts()["project_keys"]
        assert all(row["secret"] in row["dsn"]["secret"] for row in rows)

    def test_are_filtered_by_status(self, client: Client) -> None:
        assert all(row["isActive"] for row in client.rows(KEYS, status="active"))
        (inactive,) = client.rows(KEYS, status="inactive")
        assert not inactive["isActive"]
        assert client.get(KEYS, status="lost").status_code == 400

    def test_are_the_same_below_their_project(self, client: Client) -> None:
        rows = client.rows(f"{PROJECT}storefront/keys/")
        project = int(client.json(f"{PROJECT}storefront/")["id"])
        assert rows == [row for row in client.rows(KEYS) if row["projectId"] == project]
        assert len(rows) == 2


class TestReplays:
    def rows(self, client: Client, **query: Any) -> list[Any]:
        return client.rows(REPLAYS, project=-1, **query)

    def test_are_all_there_latest_first(self, client: Client, world: World) -> None:
        rows = self.rows(client, per_page=50)
        started = [row["started_at"] for row in rows]
        assert started == sorted(started, reverse=True)
        assert not any(moment.endswith("Z") for moment in started)
        assert len({row["id"] for row in rows}) == world.counts()["replays"] > 200
        assert [r["id"] for r in self.rows(client, sort="started_at")] == [
            row["id"] for row in reversed(rows)
        ]

    def test_lead_to_events_and_traces(self, client: Client, world: World) -> None:
        events = {event.id for event in world.events()}
        traces = {span.transaction.trace.id for span in world.spans()}
        rows = self.rows(client)
        errors = {error for row in rows for error in row["error_ids"]}
        assert errors
        assert errors <= events
        assert len(traces & {trace for row in rows for trace in row["trace_ids"]}) > 50

    def test_of_old_are_archived_and_nearly_empty(self, client: Client) -> None:
        archived = [row for row in self.rows(client) if row["is_archived"]]
        assert archived
        assert all(row["duration"] is row["environment"] is None for row in archived)
        assert not any(row["trace_ids"] or row["user"]["email"] for row in archived)

    def test_change_until_they_are_finished(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        client = Client(DemoSentry(world, limits=None))
        for _ in range(200):
            running = [replay for replay in world.replays() if replay.ended > world.now]
            if running:
                break
            clock.move(minutes=5)
        path, replay = REPLAYS, running[0]
        before = next(r for r in client.json(path, project=-1)["data"] if r["id"] == replay.id)
        clock.move(hours=1)
        after = next(r for r in client.json(path, project=-1)["data"] if r["id"] == replay.id)
        assert after["started_at"] == before["started_at"]
        assert after["finished_at"] > before["finished_at"]
        assert after["duration"] > before["duration"]
        clock.move(hours=1)
        settled = next(r for r in client.rows(path, project=-1) if r["id"] == replay.id)
        assert settled == after

    def test_can_be_cut_and_thinned(self, client: Client) -> None:
        window = {"start": "2026-11-12T00:00:00Z", "end": "2026-11-13T00:00:00Z"}
        rows = self.rows(client, field=["started_at", "user"], **window)
        assert rows
        assert all(row["started_at"].startswith("2026-11-12") for row in rows)
        assert set(rows[0]) == {"id", "project_id", "started_at", "user"}
        assert client.json(REPLAYS, project="payments") == {"data": []}
        assert client.get(REPLAYS, project=-1, sort="colour").status_code == 400

    def test_are_not_found_without_the_feature(self) -> None:
        world = World(clock=lambda: NOW)
        world.has_replays = False
        response = Client(DemoSentry(world, limits=None)).get(REPLAYS, project=-1)
        assert (response.status_code, response.content) == (404, b"")
        assert world.counts()["replays"] == 0


class TestFeedback:
    def test_is_thinned_after_paging(self, client: Client) -> None:
        pages = client.pages(FEEDBACK, per_page=1)
        assert pages.count([]) > 0
        unresolved = [row["id"] for page in pages for row in page]
        everything = client.rows(FEEDBACK, per_page=4, status="")
        assert len(pages) == len(everything) > len(unresolved)
        assert unresolved == [
            row["id"] for row in everything if row["issue"]["status"] == "unresolved"
        ]

    def test_is_all_there_latest_first(self, client: Client, world: World) -> None:
        slugs = [project.slug for project in world.projects()]
        rows = {slug: client.rows(f"{PROJECT}{slug}/user-feedback/", status="") for slug in slugs}
        assert sum(map(len, rows.values())) == world.counts()["user_feedback"]
        written = [row["dateCreated"] for row in rows["mobile-app"]]
        assert written == sorted(written, reverse=True)

    def test_has_cursors_of_milliseconds(self, client: Client) -> None:
        response = client.get(FEEDBACK, per_page=2, status="")
        following = client.json(FEEDBACK, per_page=1, status="", cursor="0:0:0")
        cursor = response.links["next"]["cursor"]
        row = client.json(FEEDBACK, per_page=2, status="", cursor=cursor)[0]
        moment = datetime.fromisoformat(row["dateCreated"].replace("Z", "+00:00"))
        assert cursor.split(":")[0] == str(int(moment.timestamp() * 1000))
        assert following == []

    def test_counts_in_the_detail_of_its_issue(self, client: Client) -> None:
        reports = Counter(row["issue"]["id"] for row in client.rows(FEEDBACK, status=""))
        issue, count = reports.most_common(1)[0]
        assert client.json(f"{ORGANIZATION}issues/{issue}/")["userReportCount"] == count

    def test_knows_one_status(self, client: Client) -> None:
        response = client.get(FEEDBACK, status="lost")
        assert (response.status_code, response.json()) == (400, {"status": "Invalid status choice"})
