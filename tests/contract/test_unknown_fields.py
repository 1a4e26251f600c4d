"""A field of Sentry's that the tap does not know is told once, and kept when asked for."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from requests import PreparedRequest, Response

from tap_sentry.demo import DemoSentry, World
from tap_sentry.records import RecordFormat
from tap_sentry.streams import STREAMS, SentryStream
from tap_sentry.tap import TapSentry
from tests.contract.captures import needs_captures, records_by_stream
from tests.contract.differences import DIFFERENCES, SENT
from tests.contract.test_schemas import OF_GROUPS
from tests.sync import NOW, Messages, sync

NAMES = [vars(stream)["name"] for stream in STREAMS]
# Rows of these are made of groups and their series: nothing else of an answer is a row's.
OF_ROWS = [name for name in NAMES if name not in OF_GROUPS]
RECENT: dict[str, Any] = {"start_date": "2026-11-13T00:00:00Z"}

# Other questions than those of a plain run, whose rows look otherwise.
WAYS_TO_ASK: dict[str, dict[str, Any]] = {
    "plain": {},
    "bodies": {"fetch_event_details": True},
    "sampled": {"sample_fraction": 0.5},
    "capped": {"max_events_per_project": 20},
    "more of spans": {"span_attributes": ["user.email", "project"]},
    "some projects": {"projects": ["batch-worker", "storefront"]},
}

INVENTED = {
    "inventedAt": "2026-11-20T00:00:00Z",
    "inventedToken": "sntrys_an_invented_one",
    "inventedBy": {"email": "grace@example.com", "password": "opensesame", "rank": 7},
}


class Inventive(DemoSentry):
    """A demo that knows fields which Sentry has not yet."""

    def __init__(self) -> None:
        super().__init__(World(clock=lambda: NOW), limits=None)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        if response.status_code == 200:
            body = response.json()
            for row in _rows(body):
                row.update(INVENTED)
            response._content = json.dumps(body).encode()
        return response


def told(caplog: pytest.LogCaptureFixture) -> dict[str, list[str]]:
    """What a run said of unknown fields, by stream."""
    lines: dict[str, list[str]] = {}
    for message in caplog.messages:
        if found := re.match(r"(\w+): Sentry also sent the unknown fields (.+)", message):
            lines.setdefault(found[1], []).append(found[2])
    return lines


@pytest.mark.parametrize("way", WAYS_TO_ASK)
def test_the_demo_sends_no_unknown_field(way: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        messages = sync(_demo(), **RECENT, **WAYS_TO_ASK[way])
    assert messages.records.keys() == {*NAMES}
    assert told(caplog) == {}


@needs_captures
def test_what_is_said_to_be_sent_is_sent() -> None:
    captured = records_by_stream().items()
    sent = {name: {field for row in rows for field in row} for name, rows in captured}

    def know_columns_alone(tap: TapSentry) -> None:
        for name, stream in tap.streams.items():
            assert isinstance(stream, SentryStream)
            stream.record_format = RecordFormat(stream.schema)
            unknown[name] = stream.record_format.unknown

    unknown: dict[str, set[str]] = {}
    sync(_demo(), change_tap=know_columns_alone, **RECENT)
    for difference in DIFFERENCES:
        if difference.way == SENT:
            seen = sent.get(difference.stream, set()) | unknown[difference.stream]
            assert {*difference.fields} <= seen, difference


@pytest.fixture(scope="module")
def kept() -> Messages:
    return sync(
        Inventive(),
        keep_unknown_fields=True,
        mask_pii="hash",
        # The SDK looks at the selection once; streams beside the default ones are selected later.
        pii_hash_key="sixteen-letters-and-more",
        **RECENT,
    )


class TestAnInventedField:
    def test_is_told_once_by_name_and_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            messages = sync(Inventive(), **RECENT)
        lines = told(caplog)
        assert lines.keys() == {*OF_ROWS}
        for name, (line,) in lines.items():
            # Streams whose rows may hold secrets lose those first.
            assert line.startswith("inventedAt, inventedBy"), name
            assert line.endswith("; keep_unknown_fields would keep them")
        assert "sntrys_an_invented_one" not in caplog.text
        assert not any("unknown_fields" in row for row in _all(messages))
        assert "invented" not in json.dumps([*_all(messages)])

    @pytest.mark.parametrize("name", OF_ROWS)
    def test_is_kept_when_asked_for(self, kept: Messages, name: str) -> None:
        column = kept.schemas[name][-1]["schema"]["properties"]["unknown_fields"]
        assert column["type"] == ["object", "null"]
        assert kept.records[name]
        for row in kept.records[name]:
            assert row["unknown_fields"].keys() == {"inventedAt", "inventedBy"}
            assert row["unknown_fields"]["inventedAt"] == INVENTED["inventedAt"]
            assert row["unknown_fields"]["inventedBy"]["rank"] == 7

    @pytest.mark.parametrize("name", OF_ROWS)
    def test_brings_neither_secrets_nor_people(self, kept: Messages, name: str) -> None:
        for row in kept.records[name]:
            assert row["unknown_fields"]["inventedBy"].keys() == {"email", "rank"}
        text = json.dumps(kept.records[name])
        assert "sntrys_an_invented_one" not in text
        assert "opensesame" not in text
        assert "grace@example.com" not in text

    @pytest.mark.parametrize("name", OF_GROUPS)
    def test_beside_groups_is_no_rows(self, kept: Messages, name: str) -> None:
        assert {row["unknown_fields"] for row in kept.records[name]} == {None}

    def test_is_told_to_be_kept(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            sync(Inventive(), "teams", keep_unknown_fields=True)
        assert told(caplog) == {
            "teams": ["inventedAt, inventedBy, inventedToken; keep_unknown_fields keeps them"]
        }

    def test_holds_nothing_where_sentry_sent_nothing_new(self) -> None:
        records = sync(_demo(), "teams", keep_unknown_fields=True).records["teams"]
        assert {row["unknown_fields"] for row in records} == {None}


def _demo() -> DemoSentry:
    return DemoSentry(World(clock=lambda: NOW), limits=None)


def _rows(body: Any) -> Iterator[dict[str, Any]]:
    listed = body.get("data") if isinstance(body, dict) else body
    yield from listed if isinstance(listed, list) else [body]


def _all(messages: Messages) -> Iterator[dict[str, Any]]:
    for records in messages.records.values():
        yield from records
