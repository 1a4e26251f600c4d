"""What the ledger tells of runs and their steps."""

from __future__ import annotations

from orchestrate.ledger.model import Result
from orchestrate.monitoring.model import Kind, Metric, Query

_PIPELINE = ("environment", "pipeline")
# What only looks at runs is none; its row is there while it is under way. The job of dbt alone is
# its whole command line, which may hold SQL and be another each time: its step has the command.
RUN = """
run as (
    select
        run_id,
        coalesce(environment, '') as environment,
        case when planned_steps = '["dbt"]' then coalesce(
            (
                select replace(step.name, 'dbt:', 'dbt ') from step
                where step.run_id = pipeline_run.run_id and step.position = 0
            ),
            'dbt'
        ) else job end as pipeline,
        started_us,
        ended_us,
        coalesce(ended_us, heard_us) as heard_us,
        result
    from pipeline_run
    where started_us >= :since_us and job not like 'observe%'
)"""
RESULTS = " union all ".join(f"select '{result.value}' as name" for result in Result)
_BY_RESULT = f"""
with {RUN}, results as ({RESULTS})
select run_id, ended_us, environment, pipeline, results.name, result = results.name
from run cross join results
where ended_us is not null
"""

QUERIES = (
    Query(
        Kind.COUNTER,
        (*_PIPELINE, "result"),
        (Metric("runs_total", "Runs that ended, by how they ended."),),
        _BY_RESULT,
    ),
    Query(
        Kind.COUNTER,
        _PIPELINE,
        (Metric("run_seconds_total", "Time that runs took."),),
        f"""
        with {RUN}
        select run_id, ended_us, environment, pipeline, (ended_us - started_us) / 1e6
        from run
        where ended_us is not null
        """,
    ),
    Query(
        Kind.GAUGE,
        _PIPELINE,
        (Metric("last_run_start_timestamp_seconds", "When the last run began."),),
        f"""
        with {RUN}
        select run_id, started_us, environment, pipeline, started_us / 1e6 from run
        """,
    ),
    Query(
        Kind.GAUGE,
        _PIPELINE,
        (
            Metric("last_run_end_timestamp_seconds", "When the last run that is over ended."),
            Metric("last_run_duration_seconds", "How long the last run that is over took."),
        ),
        f"""
        with {RUN}
        select
            run_id, ended_us, environment, pipeline, ended_us / 1e6, (ended_us - started_us) / 1e6
        from run
        where ended_us is not null
        """,
    ),
    Query(
        Kind.GAUGE,
        (*_PIPELINE, "result"),
        (Metric("last_run_result", "1 for how the last run that is over ended, else 0."),),
        _BY_RESULT,
    ),
    Query(
        Kind.GAUGE,
        _PIPELINE,
        (Metric("last_success_timestamp_seconds", "When the last run that succeeded ended."),),
        f"""
        with {RUN}
        select run_id, ended_us, environment, pipeline, ended_us / 1e6
        from run
        where result = 'success'
        """,
    ),
    Query(
        Kind.GAUGE,
        _PIPELINE,
        (Metric("run_active", "1 while a run is under way, else 0."),),
        f"""
        with {RUN}
        select run_id, started_us, environment, pipeline, 1 from run
        union all
        -- Later than the start, however short it was; one that hangs may outlive those after it.
        select
            run_id, max(ended_us, started_us + 1), environment, pipeline,
            (environment, pipeline) in (
                select environment, pipeline from run where ended_us is null
            )
        from run
        where ended_us is not null
        """,
    ),
    Query(
        Kind.GAUGE,
        (*_PIPELINE, "step"),
        (
            Metric("last_step_duration_seconds", "How long the step last took."),
            Metric("last_step_success", "1 if the step succeeded when it last ran, else 0."),
        ),
        f"""
        with {RUN}
        select
            run_id, step.ended_us, environment, pipeline, step.name,
            (step.ended_us - step.started_us) / 1e6, step.result = 'success'
        from run inner join step using (run_id)
        where step.ended_us is not null and step.name <> ''
        """,
    ),
)
