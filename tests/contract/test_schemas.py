"""Our schemas are Sentry's own fields and types; each difference stands in one list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tap_sentry.records import Row
from tap_sentry.replication import Window
from tap_sentry.schemas.spans import SPAN_FIELDS
from tap_sentry.streams import STREAMS, SentryStream
from tap_sentry.streams.windowed import WindowedStream
from tap_sentry.tap import TapSentry
from tests.contract.differences import ADDED, DIFFERENCES, LEFT_OUT, NULL, SENT, TYPE
from tests.contract.openapi import Field, endpoint, needs_document
from tests.sync import NOW

BY_NAME: dict[str, type[SentryStream]] = {vars(stream)["name"]: stream for stream in STREAMS}
KEYED_BY_MANY = [name for name, stream in BY_NAME.items() if len(stream.primary_keys) > 1]

# The document's row is the whole answer here; the tap makes rows of its groups.
OF_GROUPS = ("usage_outcomes", "release_health")

# With `fetch_event_details` the rows of events are whole bodies, which another endpoint describes.
FURTHER_PATHS = {"events": ("/projects/{organization}/{project}/events/{event_id}/",)}

# Streams whose replication key may be null, says the document.
NULL_REPLICATION_KEYS = ("issues", "releases", "replays")

# Loaders glue the parts of a key together with commas: one part at most may hold some. Texts that
# can't, and why:
FREE_OF_COMMAS = {
    ("events", "eventID"): "hexadecimal digits",
    ("events", "projectID"): "Digits",
    ("spans", "trace"): "hexadecimal digits",
    ("spans", "id"): "hexadecimal digits",
    ("monitor_checkins", "monitorId"): "A UUID, or digits",
    ("monitor_checkins", "id"): "A UUID, or digits",
    ("release_commits", "id"): "hexadecimal digits",
    ("release_deploys", "id"): "Digits",
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
    if name in OF_GROUPS:
        return {}
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
    """The same as DIFFERENCES has it; what the document does not know is no difference from it."""
    return {
        (difference.way, field)
        for difference in DIFFERENCES
        if difference.stream == name and difference.way != SENT
        for field in difference.fields
    }


def fields_listed(name: str, *ways: str) -> set[str]:
    return {
        field
        for difference in DIFFERENCES
        if difference.stream == name and difference.way in ways
        for field in difference.fields
    }


@needs_document
@pytest.mark.parametrize("name", BY_NAME)
class TestAgainstTheDocument:
    def test_differs_only_as_listed(self, name: str) -> None:
        assert differences(name) - listed(name) == set()

    def test_each_listed_difference_is_still_there(self, name: str) -> None:
        assert listed(name) - differences(name) == set()

    def test_says_that_a_field_is_sent_only_where_the_document_does_not(self, name: str) -> None:
        assert not fields_listed(name, SENT) & documented(name).keys()

    def test_fields_are_the_columns_and_what_is_left_out_on_purpose(self, name: str) -> None:
        ours = columns(name).keys() - fields_listed(name, ADDED)
        left_out = {*BY_NAME[name].left_out} - fields_listed(name, SENT)
        assert not ours & left_out
        assert ours | left_out == documented(name).keys()

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
            if issubclass(stream, WindowedStream)
            for field in documented(name).items()
            if field[0] == stream.replication_key and field[1].nullable
        } == set(NULL_REPLICATION_KEYS)

    @pytest.mark.parametrize("name", NULL_REPLICATION_KEYS)
    def test_lose_no_row(self, name: str) -> None:
        stream = TapSentry(config={"base_url": "https://demo.invalid"}).streams[name]
        assert isinstance(stream, WindowedStream)
        (key,), date = stream.primary_keys, stream.replication_key
        window = Window(NOW - timedelta(hours=2), NOW + timedelta(hours=2))
        rows: list[Row] = [
            {key: "a", date: "2026-11-20T12:00:00Z"},
            {key: "b", date: None},
            {key: "c", date: "2026-11-20T11:00:00Z"},
        ]
        ordered = [row[key] for row in stream.read(window, None, lambda *_: rows)]
        assert sorted(ordered) == ["a", "b", "c"]
        assert ordered.index("c") < ordered.index("a")


@pytest.mark.parametrize("name", BY_NAME)
class TestLeftOut:
    """So that a field Sentry invents is told, and one that is known is not."""

    def test_is_what_the_list_has_reasons_for(self, name: str) -> None:
        left_out = BY_NAME[name].left_out
        assert len(left_out) == len(set(left_out))
        assert {*left_out} == fields_listed(name, LEFT_OUT, SENT)

    def test_is_no_column(self, name: str) -> None:
        assert not columns(name).keys() & {*BY_NAME[name].left_out}


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
    def test_have_at_most_one_part_that_can_hold_a_comma(self, name: str) -> None:
        texts = {
            (name, key)
            for key in BY_NAME[name].primary_keys
            if column_type(columns(name)[key]) != "integer"
        }
        assert len(texts - FREE_OF_COMMAS.keys()) <= 1

    @pytest.mark.parametrize(("name", "key"), FREE_OF_COMMAS)
    def test_say_so_in_their_schema(self, name: str, key: str) -> None:
        assert FREE_OF_COMMAS[name, key] in columns(name)[key]["description"]


class TestSpans:
    def test_ask_for_no_more_fields_than_sentry_gives(self) -> None:
        assert len(SPAN_FIELDS) <= 20

    def test_hold_the_fields_they_ask_for_and_what_the_tap_adds(self) -> None:
        assert columns("spans").keys() - SPAN_FIELDS.keys() == {
            "sample_weight",
            "attributes",
            "dataScanned",
        }
