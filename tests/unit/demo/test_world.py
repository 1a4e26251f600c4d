from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from statistics import quantiles

import pytest

from tap_sentry.demo import END_USERS, DemoSentry, World
from tap_sentry.demo.spans import Span
from tests.unit.demo.client import NOW, ORGANIZATION, Client, MovingClock, frozen_world


@pytest.fixture
def world() -> World:
    return frozen_world()


class TestSeed:
    def test_and_clock_decide_everything(self, world: World) -> None:
        again = World(clock=lambda: NOW)
        assert again.events() == sorted_like(world, again)
        assert {span.id for span in again.spans()} == {span.id for span in world.spans()}

    def test_another_gives_other_events(self, world: World) -> None:
        other = {event.id for event in World(seed=8, clock=lambda: NOW).events()}
        assert other.isdisjoint(event.id for event in world.events())

    def test_asking_in_another_order_changes_nothing(self, world: World) -> None:
        again = World(clock=lambda: NOW)
        day = NOW.timestamp() - 86_400
        recent = {span.id for span in again.spans_between(day, NOW.timestamp())}
        expected = {s.id for s in world.spans() if day <= int(s.timestamp) < NOW.timestamp()}
        assert recent == expected


def sorted_like(world: World, other: World) -> list[object]:
    """The first world's events with the second's issues: same ids, other objects."""
    issues = {seen.issue.id: seen.issue for seen in other.issues()}
    return [event._replace(issue=issues[event.issue.id]) for event in world.events()]


class TestTime:
    def test_keeps_what_was_there_and_adds(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        before = {event.id: event for event in world.events()}
        clock.move(days=1)
        after = {event.id: event for event in world.events()}
        forgotten = before.keys() - after.keys()
        assert len(after.keys() - before.keys()) > 20
        horizon = NOW.timestamp() - 30 * 86_400 + 86_400
        assert all(before[event_id].timestamp < horizon for event_id in forgotten)
        assert all(after[kept] == before[kept] for kept in before.keys() & after.keys())

    def test_may_go_back(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        before = world.counts()
        clock.move(days=2)
        world.counts()
        clock.move(days=-2)
        assert world.counts() == before

    def test_shows_a_row_only_once_it_is_received(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        for _ in range(200):
            clock.move(minutes=3)
            assert all(span.received <= clock.now.timestamp() for span in world.spans())
            if any(s.received - s.timestamp > 290 for s in new_spans(world, clock, minutes=3)):
                return
        pytest.fail("no late span within ten hours")

    def test_makes_one_span_in_a_hundred_late_by_minutes(self, world: World) -> None:
        lateness = [span.received - span.timestamp for span in world.spans()]
        late = [seconds for seconds in lateness if seconds > 290]
        assert 0.005 < len(late) / len(lateness) < 0.03
        assert max(late) < 51 * 60

    def test_never_moves_the_first_sighting_of_an_issue(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        before = {seen.issue.id: seen.first_seen for seen in world.issues()}
        clock.move(days=9)
        after = {seen.issue.id: seen.first_seen for seen in world.issues()}
        assert len(before.keys() & after.keys()) > 60
        assert all(after[key] == before[key] for key in before.keys() & after.keys())

    def test_changes_a_status_without_an_event(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        for _ in range(30):
            before = {(seen.issue.id, seen.last_seen): seen.status for seen in world.issues()}
            clock.move(hours=12)
            after = {(seen.issue.id, seen.last_seen): seen.status for seen in world.issues()}
            if any(after[key] != before[key] for key in before.keys() & after.keys()):
                return
        pytest.fail("no change of status without an event in two weeks")


def new_spans(world: World, clock: MovingClock, minutes: int) -> list[Span]:
    since = clock.now.timestamp() - 60 * minutes
    return [span for span in world.spans() if span.received > since]


class TestSize:
    def test_is_that_of_a_small_shop(self, world: World) -> None:
        counts = world.counts()
        assert counts["projects"] == counts["project_detail"] == 6
        assert (counts["teams"], counts["users"]) == (3, 25)
        assert counts["releases"] == counts["release"] == 24
        assert 120 <= counts["issues"] <= 180
        assert 3_500 <= counts["events"] <= 5_500
        assert 17_000 <= counts["spans"] <= 25_000

    def test_is_ready_within_a_second(self) -> None:
        started = time.process_time()
        World(clock=lambda: NOW).counts()
        assert time.process_time() - started < 1.0

    def test_counts_since_a_time(self, world: World) -> None:
        since = NOW - timedelta(days=2)
        counts = world.counts(since)
        recent = [event for event in world.events() if event.timestamp >= since.timestamp()]
        assert counts["events"] == len(recent)
        assert 0 < counts["spans"] < world.counts()["spans"]
        assert counts["teams"] == 3
        assert World(clock=lambda: NOW).counts(NOW + timedelta(days=1))["issues"] == 0

    def test_grows_with_the_scale(self) -> None:
        small = World(clock=lambda: NOW, scale=0.1).counts()
        large = World(clock=lambda: NOW, scale=0.5).counts()
        assert small["spans"] * 3 < large["spans"]
        assert small["events"] < large["events"]

    @pytest.mark.parametrize("count", [0, 2, 6, 130])
    def test_has_as_many_projects_as_asked(self, count: int) -> None:
        world = World(clock=lambda: NOW, scale=0.05, project_count=count)
        slugs = [project.slug for project in world.projects()]
        assert len(set(slugs)) == count
        assert slugs == sorted(slugs)
        assert {event.issue.project.slug for event in world.events()} <= set(slugs)
        assert len({project.id for project in world.projects()}) == count

    def test_counts_the_rows_of_every_stream(self, world: World) -> None:
        counts = world.counts()
        assert counts["organization"] == 1
        assert counts["environments"] == 3
        assert counts["issue_detail"] == counts["issues"]
        assert counts["release_commits"] == sum(len(r.commits) for r in world.releases())
        assert counts["release_deploys"] == 2 * counts["releases"]
        recent = world.counts(NOW - timedelta(days=2))
        for name in ("replays", "monitor_checkins", "user_feedback", "release_deploys"):
            assert recent[name] < counts[name]


class TestChanges:
    def world(self) -> World:
        return World(clock=lambda: NOW)

    def test_of_status_can_be_found(self) -> None:
        clock = MovingClock()
        world = World(clock=clock)
        later = NOW + timedelta(hours=6)
        before = {seen.issue.id: seen for seen in world.issues()}
        changed = world.quiet_changes(later)
        assert changed
        clock.now = later
        after = {seen.issue.id: seen for seen in world.issues()}
        for issue_id in changed:
            assert after[issue_id].last_seen == before[issue_id].last_seen
            assert after[issue_id].stand != before[issue_id].stand
        assert not world.quiet_changes(later)

    def test_merge_gives_the_survivor_all_events(self) -> None:
        world = self.world()
        merged, survivor = world.issues()[:2]
        world.merge(merged.issue.id, survivor.issue.id)
        now = world.issue(merged.issue.id)
        assert now is not None
        assert now.issue is survivor.issue
        assert {e.id for e in now.events} == {e.id for e in merged.events + survivor.events}
        assert now.first_seen == min(merged.first_seen, survivor.first_seen)
        assert now.last_seen == max(merged.last_seen, survivor.last_seen)
        assert merged.issue.id not in {seen.issue.id for seen in world.issues()}

    def test_merge_can_be_repeated(self) -> None:
        world = self.world()
        first, second, third = (seen.issue.id for seen in world.issues()[:3])
        world.merge(first, second)
        world.merge(second, third)
        events = len(world.events())
        found = world.issue(first)
        assert found is not None
        assert found.issue.id == third
        assert events == frozen_world().counts()["events"]

    def test_deletion_takes_the_events_along(self) -> None:
        world = self.world()
        gone = world.issues()[0]
        world.delete_issue(gone.issue.id)
        assert world.issue(gone.issue.id) is None
        assert {e.id for e in world.events()}.isdisjoint(event.id for event in gone.events)
        before, after = frozen_world().counts(), world.counts()
        assert after["issues"] == before["issues"] - 1
        assert after["events"] == before["events"] - len(gone.events)

    def test_deletion_of_a_survivor_takes_what_was_merged(self) -> None:
        world = self.world()
        merged, survivor = (seen.issue.id for seen in world.issues()[:2])
        world.merge(merged, survivor)
        world.delete_issue(survivor)
        assert world.issue(merged) is None

    def test_are_answered_like_sentry_does(self) -> None:
        world = self.world()
        client = Client(DemoSentry(world, limits=None))
        merged, survivor, deleted = (seen.issue.id for seen in world.issues()[:3])
        world.merge(merged, survivor)
        world.delete_issue(deleted)
        path = f"{ORGANIZATION}issues/"
        assert client.json(f"{path}{merged}/")["id"] == survivor
        assert client.get(f"{path}{deleted}/").status_code == 404
        listed = {row["id"] for row in client.rows(path, query="", project=-1)}
        assert listed.isdisjoint({merged, deleted})
        events = client.rows(f"{path}{merged}/events/")
        assert {row["groupID"] for row in events} == {survivor}
        rows = client.rows(
            f"{ORGANIZATION}events/", dataset="errors", field=["issue.id", "count()"], project=-1
        )
        assert len(events) in {r["count()"] for r in rows if str(r["issue.id"]) == survivor}
        assert {str(row["issue.id"]) for row in rows} == listed

    def test_need_issues_that_are_there(self) -> None:
        world = self.world()
        issue = world.issues()[0].issue.id
        for merged, survivor in ((issue, "1"), ("1", issue), (issue, issue)):
            with pytest.raises(LookupError):
                world.merge(merged, survivor)
        with pytest.raises(LookupError):
            world.delete_issue("1")


class TestStory:
    @pytest.mark.parametrize("days", [0, 11, 23])
    def test_has_a_bad_release_in_any_window(self, days: int) -> None:
        world = World(clock=lambda: NOW + timedelta(days=days))
        born = Counter(seen.issue.release for seen in world.issues() if seen.issue.release)
        worst, count = born.most_common(1)[0]
        assert worst.is_bad
        assert "checkout-api" in worst.project_slugs
        assert count > 2 * max(n for release, n in born.items() if not release.is_bad)

    def test_makes_errors_of_the_checkout_jump(self, world: World) -> None:
        days = Counter(
            int(event.timestamp // 86_400)
            for event in world.events()
            if event.issue.project.slug == "checkout-api"
        )
        usual = sorted(days.values())[len(days) // 2]
        assert max(days.values()) > 5 * usual

    def test_has_one_slow_endpoint_with_a_query_per_row(self, world: World) -> None:
        durations: dict[str, list[float]] = {}
        queries: Counter[str] = Counter()
        for span in world.spans():
            if span.is_transaction and span.op == "http.server":
                durations.setdefault(span.transaction.name, []).append(span.duration)
            if span.op == "db" and span.transaction.name == "GET /search":
                queries[span.transaction.id] += 1
        p95 = {name: quantiles(values, n=20)[-1] for name, values in durations.items()}
        slow = p95.pop("GET /search")
        assert slow > 3 * max(p95.values())
        assert min(queries.values()) >= 10

    def test_has_one_project_with_half_of_the_events(self, world: World) -> None:
        events = Counter(event.issue.project.slug for event in world.events())
        issues = Counter(seen.issue.project.slug for seen in world.issues())
        assert 0.4 < events["batch-worker"] / events.total() < 0.6
        assert issues["batch-worker"] == min(issues.values())

    def test_has_every_status(self, world: World) -> None:
        assert {seen.status for seen in world.issues()} == {"unresolved", "resolved", "ignored"}
        assert {
            "new", "ongoing", "escalating", "regressed", "archived_until_escalating",
            "archived_until_condition_met", "archived_forever",
        } <= {seen.substatus for seen in world.issues()}  # fmt: skip

    def test_lets_a_resolved_issue_rest(self, world: World) -> None:
        for seen in world.issues():
            if seen.status == "resolved":
                assert seen.last_seen <= seen.issue.changes[-1].at

    def test_has_one_archived_release_in_thirty_days(self, world: World) -> None:
        recent = world.releases()[:12]
        assert sum(release.is_archived for release in recent) == 1
        assert recent[-1].created > NOW.timestamp() - 30 * 86_400

    def test_names_only_releases_that_are_listed(self, world: World) -> None:
        listed = {release.version for release in world.releases()}
        assert {e.release for e in world.events() if e.release} <= listed
        assert {s.transaction.release for s in world.spans() if s.transaction.release} <= listed


class TestPeople:
    def test_are_sixty_with_one_table(self) -> None:
        assert [int(user.id) for user in END_USERS] == list(range(1001, 1061))
        assert len({user.email for user in END_USERS}) == 60
        assert all(user.email == f"{user.username}@example.com" for user in END_USERS)
        assert all(user.email.isascii() and "'" not in user.email for user in END_USERS)

    def test_are_behind_most_events(self, world: World) -> None:
        known = [event.user for event in world.events() if event.user]
        assert 0.82 < len(known) / len(world.events()) < 0.88
        assert set(known) <= set(END_USERS)

    def test_include_invitations_that_nobody_took_up(self, world: World) -> None:
        states = Counter(member.state for member in world.members())
        assert states == {"active": 22, "pending": 2, "expired": 1}


class TestTraces:
    def test_begin_parents_before_children(self, world: World) -> None:
        by_id = {(span.transaction.trace.id, span.id): span for span in world.spans()}
        for span in world.spans():
            parent = by_id.get((span.transaction.trace.id, span.parent or ""))
            if parent is not None:
                assert parent.started <= span.started

    def test_cross_services(self, world: World) -> None:
        services: dict[str, set[str]] = {}
        for span in world.spans():
            trace = span.transaction.trace.id
            services.setdefault(trace, set()).add(span.transaction.project.slug)
        assert max(len(slugs) for slugs in services.values()) == 4

    def test_have_unique_span_ids(self, world: World) -> None:
        ids = [(span.transaction.trace.id, span.id) for span in world.spans()]
        assert len(ids) == len(set(ids))
