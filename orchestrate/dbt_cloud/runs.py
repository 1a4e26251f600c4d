"""A run of dbt Cloud as rows of the ledger: the run, its steps, and what each call of dbt left.

Statuses become results: Success `success`, Error `failure`, Cancelled `killed` (nobody waited for
its end, as when a process is gone; `error` says by which words of dbt Cloud), others none yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestrate.dbt_cloud.answers import CANCELLED, ERROR, SUCCESS, Run, RunStep
from orchestrate.ledger import identity
from orchestrate.ledger.dbt import invocations
from orchestrate.ledger.dbt.archive import Found
from orchestrate.ledger.dbt.events import arguments_of, command_of
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import LogEvent, PipelineRun, Result, Row, Step
from orchestrate.ledger.store import Ledger

SOURCE = "dbt Cloud"  # of the lines in a run's log
_RESULTS = {SUCCESS: Result.SUCCESS, ERROR: Result.FAILURE, CANCELLED: Result.KILLED}
_EXIT_CODES = {SUCCESS: 0, ERROR: 1}
# Of a step that is named so: Invoke dbt with `dbt build --select tag:hourly`
_CALL = re.compile(r"(?:^|`)(dbtf?\s[^`]+)")
_FRESHNESS = "source freshness"
# What a command leaves; the others leave nothing that tells of nodes.
_ARTIFACTS = {
    **dict.fromkeys(("build", "clone", "compile", "docs generate", "retry"), "run_results.json"),
    **dict.fromkeys(("run", "seed", "snapshot", "test"), "run_results.json"),
    _FRESHNESS: "sources.json",
}


def arguments(step: RunStep) -> list[str]:
    """The arguments of dbt in a step; none if the step does something else."""
    found = _CALL.search(step.name)
    return (arguments_of(found[1]) or []) if found else []


def artifact(step: RunStep) -> str | None:
    """The name of the artifact that tells of a step's nodes; None if it has no nodes."""
    return _ARTIFACTS.get(command_of(arguments(step)))


def run_row(run: Run, environments: Mapping[int, str]) -> PipelineRun:
    """The run. `arguments` are job, environment and project by their numbers, and a schema."""
    run_id = str(run.id)
    trace_id = identity.trace_id(run_id)
    started = run.started_at or run.dequeued_at or run.created_at
    started_us = instant_us(started) or 0
    ended_us = instant_us(run.finished_at or run.updated_at) or started_us
    given = {
        "job_id": run.job_definition_id,
        "environment_id": run.environment_id,
        "project_id": run.project_id,
        "schema_override": run.trigger.schema_override if run.trigger else None,
    }
    planned = (run.trigger and run.trigger.steps_override) or (run.job and run.job.execute_steps)
    return PipelineRun(
        run_id=run_id,
        trace_id=trace_id,
        span_id=identity.span_id(trace_id, run_id),
        started_us=started_us,
        heard_us=ended_us,
        environment=_environment(run, environments),
        job=(run.job.name if run.job else "") or f"job {run.job_definition_id}",
        planned_steps=planned or [],
        arguments=[f"{name}={value}" for name, value in given.items() if value],
        trigger=_trigger(run),
        branch=run.git_branch,
        revision=run.git_sha,
        ended_us=ended_us if run.has_ended else None,
        result=_RESULTS.get(run.status),
        error=_error(run),
    )


def step_rows(run: Run) -> Iterator[Step]:
    """Its steps that began; `position` is the step's index, so the first is 1."""
    for step in run.run_steps or ():
        started_us = instant_us(step.started_at)
        if started_us is None:
            continue
        command = command_of(arguments(step))
        result = _RESULTS.get(step.status)
        if run.has_ended and result is None:
            result = Result.KILLED
        yield Step(
            run_id=str(run.id),
            position=step.index,
            name=f"dbt:{command}" if command else step.name,
            kind="command",
            started_us=started_us,
            ended_us=_end_us(run, step) if result else None,
            result=result,
            error=f"{step.name} failed" if result is Result.FAILURE else None,
        )


def save_invocation(
    ledger: Ledger, run: Run, step: RunStep, found: Found, problems: list[str]
) -> None:
    """Save a call of dbt in a run that is in the ledger; call it inside of `Ledger.writing`."""
    found.facts.run_id = str(run.id)
    found.facts.traceparent = None
    found.facts.arguments = arguments(step) or found.facts.arguments
    target = (run.trigger and run.trigger.target_name_override) or (
        run.job and run.job.settings and run.job.settings.target_name
    )
    found.facts.target = found.facts.target or target or None
    if step.status in _EXIT_CODES:
        found.facts.exit_code = _EXIT_CODES[step.status]
    else:
        # Nobody ended it: with its run ended, the ledger takes it for killed.
        found.ended_us = None
    saved = invocations.save(
        ledger,
        found.facts.invocation_id,
        None,
        found,
        environment=found.facts.environment,
        is_gone=_never,
        say=problems.append,
    ).invocation
    saved.threads = saved.threads or _threads(run)
    ledger.save([saved])


def notes(run: Run, problems: list[str]) -> list[Row]:
    """What of a run could not be had, as lines of its log."""
    at_us = instant_us(run.finished_at or run.updated_at or run.created_at) or 0
    return [
        LogEvent(
            run_id=str(run.id),
            number=number,
            at_us=at_us,
            level="warning",
            source=SOURCE,
            text=problem,
        )
        for number, problem in enumerate(problems, start=1)
    ]


def _never(*_: object) -> bool:
    return False


def _end_us(run: Run, step: RunStep) -> int | None:
    return instant_us(step.finished_at or run.finished_at or run.updated_at)


def _environment(run: Run, environments: Mapping[int, str]) -> str | None:
    if run.environment and run.environment.name:
        return run.environment.name
    if run.environment_id is None:
        return None
    return environments.get(run.environment_id) or f"environment {run.environment_id}"


def _error(run: Run) -> str | None:
    if run.status not in {ERROR, CANCELLED}:
        return None
    said = " ".join((run.status_message or "").split())
    if run.status == CANCELLED:
        return said or "It was cancelled in dbt Cloud."
    failed = next((step.name for step in run.run_steps or () if step.status == ERROR), None)
    return said or (f"{failed} failed" if failed else "It failed, and dbt Cloud does not say why.")


def _trigger(run: Run) -> str:
    """What set off this run, which need not be what its job is for: people start jobs, too."""
    trigger = run.trigger
    pulls = trigger and (
        trigger.github_pull_request_id
        or trigger.gitlab_merge_request_id
        or trigger.azure_pull_request_id
        or trigger.non_native_pull_request_id
    )
    job_type = run.job.job_type if run.job else None
    if pulls or job_type == "ci":
        return "ci"
    if trigger and trigger.cause and "schedule" in trigger.cause.lower():
        return "scheduled"
    if job_type == "merge":
        return "merge"
    return "scheduled" if job_type == "scheduled" and not (trigger and trigger.cause) else "other"


def _threads(run: Run) -> int | None:
    settings = run.job.settings if run.job else None
    return (run.trigger and run.trigger.threads_override) or (settings and settings.threads) or None
