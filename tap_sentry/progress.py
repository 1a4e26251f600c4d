"""How far a stream has come, in lines that a person can read."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

logger = logging.getLogger("tap-sentry")

_EVERY_S = 10.0


class Progress:
    """Rows and requests of one stream, told every ten seconds.

    Args:
        name: The stream's.
        requests: The client's count of requests by endpoint, growing.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        name: str,
        requests: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._all_requests = requests
        self._clock = clock
        self._rows = 0
        self._requests = 0
        self._seconds = 0.0
        self._expected: int | None = None
        self._began = self._told = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The stream is at work meanwhile; this may happen again for each partition."""
        self._began = self._clock()
        self._told = self._told or self._began
        requests = self._all_requests.total()
        try:
            yield
        finally:
            self._requests += self._all_requests.total() - requests
            self._seconds += self._clock() - self._began

    def expect(self, rows: int) -> None:
        """Sentry counts so many rows in what is to be read."""
        self._expected = rows
        logger.info("%s: Sentry counts up to %s rows to read", self._name, f"{rows:,}")

    def count(self) -> None:
        """One more row."""
        self._rows += 1
        if self._rows % 100 == 0 and self._clock() - self._told >= _EVERY_S:
            self._told = self._clock()
            logger.info("%s: %s", self._name, self._so_far())

    def log_result(self, misfits: Mapping[str, int]) -> None:
        """The stream's last line, and which columns did not fit their type."""
        if self._told:
            logger.info(
                "%s: done, %s rows, %d requests, %.1f s",
                self._name,
                f"{self._rows:,}",
                self._requests,
                self._seconds,
            )
        for column, count in misfits.items():
            logger.warning(
                "%s: %d values of %s were not of the column's type and are null",
                self._name,
                count,
                column,
            )

    def _so_far(self) -> str:
        seconds = self._seconds + self._clock() - self._began
        if not self._expected or self._rows > self._expected:
            return f"{self._rows:,} rows, {seconds:.0f} s"
        share = 100 * self._rows / self._expected
        so_far = f"{self._rows:,} of {self._expected:,} rows ({share:.0f} %)"
        if share < 5:  # too early: the first requests wait for the ones before them
            return so_far
        return f"{so_far}, about {seconds * (self._expected / self._rows - 1):.0f} s left"
