"""Personal data: in whole syncs of all streams, masked ones leave nothing of anybody."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tap_sentry.demo import END_USERS, MEMBERS, DemoSentry, World, personal_values
from tap_sentry.errors import SettingsError
from tests.sync import NOW, Messages, sync

KEY = "a key of more than sixteen letters".replace(" ", "-")
ATTRIBUTES = ["user", "user.id", "user.email", "user.username", "user.ip", "user.geo.country_code"]


def whole(*streams: str, **config: Any) -> Messages:
    """Some streams, or all, with all that they can hold."""
    sentry = DemoSentry(World(clock=lambda: NOW, scale=0.04), limits=None)
    return sync(sentry, *streams, fetch_event_details=True, span_attributes=ATTRIBUTES, **config)


def text(messages: Messages) -> str:
    """All that was written, as one text, but for the titles of alerts.

    Those may name somebody of whom the row has no field; PersonalData says so.
    """
    alerts = [{**row, "name": None} for row in messages.records["workflows"]]
    written = [{**messages.records, "workflows": alerts}, messages.schemas, messages.states]
    return json.dumps(written, ensure_ascii=False).lower()


def found(messages: Messages) -> set[str]:
    """The personal values that occur anywhere, in any writing."""
    output = text(messages)
    return {
        value
        for value in personal_values()
        if any(form.lower() in output for form in {value, quote(value), quote_plus(value)})
    }


@pytest.fixture(scope="module")
def kept() -> Messages:
    return whole()


@pytest.fixture(scope="module")
def hashed() -> Messages:
    return whole(mask_pii="hash", pii_hash_key=KEY)


@pytest.fixture(scope="module")
def dropped() -> Messages:
    return whole(mask_pii="drop")


class TestKeep:
    def test_is_the_default_and_leaves_people_as_they_are(self, kept: Messages) -> None:
        values = found(kept)
        assert {member.email for member in MEMBERS} <= values
        assert len(values & {person.email for person in END_USERS}) > 30
        assert len(values & {person.ip_address for person in END_USERS}) > 30

    def test_said_aloud_gives_the_same(self, kept: Messages) -> None:
        again = whole("users", "events", "spans", mask_pii="keep")
        for stream, rows in again.records.items():
            assert rows == kept.records[stream]


class TestHash:
    def test_leaves_no_personal_value_anywhere(self, hashed: Messages) -> None:
        assert found(hashed) == set()

    def test_keeps_every_row(self, hashed: Messages, kept: Messages) -> None:
        for stream in kept.records:
            assert hashed.rows(stream).keys() == kept.rows(stream).keys(), stream

    def test_joins_a_person_in_events_and_spans(self, hashed: Messages) -> None:
        of_events = {
            row["user"]["id"]: row["user"]["email"]
            for row in hashed.records["events"]
            if row["user"]
        }
        of_spans = {
            row["user.id"]: row["attributes"]["user.email"]
            for row in hashed.records["spans"]
            if row["user.id"]
        }
        both = of_events.keys() & of_spans.keys()
        assert len(both) > 20
        assert {of_events[person] for person in both} == {of_spans[person] for person in both}
        for person in both:
            assert of_events[person] == of_spans[person]
        assert len(set(of_events.values())) == len(of_events)

    def test_joins_a_member_with_the_authors_of_releases(self, hashed: Messages) -> None:
        members = {row["email"] for row in hashed.records["users"]}
        authors = {
            author["email"]
            for release in hashed.records["releases"]
            for author in release["authors"] or ()
        }
        assert authors
        assert authors <= members
        assert len(members) == len(MEMBERS)

    def test_is_the_same_in_every_run_and_another_with_another_key(self, hashed: Messages) -> None:
        again = whole("users", "events", mask_pii="hash", pii_hash_key=KEY)
        for stream in ("users", "events"):
            assert again.records[stream] == hashed.records[stream]
        other = whole("users", mask_pii="hash", pii_hash_key=KEY[::-1])
        emails = [{row["email"] for row in run.records["users"]} for run in (hashed, other)]
        assert not emails[0] & emails[1]


class TestDrop:
    def test_leaves_no_personal_value_anywhere(self, dropped: Messages) -> None:
        assert found(dropped) == set()

    def test_keeps_every_row_and_the_ids_to_join_by(
        self, dropped: Messages, kept: Messages
    ) -> None:
        for stream in kept.records:
            assert dropped.rows(stream).keys() == kept.rows(stream).keys(), stream
        for plain, masked in zip(kept.records["events"], dropped.records["events"], strict=True):
            assert (plain["user"] or {}).get("id") == (masked["user"] or {}).get("id")
            assert not (masked["user"] or {}).get("email")

    def test_leaves_no_hash_in_their_place(self, dropped: Messages, hashed: Messages) -> None:
        hashes = {row["email"] for row in hashed.records["users"]}
        assert not any(value in text(dropped) for value in hashes)


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ({"mask_pii": "yes"}, "keep, hash, drop"),
            ({"mask_pii": "hash"}, "needs pii_hash_key"),
            ({"mask_pii": "hash", "pii_hash_key": "short"}, "16 letters or more"),
            ({"mask_pii": "hash", "pii_hash_key": "a key with spaces in it"}, "pii_hash_key holds"),
        ],
    )
    def test_are_one_clear_line_without_the_key(self, config: dict[str, str], said: str) -> None:
        with pytest.raises(SettingsError, match=said) as caught:
            whole(**config)
        assert "\n" not in str(caught.value)
        assert config.get("pii_hash_key", "-----") not in str(caught.value)
