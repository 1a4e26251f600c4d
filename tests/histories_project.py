"""The invented project of `tests.histories`: streams, endpoints, models, tests, two manifests."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrate.ledger.model import Manifest, ManifestNode, Row

STREAMS = {"issues": 60, "events": 900, "spans": 2600, "projects": 6, "releases": 12, "users": 9}
ENDPOINTS = {
    "issues": ("issues", 10, 1.0),
    "events": ("project_events", 60, 60.0),
    "spans": ("explore", 30, 1.0),
    "projects": ("default", 40, 1.0),
    "releases": ("releases", 40, 1.0),
    "users": ("default", 40, 1.0),
}
SOURCE, MODEL = "source.sentry.sentry.", "model.sentry."
# Model: what it reads, its seconds, its materialization, its owner.
MODELS: dict[str, tuple[tuple[str, ...], float, str, str]] = {
    **{
        f"stg_sentry__{stream}": ((f"{SOURCE}{stream}",), 0.08, "view", "platform")
        for stream in STREAMS
    },
    "int_spans": (("stg_sentry__spans",), 2.4, "incremental", "platform"),
    "int_errors": (("stg_sentry__events", "stg_sentry__issues"), 1.6, "incremental", "platform"),
    "int_releases": (("stg_sentry__releases",), 0.4, "table", "platform"),
    "int_people": (("stg_sentry__users",), 0.3, "table", "platform"),
    "fct_service_daily": (("int_spans",), 1.9, "incremental", "reliability"),
    "fct_traces": (("int_spans",), 3.1, "incremental", "reliability"),
    "fct_critical_path_daily": (("fct_traces",), 1.2, "table", "reliability"),
    "fct_issue_lifecycle": (("int_errors",), 0.9, "table", "reliability"),
    "fct_release_quality": (("int_releases", "int_errors"), 0.7, "table", "reliability"),
    "fct_user_impact_daily": (("int_errors", "int_people"), 1.1, "incremental", "product"),
    "dim_release": (("int_releases",), 0.2, "table", "reliability"),
    "dim_person": (("int_people",), 0.2, "table", "product"),
    "dim_project": (("stg_sentry__projects",), 0.2, "table", "platform"),
    "fct_business_daily": (("fct_user_impact_daily", "dim_person"), 0.8, "table", "product"),
}
FLAKY, BROKEN_LATER = "fct_traces", "dim_person"
CHANGED, NEW_LATER = "fct_release_quality", "fct_business_daily"


def manifest(version: int) -> Iterator[Row]:
    """The project before (0) and after (1) its one change."""
    manifest_hash = manifest_hash_of(version)
    yield Manifest(
        manifest_hash=manifest_hash, project="sentry", adapter="duckdb", dbt_version="1.11.12"
    )
    limits = {
        "warn_after": {"count": 6, "period": "hour"},
        "error_after": {"count": 1, "period": "day"},
    }
    for stream in STREAMS:
        yield ManifestNode(
            manifest_hash=manifest_hash,
            unique_id=f"{SOURCE}{stream}",
            resource_type="source",
            name=stream,
            package="sentry",
            schema="sentry",
            identifier=stream,
            path="models/staging/_sources.yml",
            config={"enabled": True, "freshness": limits if stream != "users" else None},
        )
    for name, (reads, _, kind, owner) in MODELS.items():
        if name == NEW_LATER and not version:
            continue
        folder = {"stg": "staging", "int": "intermediate"}.get(name[:3], "marts")
        cadence = {"build_after": {"count": 4, "period": "hour", "updates_on": "any"}}
        yield ManifestNode(
            manifest_hash=manifest_hash,
            unique_id=f"{MODEL}{name}",
            resource_type="model",
            name=name,
            package="sentry",
            schema=folder,
            identifier=name,
            path=f"models/{folder}/{name}.sql",
            owner=owner,
            tags=[folder, *(["nightly"] if name.startswith("dim_") else [])],
            depends_on=[one if one.startswith("source") else f"{MODEL}{one}" for one in reads],
            config={
                "materialized": kind if name != CHANGED or not version else "incremental",
                "contract": {"enforced": folder == "marts"},
                "freshness": cadence if name.startswith("dim_") else None,
            },
        )
        for test in tests_of(name):
            yield ManifestNode(
                manifest_hash=manifest_hash,
                unique_id=f"test.sentry.{test}.{hash_of(test)}",
                resource_type="test",
                name=test,
                package="sentry",
                path=f"models/{folder}/{name}.yml",
                depends_on=[f"{MODEL}{name}"],
                config={"severity": "ERROR"},
            )


def hash_of(text: str) -> str:
    """A few digits that are the same in every process."""
    return f"{sum((place + 1) * ord(sign) for place, sign in enumerate(text)):06x}"


def tests_of(model: str) -> tuple[str, ...]:
    return (f"not_null_{model}_id", f"unique_{model}_id") if model[:3] != "stg" else ()


def relation(environment: str, name: str) -> str:
    folder = {"stg": "staging", "int": "intermediate"}.get(name[:3], "marts")
    file = "sample_warehouse" if environment == "ci" else "warehouse"
    return f'"{file}"."{folder}"."{name}"'


def manifest_hash_of(version: int) -> str:
    return f"{version + 0xA1:064x}"[::-1]
