"""The definitions of jobs, kept in a file beside the ledger, since runs name only their job.

https://docs.getdbt.com/dbt-cloud/api-v2 (List Jobs); which features a job may have: dbt Cloud's
Terraform provider, resource dbtcloud_job.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchestrate.dbt_cloud.answers import JobDefinition
from orchestrate.dbt_cloud.client import Client, Params
from orchestrate.dbt_cloud.errors import DbtCloudError

_REUSING = frozenset({"state_aware_orchestration", "dbt_state"})
# The job does what its environment says, which the API of jobs does not tell.
_INHERITED = "inherit_environment"


class Job(msgspec.Struct, kw_only=True):
    """A job as it is defined now; its runs have its name as their `job`.

    `job_type` is scheduled, ci, merge or other. `is_state_aware` is whether it reuses what did not
    change, None where the API does not tell. `cron` is in UTC, and counts if `is_scheduled`.
    """

    id: int
    name: str
    environment: str | None = None
    environment_id: int | None = None
    project_id: int | None = None
    job_type: str = "other"
    is_scheduled: bool = False
    cron: str | None = None
    execute_steps: list[str] = []
    target: str | None = None
    threads: int | None = None
    checks_freshness: bool = False
    is_state_aware: bool | None = None
    cost_optimization_features: list[str] = []


def defined(client: Client, environments: Mapping[int, str]) -> list[Job]:
    """The jobs of the account, or of the environment that the settings name, by their ids.

    Raises:
        DbtCloudError: As the client.
    """
    wanted = client.settings.environment_id
    params: Params = {"environment_id": wanted} if wanted else {}
    found: dict[int, Job] = {}
    for page in client.pages("jobs/", JobDefinition, params):
        found |= {definition.id: _job(definition, environments) for definition in page}
    return sorted(found.values(), key=lambda job: job.id)


def save(ledger: Path, jobs: list[Job]) -> None:
    """Keep them beside the ledger.

    Raises:
        DbtCloudError: If the file can't be written.
    """
    path = _file(ledger)
    new = path.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.format(msgspec.json.encode(jobs)))
        new.replace(path)
    except OSError as error:
        raise DbtCloudError(
            f"The jobs can't be written to {path}: {error.strerror}. Make its folder writable."
        ) from error


def read(ledger: Path) -> list[Job]:
    """What was kept beside the ledger; nothing if that never was.

    Raises:
        DbtCloudError: If the file can't be read.
    """
    path = _file(ledger)
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Job])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise DbtCloudError(
            f"The jobs in {path} can't be read: {error}. Remove it and fetch once more."
        ) from error


def _file(ledger: Path) -> Path:
    return ledger.with_suffix(".jobs.json")


def _job(definition: JobDefinition, environments: Mapping[int, str]) -> Job:
    triggers, schedule, settings = definition.triggers, definition.schedule, definition.settings
    is_scheduled = bool(triggers and triggers.schedule)
    return Job(
        id=definition.id,
        name=definition.name,
        environment=environments.get(definition.environment_id or 0),
        environment_id=definition.environment_id,
        project_id=definition.project_id,
        job_type=_job_type(definition),
        is_scheduled=is_scheduled,
        cron=schedule.cron if schedule else None,
        execute_steps=definition.execute_steps or [],
        target=settings.target_name if settings else None,
        threads=settings.threads if settings else None,
        checks_freshness=bool(definition.run_generate_sources)
        or any("source freshness" in step for step in definition.execute_steps or []),
        is_state_aware=_is_state_aware(definition),
        cost_optimization_features=list(definition.cost_optimization_features or []),
    )


def _job_type(definition: JobDefinition) -> str:
    if definition.job_type in {"ci", "merge", "scheduled"}:
        return definition.job_type
    triggers = definition.triggers
    if definition.job_type or triggers is None:
        return "other"
    # Jobs from before there were types.
    if triggers.github_webhook or triggers.git_provider_webhook:
        return "ci"
    if triggers.on_merge:
        return "merge"
    return "scheduled" if triggers.schedule else "other"


def _is_state_aware(definition: JobDefinition) -> bool | None:
    features = definition.cost_optimization_features
    if features is not None:
        return None if _INHERITED in features else not _REUSING.isdisjoint(features)
    forced = definition.force_node_selection  # what there was before
    return None if forced is None else not forced
