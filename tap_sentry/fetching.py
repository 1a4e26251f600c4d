"""Work of all streams fetched ahead at once, handed over stream by stream in the order asked for.

The SDK asks one stream after the other, and Sentry limits each family of endpoints apart. So every
stream gets a feed, whose threads fetch while other streams are being written. What waits is packed
and bounded: a feed whose turn has come may hold so much, all that are still to come together as
much again. The unit that is waited for never stands still, so that no bound ends in a deadlock.
"""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

import msgspec

T = TypeVar("T")

_MOST_BYTES = 48 * 1024 * 1024
# A body of JSON takes about so many times its length as Python objects.
_OBJECTS_PER_TEXT = 6
# Units drawn ahead; what they bring is bounded by bytes, this bounds their number.
_MOST_UNITS = 500


class Cancelled(Exception):
    """Nobody wants what this thread fetches any more."""


class _Packed(bytes):
    """Rows as JSON, compressed or not."""


class Feeds:
    """All feeds of a run, and the memory that they share.

    Args:
        workers: Threads of each feed.
        most_bytes: What the feed whose turn it is may hold, and all others together as well.
    """

    def __init__(self, workers: int, most_bytes: int = _MOST_BYTES) -> None:
        self.workers = workers
        self.most_bytes = most_bytes
        self.changed = threading.Condition()
        self.current: Feed[Any] | None = None
        self._feeds: list[Feed[Any]] = []

    def feed(self, units: Iterable[Callable[[], T]]) -> Feed[T]:
        """A feed of the results of these units, which begins at once."""
        made = Feed(units, self)
        self._feeds.append(made)
        return made

    def held_ahead(self) -> int:
        """Bytes held by the feeds whose turn is still to come; to be asked under `changed`."""
        return sum(feed.held for feed in self._feeds if feed is not self.current)

    def close(self) -> None:
        """End all feeds."""
        for feed in self._feeds:
            feed.close()
        self._feeds.clear()


class Feed(Generic[T]):
    """The results of units in their order, each fetched by a thread.

    Units are drawn in a thread of its own. The first unit that fails, or an error of drawing one,
    raises when its turn comes.
    """

    def __init__(self, units: Iterable[Callable[[], T]], feeds: Feeds) -> None:
        self.held = 0
        self._feeds = feeds
        self._taken = 0
        self._is_closed = False
        self._is_waited_for = False
        self._running = threading.local()
        self._places = threading.Semaphore(_MOST_UNITS)
        self._results: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(feeds.workers, thread_name_prefix="fetch")
        threading.Thread(target=self._draw, args=(iter(units),), name="draw", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._is_closed:
            raise StopIteration
        feeds = self._feeds
        if feeds.current is not self:
            with feeds.changed:
                feeds.current = self
                feeds.changed.notify_all()
        future = self._results.get()
        if future is None:
            self.close()
            raise StopIteration
        self._is_waited_for = not future.done()
        try:
            result, held = future.result()
        except BaseException:
            self.close()
            raise
        self._is_waited_for = False
        with feeds.changed:
            self._taken += 1
            self.held -= held
            feeds.changed.notify_all()
        self._places.release()
        if isinstance(result, _Packed):
            text = result if result[:1] == b"[" else zlib.decompress(result)
            result = msgspec.json.decode(text)
        return cast("T", result)

    def hold(self, text_bytes: int) -> None:
        """A unit of this feed has received so much; it waits here until there is room for more.

        Raises:
            Cancelled: If the feed was closed.
        """
        number = getattr(self._running, "number", None)
        if number is None:
            return  # not in a unit: drawing, or asking in the main thread
        size = _OBJECTS_PER_TEXT * text_bytes
        self._running.held += size
        with self._feeds.changed:
            if self._is_closed:
                raise Cancelled
            self.held += size
            while not self._has_room(number):
                self._feeds.changed.wait()
            if self._is_closed:
                raise Cancelled

    def close(self) -> None:
        """Drop what is not yet fetched."""
        with self._feeds.changed:
            self._is_closed = True
            self.held = 0
            self._feeds.changed.notify_all()
        self._places.release()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _has_room(self, number: int) -> bool:
        if self._is_closed:
            return True
        if self is self._feeds.current:
            return number == self._taken or self.held <= self._feeds.most_bytes
        return self._feeds.held_ahead() <= self._feeds.most_bytes

    def _draw(self, units: Iterator[Callable[[], T]]) -> None:
        try:
            for number, unit in enumerate(units):
                self._places.acquire()
                if self._is_closed:
                    return
                self._results.put(self._pool.submit(self._run, number, unit))
        except Exception as error:  # noqa: BLE001 - raised where the units' results are taken
            failed: Future[Any] = Future()
            failed.set_exception(error)
            self._results.put(failed)
        finally:
            self._results.put(None)

    def _run(self, number: int, unit: Callable[[], T]) -> tuple[T | _Packed, int]:
        """A unit's result, packed if it has to wait, and the bytes that it holds."""
        self._running.number, self._running.held = number, 0
        try:
            result: T | _Packed = unit()
        finally:
            held = self._running.held
            self._running.number = None
        is_current = self is self._feeds.current
        # A main thread that is busy writing would only be slowed by packing.
        is_due = is_current and (not self._is_waited_for or self.held < self._feeds.most_bytes / 2)
        if held and isinstance(result, list) and not is_due:
            text = msgspec.json.encode(result)
            # Compressed where it will wait for long.
            result = _Packed(text if is_current else zlib.compress(text, 1))
            with self._feeds.changed:
                if not self._is_closed:
                    self.held += len(result) - held
                self._feeds.changed.notify_all()
            held = len(result)
        return result, held
