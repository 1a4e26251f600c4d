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
    "monitors": ("monitor.json",),
    "monitor_checkins": ("monitor-checkins.json",),
    "issue_detail": ("issue.json", "csp-issue.json"),
    "release_commits": ("release-commits.json",),
    "release_deploys": ("release-deploys.json",),
}

OF_NO_STREAM = {
    "organization.json": "says where an organization lives, and little else; see test_captures",
    "events-errors.json": "counts of errors by issue, which no stream reads",
    "tags.json": "names of tags, which no stream reads",
}

_OF_A_RELEASE = {"version": "cf-mcp@1.0.0, build 7", "changedAt": "2025-04-14T02:00:00Z"}
# What the tap adds to the rows of a parent, or asks for: the recorded query of spans asked for the
# project's slug only, the tap asks for its id, a key of spans.
_ADDED: dict[str, dict[str, Any]] = {
    "spans": {"project.id": 4509062593708032},
    "monitor_checkins": {"monitorId": "4509100000000001", "monitorSlug": "nightly-import"},
    "release_commits": _OF_A_RELEASE,
    "release_deploys": _OF_A_RELEASE,
}


def read(file: str) -> Any:
    """The body of a captured answer."""
    return json.loads((CAPTURES / file).read_text(encoding="utf-8"))


def records_by_stream() -> dict[str, list[dict[str, Any]]]:
    """The captured rows of each stream, as Sentry sent them."""
    return {
        stream: [{**row, **_ADDED.get(stream, {})} for file in files for row in _rows(read(file))]
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
