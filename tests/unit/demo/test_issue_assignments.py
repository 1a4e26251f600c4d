from __future__ import annotations

import pytest

from tests.unit.demo.client import Client
from tests.unit.demo.issue_details import CHANGES_OF_OWNER, TIMES, Row, acts, details_at, every


@pytest.fixture(params=TIMES, ids=str)
def details(request: pytest.FixtureRequest) -> list[Row]:
    return details_at(request.param)


class TestAssignment:
    def test_gives_the_assignee(self, details: list[Row]) -> None:
        for detail in details:
            told, owner = acts(detail, *CHANGES_OF_OWNER), detail["assignedTo"]
            if owner is None:
                assert not told or told[-1]["type"] == "unassigned"
                continue
            assert told[-1]["type"] == "assigned"
            data = told[-1]["data"]
            assert (data["assigneeType"], data["assignee"]) == (owner["type"], owner["id"])
            assert data["assigneeEmail"] == owner.get("email")
            assert told[-1]["dateCreated"] > detail["firstSeen"]

    def test_is_taken_back_before_it_is_given_again(self, details: list[Row]) -> None:
        told_of_some = [acts(detail, *CHANGES_OF_OWNER) for detail in details]
        for told in told_of_some:
            for number, act in enumerate(told):
                assert act["type"] == ("unassigned" if number % 2 else "assigned")
        assert any(len(told) == 3 for told in told_of_some)
        assert any(len(told) == 2 for told in told_of_some)

    def test_is_by_members_or_by_sentry(self, details: list[Row]) -> None:
        ways = set()
        for _, act in every(details, "assigned"):
            ways.add((act["data"]["assigneeType"], act["user"] is None))
            by = {"team": "projectOwnership", "user": "suspectCommitter"}[
                act["data"]["assigneeType"]
            ]
            assert act["data"].get("integration") == (None if act["user"] else by)
        assert ways == {("team", True), ("team", False), ("user", True), ("user", False)}

    def test_agrees_with_the_search(self) -> None:
        client = Client()
        path = "organizations/acme-shop/issues/"
        for query, owned in (("is:assigned", True), ("is:unassigned", False)):
            rows = client.rows(path, project=-1, query=query)
            assert rows
            assert all((row["assignedTo"] is not None) == owned for row in rows)
