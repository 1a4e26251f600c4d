"""Our spans and log lines as OpenTelemetry's SDK has them.

Spans are made through a tracer that is handed our ids and instants, the SDK's public way: its
limits apply, and what they cut off is counted in what is sent.
"""

from __future__ import annotations

from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
    sampling,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from orchestrate.ledger.model import LogEvent
from orchestrate.tracing.model import Kind, Span

SCOPE = "orchestrate.tracing"
_BODY_LIMIT = 100_000  # a longer line would be refused, and the run's other lines with it

_SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warn": SeverityNumber.WARN,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


class _Ids(IdGenerator):
    """Gives out the ids that it was told."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Ended(SpanProcessor):
    """Holds the span that ended last."""

    last: ReadableSpan

    def on_end(self, span: ReadableSpan) -> None:
        self.last = span


class Tracer:
    """Our spans as the SDK's."""

    def __init__(self, resource: Resource, limits: SpanLimits) -> None:
        self._ids = _Ids()
        self._ended = _Ended()
        provider = TracerProvider(
            sampler=sampling.ALWAYS_ON,  # that is decided for a run as a whole
            resource=resource,
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=limits,
        )
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer(SCOPE)

    def told(self, span: Span) -> ReadableSpan:
        self._ids.trace_id, self._ids.span_id = int(span.trace_id, 16), int(span.span_id, 16)
        # What is served was asked for by another process: its span is the parent of such a one.
        remote = span.kind is Kind.SERVER
        started = self._tracer.start_span(
            span.name,
            context=_context(span.trace_id, span.parent_id, remote=remote),
            kind=SpanKind[span.kind.name],
            attributes=span.attributes,
            links=[
                Link(
                    _place(link.trace_id, link.span_id, remote=link.trace_id != span.trace_id),
                    link.attributes,
                )
                for link in span.links
            ],
            start_time=span.started_us * 1000,
        )
        for event in span.events:
            started.add_event(event.name, event.attributes, event.at_us * 1000)
        started.set_status(StatusCode[span.status.name], span.status_message or None)
        started.end(span.ended_us * 1000)
        return self._ended.last


def log(resource: Resource, trace_id: str, event: LogEvent, span_id: str) -> ReadableLogRecord:
    """A line of a run's log, written in the span of that id. Its scope is who wrote it."""
    record = LogRecord(
        timestamp=event.at_us * 1000,
        observed_timestamp=event.at_us * 1000,
        context=_context(trace_id, span_id, remote=False),
        severity_text=event.level,
        severity_number=_SEVERITIES.get(event.level.lower(), SeverityNumber.UNSPECIFIED),
        body=event.text[:_BODY_LIMIT],
    )
    return ReadableLogRecord(record, resource, InstrumentationScope(event.source))


def _context(trace_id: str, span_id: str | None, *, remote: bool) -> Any:
    if span_id is None:
        return set_span_in_context(NonRecordingSpan(SpanContext(0, 0, is_remote=False)))
    return set_span_in_context(NonRecordingSpan(_place(trace_id, span_id, remote=remote)))


def _place(trace_id: str, span_id: str, *, remote: bool) -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=sampled)
