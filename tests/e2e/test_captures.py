"""Answers as Sentry really sends them pass the tap's cleaning, the loader and staging whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tap_sentry.streams.releases import changed_at
from tests.contract.captures import FILES, needs_captures, records_by_stream
from tests.contract.test_captures import stream_named
from tests.plugins import Loaded, Target, record, schema, state
from tests.warehouse import Warehouse

pytestmark = [pytest.mark.slow, needs_captures]

Row = dict[str, Any]

# The fields that name a row, and the columns of staging that do.
KEYS = {
    "projects": {"id": "project_id"},
    "issues": {"id": "issue_id"},
    "events": {"projectID": "project_id", "eventID": "event_id"},
    "spans": {"project.id": "project_id", "trace": "trace_id", "id": "span_id"},
    "teams": {"id": "team_id"},
    "releases": {"version": "release_version"},
    "release": {"id": "release_id"},
}

# The columns of staging that hold a time, and the fields it comes from, the best first.
TIMES: dict[str, dict[str, tuple[str, ...]]] = {
    "projects": {"created_at": ("dateCreated",), "first_event_at": ("firstEvent",)},
    "issues": {
        "first_seen_at": ("firstSeen",),
        "last_seen_at": ("lastSeen",),
        "ignored_until_at": (),
        "full_pass_at": (),
    },
    "events": {"occurred_at": ("dateCreated",), "received_at": ("dateReceived",)},
    "spans": {
        "filed_at": ("timestamp",),
        "started_at": ("precise.start_ts", "timestamp"),
        "received_at": ("received",),
    },
    "teams": {"created_at": ("dateCreated",)},
    "releases": {
        "created_at": ("dateCreated",),
        "released_at": ("dateReleased",),
        "first_event_at": ("firstEvent",),
        "last_event_at": ("lastEvent",),
    },
    "release": {
        "created_at": ("dateCreated",),
        "started_at": ("dateStarted",),
        "released_at": ("dateReleased",),
        "first_event_at": ("firstEvent",),
        "last_event_at": ("lastEvent",),
        "last_deployed_at": (),
        "changed_at": ("changedAt",),
    },
}

# Of the others only what the loader stored is compared.
LOADED_ONLY = [name for name in FILES if name not in TIMES]

# What the captured answers do not show but Sentry sends as well: their first row, changed.
FEEDBACK: Row = {
    "id": "6507376926",
    "shortId": "CLOUDFLARE-MCP-42",
    "title": "User Feedback",
    "culprit": None,
    "type": "generic",
    "issueType": "feedback",
    "issueCategory": "feedback",
    "level": "info",
    "metadata": {"title": "User Feedback", "message": 'It said "no",\nthen 🙈', "source": "widget"},
    "firstSeen": "2025-04-03T23:59:59.999999Z",
    "lastSeen": "2025-04-04T01:30:00.5+02:00",
}
ODD_TAGS = [
    {"key": "browser", "value": None},
    {"key": 'it"s, {odd}', "value": "\\N"},
    {"key": "url", "value": "https://example.com/?a=1,2&b='é'", "query": 'url:"x"'},
    {"key": "empty", "value": ""},
    {"key": "lines", "value": "one\ntwo\r\n\tthree"},
    {"key": "level", "value": "warning"},
    {"key": "level", "value": "error"},
]
ODD_EVENT: Row = {
    "eventID": "7ca573c0f4814912aaa9bdc77d1a7d52",
    "culprit": None,
    "location": None,
    "user": None,
    "tags": ODD_TAGS,
    "dateCreated": "2025-04-08T23:59:59.999999Z",
}
PRECISE_SPAN: Row = {
    "id": "07752c6aeb027c90",
    "span.duration": 0.1234567,
    "span.self_time": "12.5",
    "precise.start_ts": 1744553958.987654,
    "received": 1744553960.000001,
    "http.response_status_code": "200",
    "user.id": "",
}
CHANGED = {"issues": FEEDBACK, "events": ODD_EVENT, "spans": PRECISE_SPAN}


def sent_rows() -> dict[str, list[Row]]:
    """The rows of each stream as the tap gets them from Sentry."""
    rows = records_by_stream()
    for name, fields in CHANGED.items():
        rows[name].append({**rows[name][0], **fields})
    rows["release"] = [{**row, "changedAt": changed_at(row)} for row in rows["release"]]
    return rows


def messages(sent: dict[str, list[Row]]) -> Iterator[Row]:
    """What the tap would write of these rows."""
    for name, rows in sent.items():
        stream = stream_named(name)
        yield schema(name, stream.schema["properties"], stream.primary_keys)
        for row in rows:
            yield record(name, **stream.clean(row))
        yield state(**{name: len(rows)})


def first_of(row: Row, *fields: str) -> Any:
    """The first of these fields that has a value."""
    return next((row[field] for field in fields if row.get(field) is not None), None)


def in_utc(time: str | float | None) -> datetime | None:
    """A time as Sentry wrote it, text or epoch seconds, as a warehouse without zones stores it."""
    if time is None:
        return None
    if isinstance(time, float):
        return datetime(1970, 1, 1) + timedelta(microseconds=round(time * 1_000_000))
    # Python 3.10 reads no Z, and either three or six decimals.
    instant = datetime.fromisoformat(time.replace("Z", "+00:00").replace(".5+", ".500+"))
    return instant.astimezone(timezone.utc).replace(tzinfo=None)


@dataclass(frozen=True)
class Passed:
    """What was sent, how the load ended, and the warehouse that staging was built in."""

    sent: dict[str, list[Row]]
    loaded: Loaded
    statuses: dict[str, str]
    warehouse: Warehouse

    def raw(self, stream: str) -> list[Row]:
        return self.warehouse.rows(f"from sentry.{stream}")

    def staged(self, stream: str) -> list[Row]:
        return self.warehouse.rows(f"from staging.stg_sentry__{stream}")

    def pairs(self, stream: str) -> list[tuple[Row, Row, Row]]:
        """Each row as it was sent, as it was loaded, and as it is in staging."""
        keys = KEYS[stream]
        raw = {tuple(str(row[key.lower()]) for key in keys): row for row in self.raw(stream)}
        staged = {tuple(str(row[key]) for key in keys.values()): row for row in self.staged(stream)}
        sent = {tuple(str(row[key]) for key in keys): row for row in self.sent[stream]}
        assert raw.keys() == staged.keys() == sent.keys()
        return [(row, raw[key], staged[key]) for key, row in sent.items()]

    def only(self, stream: str, changed: Row) -> Row:
        """The row in staging that was sent with these fields."""
        (found,) = (
            staged for sent, _, staged in self.pairs(stream) if changed.items() <= sent.items()
        )
        return found


@pytest.fixture(scope="module")
def passed(
    loader_bin: Path, transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Passed:
    target = Target(loader_bin / "target-duckdb-launcher", tmp_path_factory.mktemp("captures"))
    sent = sent_rows()
    loaded = target.load(messages(sent))
    assert loaded.exit_code == 0, loaded.log
    warehouse = Warehouse(transformer_bin / "dbt", target.warehouse, {})
    # Cautious: tests that ask for a mart too are left out.
    statuses = warehouse.run(
        *("build", "--select", "staging.sentry", "--indirect-selection", "cautious"),
        *("--exclude-resource-type", "unit_test"),
    )
    return Passed(sent, loaded, statuses, warehouse)


@pytest.mark.parametrize("name", KEYS)
class TestEveryStream:
    def test_has_as_many_rows_at_every_stage(self, passed: Passed, name: str) -> None:
        count = len(passed.sent[name])
        assert count > 0
        assert (len(passed.raw(name)), len(passed.staged(name))) == (count, count)

    def test_keeps_its_keys(self, passed: Passed, name: str) -> None:
        assert tuple(KEYS[name]) == stream_named(name).primary_keys
        assert len(passed.pairs(name)) == len(passed.sent[name])

    def test_is_loaded_with_its_times_in_utc(self, passed: Passed, name: str) -> None:
        columns = stream_named(name).schema["properties"].items()
        times = [field for field, column in columns if column.get("format") == "date-time"]
        assert times
        for sent, raw, _ in passed.pairs(name):
            assert {field: raw[field.lower()] for field in times} == {
                field: in_utc(sent.get(field)) for field in times
            }

    def test_is_staged_with_its_times_in_utc(self, passed: Passed, name: str) -> None:
        for sent, _, staged in passed.pairs(name):
            assert {column: staged[column] for column in TIMES[name]} == {
                column: in_utc(first_of(sent, *fields)) for column, fields in TIMES[name].items()
            }

    def test_has_no_other_times_in_staging(self, passed: Passed, name: str) -> None:
        times = {column for column in passed.staged(name)[0] if column.endswith("_at")}
        assert times == {*TIMES[name], "loaded_at"}


@pytest.mark.parametrize("name", LOADED_ONLY)
class TestOtherStreams:
    def test_are_loaded_whole_with_their_keys_and_times(self, passed: Passed, name: str) -> None:
        stream, sent = stream_named(name), passed.sent[name]
        keys = stream.primary_keys
        raw = {tuple(str(row[key.lower()]) for key in keys): row for row in passed.raw(name)}
        assert raw.keys() == {tuple(str(row[key]) for key in keys) for row in sent}
        assert len(raw) == len(passed.raw(name)) == len(sent)
        for row in sent:
            loaded = raw[tuple(str(row[key]) for key in keys)]
            for field, column in stream.schema["properties"].items():
                if column.get("format") == "date-time":
                    assert loaded[field.lower()] == in_utc(row.get(field)), field


class TestLoad:
    def test_hands_out_the_last_state(self, passed: Passed) -> None:
        last = list(passed.sent)[-1]
        assert passed.loaded.states[-1] == {"bookmarks": {last: len(passed.sent[last])}}


class TestStaging:
    def test_passes_its_tests(self, passed: Passed) -> None:
        tests = [name for name in passed.statuses if name.startswith("test.")]
        assert len(tests) > 20
        assert set(passed.statuses.values()) <= {"success", "pass", "warn"}

    def test_warns_only_of_parents_that_were_not_captured(self, passed: Passed) -> None:
        told = {name.split(".")[2] for name, how in passed.statuses.items() if how == "warn"}
        assert {name.split("__")[1] for name in told} <= {
            "events_issue_id",
            "events_project_id",
            "issues_project_id",
            "spans_project_id",
        }

    def test_keeps_the_kinds_of_events(self, passed: Passed) -> None:
        kinds = {row["event_id"]: row["event_type"] for row in passed.staged("events")}
        assert sorted(kinds.values()) == ["csp", "default", "error", "error"]

    def test_reads_tags_of_any_kind(self, passed: Passed) -> None:
        for sent, _, staged in passed.pairs("events"):
            tags = {tag["key"]: tag["value"] for tag in reversed(sent["tags"])}
            for column in ("level", "environment", "url", "browser"):
                assert staged[column] == tags.get(column), column

    def test_keeps_odd_tags_as_they_are(self, passed: Passed) -> None:
        (raw,) = (raw for sent, raw, _ in passed.pairs("events") if sent["tags"] is ODD_TAGS)
        assert json.loads(raw["tags"]) == ODD_TAGS

    def test_has_feedback_without_a_culprit_or_an_error_type(self, passed: Passed) -> None:
        row = passed.only("issues", FEEDBACK)
        assert (row["issue_category"], row["culprit"], row["error_type"]) == (
            "feedback",
            None,
            None,
        )

    def test_has_events_without_culprit_and_user(self, passed: Passed) -> None:
        row = passed.only("events", ODD_EVENT)
        assert (row["culprit"], row["location"], row["user_id"]) == (None, None, None)

    def test_keeps_fractions_of_durations(self, passed: Passed) -> None:
        row = passed.only("spans", PRECISE_SPAN)
        seconds = pytest.approx(0.0001234567)
        assert (row["duration_seconds"], row["self_time_seconds"]) == (seconds, 0.0125)
        assert (row["http_status_code"], row["user_id"]) == (200, None)
        others = {row["duration_seconds"] for row in passed.staged("spans")} - {
            row["duration_seconds"]
        }
        assert others == {0.012, 0.018}
