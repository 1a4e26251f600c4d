"""A span as this project means it, before any library's form of it."""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Kind(str, enum.Enum):
    """https://opentelemetry.io/docs/specs/otel/trace/api/#spankind"""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Status(str, enum.Enum):
    """https://opentelemetry.io/docs/specs/otel/trace/api/#set-status"""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """From a span to one that it follows from, in this trace or another. Ids are hexadecimal."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something at one instant of a span."""

    name: str
    at_us: int
    attributes: dict[str, Any]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Work from one instant to another. Ids are hexadecimal: 32 digits of a trace, 16 of a span."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: Kind = Kind.INTERNAL
    started_us: int
    ended_us: int
    status: Status = Status.UNSET
    status_message: str = ""
    attributes: dict[str, Any] = {}
    events: list[Event] = []
    links: list[Link] = []
