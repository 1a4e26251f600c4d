"""The shapes of dbt Cloud's answers, as far as they are read here.

https://github.com/dbt-labs/dbt-cloud-openapi-spec (openapi-v2.yaml: List Runs, List Jobs)
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

# The numbers by which a run and a step say how they are.
QUEUED, STARTING, RUNNING, SUCCESS, ERROR, CANCELLED = 1, 2, 3, 10, 20, 30
# What a run is asked to hold besides; it is JSON within the address.
RELATED = '["job","trigger","environment","run_steps"]'
ENDED = frozenset({SUCCESS, ERROR, CANCELLED})

Content = TypeVar("Content")


class Pagination(msgspec.Struct):
    """How many there are in all, pages left out."""

    total_count: int | None = None


class Extra(msgspec.Struct):
    """What lists have beside their content."""

    pagination: Pagination | None = None


class Envelope(msgspec.Struct, Generic[Content]):
    """Around every answer of the Administrative API."""

    data: Content
    extra: Extra | None = None


class Account(msgspec.Struct):
    """An account."""

    id: int
    name: str = ""


class Environment(msgspec.Struct):
    """An environment of a project."""

    id: int
    name: str = ""
    project_id: int | None = None
    type: str | None = None
    deployment_type: str | None = None


class JobSettings(msgspec.Struct):
    """How a job calls dbt."""

    threads: int | None = None
    target_name: str | None = None


class JobTriggers(msgspec.Struct):
    """What starts a job."""

    schedule: bool | None = None
    github_webhook: bool | None = None
    git_provider_webhook: bool | None = None
    on_merge: bool | None = None


class JobSchedule(msgspec.Struct):
    """When a job starts, if its trigger `schedule` is on."""

    cron: str | None = None


class JobDefinition(msgspec.Struct):
    """A job. `cost_optimization_features` took the place of `force_node_selection`."""

    id: int
    name: str = ""
    environment_id: int | None = None
    project_id: int | None = None
    job_type: str | None = None
    execute_steps: list[str] | None = None
    settings: JobSettings | None = None
    triggers: JobTriggers | None = None
    schedule: JobSchedule | None = None
    generate_docs: bool | None = None
    run_generate_sources: bool | None = None
    cost_optimization_features: list[str] | None = None
    force_node_selection: bool | None = None


class Trigger(msgspec.Struct):
    """Who or what started a run, and what it was to do otherwise than its job."""

    cause: str | None = None
    github_pull_request_id: int | None = None
    gitlab_merge_request_id: int | None = None
    azure_pull_request_id: int | None = None
    non_native_pull_request_id: int | None = None
    schema_override: str | None = None
    threads_override: int | None = None
    target_name_override: str | None = None
    steps_override: list[str] | None = None


class RunStep(msgspec.Struct):
    """A step of a run; the first has the index 1."""

    index: int
    name: str = ""
    status: int = QUEUED
    started_at: str | None = None
    finished_at: str | None = None


class Run(msgspec.Struct):
    """A run. `run_steps` may be left out in lists."""

    id: int
    status: int
    created_at: str
    updated_at: str | None = None
    dequeued_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    job_definition_id: int | None = None
    environment_id: int | None = None
    project_id: int | None = None
    status_message: str | None = None
    git_branch: str | None = None
    git_sha: str | None = None
    trigger: Trigger | None = None
    job: JobDefinition | None = None
    environment: Environment | None = None
    run_steps: list[RunStep] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class GraphQL(msgspec.Struct):
    """An answer of the Discovery API."""

    data: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None
