"""How far a run has come and what it could not read, in lines that a person can read."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

from singer_sdk import metrics

from tap_sentry.client import Retry, SentryClient
from tap_sentry.errors import NotAvailable
from tap_sentry.timestamps import duration_text

logger = logging.getLogger("tap-sentry")

_EVERY_S = 10.0
# A storm of refusals must not fill the log; `http_request_count` counts the others too.
_MOST_RETRIES_TOLD = 200
# Metrics that do not count something.
_TYPES = {
    "bookmark": "gauge",
    "http_retry": "timer",
    "rate_limit_quota": "gauge",
    "rate_limit_wait": "timer",
}
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Progress:
    """Rows and requests of one stream. Threads count requests while the main thread counts rows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self.requests = 0
        self.expected_rows = 0
        self.expected_requests = 0
        self.is_at_work = False
        self._lock = threading.Lock()

    def answered(self) -> None:
        """One more request has its answer."""
        with self._lock:
            self.requests += 1

    def expect(self, rows: int, requests: int) -> None:
        """So many rows are to be written, 0 if nobody can tell, with so many requests."""
        with self._lock:
            self.expected_rows += rows
            self.expected_requests += requests

    @contextmanager
    def running(self) -> Iterator[None]:
        """The stream's rows are written meanwhile."""
        self.is_at_work = True
        try:
            yield
        finally:
            self.is_at_work = False

    def result(self) -> str:
        """The stream in one line once it is over, beside what was expected of it."""
        told = f"{self.name}: {_counted(self.rows, 'row')}, {_counted(self.requests, 'request')}"
        if self.expected_requests:
            rows = f"{_counted(self.expected_rows, 'row')}, " if self.expected_rows else ""
            told += f" (planned: {rows}{_counted(self.expected_requests, 'request')})"
        return told

    def log_metrics(self) -> None:
        """The same for machines; None stands for what nobody has planned."""
        log_metric(
            "stream_request_count",
            self.requests,
            stream=self.name,
            planned_rows=self.expected_rows or None,
            planned_requests=self.expected_requests or None,
        )

    def __str__(self) -> str:
        if self.expected_rows >= max(self.rows, 1):
            return f"{self.name} {self.rows:,} of {_counted(self.expected_rows, 'row')}"
        return f"{self.name} {_counted(self.rows, 'row')}"


@dataclass(frozen=True)
class Skipped:
    """A stream, or one part of it, that Sentry would not give."""

    stream: str
    part: str
    reason: str


class RunReport:
    """Tells a run's progress every ten seconds, and at its end what it needed and skipped.

    Args:
        client: Counts requests, retries and waits, and tells of each retry.
        clock: Seconds that only go forward.
        every_s: Seconds from one line to the next.
    """

    def __init__(
        self,
        client: SentryClient,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = _EVERY_S,
    ) -> None:
        self.skipped: list[Skipped] = []
        self._client = client
        client.on_retry = self._tell_retry
        self._retries = itertools.count()
        self._clock = clock
        self._every_s = every_s
        self._began = clock()
        self._streams: Sequence[Progress] = ()

    @contextmanager
    def telling(self, streams: Sequence[Progress]) -> Iterator[None]:
        """A run of these streams takes place meanwhile, whether it ends well or not."""
        self._streams, self._began = streams, self._clock()
        is_over = threading.Event()

        def tell() -> None:
            while not is_over.wait(self._every_s):
                logger.info("%s", self.so_far())

        threading.Thread(target=tell, name="progress", daemon=True).start()
        try:
            yield
        except BaseException:
            self._tell_result("Sync stopped before its end")
            raise
        else:
            self._tell_result("Sync finished")
        finally:
            is_over.set()

    def skip(self, stream: str, part: str, error: NotAvailable) -> None:
        """Note that a part is left out, and say so at once."""
        self.skipped.append(Skipped(stream, part, str(error)))
        logger.warning("Skipped %s of %s: %s", part, stream, error)

    def so_far(self) -> str:
        """The run in one line: rows, requests, their share of the expected ones, waits."""
        seconds = self._clock() - self._began
        rows = sum(stream.rows for stream in self._streams)
        asked = sum(stream.requests for stream in self._streams)
        expected = sum(max(stream.requests, stream.expected_requests) for stream in self._streams)
        so_long = duration_text(seconds)
        parts = [f"{so_long}: {_counted(rows, 'row')} written, {_counted(asked, 'request')}"]
        if expected > asked:
            share = asked / expected
            parts[0] += f" of about {expected:,} ({share:.0%})"
            if share >= 0.05:  # earlier the first, slow requests weigh too much
                parts.append(f"about {duration_text(seconds * (1 / share - 1))} left")
        parts += [f"now {stream}" for stream in self._streams if stream.is_at_work]
        parts += [
            f"{_counted(number, 'request')} {'waits' if number == 1 else 'wait'} "
            f"{duration_text(wait_s)} for {_limit(reason)}"
            for reason, wait_s, number in self._client.limiter.waits()
            if wait_s >= 1
        ]
        return ", ".join(parts)

    def _tell_retry(self, retry: Retry) -> None:
        if next(self._retries) < _MOST_RETRIES_TOLD:
            log_metric(
                "http_retry",
                round(retry.wait_s, 3),
                endpoint=retry.endpoint,
                reason=retry.reason,
                path=retry.path,
                attempt=retry.attempt,
            )

    def _tell_result(self, outcome: str) -> None:
        client = self._client
        # Copies, since threads may still be asking.
        requests, waited_s = Counter(client.requests), dict(client.limiter.waited_s)
        logger.info(
            "%s after %s: %s (%s), %d retried, held back by limits: %s, %s skipped%s",
            outcome,
            duration_text(self._clock() - self._began),
            _counted(requests.total(), "request"),
            ", ".join(f"{name} {count}" for name, count in sorted(requests.items())),
            client.retries.total(),
            ", ".join(
                f"{_limit(reason)} {duration_text(seconds)}"
                for reason, seconds in sorted(waited_s.items())
                if seconds >= 1
            )
            or "never for a second",
            _counted(len(self.skipped), "part"),
            ": they are listed below" if self.skipped else "",
        )
        for name, count in requests.items():
            answering_s = round(client.limiter.answering_s.get(name, 0.0), 3)
            retries = client.retries[name]
            log_metric(
                "http_request_count",
                count,
                endpoint=name,
                retries=retries,
                answering_seconds=answering_s,
            )
        for name, quota in client.limiter.quotas().items():
            log_metric(
                "rate_limit_quota",
                quota.limit,
                endpoint=name,
                window_seconds=quota.window_s,
                most_used=round(quota.most_used, 4),
            )
        for reason, seconds in waited_s.items():
            if milliseconds := round(seconds * 1000):
                log_metric("rate_limit_wait", milliseconds / 1000, endpoint=reason)
        for skipped in self.skipped:
            logger.warning("Skipped: %s of %s: %s", skipped.part, skipped.stream, skipped.reason)
            log_metric("skipped_count", 1, **vars(skipped))


def log_metric(name: str, value: float, **tags: object) -> None:
    """Log a figure for machines, as the SDK does its own, so that Meltano takes it for one too."""
    # In place of a member of the SDK's list of names, which nobody can add to.
    metric = SimpleNamespace(value=name)
    point = metrics.Point(_TYPES.get(name, "counter"), metric, value, tags)  # type: ignore[arg-type]
    metrics.log(metrics.get_metrics_logger(), point)


def log_trace_context(environment: Mapping[str, str]) -> None:
    """Log what TRACEPARENT says the run is a part of, if it holds a W3C traceparent."""
    traceparent = environment.get("TRACEPARENT", "")
    if _TRACEPARENT.fullmatch(traceparent):
        log_metric("trace_context", 1, traceparent=traceparent)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _limit(reason: str) -> str:
    return "rate_limit" if reason == "rate_limit" else f"Sentry's limit of {reason}"
