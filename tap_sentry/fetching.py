"""Work fetched ahead by a few threads, handed over in the order it was asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def _drawn(units: Iterator[Callable[[], T]]) -> Iterator[Callable[[], T]]:
    """The units; an error of drawing one becomes a unit that raises it in its turn."""
    try:
        yield from units
    except Exception as error:  # noqa: BLE001
        drawing_error = error

        def fail() -> T:
            raise drawing_error

        yield fail


def in_order(units: Iterable[Callable[[], T]], *, workers: int) -> Generator[T, None, None]:
    """The results of the units, in order; up to two per worker are under way or waiting.

    Units are drawn as places become free, in the caller's thread. The first unit that fails
    raises here when its turn comes; what was not begun by then is dropped.
    """
    units = _drawn(iter(units))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
    waiting: deque[Future[T]] = deque()
    try:
        waiting.extend(pool.submit(unit) for unit in islice(units, 2 * workers))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(unit) for unit in islice(units, 1))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
