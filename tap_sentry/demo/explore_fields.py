"""The columns that Explore knows of spans and of errors, with their types and units."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tap_sentry.demo import event_rows
from tap_sentry.demo.catalogue import family
from tap_sentry.demo.dates import with_offset
from tap_sentry.demo.events import Event
from tap_sentry.demo.organization_rows import secret
from tap_sentry.demo.spans import Span

Getter = Callable[[Any], Any]

_SDKS = {
    "python": ("sentry.python", "2.44.0"),
    "go": ("sentry.go", "0.36.2"),
    "javascript": ("sentry.javascript", "10.22.0"),
}
_CATEGORIES = {"cache.get": "cache", "queue.publish": "queue", "queue.process": "queue"}
_KINDS = {"http.server": "server", "http.client": "client", "db": "client",
          "queue.publish": "producer", "queue.process": "consumer"}  # fmt: skip


def _language(span: Span) -> str:
    return family(span.transaction.project.platform)


def _reported_user(span: Span) -> Any:
    """Only segment roots know the user, as SDKs set it on the transaction."""
    return span.transaction.trace.user if span.is_transaction else None


def _user_part(name: str) -> Getter:
    return lambda span: getattr(_reported_user(span), name, None)


def _span_user(span: Span) -> str | None:
    person = _reported_user(span)
    return f"id:{person.id}" if person else None


def _status_code(span: Span) -> str | None:
    return str(span.http_code) if span.http_code else None


def _method(span: Span) -> str | None:
    words = span.transaction.name.split(" ")
    return words[0] if len(words) > 1 else None


def _category(span: Span) -> str:
    return _CATEGORIES.get(span.op, span.op.split(".")[0])


def _browser(span: Span) -> str | None:
    if span.transaction.project.slug != "storefront":
        return None
    return ("Chrome", "Firefox", "Safari", "Edge")[int(span.transaction.trace.id[-2:], 16) % 4]


def _device(span: Span) -> str | None:
    if span.transaction.project.slug != "mobile-app":
        return None
    return ("iPhone", "Pixel 9", "Galaxy S26")[int(span.transaction.trace.id[-2:], 16) % 3]


def _system(span: Span) -> str | None:
    names = {
        "storefront": ("Windows", "macOS", "Linux"),
        "mobile-app": ("iOS", "Android", "Android"),
    }.get(span.transaction.project.slug)
    return names[int(span.transaction.trace.id[-2:], 16) % 3] if names else None


def _of_buyers(span: Span, value: Any) -> Any:
    """Custom attributes exist on the segments of the checkout only."""
    bought = span.is_transaction and span.transaction.project.slug == "checkout-api"
    return value if bought else None


# Custom attributes, by the type in which they were sent.
_SPAN_TAGS: Mapping[tuple[str, str], Getter] = {
    ("cart.items", "number"): lambda s: _of_buyers(s, float(int(s.id[-2:], 16) % 9 + 1)),
    ("customer.tier", "string"): lambda s: _of_buyers(
        s, ("basic", "plus", "gold")[int(s.id[0], 16) % 3]
    ),
    ("server_name", "string"): lambda s: (
        f"{s.transaction.project.slug}-{int(s.transaction.id[-1], 16) % 4 + 1}"
    ),
}

SPAN_FIELDS: Mapping[str, Getter] = {
    "id": lambda s: s.id,
    "span_id": lambda s: s.id,
    "trace": lambda s: s.transaction.trace.id,
    "parent_span": lambda s: s.parent,
    "transaction.span_id": lambda s: s.transaction.id,
    "transaction.event_id": lambda _: None,
    "is_transaction": lambda s: s.is_transaction,
    "timestamp": lambda s: with_offset(s.started),
    "precise.start_ts": lambda s: s.started,
    "precise.finish_ts": lambda s: round(s.started + s.duration / 1000, 6),
    "received": lambda s: s.received,
    "span.duration": lambda s: s.duration,
    "span.self_time": lambda s: s.self_time,
    "span.op": lambda s: s.op,
    "span.description": lambda s: s.description,
    "span.name": lambda s: s.description,
    "sentry.normalized_description": lambda s: s.description,
    "span.category": _category,
    "span.status": lambda s: s.status,
    "trace.status": lambda s: s.transaction.status,
    "span.kind": lambda s: _KINDS.get(s.op),
    "span.group": lambda s: secret(s.description)[:16],
    "span.status_code": _status_code,
    "http.response_status_code": _status_code,
    "cache.hit": lambda s: int(s.id[-1], 16) < 12 if s.op == "cache.get" else None,
    "transaction": lambda s: s.transaction.name,
    "transaction.op": lambda s: s.transaction.op,
    "transaction.method": _method,
    "release": lambda s: s.transaction.release,
    "environment": lambda s: s.transaction.trace.environment,
    "platform": _language,
    "sdk.name": lambda s: _SDKS[_language(s)][0],
    "sdk.version": lambda s: _SDKS[_language(s)][1],
    "origin": lambda s: "manual" if s.op == "ui.react.render" else f"auto.{_category(s)}",
    "project": lambda s: s.transaction.project.slug,
    "project.name": lambda s: s.transaction.project.slug,
    "project.slug": lambda s: s.transaction.project.slug,
    "project.id": lambda s: int(s.transaction.project.id),
    "project_id": lambda s: int(s.transaction.project.id),
    "user": _span_user,
    "user.id": _user_part("id"),
    "user.email": _user_part("email"),
    "user.username": _user_part("username"),
    "user.ip": _user_part("ip_address"),
    "user.geo.country_code": _user_part("country"),
    "browser.name": _browser,
    "device.family": _device,
    "os.name": _system,
    "client_sample_rate": lambda s: s.transaction.trace.sample_rate,
    "server_sample_rate": lambda _: 1.0,
    "sampling_rate": lambda s: s.transaction.trace.sample_rate,
    "sentry.sampling_factor": lambda s: s.transaction.trace.sample_rate,
    "sentry.sampling_weight": lambda s: 1 / s.transaction.trace.sample_rate,
}


def _event_user(name: str) -> Getter:
    return lambda event: getattr(event.user, name, None)


ERROR_FIELDS: Mapping[str, Getter] = {
    "id": lambda e: e.id,
    "title": lambda e: e.issue.title,
    "message": event_rows.message,
    "issue": lambda e: e.issue.short_id,
    "issue.id": lambda e: int(e.issue.id),
    "event.type": lambda _: "error",
    "error.type": lambda e: [e.issue.type],
    "level": lambda e: e.issue.level,
    "culprit": lambda e: e.issue.culprit,
    "location": event_rows.location,
    "timestamp": lambda e: with_offset(e.timestamp),
    "received": lambda e: with_offset(e.received),
    "trace": event_rows.trace_id,
    "transaction": event_rows.transaction,
    "release": lambda e: e.release,
    "environment": lambda e: e.environment,
    "platform": event_rows.language,
    "project": lambda e: e.issue.project.slug,
    "project.name": lambda e: e.issue.project.slug,
    "project.id": lambda e: int(e.issue.project.id),
    "user": event_rows.user_tag,
    "user.display": _event_user("email"),
    "user.id": _event_user("id"),
    "user.email": _event_user("email"),
    "user.username": _event_user("username"),
    "user.ip": _event_user("ip_address"),
}

_TYPES = {
    "is_transaction": "boolean", "cache.hit": "boolean", "span.duration": "duration",
    "span.self_time": "duration", "precise.start_ts": "number", "precise.finish_ts": "number",
    "received": "number", "client_sample_rate": "number", "server_sample_rate": "number",
    "sampling_rate": "number", "sentry.sampling_factor": "number", "project.id": "integer",
    "sentry.sampling_weight": "number", "project_id": "integer", "issue.id": "integer",
}  # fmt: skip


def value(row: Span | Event, field: str) -> Any:
    """A column of a row; attributes that nobody set are null, as for any name Sentry knows not."""
    known = SPAN_FIELDS if isinstance(row, Span) else ERROR_FIELDS
    getter = known.get(field)
    if getter is not None:
        return getter(row)
    tag = re.fullmatch(r"tags\[([^,\]]+)(?:,\s*(\w+))?\]", field)
    if isinstance(row, Event):
        name = tag[1] if tag else field
        return next((t["value"] for t in event_rows.tags(row) if t["key"] == name), None)
    sent = _SPAN_TAGS.get((tag[1], tag[2] or "string")) if tag else None
    return sent(row) if sent else None


def text(row: Span | Event) -> str:
    """What free text in a query is looked for in."""
    return row.description if isinstance(row, Span) else row.issue.title


def type_and_unit(field: str) -> tuple[str, str | None]:
    """How `meta` describes a column."""
    if field.startswith("count"):
        return "integer", None
    inner = re.fullmatch(r"(\w+)\((.*)\)", field)
    if inner:
        kind, unit = type_and_unit(inner[2]) if inner[2] else ("date", None)
        return ("date" if inner[2] == "timestamp" else kind), unit
    kind = "number" if field.endswith(",number]") else _TYPES.get(field, "string")
    return kind, "millisecond" if kind == "duration" else None
