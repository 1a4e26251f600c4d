"""What watches over the shop, as Sentry serializes it: detectors, and workflows they set off."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tap_sentry.demo.catalogue import ORGANIZATION_ID, TEAMS, Project
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.people import MEMBERS

Row = dict[str, Any]

_FOUNDED = 1_720_000_000.5
_ESCALATIONS, _LATENCY = "88001", "88002"


def detectors(projects: Collection[Project], latest: dict[str, Row]) -> list[Row]:
    """One for the errors of each project, and two of the shop's own.

    Args:
        projects: Those that the caller asks about.
        latest: The issue last seen in each project, as a list shows it, by the project's id.
    """
    rows = [
        _detector(project, number=1, name="Error Monitor", type="error", owner=None)
        | {"workflowIds": [_ESCALATIONS], "latestGroup": latest.get(project.id)}
        for project in projects
    ]
    for project in projects:
        owner = next(team for team in TEAMS if team.slug == project.team)
        team = {"type": "team", "id": owner.id, "name": owner.slug}
        if project.slug == "catalog-api":
            member = MEMBERS[0]
            row = _detector(
                project,
                number=2,
                name="Search is slow",
                type="metric_issue",
                owner={
                    "type": "user",
                    "id": member.user_id,
                    "name": member.name,
                    "email": member.email,
                },
            )
            source = {
                "id": "7101",
                "organizationId": ORGANIZATION_ID,
                "type": "snuba_query_subscription",
                "sourceId": "7201",
                "queryObj": {
                    "id": "7301",
                    "status": 0,
                    "subscription": "1/7301",
                    "snubaQuery": {
                        "id": "7401",
                        "dataset": "events_analytics_platform",
                        "query": 'transaction:"GET /search"',
                        "aggregate": "p95(span.duration)",
                        "timeWindow": 3600,
                        "environment": "production",
                        "eventTypes": ["trace_item_span"],
                        "extrapolationMode": "unknown",
                    },
                },
            }
            conditions = [_condition("7501", "gt", 1500, 75), _condition("7502", "lte", 1500, 0)]
            row |= {
                "workflowIds": [_LATENCY],
                "createdBy": member.user_id,
                "dataSources": [source],
                "conditionGroup": _group("7601", conditions),
                "config": {"detectionType": "static", "comparisonDelta": None},
            }
            rows.append(row)
        if project.slug == "storefront":
            row = _detector(
                project, number=3, name="Shop answers", type="uptime_domain_failure", owner=team
            )
            source = {
                "id": "7102",
                "organizationId": ORGANIZATION_ID,
                "type": "uptime_subscription",
                "sourceId": "7202",
                "queryObj": {
                    "url": "https://shop.example.com/",
                    "method": "GET",
                    "body": None,
                    "headers": [["Authorization", "Bearer of-the-uptime-check"]],
                    "intervalSeconds": 60,
                    "timeoutMs": 5000,
                    "traceSampling": False,
                },
            }
            row |= {
                "dataSources": [source],
                "conditionGroup": _group("7602", [_condition("7503", "eq", "failure", 75)]),
                "config": {"mode": 1, "environment": "production", "downtimeThreshold": 3},
            }
            rows.append(row)
    return rows


def workflows(projects: Collection[Project], last_triggered: float | None) -> list[Row]:
    """The organization's alerts; those bound to a detector need its project."""
    ids = {detector["id"] for detector in detectors(projects, {})}
    slugs = {project.slug: project for project in projects}
    triggers = _group("8101", [_condition("8201", "new_high_priority_issue", True, True)])
    rows = [
        _workflow(
            _ESCALATIONS,
            "Tell the team of high priority issues",
            sorted(id_ for id_ in ids if id_.endswith("1")),
            _action("8301", "issue_owners", None),
            owner=f"team:{TEAMS[1].id}",
        )
        | {"triggers": triggers, "lastTriggered": last_triggered and microseconds(last_triggered)}
    ]
    if "catalog-api" in slugs:
        rows.append(
            _workflow(
                _LATENCY,
                f"Notify {MEMBERS[0].name}",
                [detector_id(slugs["catalog-api"], 2)],
                _action("8302", "user", MEMBERS[0].user_id),
                owner=f"user:{MEMBERS[0].user_id}",
            )
        )
    return rows


def detector_id(project: Project, number: int) -> str:
    return f"{int(project.id) % 100_000}{number}"


def _detector(project: Project, *, number: int, name: str, type: str, owner: Row | None) -> Row:  # noqa: A002
    return {
        "id": detector_id(project, number),
        "projectId": project.id,
        "name": name,
        "description": None,
        "type": type,
        "workflowIds": [],
        "owner": owner,
        "createdBy": None,
        "dateCreated": microseconds(_FOUNDED + int(project.id[-3:]) * 3600),
        "dateUpdated": microseconds(_FOUNDED + int(project.id[-3:]) * 7200),
        "dataSources": None,
        "conditionGroup": None,
        "config": {},
        "enabled": True,
        "latestGroup": None,
    }


def _workflow(id: str, name: str, detector_ids: list[str], action: Row, *, owner: str) -> Row:  # noqa: A002
    return {
        "id": id,
        "name": name,
        "organizationId": ORGANIZATION_ID,
        "createdBy": None,
        "dateCreated": microseconds(_FOUNDED + 100),
        "dateUpdated": microseconds(_FOUNDED + 500),
        "triggers": _group(f"{id}1", []),
        "actionFilters": [_group(f"{id}2", []) | {"actions": [action]}],
        "environment": None,
        "config": {"frequency": 30},
        "detectorIds": detector_ids,
        "enabled": True,
        "lastTriggered": None,
        "owner": owner,
    }


def _action(id: str, target: str, identifier: str | None) -> Row:  # noqa: A002
    return {
        "id": id,
        "type": "email",
        "integrationId": None,
        "data": {"fallthroughType": "ActiveMembers"},
        "config": {"targetType": target, "targetDisplay": None, "targetIdentifier": identifier},
        "status": "active",
    }


def _condition(id: str, type: str, comparison: Any, result: Any) -> Row:  # noqa: A002
    return {"id": id, "type": type, "comparison": comparison, "conditionResult": result}


def _group(id: str, conditions: list[Row]) -> Row:  # noqa: A002
    return {
        "id": id,
        "organizationId": ORGANIZATION_ID,
        "logicType": "any",
        "conditions": conditions,
        "actions": [],
    }
