"""Where the demo names people: a test of masking must find them all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_sentry.demo import END_USERS, MEMBERS, personal_values
from tests.unit.demo.client import ORGANIZATION, PROJECT, Client

MOBILE = f"{PROJECT}mobile-app/events/"
DJANGO = f"{PROJECT}checkout-api/events/"
SPANS = {"dataset": "spans", "project": -1, "statsPeriod": "3d", "query": "is_transaction:true"}


@pytest.fixture
def client() -> Client:
    return Client()


def people_in(value: Any) -> set[str]:
    """The personal values that a JSON value holds, alone or inside other text."""
    text = json.dumps(value)
    return {personal for personal in personal_values() if personal in text}


def entry(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """The data of an entry of an event, empty if it has none of that kind."""
    return next((found["data"] for found in event["entries"] if found["type"] == kind), {})


class TestPersonalValues:
    def test_are_what_tells_who_somebody_is(self) -> None:
        user, member = END_USERS[0], MEMBERS[0]
        wanted = {user.name, user.username, user.email, user.ip_address, member.name, member.email}
        assert wanted < personal_values()
        assert user.id not in personal_values()
        assert all(len(value) > 7 for value in personal_values())


class TestPlaces:
    @pytest.mark.parametrize("place", ["headers", "cookies", "data", "query", "env"])
    def test_of_requests_name_users(self, client: Client, place: str) -> None:
        rows = client.rows(DJANGO, full="true")
        assert people_in([entry(row, "request").get(place) for row in rows])

    def test_of_breadcrumbs_name_users(self, client: Client) -> None:
        rows = client.json(DJANGO, full="true")
        crumbs = [crumb for row in rows for crumb in entry(row, "breadcrumbs")["values"]]
        assert people_in([crumb["message"] for crumb in crumbs])
        assert people_in([crumb["data"] for crumb in crumbs])

    def test_of_messages_name_users(self, client: Client) -> None:
        assert people_in([row["message"] for row in client.rows(DJANGO)])
        rows = client.rows(DJANGO, full="true")
        assert people_in([entry(row, "exception")["values"][0]["value"] for row in rows])

    def test_of_tags_name_users_whose_app_sends_no_id(self, client: Client) -> None:
        tags = [tag for row in client.rows(MOBILE) for tag in row["tags"] if tag["key"] == "user"]
        assert tags
        assert all(tag["value"].startswith("email:") and people_in(tag) for tag in tags)

    @pytest.mark.parametrize("field", ["user.email", "user.username", "user.ip"])
    def test_of_spans_name_users(self, client: Client, field: str) -> None:
        rows = client.json(f"{ORGANIZATION}events/", field=["id", field], **SPANS)["data"]
        assert {row[field] for row in rows} - {None} <= personal_values()
        assert people_in(rows)

    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            (f"{PROJECT}storefront/user-feedback/", ("name", "email", "comments", "user", "issue")),
            (f"{ORGANIZATION}members/", ("name", "email", "user", "inviterName")),
            (f"{ORGANIZATION}monitors/", ("owner",)),
            (f"{ORGANIZATION}detectors/", ("owner", "latestGroup")),
            (f"{ORGANIZATION}workflows/", ("name",)),
            (f"{ORGANIZATION}issues/", ("assignedTo",)),
            (f"{ORGANIZATION}releases/", ("authors", "lastCommit")),
            (DJANGO, ("user", "message")),
        ],
    )
    def test_of_listings_name_people(
        self, client: Client, path: str, fields: tuple[str, ...]
    ) -> None:
        rows = client.json(path, status="", project=-1, query="")
        found = {field for row in rows for field, value in row.items() if people_in(value)}
        assert found == set(fields) - (
            {"issue"} if not any(people_in(r.get("issue")) for r in rows) else set()
        )

    def test_of_replays_name_users(self, client: Client) -> None:
        rows = client.json(f"{ORGANIZATION}replays/", project=-1)["data"]
        found = {field for row in rows for field, value in row.items() if people_in(value)}
        assert found == {"user"}

    def test_of_issue_details_name_members(self, client: Client) -> None:
        rows = client.json(f"{ORGANIZATION}issues/", project=-1, query="")
        details = [client.json(f"{ORGANIZATION}issues/{row['id']}/") for row in rows]
        found = {field for row in details for field, value in row.items() if people_in(value)}
        assert found == {"activity", "assignedTo", "participants", "seenBy"}

    def test_of_widget_feedback_name_the_writer(self, client: Client) -> None:
        rows = client.rows(f"{ORGANIZATION}issues/", project=-1, query="issue.category:feedback")
        assert all(people_in(row["metadata"]) for row in rows)
