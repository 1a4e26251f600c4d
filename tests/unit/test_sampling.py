from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.sampling import EventSampling, keep_traces, position
from tests.scripted import settings

Row = dict[str, Any]

hex_ids = st.integers(0, 16**32 - 1).map(lambda number: f"{number:032x}")
issues = st.sampled_from(["1", "2", "3", "4", None])
many_events = st.lists(st.tuples(hex_ids, issues), unique_by=lambda event: event[0], max_size=60)
fractions = st.floats(0.001, 1)
samplings = st.builds(
    EventSampling,
    fraction=fractions,
    floor=st.integers(0, 8),
    ceiling=st.none() | st.integers(1, 10),
    cap=st.none() | st.integers(1, 40),
)
Events = list[tuple[str, str | None]]


def rows(events: Events) -> list[Row]:
    return [{"eventID": event, "groupID": issue} for event, issue in events]


def kept_ids(sampling: EventSampling, events: Events) -> set[str]:
    return {row["eventID"] for row in sampling.keep(rows(events))}


def spread(count: int, issue: str = "1", seed: int = 7) -> Events:
    """Events with random ids, always the same."""
    source = random.Random(seed)
    return [(f"{source.getrandbits(128):032x}", issue) for _ in range(count)]


ALL = EventSampling(fraction=1.0, floor=0, ceiling=None, cap=None)


class TestPosition:
    @given(hex_ids)
    def test_lies_between_zero_and_one(self, hex_id: str) -> None:
        assert 0 <= position(hex_id) < 1

    @given(hex_ids, hex_ids)
    def test_is_in_the_order_of_the_ids(self, one: str, other: str) -> None:
        if one <= other:
            assert position(one) <= position(other)

    def test_is_the_first_twelve_digits_over_all_there_are(self) -> None:
        assert position("80000000000000000000000000000000") == 0.5
        assert position("f" * 32) == 1 - 16.0**-12
        assert position("ABCDEF000000") == position("abcdef000000ffff")

    @pytest.mark.parametrize(
        "text", ["", "no-hex-at-all", "0123456789a", "-12345678901", "0x1234567890"]
    )
    def test_is_that_of_twelve_hexadecimal_digits_only(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            position(text)


class TestOfSettings:
    def test_is_none_where_nothing_is_to_be_dropped(self) -> None:
        assert EventSampling.of(settings()) is None
        assert EventSampling.of(settings(sample_fraction=1, min_events_per_issue=9)) is None

    def test_has_a_ceiling_of_100_when_sampling(self) -> None:
        found = EventSampling.of(settings(sample_fraction=0.5))
        assert found == EventSampling(fraction=0.5, floor=5, ceiling=100, cap=None)

    def test_has_the_ceiling_that_is_set(self) -> None:
        found = EventSampling.of(settings(sample_fraction=0.5, max_events_per_issue=7))
        assert found is not None
        assert found.ceiling == 7

    def test_with_a_ceiling_alone_keeps_all_below_it(self) -> None:
        found = EventSampling.of(settings(max_events_per_issue=7))
        assert found == EventSampling(fraction=1.0, floor=5, ceiling=7, cap=None)

    def test_with_a_cap_alone_has_no_ceiling(self) -> None:
        found = EventSampling.of(settings(max_events_per_project=1000, min_events_per_issue=0))
        assert found == EventSampling(fraction=1.0, floor=0, ceiling=None, cap=1000)


class TestKeep:
    @given(many_events, samplings, st.randoms(use_true_random=False))
    def test_gives_the_same_verdict_every_run_and_in_any_order(
        self, events: Events, sampling: EventSampling, source: random.Random
    ) -> None:
        shuffled = source.sample(events, len(events))
        assert kept_ids(sampling, events) == kept_ids(sampling, shuffled)

    @given(samplings)
    def test_gives_the_same_verdict_in_any_order_where_ids_begin_alike(
        self, sampling: EventSampling
    ) -> None:
        events: Events = [(f"{'0' * 12}{n:020x}", str(n % 2)) for n in range(50)]
        assert kept_ids(sampling, events) == kept_ids(sampling, events[::-1])

    @given(many_events, fractions, fractions, st.integers(0, 8))
    def test_of_a_larger_fraction_contains_that_of_a_smaller(
        self, events: Events, one: float, other: float, floor: int
    ) -> None:
        small, large = (
            EventSampling(fraction=fraction, floor=floor, ceiling=None, cap=None)
            for fraction in sorted([one, other])
        )
        assert kept_ids(small, events) <= kept_ids(large, events)

    @given(many_events, fractions)
    def test_without_floor_and_ceiling_is_the_threshold_on_the_id(
        self, events: Events, fraction: float
    ) -> None:
        found = kept_ids(replace(ALL, fraction=fraction), events)
        assert found == {event for event, _ in events if position(event) < fraction}

    @given(many_events, samplings)
    def test_holds_the_floor_the_ceiling_and_the_cap(
        self, events: Events, sampling: EventSampling
    ) -> None:
        found = sampling.keep(rows(events))
        total = Counter(issue for _, issue in events)
        kept = Counter(row["groupID"] for row in found)
        for issue, count in total.items():
            if sampling.ceiling is not None:
                assert kept[issue] <= sampling.ceiling
            if sampling.cap is None:
                least = min(sampling.floor, count)
                assert kept[issue] >= min(least, sampling.ceiling or least)
        assert sampling.cap is None or len(found) <= sampling.cap

    def test_with_the_cap_wins_over_the_floor(self) -> None:
        events = [event for issue in "abcde" for event in spread(10, issue, seed=ord(issue))]
        sampling = EventSampling(fraction=0.01, floor=5, ceiling=None, cap=8)
        assert len(sampling.keep(rows(events))) == 8

    def test_with_the_ceiling_wins_over_the_floor(self) -> None:
        sampling = EventSampling(fraction=0.01, floor=5, ceiling=3, cap=None)
        assert len(sampling.keep(rows(spread(10)))) == 3

    def test_with_a_floor_keeps_all_of_a_small_issue(self) -> None:
        sampling = EventSampling(fraction=0.001, floor=5, ceiling=100, cap=None)
        assert len(sampling.keep(rows(spread(4)))) == 4

    def test_keeps_about_the_share_asked_for(self) -> None:
        found = replace(ALL, fraction=0.1).keep(rows(spread(20_000)))
        assert len(found) == pytest.approx(2000, rel=0.1)

    @given(many_events, samplings)
    def test_has_weights_that_count_each_issue_exactly(
        self, events: Events, sampling: EventSampling
    ) -> None:
        weights = Counter[str | None]()
        for row in sampling.keep(rows(events)):
            assert row["sample_weight"] >= 1
            weights[row["groupID"]] += row["sample_weight"]
        total = Counter(issue for _, issue in events)
        for issue, weight in weights.items():
            assert weight == pytest.approx(total[issue])

    @given(many_events, many_events, samplings)
    def test_is_not_moved_by_events_of_other_issues(
        self, events: Events, others: Events, sampling: EventSampling
    ) -> None:
        known = {event for event, _ in events}
        more = [*events, *((event, "other") for event, _ in others if event not in known)]
        uncapped = replace(sampling, cap=None)
        assert kept_ids(uncapped, more) & known == kept_ids(uncapped, events)

    @given(many_events, st.integers(0, 8))
    def test_of_fraction_one_is_everything(self, events: Events, floor: int) -> None:
        found = replace(ALL, floor=floor).keep(rows(events))
        assert len(found) == len(events)
        assert all(row["sample_weight"] == 1 for row in found)

    @given(many_events, samplings)
    def test_gives_each_event_at_most_once(self, events: Events, sampling: EventSampling) -> None:
        found = [row["eventID"] for row in sampling.keep(rows(events))]
        assert len(found) == len(set(found))

    def test_of_nothing_is_nothing(self) -> None:
        assert ALL.keep([]) == []


class TestKeepTraces:
    @given(st.lists(st.tuples(hex_ids, st.integers(1, 4)), max_size=20), fractions)
    def test_keeps_traces_whole(self, traces: list[tuple[str, int]], fraction: float) -> None:
        spans = [{"trace": trace, "id": n} for trace, count in traces for n in range(count)]
        found = Counter(span["trace"] for span in keep_traces(spans, fraction))
        total = Counter(span["trace"] for span in spans)
        assert all(total[trace] == count for trace, count in found.items())
        assert set(found) == {trace for trace in total if position(str(trace)) < fraction}

    def test_weighs_by_the_fraction(self) -> None:
        found = keep_traces([{"trace": "0" * 32}], 0.25)
        assert [span["sample_weight"] for span in found] == [4.0]

    def test_keeps_all_at_fraction_one(self) -> None:
        spans = [{"trace": event} for event, _ in spread(100)]
        assert len(keep_traces(spans, 1.0)) == 100

    @given(fractions, fractions)
    def test_of_a_larger_fraction_contains_that_of_a_smaller(
        self, one: float, other: float
    ) -> None:
        spans = [{"trace": event} for event, _ in spread(200)]
        small, large = (
            {span["trace"] for span in keep_traces(spans, fraction)}
            for fraction in sorted([one, other])
        )
        assert small <= large
