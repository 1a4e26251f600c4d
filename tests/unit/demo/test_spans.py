"""How spans end: statuses, what they do to each other, and the story they tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tap_sentry.demo import World
from tap_sentry.demo.catalogue import HTTP_CODES, SERVER_FAULTS, WITHOUT_STATUS
from tap_sentry.demo.spans import Span
from tests.unit.demo.client import NOW, frozen_world


@pytest.fixture
def world() -> World:
    return frozen_world()


@pytest.fixture(scope="module")
def busy_world() -> World:
    """Enough spans that rates come close to what the catalogue says."""
    return World(clock=lambda: NOW, scale=5)


def error_rate(spans: Iterable[Span]) -> float:
    """Share of errors, as Sentry's failure_rate() counts them."""
    failed = [span.status not in {None, "ok", "cancelled"} for span in spans]
    return sum(failed) / len(failed)


def requests(world: World, project: str | None = None) -> list[Span]:
    return [
        span
        for span in world.spans()
        if span.op == "http.server" and project in {None, span.transaction.project.slug}
    ]


def bad_version(world: World) -> str:
    """The newest bad release."""
    return next(release.version for release in world.releases() if release.is_bad)


class TestStatuses:
    def test_are_all_there(self, world: World) -> None:
        assert {span.status for span in world.spans()} == {None, *HTTP_CODES}

    def test_are_missing_only_from_the_browsers_own_work(self, world: World) -> None:
        silent = {span.op for span in world.spans() if span.status is None}
        assert silent == WITHOUT_STATUS
        assert not [s for s in world.spans() if s.op in WITHOUT_STATUS and s.status is not None]

    def test_of_requests_have_their_http_code(self, world: World) -> None:
        for span in world.spans():
            is_request = span.op in {"http.client", "http.server"}
            assert span.http_code == (HTTP_CODES[span.status or ""] if is_request else None)

    def test_are_the_same_in_the_same_world(self, world: World) -> None:
        again = World(clock=lambda: NOW).spans()
        assert {s.id: s.status for s in again} == {s.id: s.status for s in world.spans()}

    def test_of_another_seed_differ(self, world: World) -> None:
        other = Counter(span.status for span in World(seed=8, clock=lambda: NOW).spans())
        assert other != Counter(span.status for span in world.spans())


class TestFaults:
    def test_reach_whoever_waited_for_the_answer(self, busy_world: World) -> None:
        spans = {(span.transaction.trace.id, span.id): span for span in busy_world.spans()}
        faults = 0
        for (trace, _), answer in spans.items():
            call = spans.get((trace, answer.parent or ""))
            if answer.is_transaction and call and call.op == "http.client":
                assert call.status == answer.status
                if call.status in SERVER_FAULTS:
                    faults += 1
                    caller = spans[trace, call.transaction.id]
                    assert caller.status in SERVER_FAULTS
        assert faults > 20

    def test_stay_with_the_task_that_nobody_waits_for(self, world: World) -> None:
        sent = [span.status for span in world.spans() if span.op == "queue.publish"]
        assert set(sent) == {"ok"}

    def test_are_what_the_root_and_its_segment_agree_on(self, world: World) -> None:
        roots = [span for span in world.spans() if span.is_transaction]
        assert all(span.status == span.transaction.status for span in roots)


class TestErrorRate:
    def test_of_requests_is_about_one_percent(self, busy_world: World) -> None:
        bad = bad_version(busy_world)
        usual = [s for s in requests(busy_world) if s.transaction.release != bad]
        assert 0.007 < error_rate(usual) < 0.015

    def test_of_the_checkout_jumps_with_the_bad_release(self, busy_world: World) -> None:
        bad = bad_version(busy_world)
        broken = [s for s in requests(busy_world, "checkout-api") if s.transaction.release == bad]
        assert 0.15 < error_rate(broken) < 0.25

    def test_falls_back_with_the_repair(self, busy_world: World) -> None:
        bad = bad_version(busy_world)
        checkout = requests(busy_world, "checkout-api")
        last = max(s.started for s in checkout if s.transaction.release == bad)
        assert error_rate(s for s in checkout if s.started > last) < 0.03

    def test_of_the_bad_releases_other_project_stays_usual(self, busy_world: World) -> None:
        bad = bad_version(busy_world)
        spans = [s for s in requests(busy_world, "payments") if s.transaction.release == bad]
        assert spans
        assert error_rate(spans) < 0.04

    def test_jumps_in_browsers_and_the_app_too(self, busy_world: World) -> None:
        bad = bad_version(busy_world)
        failed = {
            s.transaction.trace.id
            for s in requests(busy_world, "checkout-api")
            if s.transaction.release == bad and s.status in SERVER_FAULTS
        }
        roots = [
            span
            for span in busy_world.spans()
            if span.parent is None and span.transaction.trace.id in failed
        ]
        assert {span.transaction.project.slug for span in roots} == {"storefront", "mobile-app"}
        assert all(span.status in SERVER_FAULTS for span in roots)

    def test_shows_in_the_small_world_too(self, world: World) -> None:
        bad = bad_version(world)
        checkout = requests(world, "checkout-api")
        broken = error_rate(s for s in checkout if s.transaction.release == bad)
        assert broken > 5 * error_rate(s for s in checkout if s.transaction.release != bad)

    def test_of_the_workers_tasks_is_the_highest(self, busy_world: World) -> None:
        tasks = [s for s in busy_world.spans() if s.op.startswith("queue.") and s.is_transaction]
        assert {span.transaction.project.slug for span in tasks} == {"batch-worker"}
        assert 0.06 < error_rate(tasks) < 0.14
