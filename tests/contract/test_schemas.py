"""Our schemas are Sentry's own fields and types; each difference stands in one list."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tap_sentry.schemas.spans import SPAN_FIELDS
from tap_sentry.streams import STREAMS, SentryStream
from tap_sentry.streams.base import WindowedStream
from tap_sentry.tap import TapSentry
from tests.contract.openapi import Field, endpoint, needs_document

BY_NAME: dict[str, type[SentryStream]] = {vars(stream)["name"]: stream for stream in STREAMS}
KEYED_BY_MANY = [name for name, stream in BY_NAME.items() if len(stream.primary_keys) > 1]

# With `fetch_event_details` the rows of events are whole bodies, which another endpoint describes.
FURTHER_PATHS = {"events": ("/projects/{organization}/{project}/events/{event_id}/",)}

LEFT_OUT = "left out"  # the document has the field, we do not
ADDED = "added"  # we have the field, the document does not
TYPE = "type"
NULL = "null"  # the document says it may be null, we say it may not


class Difference(NamedTuple):
    """Why some fields of a stream differ from the document in one way."""

    stream: str
    way: str
    fields: tuple[str, ...]
    reason: str


DIFFERENCES = (
    Difference(
        "projects",
        LEFT_OUT,
        ("sessionStats", "stats", "transactionStats"),
        "only sent when asked for by statsPeriod, and events and spans count better",
    ),
    Difference(
        "project_detail",
        LEFT_OUT,
        ("sessionStats", "stats", "transactionStats"),
        "only sent when asked for by statsPeriod, and events and spans count better",
    ),
    Difference("project_detail", LEFT_OUT, ("securityToken",), "a secret"),
    Difference(
        "project_detail",
        LEFT_OUT,
        ("securityTokenHeader",),
        "where the secret is sent; of no use without it",
    ),
    Difference(
        "project_detail",
        TYPE,
        ("seerNightshiftTweaks",),
        "the document does not say; its example is an object",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        ("filtered", "stats"),
        "the request collapses them, which makes pages much cheaper",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        (
            "inbox",
            "integrationIssues",
            "latestEventHasAttachments",
            "owners",
            "sentryAppIssues",
            "sessionCount",
        ),
        "only sent when the request expands them",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        ("matchingEventEnvironment", "matchingEventId"),
        "only sent for a search that hits one event directly",
    ),
    Difference(
        "events",
        LEFT_OUT,
        (
            "nextEventID",
            "previousEventID",
            "release",
            "resolvedWith",
            "sdkUpdates",
            "userReport",
        ),
        "only in the body of one event asked for alone, never in a listing, full=true or not",
    ),
    Difference("events", LEFT_OUT, ("type",), "goes into `event.type`, the listing's name for it"),
    Difference("events", ADDED, ("sample_weight",), "made by the tap"),
    Difference(
        "spans",
        ADDED,
        (
            "environment",
            "http.response_status_code",
            "id",
            "is_transaction",
            "parent_span",
            "precise.start_ts",
            "project.id",
            "received",
            "release",
            "sampling_rate",
            "span.description",
            "span.duration",
            "span.op",
            "span.self_time",
            "span.status",
            "timestamp",
            "trace",
            "transaction",
            "transaction.span_id",
            "user.id",
        ),
        "a row of Explore holds what `field` asks for; the document leaves its columns open",
    ),
    Difference("spans", ADDED, ("sample_weight",), "made by the tap"),
    Difference("release", ADDED, ("changedAt",), "made by the tap, its replication key"),
)

# Streams whose replication key may be null, says the document.
NULL_REPLICATION_KEYS = ("issues", "releases")

# Loaders glue the parts of a key together with commas. Texts that can't hold one, and why:
FREE_OF_COMMAS = {
    ("events", "eventID"): "hexadecimal digits",
    ("events", "projectID"): "Digits",
    ("spans", "trace"): "hexadecimal digits",
    ("spans", "id"): "hexadecimal digits",
}


def columns(name: str) -> dict[str, dict[str, Any]]:
    """The columns of a stream, by name."""
    found: dict[str, dict[str, Any]] = BY_NAME[name].schema["properties"]
    return found


def column_type(column: dict[str, Any]) -> str:
    """The column's type in the document's words."""
    return "date-time" if column.get("format") == "date-time" else str(column["type"][0])


def documented(name: str) -> dict[str, Field]:
    """What the document says of a stream's rows; of the stream's own path where two speak."""
    fields: dict[str, Field] = {}
    for path in (*FURTHER_PATHS.get(name, ()), BY_NAME[name].path):
        fields |= endpoint(path).fields
    return fields


def differences(name: str) -> set[tuple[str, str]]:
    """Way and field of each difference between a stream's schema and the document."""
    ours, theirs = columns(name), documented(name)
    both = ours.keys() & theirs.keys()
    return {
        *((LEFT_OUT, field) for field in theirs.keys() - ours.keys()),
        *((ADDED, field) for field in ours.keys() - theirs.keys()),
        *((TYPE, field) for field in both if column_type(ours[field]) != theirs[field].type),
        *(
            (NULL, field)
            for field in both
            if "null" not in ours[field]["type"]
            and (theirs[field].nullable or not theirs[field].required)
        ),
    }


def listed(name: str) -> set[tuple[str, str]]:
    return {
        (difference.way, field)
        for difference in DIFFERENCES
        if difference.stream == name
        for field in difference.fields
    }


@needs_document
@pytest.mark.parametrize("name", BY_NAME)
class TestAgainstTheDocument:
    def test_differs_only_as_listed(self, name: str) -> None:
        assert differences(name) - listed(name) == set()

    def test_each_listed_difference_is_still_there(self, name: str) -> None:
        assert listed(name) - differences(name) == set()

    def test_scope_is_one_that_opens_the_endpoint(self, name: str) -> None:
        (security,) = endpoint(BY_NAME[name].path).operation["security"]
        assert BY_NAME[name].scope in security["auth_token"]


@needs_document
class TestNullReplicationKeys:
    """Sentry's document lets some be null; such a row is stored like any other."""

    def test_are_those_that_are_tested_here(self) -> None:
        assert {
            name
            for name, stream in BY_NAME.items()
            for field in documented(name).items()
            if field[0] == getattr(stream, "replication_key", None) and field[1].nullable
        } == set(NULL_REPLICATION_KEYS)

    @pytest.mark.parametrize("name", NULL_REPLICATION_KEYS)
    def test_lose_no_row(self, name: str) -> None:
        stream = TapSentry(config={"base_url": "https://demo.invalid"}).streams[name]
        assert isinstance(stream, WindowedStream)
        (key,), date = stream.primary_keys, stream.replication_key
        rows = [
            stream.clean({key: "a", date: "2026-11-20T12:00:00Z"}),
            stream.clean({key: "b", date: None}),
            stream.clean({key: "c", date: "2026-11-20T11:00:00Z"}),
        ]
        ordered = [row[key] for row in stream.ordered(rows)]
        assert sorted(ordered) == ["a", "b", "c"]
        assert ordered.index("c") < ordered.index("a")


class TestTheList:
    def test_names_only_streams_that_exist(self) -> None:
        assert {difference.stream for difference in DIFFERENCES} <= BY_NAME.keys()
        assert FURTHER_PATHS.keys() <= BY_NAME.keys()

    def test_gives_each_difference_once(self) -> None:
        each = [(d.stream, d.way, field) for d in DIFFERENCES for field in d.fields]
        assert len(each) == len(set(each))

    def test_has_a_reason_for_each(self) -> None:
        assert all(difference.reason for difference in DIFFERENCES)


@pytest.mark.parametrize("name", BY_NAME)
class TestEveryStream:
    def test_requires_its_keys_and_nothing_else(self, name: str) -> None:
        assert BY_NAME[name].schema["required"] == list(BY_NAME[name].primary_keys)

    def test_may_be_null_everywhere_but_in_its_keys(self, name: str) -> None:
        never_null = {
            field for field, column in columns(name).items() if "null" not in column["type"]
        }
        assert never_null == set(BY_NAME[name].primary_keys)

    def test_has_a_column_beside_its_keys(self, name: str) -> None:
        # The released target-duckdb stops at a stream that has none.
        assert columns(name).keys() - set(BY_NAME[name].primary_keys)

    def test_has_a_column_that_is_no_text(self, name: str) -> None:
        # From all-text batches DuckDB takes the first row for a header.
        assert {column_type(column) for column in columns(name).values()} - {"string"}

    def test_bounds_its_integers_by_64_bits(self, name: str) -> None:
        integers = [column for column in columns(name).values() if "integer" in column["type"]]
        assert all(column["maximum"] == 2**63 - 1 for column in integers)

    def test_has_keys_of_plain_values(self, name: str) -> None:
        types = {column_type(columns(name)[key]) for key in BY_NAME[name].primary_keys}
        assert types <= {"string", "integer"}

    def test_has_columns_that_differ_in_more_than_case(self, name: str) -> None:
        lowered = [field.lower() for field in columns(name)]
        assert len(lowered) == len(set(lowered))

    def test_has_a_replication_key_of_date_times(self, name: str) -> None:
        key = getattr(BY_NAME[name], "replication_key", None)
        if isinstance(key, str):
            assert column_type(columns(name)[key]) == "date-time"


class TestCompositeKeys:
    @pytest.mark.parametrize("name", KEYED_BY_MANY)
    def test_have_no_part_that_can_hold_a_comma(self, name: str) -> None:
        texts = {
            (name, key)
            for key in BY_NAME[name].primary_keys
            if column_type(columns(name)[key]) != "integer"
        }
        assert texts <= FREE_OF_COMMAS.keys()

    @pytest.mark.parametrize(("name", "key"), FREE_OF_COMMAS)
    def test_say_so_in_their_schema(self, name: str, key: str) -> None:
        assert FREE_OF_COMMAS[name, key] in columns(name)[key]["description"]


class TestSpans:
    def test_ask_for_no_more_fields_than_sentry_gives(self) -> None:
        assert len(SPAN_FIELDS) <= 20

    def test_hold_the_fields_they_ask_for_and_the_weight(self) -> None:
        assert columns("spans").keys() - SPAN_FIELDS.keys() == {"sample_weight"}
