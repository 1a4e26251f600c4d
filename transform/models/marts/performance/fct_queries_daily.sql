-- Which database queries cost most?
{{ config(meta={"time_column": "activity_date"}) }}

with queries as (
    select *
    from {{ ref("int_queries") }}
    where service is not null
),

final as (
    select
        activity_date,
        service,
        transaction_name,
        environment,
        query_text,
        stored_call_count,
        estimated_call_count,
        estimated_call_count_standard_error,
        total_seconds,
        {{ ratio("total_seconds", "timed_call_count") }} as mean_duration_seconds,
        p95_duration_seconds,
        estimated_transaction_count,
        {{ ratio("estimated_call_count", "estimated_transaction_count") }} as calls_per_transaction,
        {{ rounded("sum(total_seconds) over services") }} as service_database_seconds,
        {{ ratio("total_seconds", rounded("sum(total_seconds) over services")) }} as service_database_share,
        {{ is_low_sample("effective_trace_count") }} as is_low_sample,
        last_loaded_at
    from queries
    window services as (partition by activity_date, service, environment)
)

select * from final
