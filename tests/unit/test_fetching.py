from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tap_sentry.fetching import in_order


def after(seconds: float, value: int) -> int:
    time.sleep(seconds)
    return value


def failing() -> int:
    raise OSError("lost")


class Drawn:
    """Units that note how many were drawn."""

    def __init__(self, unit: Callable[[int], int], count: int | None = None) -> None:
        self.count = 0
        self._unit = unit
        self._numbers = itertools.count() if count is None else iter(range(count))

    def __iter__(self) -> Iterator[Callable[[], int]]:
        for number in self._numbers:
            self.count += 1
            yield partial(self._unit, number)


class TestOrder:
    @given(st.lists(st.sampled_from([0.0, 0.0005, 0.002]), max_size=15), st.integers(1, 5))
    @hypothesis_settings(max_examples=25)
    def test_is_kept_whatever_each_takes(self, durations: list[float], workers: int) -> None:
        units = [partial(after, seconds, n) for n, seconds in enumerate(durations)]
        assert list(in_order(units, workers=workers)) == list(range(len(durations)))

    def test_is_kept_when_the_last_is_ready_first(self) -> None:
        gates = [threading.Event() for _ in range(4)]

        def unit(number: int) -> int:
            if number + 1 < len(gates):
                assert gates[number + 1].wait(5)
            gates[number].set()
            return number

        units = [partial(unit, number) for number in range(4)]
        assert list(in_order(units, workers=4)) == [0, 1, 2, 3]

    def test_of_nothing_is_nothing(self) -> None:
        assert list(in_order([], workers=3)) == []

    def test_keeps_none_as_a_result(self) -> None:
        assert list(in_order([lambda: None, lambda: None], workers=1)) == [None, None]


class TestAhead:
    @pytest.mark.parametrize("workers", [1, 3])
    def test_are_drawn_two_per_worker_at_most(self, workers: int) -> None:
        units = Drawn(lambda number: number)
        results = in_order(units, workers=workers)
        for delivered in range(1, 20):
            next(results)
            assert units.count - delivered <= 2 * workers
        results.close()

    def test_is_nothing_before_the_first_is_asked_for(self) -> None:
        units = Drawn(lambda number: number)
        in_order(units, workers=2)
        assert units.count == 0

    def test_run_as_many_as_there_are_workers(self) -> None:
        all_at_work = threading.Barrier(4, timeout=5)

        def unit(number: int) -> int:
            all_at_work.wait()
            return number

        assert list(in_order(Drawn(unit, 4), workers=4)) == [0, 1, 2, 3]

    def test_never_run_more_than_there_are_workers(self) -> None:
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

        list(in_order(Drawn(unit, 20), workers=3))
        assert most == 3

    def test_are_drawn_in_the_callers_thread(self) -> None:
        threads = set()

        def units() -> Iterator[Callable[[], int]]:
            for number in range(10):
                threads.add(threading.get_ident())
                yield partial(after, 0, number)

        list(in_order(units(), workers=3))
        assert threads == {threading.get_ident()}


class TestFailure:
    def test_comes_in_its_turn_after_all_earlier_results(self) -> None:
        units: list[Callable[[], int]] = [
            partial(after, 0.01, 0),
            partial(after, 0.005, 1),
            failing,
            partial(after, 0, 3),
        ]
        results = in_order(units, workers=4)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(OSError, match="lost"):
            next(results)

    def test_ends_the_results(self) -> None:
        units: list[Callable[[], int]] = [failing, partial(after, 0, 1)]
        results = in_order(units, workers=1)
        with pytest.raises(OSError, match="lost"):
            next(results)
        assert list(results) == []

    def test_drops_what_was_not_begun(self) -> None:
        began = []
        gate = threading.Event()

        def unit(number: int) -> int:
            began.append(number)
            if number == 0:
                return failing()
            assert gate.wait(5)
            return number

        units = Drawn(unit)
        with pytest.raises(OSError, match="lost"):
            list(in_order(units, workers=1))
        gate.set()
        join_workers()
        assert units.count == 2
        assert set(began) <= {0, 1}

    def test_of_drawing_comes_after_what_was_drawn_before(self) -> None:
        def units() -> Iterator[Callable[[], int]]:
            for number in range(5):
                yield partial(after, 0, number)
            raise OSError("lost")

        results = in_order(units(), workers=2)
        assert list(itertools.islice(results, 5)) == [0, 1, 2, 3, 4]
        with pytest.raises(OSError, match="lost"):
            next(results)


class TestClosing:
    def test_early_stops_the_drawing_and_the_threads(self) -> None:
        units = Drawn(partial(after, 0.001))
        results = in_order(units, workers=2)
        assert next(results) == 0
        results.close()
        join_workers()
        assert units.count == 5

    def test_early_does_not_wait_for_what_is_under_way(self) -> None:
        gate = threading.Event()

        def unit(number: int) -> int:
            assert number == 0 or gate.wait(5)
            return number

        results = in_order(Drawn(unit), workers=2)
        next(results)
        began = time.monotonic()
        results.close()
        assert time.monotonic() - began < 1
        gate.set()
        join_workers()

    def test_at_the_end_leaves_no_thread(self) -> None:
        list(in_order(Drawn(lambda number: number, 10), workers=4))
        join_workers()


@pytest.fixture(autouse=True)
def threads_of_others() -> None:
    """Tests that ran before in this process may have left a pool to the garbage collector."""
    _of_others.clear()
    _of_others.update(threading.enumerate())


_of_others: set[threading.Thread] = set()


def join_workers() -> None:
    """Wait for the end of all threads that this test began; fail if one stays."""
    for thread in set(threading.enumerate()) - _of_others:
        thread.join(5)
        assert not thread.is_alive()
