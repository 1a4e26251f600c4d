from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tap_sentry.fetching import Cancelled, Feed, Feeds

# What a body of 100 bytes takes in memory.
HUNDRED = 600

MakeFeeds = Callable[..., Feeds]


def after(seconds: float, value: int) -> int:
    time.sleep(seconds)
    return value


def failing() -> int:
    raise OSError("lost")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what threads will bring about; fail if they never do."""
    for _ in range(5000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("never came about")


class Drawn:
    """Units that note how many were drawn."""

    def __init__(self, unit: Callable[[int], Any], count: int | None = None) -> None:
        self.count = 0
        self._unit = unit
        self._numbers = itertools.count() if count is None else iter(range(count))

    def __iter__(self) -> Iterator[Callable[[], Any]]:
        for number in self._numbers:
            self.count += 1
            yield partial(self._unit, number)

    def are(self, count: int) -> bool:
        return self.count == count


class Receiving:
    """A feed whose units receive bodies of some sizes, and note what began and what ended."""

    def __init__(self, feeds: Feeds, sizes: list[list[int]], **results: Any) -> None:
        self.began: list[int] = []
        self.ended: list[int] = []
        self._sizes = sizes
        self._result = results.get("result", lambda number: number)
        self._feed: Future[Feed[Any]] = Future()
        self.feed: Feed[Any] = feeds.feed(
            [partial(self._unit, number) for number in range(len(sizes))]
        )
        self._feed.set_result(self.feed)

    def _unit(self, number: int) -> Any:
        feed = self._feed.result(5)
        self.began.append(number)
        for size in self._sizes[number]:
            feed.hold(size)
        self.ended.append(number)
        return self._result(number)


_of_others: set[threading.Thread] = set()


def join_workers() -> None:
    """Wait for the end of all threads that this test began; fail if one stays."""
    for thread in set(threading.enumerate()) - _of_others:
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def make() -> Iterator[MakeFeeds]:
    """Makes feeds, which are closed after the test; no thread may be left of it."""
    # Tests that ran before in this process may have left a pool to the garbage collector.
    _of_others.clear()
    _of_others.update(threading.enumerate())
    made: list[Feeds] = []

    def feeds(workers: int = 4, **options: Any) -> Feeds:
        made.append(Feeds(workers, **options))
        return made[-1]

    yield feeds
    for each in made:
        each.close()
    join_workers()


class TestOrder:
    @given(st.lists(st.sampled_from([0.0, 0.0005, 0.002]), max_size=15), st.integers(1, 5))
    @hypothesis_settings(max_examples=25)
    def test_is_kept_whatever_each_takes(self, durations: list[float], workers: int) -> None:
        units = [partial(after, seconds, n) for n, seconds in enumerate(durations)]
        assert list(Feeds(workers).feed(units)) == list(range(len(durations)))

    def test_is_kept_when_the_last_is_ready_first(self, make: MakeFeeds) -> None:
        gates = [threading.Event() for _ in range(4)]

        def unit(number: int) -> int:
            if number + 1 < len(gates):
                assert gates[number + 1].wait(5)
            gates[number].set()
            return number

        units = [partial(unit, number) for number in range(4)]
        assert list(make(4).feed(units)) == [0, 1, 2, 3]

    def test_of_nothing_is_nothing(self, make: MakeFeeds) -> None:
        nothing: list[Callable[[], int]] = []
        assert list(make().feed(nothing)) == []

    def test_keeps_none_as_a_result(self, make: MakeFeeds) -> None:
        assert list(make(1).feed([lambda: None, lambda: None])) == [None, None]

    def test_has_an_end_each_time_it_is_asked(self, make: MakeFeeds) -> None:
        feed = make().feed([partial(after, 0, 1)])
        assert [list(feed), list(feed), next(feed, "end")] == [[1], [], "end"]


class TestAhead:
    def test_begins_before_anybody_asks(self, make: MakeFeeds) -> None:
        began = threading.Event()
        make().feed([began.set])
        assert began.wait(5)

    def test_draws_so_many_units_and_no_more(self, make: MakeFeeds) -> None:
        units = Drawn(lambda number: number)
        feed = make().feed(units)
        for delivered in range(50):
            until(partial(units.are, 501 + delivered))
            assert units.are(501 + delivered)
            assert next(feed) == delivered

    def test_runs_as_many_as_there_are_workers(self, make: MakeFeeds) -> None:
        all_at_work = threading.Barrier(4, timeout=5)

        def unit(number: int) -> int:
            all_at_work.wait()
            return number

        assert list(make(4).feed(Drawn(unit, 4))) == [0, 1, 2, 3]

    def test_never_runs_more_than_there_are_workers(self, make: MakeFeeds) -> None:
        lock, running, most = threading.Lock(), 0, 0

        def unit(number: int) -> int:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.001)
            with lock:
                running -= 1
            return number

        list(make(3).feed(Drawn(unit, 20)))
        assert most == 3

    def test_draws_in_one_thread_of_its_own(self, make: MakeFeeds) -> None:
        threads = set()

        def units() -> Iterator[Callable[[], int]]:
            for number in range(10):
                threads.add(threading.get_ident())
                yield partial(after, 0, number)

        list(make(3).feed(units()))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}

    def test_runs_side_by_side_with_all_other_feeds(self, make: MakeFeeds) -> None:
        all_at_work = threading.Barrier(8, timeout=5)

        def unit(number: int) -> int:
            all_at_work.wait()
            return number

        feeds = make(1)
        made = [feeds.feed([partial(unit, number)]) for number in range(8)]
        assert [list(feed) for feed in made] == [[number] for number in range(8)]

    def test_goes_on_while_drawing_waits(self, make: MakeFeeds) -> None:
        gate = threading.Event()

        def units() -> Iterator[Callable[[], int]]:
            yield partial(after, 0, 1)
            assert gate.wait(5)
            yield partial(after, 0, 2)

        feed = make().feed(units())
        assert next(feed) == 1
        gate.set()
        assert list(feed) == [2]


class TestFailure:
    def test_comes_in_its_turn_after_all_earlier_results(self, make: MakeFeeds) -> None:
        units: list[Callable[[], int]] = [
            partial(after, 0.01, 0),
            partial(after, 0.005, 1),
            failing,
            partial(after, 0, 3),
        ]
        results = make().feed(units)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(OSError, match="lost"):
            next(results)

    def test_ends_the_results(self, make: MakeFeeds) -> None:
        units: list[Callable[[], int]] = [failing, partial(after, 0, 1)]
        results = make(1).feed(units)
        with pytest.raises(OSError, match="lost"):
            next(results)
        assert list(results) == []

    def test_drops_what_was_not_begun(self, make: MakeFeeds) -> None:
        began = []
        gate = threading.Event()

        def unit(number: int) -> int:
            began.append(number)
            if number == 0:
                return failing()
            assert gate.wait(5)
            return number

        with pytest.raises(OSError, match="lost"):
            list(make(1).feed(Drawn(unit)))
        gate.set()
        join_workers()
        assert set(began) <= {0, 1}

    def test_of_drawing_comes_after_what_was_drawn_before(self, make: MakeFeeds) -> None:
        def units() -> Iterator[Callable[[], int]]:
            for number in range(5):
                yield partial(after, 0, number)
            raise OSError("lost")

        results = make(2).feed(units())
        assert list(itertools.islice(results, 5)) == [0, 1, 2, 3, 4]
        with pytest.raises(OSError, match="lost"):
            next(results)
        assert list(results) == []

    def test_of_one_feed_leaves_the_others_alone(self, make: MakeFeeds) -> None:
        feeds = make()
        broken, sound = feeds.feed([failing]), feeds.feed([partial(after, 0, 1)])
        with pytest.raises(OSError, match="lost"):
            next(broken)
        assert list(sound) == [1]

    def test_gives_back_the_memory_of_what_is_still_under_way(self, make: MakeFeeds) -> None:
        feeds, gate = make(2, most_bytes=10 * HUNDRED), threading.Event()
        made: Future[Feed[Any]] = Future()
        others: list[str] = []

        def late() -> list[int]:
            made.result(5).hold(100)
            assert gate.wait(5)
            others.append("answered")
            made.result(5).hold(1000)
            return [1]

        def lost() -> int:
            until(lambda: made.result(5).held > 0)
            return failing()

        feed: Feed[Any] = feeds.feed([lost, late])
        made.set_result(feed)
        with pytest.raises(OSError, match="lost"):
            next(feed)
        next_one = feeds.feed([partial(after, 0, 1)])
        assert list(next_one) == [1]  # its turn: the broken feed is no longer the current one
        gate.set()
        join_workers()
        assert others == ["answered"]
        assert feeds.held_ahead() == 0


class TestClosing:
    def test_early_stops_the_drawing_and_the_threads(self, make: MakeFeeds) -> None:
        units = Drawn(partial(after, 0.001))
        feed = make(2).feed(units)
        assert next(feed) == 0
        feed.close()
        join_workers()
        drawn = units.count
        assert drawn < 1000
        assert next(feed, "end") == "end"

    def test_early_does_not_wait_for_what_is_under_way(self, make: MakeFeeds) -> None:
        gate = threading.Event()
        ended = []

        def unit(number: int) -> int:
            assert number == 0 or gate.wait(5)
            ended.append(number)
            return number

        feed = make(2).feed(Drawn(unit))
        next(feed)
        feed.close()
        assert ended == [0]
        gate.set()
        join_workers()

    def test_at_the_end_leaves_no_thread(self, make: MakeFeeds) -> None:
        list(make().feed(Drawn(lambda number: number, 10)))
        join_workers()

    def test_ends_all_feeds_at_once(self, make: MakeFeeds) -> None:
        feeds = make()
        for _ in range(3):
            feeds.feed(Drawn(partial(after, 0.001)))
        feeds.close()
        join_workers()

    def test_ends_units_that_wait_for_memory(self, make: MakeFeeds) -> None:
        feeds = make(2, most_bytes=0)
        ahead = Receiving(feeds, [[100], [100], [100]])
        until(lambda: ahead.feed.held == 2 * HUNDRED)
        feeds.close()
        join_workers()
        assert ahead.ended == []

    def test_tells_a_unit_that_nobody_wants_it(self, make: MakeFeeds) -> None:
        told: list[BaseException] = []
        made: Future[Feed[int]] = Future()

        def unit() -> int:
            try:
                made.result(5).hold(100)
            except Cancelled as error:
                told.append(error)
            return 1

        feed = make(most_bytes=0).feed([unit])
        made.set_result(feed)
        until(lambda: feed.held == HUNDRED)
        feed.close()
        until(lambda: len(told) == 1)


class TestMemory:
    def test_stops_all_feeds_whose_turn_is_still_to_come(self, make: MakeFeeds) -> None:
        feeds = make(2, most_bytes=5 * HUNDRED)
        ahead = [Receiving(feeds, [[100]] * 20) for _ in range(2)]
        until(lambda: feeds.held_ahead() > feeds.most_bytes)
        time.sleep(0.05)  # for those that would wrongly go on
        assert 1 <= sum(len(each.ended) for each in ahead) <= 5
        assert feeds.held_ahead() <= 5 * HUNDRED + 4 * HUNDRED  # one more for each thread

    def test_stops_the_feed_whose_turn_it_is_as_well(self, make: MakeFeeds) -> None:
        gate = threading.Event()
        feeds = make(3, most_bytes=5 * HUNDRED)
        now = Receiving(
            feeds, [[]] + [[100]] * 20, result=lambda number: number or (gate.wait(5) and 0)
        )
        taking = threading.Thread(target=next, args=(now.feed,))
        taking.start()
        until(lambda: now.feed.held > feeds.most_bytes)
        time.sleep(0.05)
        assert 1 <= len(now.ended) - 1 <= 5
        gate.set()
        taking.join(5)
        assert list(now.feed) == list(range(1, 21))

    def test_of_the_current_feed_is_not_that_of_the_others(self, make: MakeFeeds) -> None:
        feeds = make(1, most_bytes=5 * HUNDRED)
        now = Receiving(feeds, [[]] + [[100]] * 5)
        assert next(now.feed) == 0
        ahead = Receiving(feeds, [[100]] * 5)
        until(lambda: len(now.ended) == 6 and len(ahead.ended) == 5)
        assert (now.feed.held, feeds.held_ahead()) == (5 * HUNDRED, 5 * HUNDRED)

    def test_never_stops_the_unit_that_is_waited_for(self, make: MakeFeeds) -> None:
        now = Receiving(make(1, most_bytes=0), [[100, 100, 100]] * 5)
        assert list(now.feed) == [0, 1, 2, 3, 4]

    def test_has_room_again_when_results_are_taken(self, make: MakeFeeds) -> None:
        feeds = make(2, most_bytes=2 * HUNDRED)
        first, second = (Receiving(feeds, [[100]] * 6) for _ in range(2))
        until(lambda: feeds.held_ahead() > feeds.most_bytes)
        assert [list(first.feed), list(second.feed)] == [[0, 1, 2, 3, 4, 5]] * 2
        assert (first.feed.held, second.feed.held, feeds.held_ahead()) == (0, 0, 0)

    def test_is_not_counted_outside_of_units(self, make: MakeFeeds) -> None:
        feed = make(most_bytes=0).feed([partial(after, 0, 1)])
        feed.hold(10**9)
        assert feed.held == 0

    def test_of_a_finished_feed_is_free(self, make: MakeFeeds) -> None:
        feeds = make(most_bytes=100 * HUNDRED)
        done = Receiving(feeds, [[100]] * 3)
        list(done.feed)
        assert next(feeds.feed([partial(after, 0, 1)])) == 1
        assert feeds.held_ahead() == 0

    @given(
        sizes=st.lists(
            st.lists(st.lists(st.integers(0, 200), max_size=3), max_size=8),
            min_size=1,
            max_size=4,
        ),
        workers=st.integers(1, 3),
        most_bytes=st.integers(0, 3000),
        as_rows=st.booleans(),
    )
    @hypothesis_settings(max_examples=60)
    def test_never_ends_in_a_deadlock(
        self, sizes: list[list[list[int]]], workers: int, most_bytes: int, *, as_rows: bool
    ) -> None:
        def result(number: int) -> Any:
            return [{"id": number}] * number if as_rows else number

        feeds = Feeds(workers, most_bytes)
        made = [Receiving(feeds, each, result=result) for each in sizes]
        taken: list[list[Any]] = []
        taking = threading.Thread(
            target=lambda: taken.extend(list(each.feed) for each in made), daemon=True
        )
        taking.start()
        taking.join(20)
        try:
            assert taken == [[result(number) for number in range(len(each))] for each in sizes]
            assert feeds.held_ahead() == sum(each.feed.held for each in made) == 0
        finally:
            feeds.close()


class Pair(NamedTuple):
    one: int
    two: str


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**90), 2**90)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class TestPacking:
    def packed(self, result: Any, *, is_due: bool = False) -> tuple[Any, int]:
        """What comes out of a result that had to wait, and how much it held meanwhile.

        With `is_due`, the feed's turn has come, and the result waits for one before it.
        """
        size, began, earlier = 10**6, threading.Event(), threading.Event()
        feeds = Feeds(2, 6 * size)
        made: Future[Feed[Any]] = Future()

        def large() -> Any:
            assert began.wait(5)
            made.result(5).hold(size)
            return result

        feed: Feed[Any] = feeds.feed([partial(earlier.wait, 5), large])
        made.set_result(feed)
        with ThreadPoolExecutor(1) as taker:
            if is_due:
                taking = taker.submit(list, feed)
                until(lambda: feeds.current is feed)
                time.sleep(0.001)
            began.set()
            until(lambda: feed.held not in {0, 6 * size})
            waiting = feed.held
            earlier.set()
            return (taking.result(5) if is_due else list(feed))[-1], waiting

    @given(
        rows=st.lists(st.dictionaries(st.text(), json_values, max_size=5), max_size=5),
        is_due=st.booleans(),
    )
    @hypothesis_settings(max_examples=80)
    def test_keeps_rows_as_they_are(self, rows: list[dict[str, Any]], *, is_due: bool) -> None:
        found, _ = self.packed(rows, is_due=is_due)
        assert repr(found) == repr(rows)  # 1 and 1.0, 0.0 and -0.0 are equal but not the same

    @pytest.mark.parametrize(
        "value",
        [
            *("ä", "\N{GRINNING FACE}", "\x00", "\u2028", '"\\', ""),
            *(2**63 - 1, -(2**63), 2**70, 0.1, 1e300, 5e-324, -0.0, 1.0),
            *(True, None, {"a": [{"b": []}]}),
        ],
        ids=repr,
    )
    def test_keeps_this_value(self, value: Any) -> None:
        found, _ = self.packed([{"value": value}])
        assert repr(found) == repr([{"value": value}])

    def test_makes_rows_that_wait_small(self) -> None:
        rows = [{"id": number, "text": "the same in each row"} for number in range(500)]
        found, held = self.packed(rows)
        assert found == rows
        assert held < 500 * 20

    def test_is_quick_where_the_turn_has_come(self) -> None:
        rows = [{"id": number} for number in range(500)]
        found, held = self.packed(rows, is_due=True)
        assert found == rows
        assert held == len(json.dumps(rows, separators=(",", ":")))

    @pytest.mark.parametrize(
        "result", [None, 7, Pair(1, "a"), ("a", 1), {"a": (1,)}, OSError("a"), b"a"], ids=repr
    )
    def test_leaves_anything_but_lists_alone(self, result: Any, make: MakeFeeds) -> None:
        feeds = make(2)
        waiting = Receiving(feeds, [[100]] * 2, result=lambda _: result)
        until(lambda: len(waiting.ended) == 2)
        assert all(each is result for each in waiting.feed)

    def test_leaves_rows_alone_whose_turn_has_come_while_there_is_room(
        self, make: MakeFeeds
    ) -> None:
        rows = [{"at": (1, 2)}]  # a list, once it was packed
        gate = threading.Event()
        feeds = make(1)
        made: Future[Feed[Any]] = Future()

        def unit() -> Any:
            assert gate.wait(5)
            made.result(5).hold(100)
            return rows

        feed: Feed[Any] = feeds.feed([partial(after, 0, 0), unit])
        made.set_result(feed)
        assert next(feed) == 0
        gate.set()
        assert next(feed) is rows
