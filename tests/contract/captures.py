"""Real-looking answers of Sentry, and the streams they belong to.

They lie beside the repository, not in it, under their own licence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.contract.openapi import SHARED

CAPTURES = SHARED / "captures"

needs_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason=f"answers of Sentry are not at {CAPTURES}; CI has them"
)

FILES = {
    "projects": ("project.json",),
    "issues": ("issue.json", "csp-issue.json"),
    "events": ("event.json", "csp-event.json", "default-event.json"),
    "spans": ("events-spans.json",),
    "teams": ("team.json",),
    "releases": ("release.json",),
    "release": ("release.json",),
}

OF_NO_STREAM = {
    "organization.json": "says where an organization lives; see test_captures",
    "events-errors.json": "counts of errors by issue, which no stream reads",
    "monitor.json": "monitors are no stream yet",
    "monitor-checkins.json": "check-ins are no stream yet",
    "release-commits.json": "commits are no stream yet",
    "release-deploys.json": "deploys are no stream yet",
    "tags.json": "names of tags, which no stream reads",
}

# The recorded query asked for the project's slug only; the tap asks for its id, a key of spans.
_ASKED_FOR_TOO: dict[str, dict[str, Any]] = {"spans": {"project.id": 4509062593708032}}


def read(file: str) -> Any:
    """The body of a captured answer."""
    return json.loads((CAPTURES / file).read_text(encoding="utf-8"))


def records_by_stream() -> dict[str, list[dict[str, Any]]]:
    """The captured rows of each stream, as Sentry sent them."""
    return {
        stream: [
            {**row, **_ASKED_FOR_TOO.get(stream, {})} for file in files for row in _rows(read(file))
        ]
        for stream, files in FILES.items()
    }


def complaints(schema: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """What JSON Schema says against a record, its date-times included."""
    validator = jsonschema.Draft7Validator(schema, format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(record)]


def _rows(body: Any) -> list[dict[str, Any]]:
    # `data` of a release is an object, of Explore the list of rows.
    if isinstance(body, dict):
        return body["data"] if isinstance(body.get("data"), list) else [body]
    return list(body)


_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_utc(value: object) -> bool:
    """The one form of the tap: UTC, six decimals, a Z."""
    return not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z"))
