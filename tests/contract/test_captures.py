"""Answers as Sentry really sends them become records without a loss."""

from __future__ import annotations

from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from tap_sentry import timestamps
from tap_sentry.streams import SentryStream
from tap_sentry.tap import TapSentry
from tests.contract.captures import (
    CAPTURES,
    FILES,
    OF_NO_STREAM,
    complaints,
    needs_captures,
    records_by_stream,
)

pytestmark = needs_captures

# The captured answers are the detail of one issue, of which lists hold a part.
OF_A_DETAIL = {
    "issues": {
        "activity",
        "firstRelease",
        "lastRelease",
        "openPeriods",
        "participants",
        "pluginActions",
        "pluginContexts",
        "pluginIssues",
        "seenBy",
        "tags",
        "userReportCount",
    },
}


def stream_named(name: str) -> SentryStream:
    """A stream that has asked nobody for anything."""
    stream = TapSentry(config={"base_url": "https://demo.invalid"}).streams[name]
    assert isinstance(stream, SentryStream)
    return stream


def as_sent(value: Any, column: dict[str, Any]) -> Any:
    """A value in the form of its column; only date-times have one of their own."""
    if value is not None and column.get("format") == "date-time":
        return timestamps.normalised(value)
    return value


@pytest.mark.parametrize("name", FILES)
class TestRecords:
    def test_are_cleaned_without_misfits(self, name: str) -> None:
        stream = stream_named(name)
        for row in records_by_stream()[name]:
            stream.clean(row)
        assert stream.record_format.misfits == {}

    def test_satisfy_the_streams_schema(self, name: str) -> None:
        stream = stream_named(name)
        for row in records_by_stream()[name]:
            assert complaints(stream.schema, stream.clean(row)) == []

    def test_keep_every_value_as_sent(self, name: str) -> None:
        stream = stream_named(name)
        for row in records_by_stream()[name]:
            record = stream.clean(row)
            columns = stream.schema["properties"]
            kept = row.keys() & record.keys()
            assert {field: record[field] for field in kept} == {
                field: as_sent(row[field], columns[field]) for field in kept
            }

    def test_lose_no_field_but_those_left_out_on_purpose(self, name: str) -> None:
        stream = stream_named(name)
        for row in records_by_stream()[name]:
            stream.clean(row)
        assert stream.record_format.unknown == OF_A_DETAIL.get(name, set())


class TestEvents:
    def test_keep_their_type_under_the_listings_name(self) -> None:
        stream = stream_named("events")
        types = [stream.clean(row)["event.type"] for row in records_by_stream()["events"]]
        assert types == ["error", "csp", "default"]


class TestOrganization:
    def test_is_asked_in_its_own_region(self) -> None:
        answered = _Answering("organization.json")
        tap = TapSentry(
            config={"api_token": "token", "organization": "sentry-mcp-evals"}, transport=answered
        )
        assert tap.organization.slug == "sentry-mcp-evals"
        assert tap.organization.client.api_root == "https://us.sentry.io/api/0"
        assert answered.paths == ["/api/0/organizations/sentry-mcp-evals/?detailed=0"]


class TestFiles:
    def test_all_belong_to_a_stream_or_to_none_for_a_reason(self) -> None:
        used = {file for files in FILES.values() for file in files}
        there = {file.name for file in CAPTURES.glob("*.json")}
        assert there == used | OF_NO_STREAM.keys()
        assert not used & OF_NO_STREAM.keys()


class _Answering(BaseAdapter):
    """Gives every request the same captured body."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.paths: list[str] = []
        self._file = file

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        self.paths.append(request.path_url)
        response = Response()
        response.status_code = 200
        response.url = str(request.url)
        response.request = request
        response._content = (CAPTURES / self._file).read_bytes()
        return response

    def close(self) -> None:
        pass
