"""A whole sync on the demo: all rows, in order, with the fewest words."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.errors import SettingsError
from tap_sentry.streams import STREAMS
from tests.sync import NOW, FakeTime, Messages, sync

NAMES = {vars(stream)["name"] for stream in STREAMS}
USUAL = (
    "projects",
    "project_detail",
    "issues",
    "events",
    "spans",
    "teams",
    "users",
    "releases",
    "release",
)
# Of the demo's usual size, so that a test takes a second or less.
SCALE = 0.3


def demo(time: FakeTime) -> DemoSentry:
    """A demo without rate limits, so that its clock moves only when the test moves it."""
    return DemoSentry(World(clock=time.now, scale=SCALE), limits=None)


def is_recent(release: dict[str, Any]) -> bool:
    """Younger than the look-back, so that its changes are to be seen."""
    return bool(release["dateCreated"] > timestamps.text(NOW - timedelta(days=28)))


@pytest.fixture(scope="module")
def first() -> Messages:
    """With Sentry's limits, by the clock that the tap sleeps by."""
    time = FakeTime()
    world = World(clock=lambda: NOW, scale=SCALE)
    return sync(DemoSentry(world, limit_clock=time.clock, sleep=time.sleep), time=time)


class TestFirstSync:
    def test_brings_as_many_rows_of_each_stream_as_the_world_has(self, first: Messages) -> None:
        expected = World(clock=lambda: NOW - timedelta(minutes=5), scale=SCALE).counts()
        found = {name: len(first.rows(name)) for name in expected if name in NAMES}
        assert found == {name: rows for name, rows in expected.items() if name in NAMES}
        assert {"projects", "issues", "events", "spans", "releases", "users"} <= found.keys()

    def test_sends_no_row_twice(self, first: Messages) -> None:
        for name, records in first.records.items():
            assert len(records) == len(first.rows(name)), name

    def test_announces_each_stream_once(self, first: Messages) -> None:
        assert {name: len(schemas) for name, schemas in first.schemas.items()} == dict.fromkeys(
            NAMES, 1
        )

    def test_brings_issues_of_every_status(self, first: Messages) -> None:
        statuses = {issue["status"] for issue in first.records["issues"]}
        assert {"unresolved", "resolved", "ignored"} <= statuses

    def test_sorts_incremental_streams_by_their_replication_key(self, first: Messages) -> None:
        for name, key in (("issues", "lastSeen"), ("release", "changedAt")):
            values = [record[key] for record in first.records[name]]
            assert values == sorted(values), name

    def test_keeps_state_small(self, first: Messages) -> None:
        size = sum(len(json.dumps(state)) for state in first.states)
        rows = sum(len(json.dumps(row)) for rows in first.records.values() for row in rows)
        assert size < 0.01 * rows

    def test_lets_no_secret_out(self, first: Messages) -> None:
        text = json.dumps(first.records["project_detail"]).lower()
        assert 'securitytoken":' not in text
        assert not any(
            "token" in key.lower() and isinstance(value, str) and value
            for project in first.records["project_detail"]
            for key, value in (project["options"] or {}).items()
        )


class TestSecondSync:
    def test_needs_few_requests_when_nothing_happened(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        state = sync(sentry, *USUAL, time=time).states[-1]
        before = len(sentry.requests)
        time.now_s += 60
        sync(sentry, *USUAL, state=state, time=time)
        requests = sentry.requests[before:]
        projects = len(sentry.world.projects())
        print(f"quiet run: {len(requests)} requests for {projects} projects")
        assert len(requests) <= 3 * projects + 15, Counter(request[1] for request in requests)

    def test_brings_what_is_new_and_the_union_is_all(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        first = sync(sentry, "events", "spans", time=time)
        time.now_s += 3 * 86400
        second = sync(sentry, "events", "spans", time=time, state=first.states[-1])
        fresh = sync(sentry, "events", "spans", time=time)
        for name in ("events", "spans"):
            union = {**first.rows(name), **second.rows(name)}
            # The first sync also holds what Sentry has forgotten meanwhile.
            assert {key: union[key] for key in fresh.rows(name)} == fresh.rows(name), name
            assert len(second.records[name]) < 0.2 * len(fresh.records[name])

    def test_brings_releases_that_changed_meanwhile(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        first = sync(sentry, "releases", "release", time=time)
        time.now_s += 86400
        second = sync(sentry, "releases", "release", time=time, state=first.states[-1])
        fresh = sync(sentry, "releases", "release", time=time)
        for name in ("releases", "release"):
            union = {**first.rows(name), **second.rows(name)}
            recent = {key: row for key, row in fresh.rows(name).items() if is_recent(row)}
            assert recent
            for field in ("newGroups", "lastEvent", "deployCount"):
                assert [union[key][field] for key in recent] == [
                    row[field] for row in recent.values()
                ]
        assert 0 < len(second.records["release"]) < len(fresh.records["release"])

    def test_reads_late_arrivals_within_the_lookback(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        first = sync(sentry, "spans", time=time)
        time.now_s += 3600
        second = sync(sentry, "spans", time=time, state=first.states[-1])
        newest_of_first = max(row["timestamp"] for row in first.records["spans"])
        late = [
            key
            for key, row in second.rows("spans").items()
            if row["timestamp"] < newest_of_first and key not in first.rows("spans")
        ]
        assert set(late) <= set(sync(sentry, "spans", time=time).rows("spans"))


class TestSelection:
    def test_more_than_a_hundred_projects_are_all_read(self) -> None:
        time = FakeTime()
        sentry = DemoSentry(World(clock=time.now, project_count=120), limit_clock=time.clock)
        messages = sync(sentry, "projects", "project_detail", time=time)
        assert len(messages.rows("projects")) == len(messages.rows("project_detail")) == 120

    def test_projects_setting_limits_every_stream(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        chosen = sentry.world.projects()[0]
        messages = sync(sentry, time=time, projects=[chosen.slug])
        assert {row["projectID"] for row in messages.records["events"]} == {chosen.id}
        assert {str(row["project.id"]) for row in messages.records["spans"]} == {chosen.id}
        assert {row["project"]["id"] for row in messages.records["issues"]} == {chosen.id}
        assert [row["id"] for row in messages.records["projects"]] == [chosen.id]

    def test_start_and_end_bound_events(self) -> None:
        start, end = "2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z"
        messages = sync(demo(FakeTime()), "events", start_date=start, end_date=end)
        times = [row["dateCreated"] for row in messages.records["events"]]
        assert times
        assert min(times) >= start[:10]
        assert max(times) < end[:10]

    def test_unknown_organization_is_one_clear_error(self) -> None:
        with pytest.raises(SettingsError, match="TAP_SENTRY_ORGANIZATION"):
            sync(demo(FakeTime()), "teams", organization="nobody")


class TestChangedSettings:
    def test_reading_more_projects_than_before_brings_their_past_too(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        one = sentry.world.projects()[0].slug
        streams = ("issues", "releases", "release")
        narrow = sync(sentry, *streams, time=time, projects=[one])
        wide = sync(sentry, *streams, time=time, state=narrow.states[-1])
        fresh = sync(sentry, *streams, time=time)
        for stream in streams:
            assert wide.rows(stream) == fresh.rows(stream), stream

    def test_the_same_projects_again_bring_only_what_is_new(self) -> None:
        time = FakeTime()
        sentry = demo(time)
        first = sync(sentry, "issues", time=time)
        second = sync(sentry, "issues", time=time, state=first.states[-1])
        assert len(second.records["issues"]) < 0.2 * len(first.records["issues"])

    @pytest.mark.parametrize("bookmark", ["garbage", 5])
    def test_a_state_that_holds_no_time_is_one_clear_error(self, bookmark: object) -> None:
        time = FakeTime()
        state = sync(demo(time), "issues", time=time).states[-1]
        state["bookmarks"]["issues"]["replication_key_value"] = bookmark
        with pytest.raises(SettingsError, match="state of issues"):
            sync(demo(time), "issues", time=time, state=state)

    def test_partitions_that_a_state_holds_for_issues_are_not_read(self) -> None:
        time = FakeTime()
        stale = {"bookmarks": {"issues": {"partitions": [{"context": {"p": 1}}] * 2}}}
        messages = sync(demo(time), "issues", time=time, state=stale)
        assert len(messages.records["issues"]) == len(messages.rows("issues"))


class TestSampling:
    def test_keeps_the_same_events_in_every_run(self) -> None:
        options = {"sample_fraction": 0.2, "min_events_per_issue": 0}
        once, again = (sync(demo(FakeTime()), "events", **options) for _ in range(2))  # type: ignore[arg-type]
        assert once.rows("events") == again.rows("events")
        assert len(once.rows("events")) > 0

    def test_weights_add_up_to_all_events_until_the_last_whole_hour(self, first: Messages) -> None:
        sampled = sync(demo(FakeTime()), "events", sample_fraction=0.1, min_events_per_issue=1)
        weights = sum(row["sample_weight"] for row in sampled.records["events"])
        # Events of the hour before may still come late; the next run judges them.
        end = timestamps.text(NOW - timedelta(hours=1))
        judged = [row for row in first.records["events"] if row["dateCreated"] < end]
        assert round(weights) == len(judged)
        assert len(sampled.records["events"]) < 0.5 * len(judged)

    def test_keeps_traces_whole(self, first: Messages) -> None:
        sampled = sync(demo(FakeTime()), "spans", sample_fraction=0.25)
        kept = {row["trace"] for row in sampled.records["spans"]}
        whole = [key for key, row in first.rows("spans").items() if row["trace"] in kept]
        assert set(sampled.rows("spans")) == set(whole)
