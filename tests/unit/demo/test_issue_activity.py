from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tap_sentry.demo import MEMBERS, World
from tap_sentry.demo.issue_activity import SHOWN, activity
from tap_sentry.demo.issue_rows import issue_detail
from tap_sentry.demo.issues import StatusChange
from tests.unit.demo.client import HOST, NOW, frozen_world
from tests.unit.demo.issue_details import (
    CHANGES_OF_OWNER,
    STATUS_OF,
    SUBSTATUS_OF,
    TIMES,
    Row,
    acts,
    details_at,
    details_of,
    every,
    last,
)


@pytest.fixture(params=TIMES, ids=str)
def details(request: pytest.FixtureRequest) -> list[Row]:
    return details_at(request.param)


class TestActivity:
    def test_is_of_known_types_newest_first_and_past(self, details: list[Row]) -> None:
        for detail in details:
            dates = [act["dateCreated"] for act in detail["activity"]]
            assert dates == sorted(dates, reverse=True)
            kinds = STATUS_OF.keys() | CHANGES_OF_OWNER | {"set_priority"}
            assert {act["type"] for act in detail["activity"]} <= kinds
            ids = [int(act["id"]) for act in detail["activity"]]
            assert ids == sorted(set(ids), reverse=True)

    def test_never_tells_of_the_future(self) -> None:
        for moment in TIMES:
            now = f"{moment:%Y-%m-%dT%H:%M:%S}"
            for detail in details_at(moment):
                assert detail["activity"][0]["dateCreated"] <= now

    def test_ends_with_the_first_sighting(self, details: list[Row]) -> None:
        for detail in details:
            first = detail["activity"][-1]
            assert (first["id"], first["type"]) == ("0", "first_seen")
            assert first["dateCreated"] == detail["firstSeen"]

    def test_gives_the_status(self, details: list[Row]) -> None:
        for detail in details:
            act = last(detail)
            assert detail["status"] == STATUS_OF[act["type"]]
            if act["type"] != "set_ignored":
                assert detail["substatus"] == SUBSTATUS_OF[act["type"]]

    def test_gives_the_priority(self, details: list[Row]) -> None:
        for detail in details:
            told = acts(detail, "first_seen", "set_priority")[-1]
            assert detail["priority"] == told["data"]["priority"]

    def test_is_by_members_where_people_act(self, details: list[Row]) -> None:
        users = {member.user_id for member in MEMBERS if member.state == "active"}
        kinds = ("set_resolved", "set_resolved_in_release", "set_ignored", "unassigned")
        for _, act in every(details, *kinds):
            assert act["user"]["id"] in users
        for _, act in every(details, "first_seen", "auto_set_ongoing", "set_regression"):
            assert act["user"] is None

    def test_stays_as_it_was_when_time_goes_on(self) -> None:
        later = World(clock=lambda: NOW + timedelta(hours=30))
        after = {detail["id"]: detail for detail in details_of(later)}
        both = [detail for detail in details_at(NOW) if detail["id"] in after]
        assert len(both) > 100
        for detail in both:
            known = {act["id"]: act for act in after[detail["id"]]["activity"]}
            for act in detail["activity"]:
                again = known[act["id"]]
                assert (again["type"], again["dateCreated"]) == (act["type"], act["dateCreated"])

    def test_shows_the_newest_hundred(self) -> None:
        seen = next(seen for seen in frozen_world().issues() if seen.issue.release)
        born = seen.issue.born
        many = tuple(
            StatusChange(born + 3600 * n, "ignored", "archived_forever") for n in range(150)
        )
        flooded = replace(seen, issue=replace(seen.issue, changes=many))
        shown = activity(flooded, born + 3600 * 200)
        assert len(shown) == SHOWN == 100
        assert len({act["id"] for act in shown}) == 100
        assert "first_seen" not in {act["type"] for act in shown}


class TestResolution:
    def test_names_the_release_of_the_details(self, details: list[Row]) -> None:
        kinds = set()
        for detail in details:
            if detail["status"] != "resolved":
                continue
            act, told = last(detail), detail["statusDetails"]
            kinds.add((act["type"], *told))
            if act["type"] == "set_resolved":
                assert told == act["data"] == {}
            elif "inRelease" in told:
                assert act["data"]["version"] == told["inRelease"] != ""
            else:
                assert told["inNextRelease"] is True
                assert act["data"]["version"] == ""
                assert act["data"]["current_release_version"]
        assert ("set_resolved",) in kinds
        assert ("set_resolved_in_release", "inRelease") in kinds

    def test_in_the_next_release_waits_for_it(self) -> None:
        waiting = {
            detail["id"] for detail in details_at(NOW) if "inNextRelease" in detail["statusDetails"]
        }
        later = {detail["id"]: detail for detail in details_at(TIMES[2])}
        out = [later[key] for key in waiting & later.keys()]
        assert any("inRelease" in detail["statusDetails"] for detail in out)
        for detail in out:
            act = last(detail)
            assert act["data"]["version"] != act["data"]["current_release_version"]

    def test_in_releases_that_ran_or_followed(self, details: list[Row]) -> None:
        worlds = (frozen_world(), World(clock=lambda: TIMES[-1]))
        of_projects = {
            (slug, release.version)
            for world in worlds
            for release in world.releases()
            for slug in release.project_slugs
        }
        for detail, act in every(details, "set_resolved_in_release"):
            version = act["data"]["version"] or act["data"]["current_release_version"]
            assert (detail["project"]["slug"], version) in of_projects


class TestRegression:
    def test_names_the_event_that_brought_the_issue_back(self) -> None:
        events = {event.id: event for event in frozen_world().events()}
        named = 0
        for detail, act in every(details_at(NOW), "set_regression"):
            if "event_id" not in act["data"]:
                continue
            event = events[act["data"]["event_id"]]
            named += 1
            assert event.issue.id == detail["id"]
            assert event.release == act["data"]["version"]
            second = datetime.fromtimestamp(event.timestamp, tz=NOW.tzinfo)
            assert act["dateCreated"] == f"{second:%Y-%m-%dT%H:%M:%S.%fZ}"
        assert named > 5

    def test_follows_a_resolution_and_names_its_release(self, details: list[Row]) -> None:
        for detail in details:
            told = acts(detail, *STATUS_OF)
            for before, act in pairwise(told):
                if act["type"] == "set_regression":
                    assert STATUS_OF[before["type"]] == "resolved"
                    resolved_in = act["data"].get("resolved_in_version")
                    assert resolved_in == before["data"].get("version")

    def test_happens_again_and_again_to_one_or_two_issues(self, details: list[Row]) -> None:
        flapping = []
        for detail in details:
            back = acts(detail, "set_regression")
            if len(back) >= 3:
                flapping.append(detail)
                first, third = (datetime.fromisoformat(back[n]["dateCreated"][:19]) for n in (0, 2))
                assert third - first < timedelta(days=30)
                resolved = acts(detail, "set_resolved", "set_resolved_in_release")
                assert len(resolved) >= 3
        assert 1 <= len(flapping) <= 2


class TestArchiving:
    def test_says_until_when(self, details: list[Row]) -> None:
        for detail in details:
            if detail["status"] != "ignored":
                continue
            data, told = last(detail)["data"], detail["statusDetails"]
            conditions = {name for name, value in data.items() if value is not None}
            if detail["substatus"] == "archived_until_escalating":
                assert conditions == {"ignoreUntilEscalating"}
            elif detail["substatus"] == "archived_forever":
                assert conditions == set()
            else:
                assert "ignoreCount" in conditions
                assert conditions & {"ignoreWindow", "ignoreDuration"}
                assert conditions - {"ignoreDuration"} <= told.keys()
                assert all(told[name] == data[name] for name in told)
                continue
            assert told == {}

    def test_for_a_time_is_not_over(self) -> None:
        timed = [
            (detail, act)
            for detail, act in every(details_at(NOW), "set_ignored")
            if act["data"]["ignoreDuration"]
        ]
        assert timed
        for detail, act in timed:
            start, until = (
                datetime.fromisoformat(text[:19])
                for text in (act["dateCreated"], act["data"]["ignoreUntil"])
            )
            assert (until - start).total_seconds() == act["data"]["ignoreDuration"] * 60
            assert act["data"]["ignoreUntil"] > detail["lastSeen"]


class TestAging:
    def test_takes_seven_days(self, details: list[Row]) -> None:
        for detail, act in every(details, "auto_set_ongoing"):
            assert act["data"] == {"after_days": 7}
            born = datetime.fromisoformat(acts(detail, "first_seen")[0]["dateCreated"][:26])
            aged = datetime.fromisoformat(act["dateCreated"][:26])
            assert abs(aged - born - timedelta(days=7)) < timedelta(seconds=1)


class TestOpenPeriods:
    def test_are_what_the_activity_tells(self, details: list[Row]) -> None:
        for detail in details:
            opened, closed = [], []
            for act in acts(detail, *STATUS_OF):
                if act["type"] in {"first_seen", "set_regression"}:
                    opened.append(act["dateCreated"])
                elif STATUS_OF[act["type"]] == "resolved":
                    closed.append(act["dateCreated"])
            periods = detail["openPeriods"]
            assert [period["start"] for period in periods] == opened[::-1]
            assert [p["end"] for p in periods if p["end"]] == closed[::-1]
            assert all(period["isOpen"] == (period["end"] is None) for period in periods)
            assert periods[0]["isOpen"] == (detail["status"] != "resolved")

    def test_tell_how_long_they_lasted(self, details: list[Row]) -> None:
        for period in (period for detail in details for period in detail["openPeriods"]):
            if period["isOpen"]:
                assert period["duration"] is None
                continue
            start, end = (datetime.fromisoformat(period[n][:26]) for n in ("start", "end"))
            assert float(period["duration"]) == pytest.approx((end - start).total_seconds())
            assert period["lastChecked"] == period["end"]

    def test_of_a_merged_issue_begin_with_its_first_event(self) -> None:
        world = World(clock=lambda: NOW, scale=0.1)
        young, old = sorted(world.issues(), key=lambda seen: seen.issue.born)[-1:-3:-1]
        world.merge(old.issue.id, young.issue.id)
        merged = world.issue(young.issue.id)
        assert merged is not None
        detail = issue_detail(merged, HOST, world.now)
        assert merged.first_seen < young.issue.born
        assert detail["openPeriods"][-1]["start"] == detail["firstSeen"]
        assert detail["activity"][-1]["dateCreated"] == detail["firstSeen"]
