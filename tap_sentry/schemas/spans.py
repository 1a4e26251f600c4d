"""Spans as the Explore table gives them.

One query may name 20 fields; these are the 20 (sentry-api: "You can view up to 20 fields").
https://docs.sentry.io/product/explore/trace-explorer/
"""

from __future__ import annotations

from tap_sentry.schemas.types import (
    BOOLEAN,
    DATETIME,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    described,
    record,
)

SPAN_FIELDS = {
    "id": described(STRING, "16 hexadecimal digits, unique within a trace."),
    "trace": described(STRING, "32 hexadecimal digits."),
    "project.id": INTEGER,
    "parent_span": STRING,
    "transaction.span_id": described(STRING, "Root of the segment, the service's own part."),
    "is_transaction": described(BOOLEAN, "True for the root of a segment."),
    "timestamp": described(DATETIME, "Start of the span, in whole seconds."),
    "precise.start_ts": described(NUMBER, "Start of the span, epoch seconds with fraction."),
    "received": described(NUMBER, "When Sentry took the span in, epoch seconds."),
    "span.duration": described(NUMBER, "Milliseconds."),
    "span.self_time": described(NUMBER, "Milliseconds not covered by children."),
    "span.op": STRING,
    "span.description": STRING,
    "span.status": STRING,
    "http.response_status_code": STRING,
    "transaction": STRING,
    "release": STRING,
    "environment": STRING,
    "user.id": STRING,
    "sampling_rate": described(
        NUMBER, "Share of spans that SDK and server kept; 1 / this is the weight."
    ),
}

SPAN = record(
    {
        **SPAN_FIELDS,
        "sample_weight": described(
            NUMBER, "Traces that this row's trace stands for; 1 without sampling."
        ),
        "attributes": described(OBJECT, "The setting `span_attributes`: values by name."),
        "dataScanned": described(
            STRING, "`partial` where Sentry gave a sample of the spans, otherwise `full`."
        ),
    },
    keys=("project.id", "trace", "id"),
)
