"""The demo's answers against Sentry's OpenAPI document: a wrong fake makes other tests lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.openapi import SHARED, endpoint, needs_document
from tests.unit.demo.client import ORGANIZATION, PROJECT, Client, frozen_world

jsonschema = pytest.importorskip("jsonschema")  # comes with singer-sdk, without types

ORG, PRO = "/organizations/x/", "/projects/x/x/"

MONITOR = {
    "environments": "a list in captured answers, declared an object; see TestMonitors",
    "schedule": "a number and a unit, such as [3, hour]; declared two numbers",
}

# What the document asks for and Sentry does not send, or sends otherwise: field and reason.
DEVIATIONS: dict[str, dict[str, str]] = {
    f"{ORG}issues/": {
        "derivedData": "newer than any captured answer",
        "inbox": "only with expand=inbox",
        "owners": "only with expand=owners; null without code owners, declared an object",
        "sessionCount": "only with expand=sessions",
        "integrationIssues": "only with expand=integrationIssues",
        "sentryAppIssues": "only with expand=sentryAppIssues",
        "latestEventHasAttachments": "only with expand=latestEventHasAttachments",
        "matchingEventId": "only on a direct hit of an event id",
        "matchingEventEnvironment": "only on a direct hit of an event id",
        "ignoreUntil": "null until a date is set",
        "ignoreUserCount": "null until a number is set",
        "ignoreUserWindow": "null until a number is set",
        "ignoreWindow": "null until a number is set",
    },
    f"{ORG}events/": {
        "tips": "query and columns are null in captured answers, declared strings",
    },
    f"{ORG}monitors/": MONITOR,
    f"{ORG}monitors/1/": MONITOR,
    f"{ORG}monitors/1/checkins/": {"schedule": MONITOR["schedule"]},
    f"{ORG}stats_v2/": {
        "series": "not sent with project among the groups",
    },
    f"{ORG}issues/1/": {
        "ignoreUntil": "null until a date is set",
        "ignoreUserCount": "null until a number is set",
        "ignoreUserWindow": "null until a number is set",
        "ignoreWindow": "null until a number is set",
    },
}

USAGE = {
    "field": "sum(quantity)",
    "groupBy": ["outcome", "category", "reason"],
    "category": "error",
    "interval": "1d",
    "project": -1,
}
SESSIONS = {
    "field": ["sum(session)", "count_unique(user)", "crash_free_rate(session)"],
    "groupBy": ["project", "release"],
    "interval": "1d",
    "project": -1,
}


def strict(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: strict(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable"):
        if "enum" in changed:
            changed["enum"] = [*changed["enum"], None]
        return {"anyOf": [changed, {"type": "null"}]}
    return changed


def complaints(path: str, body: Any) -> list[str]:
    """What the document has to say against an answer, known deviations left out."""
    schema = strict(deepcopy(endpoint(path).body_schema))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return [line for error in validator.iter_errors(body) for line in told(path, error)]


def told(path: str, error: Any) -> Iterator[str]:
    """One line for a complaint, none if it is a known deviation."""
    known = DEVIATIONS.get(path, {})
    if error.validator == "required":
        missing = set(error.validator_value) - set(error.instance)
        if missing <= known.keys():
            return
    elif any(part in known for part in error.absolute_path):
        return
    where = "/".join(str(part) for part in error.absolute_path)
    yield f"{where}: {error.message[:200]}"


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    """The document's path, the demo's path and the query of each good answer."""
    world = frozen_world()
    everything = {"query": "", "project": -1, "limit": 100}
    found: list[tuple[str, str, dict[str, Any]]] = [
        ("/organizations/", "organizations/", {}),
        (ORG, ORGANIZATION, {}),
        (f"{ORG}projects/", f"{ORGANIZATION}projects/", {}),
        (f"{ORG}teams/", f"{ORGANIZATION}teams/", {}),
        (f"{ORG}teams/", f"{ORGANIZATION}teams/", {"detailed": 0}),
        (f"{ORG}members/", f"{ORGANIZATION}members/", {}),
        (f"{ORG}environments/", f"{ORGANIZATION}environments/", {}),
        (f"{ORG}issues/", f"{ORGANIZATION}issues/", everything),
        (f"{ORG}issues/", f"{ORGANIZATION}issues/", everything | {"sort": "new"}),
        (
            f"{ORG}issues/",
            f"{ORGANIZATION}issues/",
            everything | {"query": "issue.category:feedback", "expand": ["inbox", "owners"]},
        ),
        (f"{ORG}releases/", f"{ORGANIZATION}releases/", {"project": -1, "status": ""}),
        (f"{PRO}events/", f"{PROJECT}storefront/events/", {}),
        (
            f"{ORG}events/",
            f"{ORGANIZATION}events/",
            {"dataset": "spans", "field": ["id", "span.duration"], "project": -1},
        ),
        (
            f"{ORG}events/",
            f"{ORGANIZATION}events/",
            {"dataset": "errors", "field": ["issue", "count()"], "project": -1},
        ),
        (
            f"{ORG}events-timeseries/",
            f"{ORGANIZATION}events-timeseries/",
            {"dataset": "spans", "yAxis": "count()", "interval": 3600, "statsPeriod": "2d"},
        ),
        (
            f"{ORG}events-timeseries/",
            f"{ORGANIZATION}events-timeseries/",
            {"dataset": "spans", "groupBy": "project", "topEvents": 3, "statsPeriod": "2d"},
        ),
        (f"{ORG}monitors/", f"{ORGANIZATION}monitors/", {"project": -1}),
        (f"{ORG}detectors/", f"{ORGANIZATION}detectors/", {"project": -1}),
        (f"{ORG}workflows/", f"{ORGANIZATION}workflows/", {"project": -1}),
        (f"{ORG}project-keys/", f"{ORGANIZATION}project-keys/", {}),
        (f"{ORG}replays/", f"{ORGANIZATION}replays/", {"project": -1}),
        (f"{ORG}stats_v2/", f"{ORGANIZATION}stats_v2/", USAGE),
        (f"{ORG}stats_v2/", f"{ORGANIZATION}stats_v2/", USAGE | {"groupBy": ["project"]}),
        (f"{ORG}sessions/", f"{ORGANIZATION}sessions/", SESSIONS),
        (
            f"{ORG}sessions/",
            f"{ORGANIZATION}sessions/",
            SESSIONS | {"field": "sum(session)", "groupBy": ["environment", "session.status"]},
        ),
    ]
    for monitor in world.monitors():
        path = f"{ORGANIZATION}monitors/{monitor.slug}/"
        found.append((f"{ORG}monitors/1/", path, {}))
        found.append((f"{ORG}monitors/1/checkins/", f"{path}checkins/", {}))
    found += [
        (f"{PRO}user-feedback/", f"{PROJECT}{slug}/user-feedback/", {"status": ""})
        for slug in ("storefront", "mobile-app", "checkout-api")
    ]
    for project in world.projects():
        found.append((PRO, f"{PROJECT}{project.slug}/", {}))
        found.append((f"{PRO}keys/", f"{PROJECT}{project.slug}/keys/", {}))
        events = world.events(project.id)[:3]
        found += [
            (f"{PRO}events/{'1' * 32}/", f"{PROJECT}{project.slug}/events/{event.id}/", {})
            for event in events
        ]
    statuses = {(seen.status, seen.substatus): seen for seen in world.all_issues()}
    for seen in statuses.values():
        path = f"{ORGANIZATION}issues/{seen.issue.id}/"
        found.append((f"{ORG}issues/1/", path, {}))
        if seen.events:
            found.append((f"{ORG}issues/1/events/", f"{path}events/", {}))
            found.append((f"{ORG}issues/1/events/latest/", f"{path}events/latest/", {}))
    for release in world.releases()[:12]:
        path = f"{ORGANIZATION}releases/{quote(release.version, safe='')}/"
        found.append((f"{ORG}releases/1/", path, {}))
        found.append((f"{ORG}releases/1/commits/", f"{path}commits/", {}))
        found.append((f"{ORG}releases/1/deploys/", f"{path}deploys/", {}))
    return found


@needs_document
class TestAnswers:
    @pytest.mark.parametrize(
        ("documented", "path", "query"), requests(), ids=lambda value: str(value)[:60]
    )
    def test_are_as_the_document_says(
        self, client: Client, documented: str, path: str, query: dict[str, Any]
    ) -> None:
        body = client.json(path, **query)
        assert body, "an empty answer proves nothing"
        assert complaints(documented, body) == []

    def test_with_a_wrong_type_would_be_found(self, client: Client) -> None:
        body = client.json(f"{ORGANIZATION}teams/")
        body[0]["memberCount"] = "many"
        del body[1]["slug"]
        assert len(complaints(f"{ORG}teams/", body)) == 2

    def test_deviate_only_where_it_is_still_needed(self, client: Client) -> None:
        rows = client.json(f"{ORGANIZATION}issues/", query="", project=-1)
        details = {name: value for row in rows for name, value in row["statusDetails"].items()}
        for name in DEVIATIONS[f"{ORG}issues/"]:
            assert name not in rows[0] or details.get(name, "") is None


@needs_document
class TestMonitors:
    def test_have_environments_as_the_document_says_of_one(self, client: Client) -> None:
        schema = strict(endpoint(f"{ORG}monitors/").row_schema["properties"]["environments"])
        # An incident that goes on has no end yet; the document knows only ended ones.
        del schema["properties"]["activeIncident"]
        rows = client.json(f"{ORGANIZATION}monitors/", project=-1)
        environments = [environment for row in rows for environment in row["environments"]]
        assert len(environments) == len(rows)
        for environment in environments:
            assert list(jsonschema.Draft202012Validator(schema).iter_errors(environment)) == []


# Keys of captured answers that the demo leaves out, with the reason.
LEFT_OUT: dict[str, dict[str, str]] = {
    "event": {"measurements": "of transactions", "breakdowns": "of transactions"},
    "release-commits": {},
    "monitor": {
        "lastCheckIn": "in each environment; not in Sentry's document",
        "nextCheckIn": "in each environment; not in Sentry's document",
    },
    "project": {
        "hasInsightsLlmMonitoring": "renamed since (hasInsightsAgentMonitoring)",
    },
}


@pytest.mark.skipif(not (SHARED / "captures").exists(), reason="the captures are not beside us")
class TestCaptures:
    def capture(self, name: str) -> Any:
        body = json.loads((SHARED / "captures" / f"{name}.json").read_text(encoding="utf-8"))
        return body[0] if isinstance(body, list) else body

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("organization", ORGANIZATION),
            ("project", f"{ORGANIZATION}projects/"),
            ("team", f"{ORGANIZATION}teams/"),
            ("issue", f"{ORGANIZATION}issues/{{issue}}/"),
            ("event", f"{PROJECT}storefront/events/{{event}}/"),
            ("release", f"{ORGANIZATION}releases/{{release}}/"),
            ("release-commits", f"{ORGANIZATION}releases/{{release}}/commits/"),
            ("release-deploys", f"{ORGANIZATION}releases/{{release}}/deploys/"),
            ("monitor", f"{ORGANIZATION}monitors/feeds-export/"),
            ("monitor-checkins", f"{ORGANIZATION}monitors/feeds-export/checkins/"),
        ],
    )
    def test_have_no_key_that_the_demo_lacks(self, client: Client, name: str, path: str) -> None:
        world = frozen_world()
        storefront = next(p for p in world.projects() if p.slug == "storefront")
        body = client.json(
            path.format(
                issue=world.issues()[0].issue.id,
                event=world.events(storefront.id)[0].id,
                release=quote(world.releases()[0].version, safe=""),
            )
        )
        row = body[0] if isinstance(body, list) else body
        assert self.capture(name).keys() - row.keys() - LEFT_OUT.get(name, {}).keys() == set()

    @pytest.mark.parametrize("dataset", ["spans", "errors"])
    def test_of_explore_have_the_same_frame(self, client: Client, dataset: str) -> None:
        captured = self.capture(f"events-{dataset}")
        fields = [name for name in captured["data"][0] if name not in {"project.name", "issue"}]
        body = client.json(
            f"{ORGANIZATION}events/", dataset=dataset, field=fields, project=-1, statsPeriod="2d"
        )
        assert set(fields) <= body["data"][0].keys()
        assert captured["meta"].keys() <= body["meta"].keys()
        kinds = {name: kind for name, kind in captured["meta"]["fields"].items() if name in fields}
        assert {name: body["meta"]["fields"][name] for name in kinds} == kinds
