"""What the ledger tells of dbt: invocations, models, tests, freshness of sources."""

from __future__ import annotations

from orchestrate.ledger.model import FAILED, KILLED, TESTS
from orchestrate.monitoring.model import Kind, Metric, Query
from orchestrate.monitoring.runs import RESULTS


def _listed(words: frozenset[str] | set[str]) -> str:
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"


_BROKEN = _listed({*FAILED, KILLED})
# Other commands list nodes too, and do not run them.
_RUNS_NODES = _listed({"build", "retry", "run", "seed", "snapshot", "test"})
_INVOCATION = """
invocation as (
    select
        dbt_invocation.*,
        coalesce(environment, '') as place,
        coalesce(ended_us, heard_us) as over_us
    from dbt_invocation
    where started_us >= :since_us
)"""
_NEWEST = f"""
{_INVOCATION},
newest as (
    select place, manifest_hash, max(started_us)
    from invocation
    where manifest_hash is not null
    group by place
)"""
# A node that is no more in the project is no more broken.
_IS_LISTED = """(
    newest.manifest_hash is null
    or (newest.manifest_hash, unique_id) in (select manifest_hash, unique_id from manifest_node)
)"""
_NODE = f"""
{_NEWEST},
recent as (
    select * from (
        select
            *,
            row_number() over (partition by place, command order by started_us desc) as age
        from invocation
        where command in {_RUNS_NODES}
    )
    where age <= :invocations
),
node as (
    select
        recent.run_id,
        coalesce(node_run.ended_us, recent.over_us) as at_us,
        recent.place as environment,
        node_run.name,
        node_run.resource_type,
        node_run.status,
        node_run.failures,
        (node_run.ended_us - node_run.started_us) / 1e6 as seconds
    from recent
    inner join node_run using (invocation_id)
    left join newest using (place)
    where node_run.status is not null and {_IS_LISTED}
)"""
_MODELS = "resource_type in ('model', 'seed', 'snapshot')"

QUERIES = (
    Query(
        Kind.COUNTER,
        ("environment", "command", "result"),
        (Metric("dbt_invocations_total", "Calls of dbt that ended, by how they ended."),),
        f"""
        with {_INVOCATION}, results as ({RESULTS})
        select run_id, over_us, place, command, results.name, result = results.name
        from invocation cross join results
        where result is not null
        """,
    ),
    Query(
        Kind.GAUGE,
        ("environment", "model"),
        (
            Metric("dbt_model_last_duration_seconds", "How long the model last took."),
            Metric("dbt_model_failed", "1 if the model failed or was killed last, else 0."),
            Metric(
                "dbt_model_skipped",
                "1 if the model was left out last, since one before it failed, else 0.",
            ),
        ),
        f"""
        with {_NODE}
        select
            run_id, at_us, environment, name,
            case when status <> 'skipped' then seconds end,
            status in {_BROKEN},
            status = 'skipped'
        from node
        where {_MODELS}
        """,
    ),
    Query(
        Kind.GAUGE,
        ("environment", "model"),
        (Metric("dbt_model_last_success_timestamp_seconds", "When the model was last built."),),
        f"""
        with {_NODE}
        select run_id, at_us, environment, name, at_us / 1e6
        from node
        where {_MODELS} and status = 'success'
        """,
    ),
    Query(
        Kind.GAUGE,
        ("environment", "test"),
        (
            Metric("dbt_test_failed", "1 if the test failed last, else 0."),
            Metric("dbt_test_warned", "1 if the test warned last, else 0."),
            Metric("dbt_test_failing_rows", "Rows that the test found fault with last."),
            Metric("dbt_test_last_duration_seconds", "How long the test last took."),
        ),
        f"""
        with {_NODE}
        select
            run_id, at_us, environment, name, status in {_BROKEN}, status = 'warn',
            coalesce(failures, 0), seconds
        from node
        where resource_type in {_listed(TESTS)} and status <> 'skipped'
        """,
    ),
    Query(
        Kind.GAUGE,
        ("environment", "source"),
        (
            Metric("dbt_source_warned", "1 if dbt last found the source older than it should be."),
            Metric("dbt_source_failed", "1 if dbt last found the source older than it may be."),
        ),
        f"""
        with {_NEWEST}
        select
            run_id, over_us, place,
            -- source.<project>.<source>.<table>
            substr(unique_id, 8 + instr(substr(unique_id, 8), '.')),
            status = 'warn', status in {_BROKEN}
        from invocation
        inner join freshness_result using (invocation_id)
        left join newest using (place)
        where {_IS_LISTED}
        """,
    ),
)
