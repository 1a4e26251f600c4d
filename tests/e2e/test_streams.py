"""The streams beside issues, events and spans on the demo: all rows, once, without secrets."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from requests import PreparedRequest, Response

from tap_sentry import demo as faults
from tap_sentry.demo import DemoSentry, World, sessions, usage
from tap_sentry.demo.project_keys import project_keys
from tap_sentry.errors import UnexpectedAnswer
from tap_sentry.tap import TapSentry
from tests.sync import DEMO_URL, NOW, FakeTime, Messages, sync

Row = dict[str, Any]
Change = Callable[[str, dict[str, list[str]], Any], Any]

NAMES = (
    "organization",
    "environments",
    "project_keys",
    "issue_detail",
    "release_commits",
    "release_deploys",
    "monitors",
    "monitor_checkins",
    "detectors",
    "workflows",
    "usage_outcomes",
    "release_health",
    "replays",
    "user_feedback",
)
COUNTED = tuple(name for name in NAMES if name not in {"usage_outcomes", "release_health"})
# The fields by which rows of two runs are compared, None for all: others go on changing.
INCREMENTAL: dict[str, tuple[str, ...] | None] = {
    "monitor_checkins": None,
    "release_health": None,
    "usage_outcomes": None,
    "replays": ("started_at", "finished_at"),
    "user_feedback": ("projectId", "eventID", "comments"),
    "issue_detail": ("lastSeen",),
    "release_commits": ("message",),
    "release_deploys": ("dateFinished",),
}
# The part of a path that only one stream asks for.
PATHS = {
    "environments": "*/environments/",
    "project_keys": "*/project-keys/",
    "issue_detail": "*/issues/",
    "release_commits": "*/releases/",
    "release_deploys": "*/releases/",
    "monitors": "*/monitors/",
    "monitor_checkins": "*/monitors/",
    "detectors": "*/detectors/",
    "workflows": "*/workflows/",
    "usage_outcomes": "*/stats_v2/",
    "release_health": "*/sessions/",
    "replays": "*/replays/",
}
DAY_S = 86400


class Changed(DemoSentry):
    """A demo whose bodies pass a function on their way: path, query and body in, body out."""

    def __init__(self, change: Change, world: World) -> None:
        super().__init__(world, limits=None)
        self._change = change

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        if response.status_code == 200:
            url = urlsplit(str(request.url))
            query = parse_qs(url.query, keep_blank_values=True)
            body = self._change(url.path, query, response.json())
            response._content = json.dumps(body).encode()
        return response


def demo(time: FakeTime, *fault: Any) -> DemoSentry:
    """A demo without rate limits, so that its clock moves only when the test moves it."""
    return DemoSentry(World(clock=time.now), limits=None, faults=fault)


def skipped_by(sentry: DemoSentry, *streams: str, **config: Any) -> tuple[Messages, list[Any]]:
    """A sync, and what it skipped."""
    taps: list[TapSentry] = []
    messages = sync(sentry, *streams, change_tap=taps.append, **config)
    return messages, taps[0].organization.report.skipped


def state_of(messages: Messages, stream: str) -> Row:
    found: Row = messages.states[-1]["bookmarks"][stream]
    return found


def shown(row: Row, fields: tuple[str, ...] | None) -> Row:
    return row if fields is None else {field: row[field] for field in fields}


@pytest.fixture(scope="module")
def first() -> Messages:
    return sync(demo(FakeTime()), *NAMES)


@pytest.fixture(scope="module")
def runs() -> tuple[Messages, Messages, Messages]:
    """A run, one a day later that knows of it, and one then that does not."""
    time = FakeTime()
    sentry = demo(time)
    once = sync(sentry, *INCREMENTAL, time=time)
    time.now_s += DAY_S
    again = sync(sentry, *INCREMENTAL, time=time, state=once.states[-1])
    return once, again, sync(sentry, *INCREMENTAL, time=time)


class TestSelection:
    def test_leaves_out_what_needs_a_request_per_row_or_many(self) -> None:
        streams = TapSentry(config={"base_url": DEMO_URL}).streams
        assert {name for name, stream in streams.items() if not stream.selected} == {
            "issue_detail",
            "release_commits",
            "release_deploys",
            "monitor_checkins",
            "release_health",
            "usage_outcomes",
            "replays",
            "user_feedback",
        }


class TestFirstSync:
    @pytest.mark.parametrize("name", COUNTED)
    def test_brings_as_many_rows_as_the_world_has(self, first: Messages, name: str) -> None:
        expected = World(clock=lambda: NOW - timedelta(minutes=5)).counts()[name]
        assert len(first.rows(name)) == expected > 0

    @pytest.mark.parametrize("name", NAMES)
    def test_sends_no_row_twice(self, first: Messages, name: str) -> None:
        assert len(first.records[name]) == len(first.rows(name))

    def test_usage_is_what_the_world_took_in_until_the_last_whole_hour(
        self, first: Messages
    ) -> None:
        rows = first.records["usage_outcomes"]
        found = {
            (row["timestamp"][:13], row["project"], row["category"], row["outcome"], row["reason"]):
            row["quantity"]
            for row in rows
        }  # fmt: skip
        world = World(clock=lambda: NOW)
        end = (NOW - timedelta(hours=1)).timestamp()
        expected = {
            (_hour(use.hour), use.project, use.category, use.outcome, use.reason): quantity
            for use, quantity in usage.totals(world, end - 90 * DAY_S, end).items()
            if quantity
        }
        assert found == expected
        assert all(row["times_seen"] is not None for row in rows)

    def test_health_adds_up_to_all_sessions(self, first: Messages) -> None:
        found: Counter[tuple[str, str, str]] = Counter()
        slugs = {int(project.id): project.slug for project in World().projects()}
        for row in first.records["release_health"]:
            found[slugs[row["project"]], row["release"], row["environment"]] += row["sessions"]
        end = NOW.timestamp()
        assert found == sessions.totals(World(clock=lambda: NOW), end - 90 * DAY_S, end + 3600)

    def test_health_has_a_row_per_day(self, first: Messages) -> None:
        assert {row["timestamp"][10:] for row in first.records["release_health"]} == {
            "T00:00:00.000000Z"
        }

    def test_commits_and_deploys_name_their_release(self, first: Messages) -> None:
        versions = {release.version for release in World(clock=lambda: NOW).releases()}
        for name in ("release_commits", "release_deploys"):
            assert {row["version"] for row in first.records[name]} <= versions

    def test_replays_have_times_in_utc(self, first: Messages) -> None:
        assert all(row["started_at"].endswith("Z") for row in first.records["replays"])

    def test_feedback_on_resolved_issues_is_there(self, first: Messages) -> None:
        statuses = {row["issue"]["status"] for row in first.records["user_feedback"]}
        assert "resolved" in statuses

    def test_keeps_state_small(self, first: Messages) -> None:
        for name in NAMES:
            projects = len(World().projects())
            assert len(json.dumps(state_of(first, name))) < 250 * projects, name


class TestSecondSync:
    @pytest.mark.parametrize(("name", "fields"), INCREMENTAL.items())
    def test_brings_what_is_new_and_the_union_is_all(
        self,
        runs: tuple[Messages, Messages, Messages],
        name: str,
        fields: tuple[str, ...] | None,
    ) -> None:
        once, again, fresh = (run.rows(name) for run in runs)
        union = {**once, **again}
        assert {key: shown(union[key], fields) for key in fresh} == {
            key: shown(row, fields) for key, row in fresh.items()
        }

    @pytest.mark.parametrize("name", INCREMENTAL)
    def test_reads_little_else(self, runs: tuple[Messages, Messages, Messages], name: str) -> None:
        _, again, fresh = runs
        assert 0 < len(again.records[name]) < 0.6 * len(fresh.records[name])

    def test_reads_check_ins_again_that_were_running(self) -> None:
        time = FakeTime(NOW + timedelta(minutes=25))
        sentry = demo(time)
        once = sync(sentry, "monitor_checkins", time=time)
        running = [
            key
            for key, row in once.rows("monitor_checkins").items()
            if row["status"] == "in_progress"
        ]
        assert running
        time.now_s += 3600
        again = sync(sentry, "monitor_checkins", time=time, state=once.states[-1])
        assert all(
            again.rows("monitor_checkins")[key]["status"] != "in_progress" for key in running
        )

    def test_asks_for_usage_of_active_projects_only(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        start = "2026-11-19T00:00:00Z"
        state = sync(sentry, "usage_outcomes", time=time, start_date=start).states[-1]
        sentry.requests.clear()
        time.now_s += 60
        again = sync(sentry, "usage_outcomes", time=time, state=state)
        asked = [served.query for served in sentry.requests if "/stats_v2/" in served.path]
        active = {row["project"] for row in again.records["usage_outcomes"]}
        assert len(active) + 1 <= len(asked) <= len(sentry.world.projects()) + 1


class TestCheck:
    def test_finds_every_stream_readable(self) -> None:
        time = FakeTime()
        tap = TapSentry(
            config={"base_url": DEMO_URL, "rate_limit": 100_000},
            transport=demo(time),
            clock=time.clock,
            sleep=time.sleep,
        )
        found = dict(tap.check())
        assert {name: found[name] for name in NAMES} == dict.fromkeys(NAMES, "")


class TestSelectedProjects:
    def test_are_the_only_ones_read(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        chosen = next(p for p in sentry.world.projects() if p.slug == "storefront")
        messages = sync(sentry, *NAMES, time=time, projects=[chosen.slug])
        ids = {
            "project_keys": {str(row["projectId"]) for row in messages.records["project_keys"]},
            "detectors": {row["projectId"] for row in messages.records["detectors"]},
            "usage_outcomes": {str(row["project"]) for row in messages.records["usage_outcomes"]},
            "release_health": {str(row["project"]) for row in messages.records["release_health"]},
            "replays": {row["project_id"] for row in messages.records["replays"]},
            "user_feedback": {row["projectId"] for row in messages.records["user_feedback"]},
            "issue_detail": {row["project"]["id"] for row in messages.records["issue_detail"]},
        }
        assert ids == {name: {chosen.id} for name in ids}
        assert messages.records["monitors"] == messages.records["monitor_checkins"] == []


class TestRefusal:
    @pytest.mark.parametrize("fault", [faults.Forbidden, faults.NotFound, faults.Gone])
    @pytest.mark.parametrize("name", PATHS)
    def test_skips_the_stream_with_one_line(
        self, name: str, fault: type[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            refusing = demo(FakeTime(), fault(path=PATHS[name], every=1))
            messages, skipped = skipped_by(refusing, name)
        assert messages.records[name] == []
        assert [part.stream for part in skipped] == [name]
        lines = [record for record in caplog.messages if record.startswith("Skipped ")]
        assert len(lines) == 1
        assert "replication_key_value" not in state_of(messages, name)

    def test_of_one_project_stops_no_other(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        refused, *others = (project.id for project in sentry.world.projects())
        fault = faults.Forbidden(path=f"*/{refused}/user-feedback/", every=1)
        messages, skipped = skipped_by(demo(time, fault), "user_feedback", time=time)
        (part,) = skipped
        (slug,) = (row.slug for row in sentry.world.projects() if row.id == refused)
        assert part.part == f"project {slug}"
        bookmarks = {
            partition["context"]["projectId"]
            for partition in state_of(messages, "user_feedback")["partitions"]
            if "replication_key_value" in partition
        }
        assert bookmarks == set(others)

    def test_of_one_releases_deploys_stops_no_other(self) -> None:
        everything = sync(demo(FakeTime()), "release_deploys").rows("release_deploys")
        fault = faults.Forbidden(path="*/deploys/", at=2)
        messages, skipped = skipped_by(demo(FakeTime(), fault), "release_deploys")
        found = messages.rows("release_deploys")
        missing = {version for version, _ in everything.keys() - found.keys()}
        assert (len(missing), len(skipped)) == (1, 1)
        assert everything.items() >= found.items()

    def test_of_one_monitor_that_is_gone_stops_no_other(self) -> None:
        world = World(clock=lambda: NOW)
        gone, *others = world.monitors()
        fault = faults.NotFound(path=f"*/{gone.id}/checkins/", every=1)
        messages, skipped = skipped_by(demo(FakeTime(), fault), "monitor_checkins")
        found = {row["monitorId"] for row in messages.records["monitor_checkins"]}
        assert found == {monitor.id for monitor in others}
        assert {part.part for part in skipped} == {f"monitor {gone.slug}"}
        assert "replication_key_value" in state_of(messages, "monitor_checkins")


class TestSecrets:
    def test_of_client_keys_stay_in_sentry(self, first: Messages) -> None:
        written = json.dumps(first.records["project_keys"])
        rows = project_keys(World(clock=lambda: NOW).projects())
        assert rows
        for row in rows:
            assert row["public"] in written
            assert row["secret"] not in written

    def test_of_uptime_checks_stay_in_sentry(self, first: Messages) -> None:
        uptime = [row for row in first.records["detectors"] if "uptime" in row["type"]]
        assert [row["dataSources"][0]["queryObj"]["url"] for row in uptime] == [
            "https://shop.example.com/"
        ]
        assert "of-the-uptime-check" not in json.dumps(first.records["detectors"])


class TestIssueDetail:
    def test_of_a_merged_issue_comes_under_the_survivors_id(self) -> None:
        world = World(clock=lambda: NOW)
        (survivor, *_, merged) = (seen.issue.id for seen in world.issues())

        def merge(path: str, query: dict[str, list[str]], body: Any) -> Any:
            if path.endswith(f"/issues/{merged}/"):
                return {**body, "id": survivor}
            return body

        ids = {
            row["id"] for row in sync(Changed(merge, world), "issue_detail").records["issue_detail"]
        }
        assert survivor in ids
        assert merged not in ids

    def test_of_a_deleted_issue_is_skipped(self) -> None:
        world = World(clock=lambda: NOW)
        deleted = world.issues()[3].issue.id
        fault = faults.NotFound(path=f"*/issues/{deleted}/", every=1)
        messages, skipped = skipped_by(demo(FakeTime(), fault), "issue_detail")
        ids = {row["id"] for row in messages.records["issue_detail"]}
        assert ids == {seen.issue.id for seen in world.issues()} - {deleted}
        assert len(skipped) == 1

    def test_never_moves_the_bookmark_ahead_of_the_clock(self) -> None:
        def ahead(path: str, query: dict[str, list[str]], body: Any) -> Any:
            if path.endswith("/issues/"):
                return [{**row, "lastSeen": "2026-11-20T12:30:00Z"} for row in body]
            return body

        messages = sync(Changed(ahead, World(clock=lambda: NOW)), "issue_detail")
        assert state_of(messages, "issue_detail")["replication_key_value"].startswith(
            "2026-11-20T12:00:00"
        )


class TestReplays:
    def test_archived_ones_are_kept_without_a_start(self) -> None:
        def archive(path: str, query: dict[str, list[str]], body: Any) -> Any:
            if path.endswith("/replays/"):
                rows = [{**row, "started_at": None, "tags": []} for row in body["data"]]
                return {"data": rows}
            return body

        world = World(clock=lambda: NOW)
        rows = sync(Changed(archive, world), "replays").rows("replays")
        assert len(rows) == World(clock=lambda: NOW - timedelta(minutes=5)).counts()["replays"]
        assert {(row["started_at"], row["tags"]) for row in rows.values()} == {(None, None)}

    def test_are_asked_for_until_the_last_of_a_day_has_ended(self) -> None:
        sentry = demo(FakeTime())
        sync(sentry, "replays", start_date="2026-11-18T00:00:00Z", end_date="2026-11-19T00:00:00Z")
        (query,) = (dict(s.query) for s in sentry.requests if s.path.endswith("/replays/"))
        assert (query["start"], query["end"]) == ("2026-11-18T00:00:00Z", "2026-11-19T01:00:00Z")


class TestUserFeedback:
    def test_stops_at_reports_older_than_the_window(self) -> None:
        time = FakeTime()
        sentry = DemoSentry(World(clock=time.now, scale=8.0), limits=None)
        state = sync(sentry, "user_feedback", time=time).states[-1]
        pages = _asked(sentry, "/user-feedback/")
        sentry.requests.clear()
        time.now_s += 3600
        sync(sentry, "user_feedback", time=time, state=state)
        projects = len(sentry.world.projects())
        assert projects == _asked(sentry, "/user-feedback/") < pages


class TestCutAnswers:
    """Sentry leaves out what does not fit, and says nothing."""

    @pytest.mark.parametrize("most_points", [200, 40, 15, 5])
    def test_of_release_health_are_asked_for_in_parts(
        self, first: Messages, most_points: int
    ) -> None:
        messages = _capped_health(most_points)
        assert messages.rows("release_health") == first.rows("release_health")

    def test_of_release_health_that_cannot_be_split_stop_the_run(self) -> None:
        messages = _capped_health(1, raises=[UnexpectedAnswer])
        assert "exclude_projects" in str(messages.error)
        assert "replication_key_value" not in str(messages.states[-1:])

    @pytest.mark.parametrize("most_values", [1000, 60])
    def test_of_usage_are_asked_for_in_parts(self, first: Messages, most_values: int) -> None:
        start = "2026-11-18T00:00:00"

        def cut(path: str, query: dict[str, list[str]], body: Any) -> Any:
            left = most_values
            for group in body["groups"] if path.endswith("/stats_v2/") else ():
                for field, values in group.get("series", {}).items():
                    kept = values[: max(0, left)]
                    group["series"][field] = kept + [0] * (len(values) - len(kept))
                    left -= len(values)
            return body

        sentry = Changed(cut, World(clock=lambda: NOW))
        messages = sync(sentry, "usage_outcomes", start_date=f"{start}Z")
        assert messages.rows("usage_outcomes") == {
            key: row
            for key, row in first.rows("usage_outcomes").items()
            if row["timestamp"] > start
        }

    def test_of_active_projects_make_the_tap_ask_for_all(self, first: Messages) -> None:
        sentry = demo(FakeTime())
        messages = sync(
            sentry,
            "usage_outcomes",
            change_tap=lambda tap: setattr(tap.streams["usage_outcomes"], "most_rows", 1),
        )
        assert messages.rows("usage_outcomes") == first.rows("usage_outcomes")
        asked = {dict(served.query).get("project") for served in sentry.requests}
        assert {project.id for project in sentry.world.projects()} <= asked

    @pytest.mark.parametrize(
        ("name", "path", "start"),
        [
            # One half of it lies before Sentry's retention; the other is read all the same.
            ("release_health", "*/sessions/", "2026-08-22T00:00:00"),
            ("usage_outcomes", "*/stats_v2/", "2026-11-15T00:00:00"),
        ],
    )
    def test_a_query_timeout_asks_for_less(
        self, first: Messages, name: str, path: str, start: str
    ) -> None:
        fault = faults.QueryTimeout(path=path, at=5)
        sentry = demo(FakeTime(), fault)
        messages = sync(sentry, name, start_date=f"{start}Z")
        whole = first.rows(name).items()
        assert messages.rows(name) == {key: row for key, row in whole if row["timestamp"] >= start}
        asked = [served.query for served in sentry.requests if fault.path[2:] in served.path]
        assert len(asked) == len(set(asked)) >= 7


def _capped_health(most_points: int, **options: Any) -> Messages:
    """Release health of a Sentry that gives so many points in an answer."""

    def cut(path: str, query: dict[str, list[str]], body: Any) -> Any:
        if not path.endswith("/sessions/"):
            return body
        return {**body, "groups": body["groups"][: most_points // len(body["intervals"])]}

    return sync(
        Changed(cut, World(clock=lambda: NOW)),
        "release_health",
        change_tap=lambda tap: setattr(tap.streams["release_health"], "most_points", most_points),
        **options,
    )


def _asked(sentry: DemoSentry, part: str) -> int:
    return sum(part in served.path for served in sentry.requests)


def _hour(number: int) -> str:
    """The beginning of the text of an hour since the epoch."""
    return datetime.fromtimestamp(3600 * number, tz=timezone.utc).isoformat()[:13]
