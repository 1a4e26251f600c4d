from __future__ import annotations

import math
import random
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.sampling import EventSampling, Sample, keep_traces, position
from tests.scripted import settings

Row = dict[str, Any]
Events = list[tuple[str, str | None]]

hex_ids = st.integers(0, 16**32 - 1).map(lambda number: f"{number:032x}")
# Spread over all u, or alike in the twelve digits that make u.
event_ids = st.integers(0, 4095).map(lambda number: f"{number:03x}" + "5" * 29) | st.integers(
    0, 9
).map(lambda number: "4" * 12 + f"{number:020x}")
issues = st.sampled_from(["1", "2", "3", "4", None])
many_events = st.lists(st.tuples(event_ids, issues), unique_by=lambda event: event[0], max_size=60)
fractions = st.floats(0.001, 1)
samplings = st.builds(
    EventSampling,
    fraction=fractions | st.just(1.0),
    floor=st.integers(0, 8),
    ceiling=st.none() | st.integers(1, 10),
    cap=st.none() | st.integers(1, 40),
)
randoms = st.randoms(use_true_random=False)

ALL = EventSampling(fraction=1.0, floor=0, ceiling=None, cap=None)


def keep(sampling: EventSampling, events: Iterable[Row]) -> list[Row]:
    """The sample of all events of a project and window."""
    sample = Sample(sampling)
    for event in events:
        sample.add(event)
    return sample.result()


def rows(events: Events) -> list[Row]:
    return [{"eventID": event, "groupID": issue} for event, issue in events]


def kept_ids(sampling: EventSampling, events: Events) -> set[str]:
    return {row["eventID"] for row in keep(sampling, rows(events))}


def weights(found: Iterable[Row]) -> dict[str, float]:
    """Weight by event id, of which each may come once."""
    by_id: dict[str, float] = {}
    for row in found:
        assert row["eventID"] not in by_id
        by_id[row["eventID"]] = row["sample_weight"]
    return by_id


def spread(count: int, issue: str | None = "1", seed: int = 7) -> Events:
    """Events with random ids, always the same."""
    source = random.Random(seed)
    return [(f"{source.getrandbits(128):032x}", issue) for _ in range(count)]


def defined(sampling: EventSampling, events: Events) -> dict[str, float]:
    """Weight by kept event id, word by word as the sample is defined."""
    by_issue: dict[str | None, list[str]] = defaultdict(list)
    for event, issue in sorted(events):
        by_issue[issue].append(event)
    ceiling = math.inf if sampling.ceiling is None else sampling.ceiling

    def u(ids: list[str], number: float) -> float:
        return position(ids[int(number) - 1]) if number <= len(ids) else 1.0

    chosen: dict[str, str | None] = {}
    limits: dict[str | None, float] = {}
    numbers: dict[str | None, int] = {}
    for issue, ids in by_issue.items():
        below = sum(position(event) < sampling.fraction for event in ids)
        numbers[issue] = int(min(max(below, sampling.floor), ceiling, len(ids)))
        chosen.update(dict.fromkeys(ids[: numbers[issue]], issue))
        limits[issue] = min(max(sampling.fraction, u(ids, sampling.floor + 1)), u(ids, ceiling + 1))
    order = sorted(chosen)
    kept = order[: sampling.cap]
    tau = position(order[len(kept)]) if len(order) > len(kept) else 1.0
    sizes = [len(ids) for ids in by_issue.values()]
    if len(kept) == len(order) and sampling.spares_every_issue(sizes):
        return {event: len(by_issue[chosen[event]]) / numbers[chosen[event]] for event in kept}
    return {event: 1 / min(limits[chosen[event]], tau) for event in kept}


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
        "text",
        [
            "",
            "no-hex-at-all",
            "0123456789a",
            "01234567-89ab-cdef-0123-456789abcdef",
            "-12345678901",
            "0x1234567890",
            "01 23 45 67 89 ab",
            "1234_5678_90ab",
        ],
    )
    def test_is_that_of_twelve_hexadecimal_digits_only(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^'.*' does not begin with 12 hexadecimal digits$"):
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


class TestSparesEveryIssue:
    @pytest.mark.parametrize(
        ("sampling", "sizes", "expected"),
        [
            pytest.param(EventSampling(0.1, 1, 9, None), [9, 900], True, id="a floor"),
            pytest.param(EventSampling(0.9, 0, 9, None), [9, 900], False, id="no floor"),
            pytest.param(EventSampling(1.0, 0, 9, None), [9, 900], True, id="all below fraction"),
            pytest.param(EventSampling(1.0, 0, 9, 18), [9, 900], True, id="the cap just holds all"),
            pytest.param(EventSampling(1.0, 0, 9, 17), [9, 900], False, id="the cap acts"),
            pytest.param(EventSampling(0.1, 5, None, 9000), [10_000], True, id="a far cap"),
            pytest.param(EventSampling(0.1, 5, None, 1100), [10_000], False, id="a near cap"),
        ],
    )
    def test_by(self, sampling: EventSampling, sizes: list[int], expected: bool) -> None:
        assert sampling.spares_every_issue(sizes) is expected


class TestSample:
    @given(many_events, samplings, randoms)
    def test_is_as_defined_in_any_order_and_with_repeats(
        self, events: Events, sampling: EventSampling, source: random.Random
    ) -> None:
        sample = Sample(sampling)
        repeated = events + source.choices(events, k=10) if events else events
        for row in rows(source.sample(repeated, len(repeated))):
            sample.add(row)
        assert weights(sample.result()) == pytest.approx(defined(sampling, events))

    @given(many_events, samplings)
    def test_comes_in_the_order_of_ids_with_weights_of_one_or_more(
        self, events: Events, sampling: EventSampling
    ) -> None:
        found = weights(keep(sampling, rows(events)))
        assert list(found) == sorted(found)
        assert all(weight >= 1 for weight in found.values())

    @given(many_events, fractions, fractions, samplings)
    def test_of_a_larger_fraction_contains_that_of_a_smaller_with_the_same_floor_and_ceiling(
        self, events: Events, one: float, other: float, sampling: EventSampling
    ) -> None:
        small, large = (
            replace(sampling, fraction=fraction, cap=None) for fraction in sorted([one, other])
        )
        assert kept_ids(small, events) <= kept_ids(large, events)

    @given(many_events, fractions, fractions, samplings)
    def test_of_a_larger_fraction_contains_that_of_a_smaller_under_a_cap_without_floor(
        self, events: Events, one: float, other: float, sampling: EventSampling
    ) -> None:
        small, large = (
            replace(sampling, fraction=fraction, floor=0) for fraction in sorted([one, other])
        )
        assert kept_ids(small, events) <= kept_ids(large, events)

    @given(many_events, fractions)
    def test_without_floor_and_maxima_is_the_threshold_on_the_id(
        self, events: Events, fraction: float
    ) -> None:
        found = weights(keep(replace(ALL, fraction=fraction), rows(events)))
        assert set(found) == {event for event, _ in events if position(event) < fraction}
        assert set(found.values()) <= {1 / fraction}

    @given(many_events, samplings)
    def test_holds_floor_ceiling_and_cap_exactly(
        self, events: Events, sampling: EventSampling
    ) -> None:
        below = Counter(issue for event, issue in events if position(event) < sampling.fraction)
        expected = {
            issue: min(max(below[issue], sampling.floor), sampling.ceiling or count, count)
            for issue, count in Counter(issue for _, issue in events).items()
        }
        found = Counter(row["groupID"] for row in keep(replace(sampling, cap=None), rows(events)))
        assert found == Counter(expected)
        total = sum(expected.values())
        assert len(keep(sampling, rows(events))) == min(total, sampling.cap or total)

    def test_lets_the_cap_win_over_the_floor(self) -> None:
        events = [event for issue in "abcde" for event in spread(10, issue, seed=ord(issue))]
        sampling = EventSampling(fraction=0.01, floor=5, ceiling=None, cap=8)
        assert len(keep(sampling, rows(events))) == 8

    def test_drops_what_lies_at_the_threshold_itself(self) -> None:
        events: Events = [("80" + "0" * 30, "1"), ("7f" + "f" * 30, "1")]
        assert kept_ids(EventSampling(0.5, 0, None, None), events) == {"7f" + "f" * 30}

    def test_knows_where_the_cap_cut_when_it_held_far_more(self) -> None:
        events = sorted(spread(23))  # the last one makes it let go of those beyond the cap
        sampling = EventSampling(1.0, 0, None, cap=10)
        assert weights(keep(sampling, rows(events))) == pytest.approx(defined(sampling, events))

    def test_weighs_by_the_cut_if_ids_that_are_not_random_reach_a_far_cap(self) -> None:
        events: Events = [(f"01{number:03d}" + "0" * 27, "1") for number in range(300)]
        found = weights(keep(EventSampling(0.1, 5, None, cap=200), rows(events)))
        assert len(found) == 200
        assert set(found.values()) == {1 / position("01200" + "0" * 27)}

    def test_keeps_about_the_share_asked_for(self) -> None:
        found = keep(replace(ALL, fraction=0.1), rows(spread(20_000)))
        assert len(found) == pytest.approx(2000, rel=0.1)

    @given(many_events, many_events, samplings)
    def test_is_not_moved_by_events_of_other_issues_unless_by_the_cap(
        self, events: Events, others: Events, sampling: EventSampling
    ) -> None:
        known = {event for event, _ in events}
        more = [*events, *((event, "other") for event, _ in others if event not in known)]
        uncapped = replace(sampling, cap=None)
        assert kept_ids(uncapped, more) & known == kept_ids(uncapped, events)

    @given(many_events, many_events, fractions, st.integers(0, 8))
    def test_without_maxima_never_loses_what_lies_below_the_threshold_to_new_events(
        self, events: Events, others: Events, fraction: float, floor: int
    ) -> None:
        known = {event for event, _ in events}
        more = [*events, *(event for event in others if event[0] not in known)]
        sampling = EventSampling(fraction, floor, ceiling=None, cap=None)
        below = {event for event in kept_ids(sampling, events) if position(event) < fraction}
        assert below <= kept_ids(sampling, more)

    @given(many_events, samplings, st.integers(1, 8))
    def test_counts_each_issue_exactly_with_a_floor_and_no_cap(
        self, events: Events, sampling: EventSampling, floor: int
    ) -> None:
        sums = Counter[str | None]()
        for row in keep(replace(sampling, floor=floor, cap=None), rows(events)):
            sums[row["groupID"]] += row["sample_weight"]
        assert sums == pytest.approx(Counter(issue for _, issue in events))

    def test_counts_each_issue_exactly_with_a_cap_out_of_reach(self) -> None:
        events = spread(3000, "1") + spread(4, "2", seed=8) + spread(50, None, seed=9)
        found = keep(EventSampling(0.1, floor=5, ceiling=200, cap=400), rows(events))
        sums = Counter[str | None]()
        for row in found:
            sums[row["groupID"]] += row["sample_weight"]
        assert sums == pytest.approx({"1": 3000, "2": 4, None: 50})

    def test_counts_what_sentry_counts_where_less_was_read(self) -> None:
        sample = Sample(EventSampling(0.1, 1, None, None), {"1": 40, "2": 1})
        for row in rows(spread(20, "1") + spread(6, "2", seed=8)):
            sample.add(row)
        sums = Counter[str]()
        for row in sample.result():
            sums[row["groupID"]] += row["sample_weight"]
        assert sums == pytest.approx({"1": 40, "2": 6})

    @given(many_events, st.integers(0, 8))
    def test_of_fraction_one_without_maxima_is_everything(self, events: Events, floor: int) -> None:
        found = weights(keep(replace(ALL, floor=floor), rows(events)))
        assert found == {event: 1.0 for event, _ in events}

    def test_gives_an_event_that_moved_to_another_issue_once(self) -> None:
        moved = spread(1, "1") + spread(1, "2")
        for order in (moved, moved[::-1]):
            assert [row["groupID"] for row in keep(ALL, rows(order))] == ["2"]

    def test_of_nothing_is_nothing(self) -> None:
        assert keep(ALL, []) == []

    def test_takes_ids_of_zeros_for_one_event_each(self) -> None:
        events: Events = [(f"{number:032x}", "1") for number in range(9)]
        found = keep(EventSampling(0.5, floor=0, ceiling=3, cap=None), rows(events))
        assert [row["sample_weight"] for row in found] == [1, 1, 1]

    def test_refuses_an_event_without_a_proper_id(self) -> None:
        with pytest.raises(ValueError, match="does not begin with 12 hexadecimal digits"):
            Sample(ALL).add({"eventID": "zz", "groupID": "1"})

    @pytest.mark.parametrize(
        ("sampling", "most"),
        [
            (EventSampling(0.01, floor=5, ceiling=None, cap=None), 60),
            (EventSampling(0.5, floor=5, ceiling=20, cap=None), 40),
            (EventSampling(1.0, floor=5, ceiling=None, cap=30), 62),
        ],
    )
    def test_holds_only_events_that_may_yet_be_kept(
        self, sampling: EventSampling, most: int
    ) -> None:
        class Event(dict[str, Any]):
            """A row that can be watched."""

        sample, given_events = Sample(sampling), []
        for event, issue in spread(2000, "1") + spread(2000, "2", seed=8):
            row = Event(eventID=event, groupID=issue)
            sample.add(row)
            given_events.append(weakref.ref(row))
        del row
        assert 0 < sum(watched() is not None for watched in given_events) <= most


class Listing:
    """Events in the order of their ids, and how many of them were asked for."""

    def __init__(self, events: Events) -> None:
        self.rows = rows(sorted(events))
        self.read = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.read += 1
            yield dict(row)


def by_prefix(sampling: EventSampling, listing: Listing, is_whole: bool) -> list[Row]:
    """The sample by a prefix of the listing and what is missing then: all of an issue, or more."""
    by_issue: dict[str | None, list[Row]] = defaultdict(list)
    for row in listing.rows:
        if row not in by_issue[row["groupID"]]:
            by_issue[row["groupID"]].append(row)
    sample = Sample(sampling, {issue: len(found) for issue, found in by_issue.items()})
    assert sample.read_ascending(iter(listing))
    known = listing.rows[: listing.read]
    for issue, number in sample.missing().items():
        new = [row for row in by_issue[issue] if row not in known]
        for row in by_issue[issue] if is_whole else new[:number]:
            sample.add(dict(row))
    return sample.result()


class TestReadAscending:
    @given(many_events, samplings, st.booleans())
    def test_gives_the_same_sample_as_reading_all(
        self, events: Events, sampling: EventSampling, is_whole: bool
    ) -> None:
        found = weights(by_prefix(sampling, Listing(events), is_whole))
        assert found == weights(keep(sampling, rows(events)))

    @given(many_events, samplings, st.integers(1, 9), st.integers(0, 9))
    def test_is_not_troubled_by_rows_that_come_again_after_a_page(
        self, events: Events, sampling: EventSampling, size: int, drift: int
    ) -> None:
        listing = Listing(events)
        pages = [listing.rows[max(n - drift, 0) : n + size] for n in range(0, len(events), size)]
        listing.rows = [row for page in pages for row in page]
        found = weights(by_prefix(sampling, listing, is_whole=False))
        assert found == weights(keep(sampling, rows(events)))

    def test_reads_to_the_threshold_only(self) -> None:
        listing = Listing(spread(1000))
        by_prefix(EventSampling(0.1, 5, 100, None), listing, is_whole=False)
        below = sum(position(row["eventID"]) < 0.1 for row in listing.rows)
        assert listing.read == below + 1

    def test_reads_one_event_more_than_the_cap(self) -> None:
        listing = Listing(spread(1000))
        assert len(by_prefix(EventSampling(1.0, 5, None, 50), listing, is_whole=False)) == 50
        assert listing.read == 51

    def test_reads_on_where_the_ceiling_leaves_room_under_the_cap(self) -> None:
        listing = Listing(spread(50, "1") + spread(50, "2", seed=8))
        assert len(by_prefix(EventSampling(1.0, 5, 10, 20), listing, is_whole=False)) == 20
        assert listing.read == 100

    @given(many_events, samplings, randoms)
    def test_tells_if_ids_do_not_ascend_and_loses_nothing(
        self, events: Events, sampling: EventSampling, source: random.Random
    ) -> None:
        counts = Counter(issue for _, issue in events)
        sample = Sample(sampling, counts)
        listing = iter(rows(source.sample(events, len(events))))
        if not sample.read_ascending(listing):
            for row in listing:
                sample.add(row)
            assert weights(sample.result()) == weights(keep(sampling, rows(events)))

    def test_tells_that_the_newest_first_do_not_ascend(self) -> None:
        assert not Sample(ALL).read_ascending(iter(rows(sorted(spread(9), reverse=True))))

    def test_tells_if_a_new_id_comes_too_late_after_one_that_came_again(self) -> None:
        ids = [digit * 32 for digit in "1312"]
        assert not Sample(ALL).read_ascending(iter(rows([(event, "1") for event in ids])))

    def test_reads_all_if_nobody_counted_and_there_is_a_floor(self) -> None:
        events = spread(200, "1") + spread(3, "2", seed=8)
        sample = Sample(EventSampling(0.01, 5, 100, None))
        assert sample.read_ascending(iter(rows(sorted(events))))
        assert sample.missing() == {}
        assert sum(row["sample_weight"] for row in sample.result()) == pytest.approx(203)

    def test_needs_no_counts_without_a_floor(self) -> None:
        listing = Listing(spread(1000))
        sample = Sample(EventSampling(0.1, 0, None, None))
        assert sample.read_ascending(iter(listing))
        assert listing.read < 200
        assert {row["sample_weight"] for row in sample.result()} == {10.0}


class TestMissing:
    def test_is_how_many_events_lack_to_the_floor_of_an_issue(self) -> None:
        ids = [f"{digit}{'0' * 31}" for digit in "0123456789abcdef"]
        events: Events = [*((event, "1") for event in ids), ("2" * 32, "2"), ("f" * 32, "2")]
        sample = Sample(EventSampling(0.25, 6, None, None), {"1": 16, "2": 2, None: 9, "empty": 0})
        assert sample.read_ascending(iter(rows(sorted(events))))
        assert sample.missing() == {"1": 1, "2": 1, None: 6}

    def test_is_one_more_where_a_cap_is_in_reach_to_weigh_by(self) -> None:
        events = spread(60, "1") + spread(20, "2", seed=8)
        sampling = EventSampling(0.01, 5, None, cap=12)
        sample, listing = Sample(sampling, {"1": 60, "2": 20}), Listing(events)
        assert sample.read_ascending(iter(listing))
        missing = sample.missing()
        assert sum(missing.values()) == 12 - listing.read
        for issue, number in missing.items():
            unread = [row for row in listing.rows[listing.read :] if row["groupID"] == issue]
            for row in unread[:number]:
                sample.add(row)
        assert sample.missing() == {}
        assert weights(sample.result()) == weights(keep(sampling, rows(events)))

    def test_is_limited_by_the_ceiling(self) -> None:
        sample = Sample(EventSampling(0.01, 5, 2, None), {"1": 50, "2": 1})
        assert sample.read_ascending(iter(rows([("e" * 32, "2"), ("f" * 32, "1")])))
        assert sample.missing() == {"1": 2}

    @pytest.mark.parametrize(
        ("sampling", "events"),
        [
            pytest.param(EventSampling(1.0, 5, None, 10), 11, id="the cap is reached"),
            pytest.param(EventSampling(1.0, 5, 3, 10), 7, id="the listing was read whole"),
            pytest.param(EventSampling(0.01, 0, None, None), 50, id="there is no floor"),
        ],
    )
    def test_is_nothing_if(self, sampling: EventSampling, events: int) -> None:
        sample = Sample(sampling, {"1": events, "2": 10})
        assert sample.read_ascending(iter(rows(sorted(spread(events)))))
        assert sample.missing() == {}


class TestWeightsOnAverage:
    """Estimates of many random sets of ids against the numbers that are true."""

    SIZES = (2, 9, 40)
    REPEATS = 2500

    @pytest.mark.parametrize(
        "sampling",
        [
            EventSampling(0.3, floor=0, ceiling=None, cap=None),
            EventSampling(0.3, floor=0, ceiling=6, cap=None),
            EventSampling(0.3, floor=5, ceiling=6, cap=None),
            EventSampling(1.0, floor=0, ceiling=5, cap=None),
            EventSampling(0.3, floor=0, ceiling=None, cap=15),  # acts in half of the sets
            EventSampling(0.3, floor=5, ceiling=None, cap=19),  # the same
            EventSampling(0.3, floor=5, ceiling=8, cap=14),
            EventSampling(0.1, floor=5, ceiling=None, cap=9),
            EventSampling(1.0, floor=5, ceiling=None, cap=20),
        ],
        ids=str,
    )
    def test_are_right(self, sampling: EventSampling) -> None:
        source = random.Random(11)
        true = {"all": sum(self.SIZES), "part": 0.0, **{str(n): n for n in self.SIZES}}
        true["part"] = sum(n // 3 for n in self.SIZES)
        estimates: dict[str, list[float]] = {name: [] for name in true}
        for _ in range(self.REPEATS):
            sums = dict.fromkeys(true, 0.0)
            sample = Sample(sampling)
            for size in self.SIZES:
                for number in range(size):
                    event = {"eventID": f"{source.getrandbits(48):012x}", "groupID": str(size)}
                    sample.add({**event, "is_part": number < size // 3})
            for row in sample.result():
                for name in ("all", row["groupID"], *(["part"] if row["is_part"] else [])):
                    sums[name] += row["sample_weight"]
            for name, estimate in sums.items():
                estimates[name].append(estimate)
        for name, found in estimates.items():
            mean = sum(found) / len(found)
            variance = sum((one - mean) ** 2 for one in found) / len(found)
            error = math.sqrt(variance / len(found))
            assert mean == pytest.approx(true[name], abs=3.5 * error + 1e-9), name
        # What was looked at is fine enough to find a bias of a few percent.
        assert abs(sum(estimates["all"]) / self.REPEATS / true["all"] - 1) < 0.02


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
