"""Client keys (DSNs) as Sentry serializes them, secrets included."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tap_sentry.demo.catalogue import ORGANIZATION_ID, Project
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.organization_rows import created, secret
from tap_sentry.demo.timeline import DAY_S

Row = dict[str, Any]


def project_keys(projects: Collection[Project]) -> list[Row]:
    """A key per project; the storefront kept the inactive one of its old shop."""
    rows = []
    for project in projects:
        rows.append(_key(project, "Default", is_active=True))
        if project.slug == "storefront":
            rows.append(_key(project, "Old shop", is_active=False))
    return rows


def _key(project: Project, name: str, *, is_active: bool) -> Row:
    public, private = secret(f"{project.id} {name} public"), secret(f"{project.id} {name} private")
    host = f"o{ORGANIZATION_ID}.ingest.example.com"
    api = f"https://{host}/api/{project.id}"
    asking = f"?sentry_key={public}"
    return {
        "id": public,
        "name": name,
        "label": name,
        "public": public,
        "secret": private,
        "projectId": int(project.id),
        "isActive": is_active,
        "rateLimit": {"window": 3600, "count": 10_000} if is_active else None,
        "dsn": {
            "secret": f"https://{public}:{private}@{host}/{project.id}",
            "public": f"https://{public}@{host}/{project.id}",
            "csp": f"{api}/csp-report/{asking}",
            "security": f"{api}/security/{asking}",
            "minidump": f"{api}/minidump/{asking}",
            "nel": f"{api}/nel/{asking}",
            "unreal": f"{api}/unreal/{public}/",
            "crons": f"{api}/cron/___MONITOR_SLUG___/{public}/",
            "cdn": f"https://js.example.com/{public}.min.js",
            "playstation": f"{api}/playstation/{asking}",
            "integration": f"{api}/integration/",
            "otlp_traces": f"{api}/integration/otlp/v1/traces",
            "otlp_logs": f"{api}/integration/otlp/v1/logs",
        },
        "browserSdkVersion": "10.x",
        "browserSdk": {"choices": [["latest", "latest"], ["10.x", "10.x"]]},
        "dateCreated": microseconds(created(project) + (0 if is_active else DAY_S)),
        "dynamicSdkLoaderOptions": {
            "hasReplay": project.slug == "storefront",
            "hasPerformance": True,
            "hasDebug": False,
            "hasFeedback": False,
            "hasLogsAndMetrics": False,
        },
        "useCase": "user",
    }
