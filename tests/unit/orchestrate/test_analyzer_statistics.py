"""The analyzer's estimates against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from orchestrate.analyzer.change_points import ChangePoint, change_points
from orchestrate.analyzer.statistics import Direction, quantile, rate, trend

NAN = math.nan


class TestQuantile:
    def test_lies_between_two_values_linearly(self) -> None:
        assert quantile([4, 1, 3, 2], 0.5) == 2.5
        # Of 21 values 0.95 x 20 = the one with 19 below it.
        assert quantile(range(21), 0.95) == 19

    def test_passes_over_what_is_not_known(self) -> None:
        assert quantile([NAN, 7, NAN], 0.95) == 7

    def test_of_nothing_is_unknown(self) -> None:
        assert quantile([], 0.5) is None
        assert quantile([NAN], 0.5) is None


class TestRate:
    def test_has_wilsons_interval(self) -> None:
        # z^2 = 3.8415: centre 0.5, half = 1.96 sqrt(0.025 + 3.8415 / 400) / 1.38415 = 0.2634
        found = rate(5, 10)
        assert found is not None
        assert found.share == 0.5
        assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)

    def test_of_none_or_all_is_not_certain(self) -> None:
        # 3.8415 / 13.8415 = 0.2775
        none, every = rate(0, 10), rate(10, 10)
        assert none is not None and every is not None  # noqa: PT018
        assert (none.share, none.low, every.share, every.high) == (0, 0, 1, 1)
        assert (none.high, every.low) == pytest.approx((0.2775, 0.7225), abs=1e-4)

    def test_of_nothing_is_unknown(self) -> None:
        assert rate(0, 0) is None


class TestTrend:
    def test_of_a_line_is_its_slope(self) -> None:
        found = trend(range(12), [2 * x + 1 for x in range(12)])
        assert found is not None
        assert (found.points, found.slope, found.low, found.high) == (12, 2, 2, 2)
        # S = 66 pairs, variance 12 x 11 x 29 / 18 = 212.67, z = 65 / 14.583 = 4.457
        assert found.p == pytest.approx(8.3e-6, rel=0.01)
        assert found.direction is Direction.RISING

    def test_falls_where_values_do(self) -> None:
        found = trend(range(12), [-x for x in range(12)])
        assert found is not None
        assert (found.slope, found.direction) == (-1, Direction.FALLING)

    def test_counts_pairs_in_order_against_those_that_are_not(self) -> None:
        # 5 of the 45 pairs are the wrong way round: S = 40 - 5 = 35, variance 10 x 9 x 25 / 18 =
        # 125, z = 34 / 11.18 = 3.041
        found = trend(range(10), [3, 1, 2, 5, 4, 7, 6, 9, 8, 10])
        assert found is not None
        assert found.p == pytest.approx(0.00236, abs=1e-5)

    def test_takes_ties_into_account(self) -> None:
        # S = 5 x 5 = 25; variance (2250 - 2 x 5 x 4 x 15) / 18 = 91.67; z = 24 / 9.574 = 2.507
        found = trend(range(10), [1] * 5 + [2] * 5)
        assert found is not None
        assert found.p == pytest.approx(0.01219, abs=1e-5)
        # 20 of the 45 slopes are 0, the others are more: the median is 1 / 7 to 1 / 9 of a step.
        assert 0 < found.slope < 0.2

    def test_of_values_that_stay_is_unclear(self) -> None:
        found = trend(range(20), [4] * 20)
        assert found is not None
        assert (found.slope, found.p, found.direction) == (0, 1, Direction.UNCLEAR)

    def test_is_not_moved_by_one_wild_value(self) -> None:
        found = trend(range(20), [*range(19), 10_000])
        assert found is not None
        assert found.slope == 1

    def test_sorts_times_and_passes_over_what_is_not_known(self) -> None:
        times = [11, 3, 5, 0, 1, 2, 10, 4, 9, 6, 8, 7]
        values = [3.0 * time for time in times]
        values[1] = NAN
        found = trend(times, values)
        assert found is not None
        assert (found.points, found.slope) == (11, 3)

    def test_of_few_points_is_unknown(self) -> None:
        assert trend(range(9), range(9)) is None
        assert trend(range(10), [NAN, *range(9)]) is None

    def test_of_very_many_points_goes_by_neighbours_together(self) -> None:
        found = trend(range(5000), [2 * x for x in range(5000)])
        assert found is not None
        assert (found.points, found.slope) == (1000, 2)

    def test_interval_leaves_out_what_chance_explains(self) -> None:
        # 45 slopes sorted; 1.96 x 11.18 = 21.91: from the 12th, (45 - 21.91) / 2, to the 34th.
        values = [3, 1, 2, 5, 4, 7, 6, 9, 8, 10]
        slopes = sorted(
            (values[j] - values[i]) / (j - i) for i in range(10) for j in range(i + 1, 10)
        )
        found = trend(range(10), values)
        assert found is not None
        assert (found.low, found.high) == (slopes[11], slopes[33])


class TestChangePoints:
    def test_are_where_the_level_changes(self) -> None:
        # Of 20 values 10 before and 10 behind, wholly apart: 2 in 184,756 orders are as much.
        assert change_points([1] * 10 + [3] * 10) == [ChangePoint(10, 1, 3, 0.001)]

    def test_have_the_medians_of_both_levels(self) -> None:
        (found,) = change_points([1, 2, 3, 2, 1, 2, 3, 2, 6, 9, 7, 8, 7, 6, 7, 100])
        assert (found.place, found.before, found.after) == (8, 2, 7)

    def test_may_be_several(self) -> None:
        found = change_points([1] * 12 + [9] * 12 + [4] * 12)
        assert [(one.place, one.before, one.after) for one in found] == [(12, 1, 9), (24, 9, 4)]

    def test_settle_on_the_steps_of_a_stair(self) -> None:
        # The first cut is at the likeliest place of all, which either step may be.
        assert [one.place for one in change_points([1] * 12 + [2] * 10 + [3] * 12)] == [12, 22]

    def test_are_not_seen_in_one_wild_value(self) -> None:
        assert change_points([5] * 10 + [500] + [5] * 10) == []

    def test_are_not_seen_in_what_goes_up_and_down(self) -> None:
        assert change_points([1, 2] * 15) == []
        assert change_points([3] * 30) == []

    def test_need_levels_of_some_length(self) -> None:
        assert change_points([1] * 3 + [2] * 4) == []
        assert change_points([]) == []
        assert change_points([1] * 20 + [9] * 3) == change_points([1] * 20 + [9] * 3, shortest=4)

    def test_count_places_with_what_is_not_known(self) -> None:
        found = change_points([1] * 10 + [NAN] * 3 + [3] * 10)
        assert [one.place for one in found] == [13]

    def test_are_the_same_every_time(self) -> None:
        values = [1, 3, 2, 4, 2, 5, 4, 6, 5, 7, 9, 6, 8, 9, 7, 9, 8, 9, 7, 8]
        assert change_points(values) == change_points(values) != []
