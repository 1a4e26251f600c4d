"""Ids of traces and spans: functions of what they name, so that telling twice gives the same.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"00-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
)


class Parent(NamedTuple):
    """A span elsewhere: 32 and 16 hexadecimal digits."""

    trace_id: str
    span_id: str


def parent(traceparent: str | None) -> Parent | None:
    """The span that a TRACEPARENT names; None if it is missing or malformed."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return Parent(found["trace"], found["span"]) if found else None


def trace_id(run_id: str) -> str:
    """The trace of a run that nobody else began: the 128 bits of its id, where it is a UUID."""
    digits = run_id.replace("-", "").lower()
    if re.fullmatch(r"(?!0{32})[0-9a-f]{32}", digits):
        return digits
    return hashlib.sha256(run_id.encode()).hexdigest()[:32]


def span_id(trace_id: str, *names: object) -> str:
    """16 hexadecimal digits for what the names say within a trace.

    A run is named by its id, a step by that, `step` and its position, a stream by those, `stream`
    and its name; a dbt invocation by `dbt` and its id, its reading of the project by those and
    `parse`, a node by those and its unique id, and its phases by those and `compile` or `execute`.
    """
    words = " ".join(map(str, (trace_id, *names)))
    return hashlib.sha256(words.encode()).hexdigest()[:16]
