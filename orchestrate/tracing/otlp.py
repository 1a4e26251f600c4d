"""Spans and log lines as OTLP over HTTP, by OpenTelemetry's SDK and its exporters.

The exporter says of a failed request only that it failed, takes a redirect for success, never
looks at what the collector rejected, and repeats a refused connection for seconds. So it is given
a session of ours, which its constructor allows.

A run is sampled as a whole, by OTEL_TRACES_SAMPLER, which keeps all unless told otherwise; the
stock samplers go by the trace id, so that live mode and a later delivery decide alike. The flag in
a caller's TRACEPARENT does not hold a run back: runs are few, and each is worth its trace.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExportResult

from orchestrate.ledger.model import LogEvent
from orchestrate.tracing.encoding import SCOPE, Tracer, log
from orchestrate.tracing.model import Span
from orchestrate.tracing.settings import TRACES, Target

# The SDK's 128 are fewer than a large mart's parents may be, and the retries of a bad hour.
_MOST = {"OTEL_SPAN_LINK_COUNT_LIMIT": 1024, "OTEL_SPAN_EVENT_COUNT_LIMIT": 1024}
_AT_ONCE = 512  # spans or lines in one request, as the SDK's own batches
_BYTES_AT_ONCE = 2_000_000  # collectors and those behind them refuse 4 MB, as a rule

Item = TypeVar("Item")


class NotSent(Exception):
    """A request came to nothing; the message says what happened, after the endpoint's name.

    `about_content` is true where the same words would be refused again, and others may not be.
    """

    def __init__(self, message: str, *, about_content: bool = False) -> None:
        super().__init__(message)
        self.about_content = about_content


class Sender:
    """A connection to one collector for one kind; call `close` at the end.

    What is said of the resource is sent as it is given: the SDK would add a random instance, that
    of the process which sends.

    Raises:
        NotSent: If a setting of OpenTelemetry is not usable.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session = _Session()
        self._tracers: dict[Resource, Tracer] = {}
        exporter = OTLPSpanExporter if target.kind == TRACES else OTLPLogExporter
        with _silence():
            try:
                self._exporter: Any = exporter(
                    endpoint=target.endpoint, timeout=target.timeout_s, session=self._session
                )
                self._sampler = TracerProvider(shutdown_on_exit=False).sampler
                links, events = (
                    None if name in os.environ else most for name, most in _MOST.items()
                )
                self._limits = SpanLimits(max_links=links, max_events=events)
            except (OSError, RuntimeError, ValueError) as error:
                raise NotSent(f"cannot be used: {error}") from error

    def close(self) -> None:
        with _silence():
            self._exporter.shutdown()

    def wants(self, trace_id: str) -> bool:
        """Whether a trace is in the sample: the same answer for each of its spans."""
        with _silence():
            decision = self._sampler.should_sample(None, int(trace_id, 16), SCOPE).decision
        return decision is not sampling.Decision.DROP

    def spans(self, resource: Mapping[str, Any], spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
        """Send spans; each part that has arrived is given back before the next one is sent.

        Raises:
            NotSent: If a part has not arrived. Parts before it have.
        """
        with _silence():
            described = Resource(resource)
            if described not in self._tracers:
                self._tracers[described] = Tracer(described, self._limits)
            tracer = self._tracers[described]
        for part in _parts(spans, _size):
            with _silence():
                self._send([tracer.told(span) for span in part], SpanExportResult.SUCCESS)
            yield part

    def logs(
        self, resource: Mapping[str, Any], trace_id: str, lines: Sequence[tuple[LogEvent, str]]
    ) -> None:
        """Send log lines, each with the id of the span that it belongs to.

        Raises:
            NotSent: If it has not arrived as a whole: lines before a failed part are sent again.
        """
        with _silence():
            described = Resource(resource)
            for part in _parts(lines, lambda line: _size(line[0])):
                self._send(
                    [log(described, trace_id, *line) for line in part],
                    LogRecordExportResult.SUCCESS,
                )

    @property
    def rejected(self) -> tuple[int, str]:
        """How many a collector took no part of, though it said yes, and its reason."""
        return self._session.rejected, self._session.reason

    def _send(self, items: Sequence[Any], success: object) -> None:
        self._session.begin(self.target)
        if self._exporter.export(items) is not success:
            raise self._session.failure or NotSent(
                "was not asked: OpenTelemetry could make no request of it", about_content=True
            )


def _size(item: Span | LogEvent) -> int:
    return len(repr(item).encode())  # OTLP's bytes are not more


def _parts(items: Sequence[Item], size: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
    """The items in their order, as many as one request takes; one that is too large is alone."""
    part: list[Item] = []
    room = _BYTES_AT_ONCE
    for item in items:
        room -= size(item)
        if part and (room < 0 or len(part) == _AT_ONCE):
            yield part
            part, room = [], _BYTES_AT_ONCE - size(item)
        part.append(item)
    if part:
        yield part


class _Session(requests.Session):
    """Remembers what became of the last request, and lets none be repeated without hope."""

    failure: NotSent | None = None
    rejected = 0
    reason = ""
    _target: Target

    def begin(self, target: Target) -> None:
        self._target = target
        self.failure = None

    def request(self, *args: Any, **named: Any) -> requests.Response:
        if self.verify is not True:
            # Else REQUESTS_CA_BUNDLE would go before OTEL_EXPORTER_OTLP_CERTIFICATE.
            named["verify"] = self.verify
        try:
            response = super().request(*args, **named)
        except OSError as error:  # each of `requests`, and a file of certificates that is missing
            self._fail(_unreachable(error, self._target))
        status = response.status_code
        if 300 <= status < 400:
            self._fail(NotSent(f"answered {status}, a redirect. Name the place it leads to"))
        if status >= 400:
            # Those that may be repeated are, by the exporter, as long as its timeout lasts.
            self.failure = NotSent(_ANSWERS.get(status, f"answered {status}"))
            self.failure.about_content = status in {400, 413, 422}
        else:
            self._hear(response.content)
        return response

    def _fail(self, failure: NotSent) -> NoReturn:
        """The exporter repeats what `requests` raises, for seconds, and nothing else."""
        self.failure = failure
        raise failure

    def _hear(self, content: bytes) -> None:
        """What a collector took in part must not be sent again; but it is to be said."""
        answer: Any
        try:
            if self._target.kind == TRACES:
                answer = ExportTraceServiceResponse.FromString(content).partial_success
                rejected = answer.rejected_spans
            else:
                answer = ExportLogsServiceResponse.FromString(content).partial_success
                rejected = answer.rejected_log_records
        except DecodeError:  # some answer in JSON or in words
            return
        if rejected:
            self.rejected += rejected
            self.reason = " ".join(answer.error_message.split())


_ANSWERS = {
    400: "answered 400: it did not understand the request",
    401: "answered 401. Check OTEL_EXPORTER_OTLP_HEADERS: the key is missing or wrong",
    403: "answered 403. Check OTEL_EXPORTER_OTLP_HEADERS: the key may not write there",
    404: "answered 404. Check the path: /v1/traces or /v1/logs stands behind an endpoint for all",
    413: "answered 413: the request is too large for it. Raise its limit",
    429: "answered 429: it takes no more at present",
    503: "answered 503: it takes nothing at present",
}


# The first that an error is one of: kinds of ConnectionError go before it.
_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (requests.Timeout, "gave no answer within {0.timeout_s:g} s"),
    (requests.exceptions.SSLError, "is not trusted. See OTEL_EXPORTER_OTLP_CERTIFICATE"),
    (requests.exceptions.ProxyError, "is behind a proxy that fails. See HTTPS_PROXY and NO_PROXY"),
    (
        requests.ConnectionError,
        "cannot be reached. Start the collector, or correct {0.variable}",
    ),
    (
        requests.exceptions.InvalidHeader,
        "was not asked. Check OTEL_EXPORTER_OTLP_HEADERS: one of them can't be sent",
    ),
    (ValueError, "is no usable address. Write http://host:4318 into {0.variable}"),
    (requests.RequestException, "broke off its answer"),
    (
        OSError,
        "was not asked: a file of certificates is missing. See OTEL_EXPORTER_OTLP_CERTIFICATE, "
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and REQUESTS_CA_BUNDLE",
    ),
)


def _unreachable(error: OSError, target: Target) -> NotSent:
    """What happened, in words that hold neither header nor query: `requests` quotes the URL."""
    words = next(words for kind, words in _ERRORS if isinstance(error, kind))
    return NotSent(words.format(target))


@contextmanager
def _silence() -> Iterator[None]:
    """What the SDK would log, tracebacks among it, reaches nobody: we say it in one line."""
    logger = logging.getLogger("opentelemetry")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler := logging.NullHandler())
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
