from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.planning import Conditions, Pace, Plan, Route, Volume, plan
from tap_sentry.sampling import EventSampling

PACES = {
    "project_events": Pace(1.0, 60.0, 1.0),
    "default": Pace(40.0, 0.0, 8.0),
    "explore": Pace(30.0, 0.0, 8.0),
}
ALL = (Route.PROJECT, Route.ISSUE, Route.EXPLORE)


def conditions(**changes: Any) -> Conditions:
    given: dict[str, Any] = {
        "page_rows": 100,
        "paces": PACES,
        "rate": 10.0,
        "latency_s": 0.1,
        "routes": ALL,
    }
    return Conditions(**{**given, **changes})


def sampling(fraction: float, floor: int = 0, cap: int | None = None) -> EventSampling:
    return EventSampling(fraction=fraction, floor=floor, ceiling=None, cap=cap)


def volume(rows: int, issues: int = 1, name: str = "1") -> Volume:
    return Volume(name, f"project-{name}", rows, issues)


def all_on(route: Route, volumes: Sequence[Volume], given: Conditions) -> float:
    """How long all projects take on one route."""
    requests = sum(given.requests(each, route) for each in volumes)
    return given.seconds({route.family: requests})


def routes(found: Plan) -> dict[str, Route]:
    return {step.volume.project: step.route for step in found.steps}


def pages_by_issue(sizes: Sequence[int], page_rows: int) -> int:
    """What it takes to list the issues and then the events of each."""
    return math.ceil(len(sizes) / 100) + sum(math.ceil(size / page_rows) for size in sizes)


volumes_of_some_projects = st.lists(
    st.tuples(st.integers(1, 3_000_000), st.floats(0.0001, 1)), max_size=12
).map(
    lambda sizes: [
        volume(rows, max(1, int(rows * share)), str(number))
        for number, (rows, share) in enumerate(sizes)
    ]
)
some_paces = st.fixed_dictionaries(
    {
        family: st.builds(
            Pace, st.floats(0.2, 100), st.sampled_from([0.0, 60.0]), st.integers(1, 25).map(float)
        )
        for family in PACES
    }
)


class TestRequests:
    @given(
        rows=st.integers(1, 100_000),
        page_rows=st.sampled_from([20, 100]),
        route=st.sampled_from([Route.PROJECT, Route.EXPLORE]),
    )
    def test_of_a_listing_are_its_pages(self, rows: int, page_rows: int, route: Route) -> None:
        pages = len(range(0, rows, page_rows))
        assert conditions(page_rows=page_rows).requests(volume(rows), route) == pages

    @pytest.mark.parametrize("route", list(Route))
    def test_are_one_at_least(self, route: Route) -> None:
        assert conditions().requests(volume(0, 0), route) >= (route is not Route.ISSUE)

    @given(
        st.lists(st.integers(1, 500) | st.just(1), min_size=1, max_size=300),
        st.sampled_from([20, 100]),
    )
    def test_by_issue_are_never_off_by_more_than_half_a_page_of_each(
        self, sizes: list[int], page_rows: int
    ) -> None:
        told = conditions(page_rows=page_rows).requests(volume(sum(sizes), len(sizes)), Route.ISSUE)
        assert abs(told - pages_by_issue(sizes, page_rows)) <= len(sizes) / 2 + 1

    def test_by_issue_are_right_on_average(self) -> None:
        seeded = random.Random(1)
        told = needed = 0
        for _ in range(200):
            sizes = [seeded.randint(1, 1000) for _ in range(seeded.randint(1, 400))]
            told += conditions().requests(volume(sum(sizes), len(sizes)), Route.ISSUE)
            needed += pages_by_issue(sizes, 100)
        assert told == pytest.approx(needed, rel=0.01)

    @pytest.mark.parametrize("issues", [1, 100, 101, 5000])
    def test_by_issue_of_single_events_are_exact(self, issues: int) -> None:
        told = conditions().requests(volume(issues, issues), Route.ISSUE)
        assert told == pages_by_issue([1] * issues, 100)

    @pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
    @pytest.mark.parametrize("floor", [0, 5])
    def test_of_a_samples_start_are_those_below_the_threshold(
        self, fraction: float, floor: int
    ) -> None:
        seeded = random.Random(2)
        given = conditions(routes=[Route.SAMPLE], sampling=sampling(fraction, floor))
        told = needed = 0
        most = 0
        for _ in range(30):
            sizes = [seeded.randint(1, 200) for _ in range(seeded.randint(50, 300))]
            below, rare = 0, 0
            for size in sizes:
                kept = sum(seeded.random() < fraction for _ in range(size))
                below += kept
                rare += kept < min(floor, size)
            told += given.requests(volume(sum(sizes), len(sizes)), Route.SAMPLE)
            needed += math.ceil(len(sizes) / 100) + below // 100 + 1 + rare
            most += len(sizes)
        if floor == 0:
            assert told == pytest.approx(needed, rel=0.1)
        else:  # each issue might be a rare one
            assert 0.95 * needed <= told <= needed + most

    def test_of_a_samples_start_are_its_cap_where_that_is_less(self) -> None:
        for cap, pages in ((1000, 10), (1001, 11), (50_000, 50)):
            given = conditions(sampling=sampling(0.5, cap=cap))
            assert given.requests(volume(10_000, 200), Route.SAMPLE) == 2 + pages


class TestSeconds:
    def test_are_those_of_the_taps_own_rate(self) -> None:
        assert conditions(rate=2.0).seconds({"default": 100, "explore": 100}) == 100

    def test_are_those_of_the_slowest_family_behind_its_burst(self) -> None:
        # 54 of the 60 of a minute are counted on, and the next minute is half a minute away.
        expected = pytest.approx(60 * (0.5 + (1060 - 54) / 54))
        assert conditions().seconds({"project_events": 1060, "explore": 100}) == expected

    def test_are_those_of_the_answers_where_few_are_under_way(self) -> None:
        assert conditions(latency_s=3).seconds({"project_events": 500}) == 1500

    def test_of_nothing_are_none(self) -> None:
        assert conditions().seconds({}) == 0


class TestPlan:
    def test_of_no_project_is_empty(self) -> None:
        found = plan([], conditions())
        assert (found.steps, found.rows, found.requests, found.seconds) == ((), 0, 0, 0)

    @given(volumes_of_some_projects)
    def test_holds_each_project_once_with_its_requests(self, volumes: list[Volume]) -> None:
        found = plan(volumes, conditions())
        assert sorted(step.volume for step in found.steps) == sorted(volumes)
        for step in found.steps:
            assert step.requests == conditions().requests(step.volume, step.route)
        assert found.rows == sum(each.rows for each in volumes)

    @given(volumes_of_some_projects, some_paces)
    def test_tells_the_time_of_its_steps(
        self, volumes: list[Volume], paces: dict[str, Pace]
    ) -> None:
        given = conditions(paces=paces)
        found = plan(volumes, given)
        load: Counter[str] = Counter()
        for step in found.steps:
            load[step.route.family] += step.requests
        assert found.seconds == pytest.approx(given.seconds(load))

    @given(
        volumes_of_some_projects,
        some_paces,
        st.floats(1, 1000),
        st.sampled_from([order for n in (1, 2, 3) for order in itertools.permutations(ALL, n)]),
    )
    def test_is_never_slower_than_all_on_one_route(
        self,
        volumes: list[Volume],
        paces: dict[str, Pace],
        rate: float,
        order: tuple[Route, ...],
    ) -> None:
        given = conditions(paces=paces, rate=rate, routes=order)
        found = plan(volumes, given)
        for route in order:
            # Soon enough, requests decide, and beyond that one per cent is not worth many.
            assert found.seconds <= 1.02 * max(60, all_on(route, volumes, given))

    @pytest.mark.parametrize("projects", [1, 30, 1000])
    def test_uses_all_routes_side_by_side_whatever_the_size_of_projects(
        self, projects: int
    ) -> None:
        volumes = [
            volume(2_000_000 // projects // 100 * 100, 1, str(number)) for number in range(projects)
        ]
        given = conditions(routes=(Route.PROJECT, Route.EXPLORE), rate=1000.0)
        found = plan(volumes, given)
        # 20,000 pages: at 1/s on one route, at 30/s on the other.
        assert all_on(Route.PROJECT, volumes, given) > 19_000
        assert found.seconds < 700
        assert found.requests == sum(each.rows for each in volumes) / 100

    def test_takes_the_fewest_requests_where_that_is_soon_enough(self) -> None:
        volumes = [volume(4000, 4000, "1"), volume(900, 30, "2")]
        found = plan(volumes, conditions(routes=(Route.ISSUE, Route.PROJECT)))
        assert routes(found) == {"1": Route.PROJECT, "2": Route.PROJECT}

    def test_takes_more_requests_where_that_saves_hours(self) -> None:
        found = plan([volume(1_000_000, 10_000)], conditions(routes=(Route.PROJECT, Route.ISSUE)))
        assert routes(found) == {"1": Route.ISSUE}
        assert found.requests > 10_000

    def test_prefers_the_first_of_equals(self) -> None:
        for order in ((Route.PROJECT, Route.EXPLORE), (Route.EXPLORE, Route.PROJECT)):
            assert routes(plan([volume(100)], conditions(routes=order))) == {"1": order[0]}

    @given(volumes_of_some_projects, some_paces, st.floats(0.001, 0.99), st.integers(0, 5))
    def test_with_a_sample_has_the_fewest_requests(
        self, volumes: list[Volume], paces: dict[str, Pace], fraction: float, floor: int
    ) -> None:
        order = (Route.PROJECT, Route.ISSUE, Route.SAMPLE)
        given = conditions(paces=paces, routes=order, sampling=sampling(fraction, floor))
        for step in plan(volumes, given).steps:
            assert step.requests == min(given.requests(step.volume, route) for route in order)


class TestTable:
    def test_can_be_read_by_a_person(self) -> None:
        volumes = [volume(12, 3, "2"), volume(1_234_567, 8901, "1")]
        text = plan(volumes, conditions(routes=(Route.EXPLORE,))).table()
        assert text.splitlines() == [
            "project       events  issues  route          requests",
            "project-1  1,234,567   8,901  explore table    12,346",
            "project-2         12       3  explore table         1",
            "together 1,234,579 events, about 12,347 requests and 20 min 35 s",
        ]

    def test_tells_a_short_time_in_seconds(self) -> None:
        text = plan([volume(12, 3)], conditions()).table()
        assert text.splitlines()[-1] == "together 12 events, about 1 requests and 0 s"

    def test_of_nothing_says_so(self) -> None:
        assert plan([], conditions()).table().splitlines() == [
            "project  events  issues  route  requests",
            "together 0 events, about 0 requests and 0 s",
        ]
