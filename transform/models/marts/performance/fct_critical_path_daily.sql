-- On which services do people wait, by the request that began the trace?
{{ config(meta={"time_column": "activity_date"}) }}

with services as (
    select * from {{ ref("fct_trace_services") }}
),

totals as (
    select
        activity_date,
        root_service,
        root_transaction_name,
        environment,
        service,
        count(*) as stored_trace_count,
        {{ rounded("sum(trace_weight)") }} as estimated_trace_count,
        {{ rounded(count_standard_error("trace_weight", "1")) }} as estimated_trace_count_standard_error,
        {{ rounded(effective_count("trace_weight")) }} as effective_trace_count,
        {{ rounded("sum(trace_weight * critical_path_seconds)") }} as critical_path_seconds,
        {{ rounded("sum(trace_weight * waiting_seconds)") }} as waiting_seconds,
        {{ rounded("sum(trace_weight * coalesce(critical_path_share, 0))") }} as summed_critical_path_share,
        {{ rounded(rate_standard_error("(trace_weight * coalesce(critical_path_share, 0))", "trace_weight", "1")) }}
            as mean_critical_path_share_standard_error
    from services
    group by activity_date, root_service, root_transaction_name, environment, service
),

final as (
    select
        activity_date,
        root_service,
        root_transaction_name,
        environment,
        service,
        stored_trace_count,
        estimated_trace_count,
        estimated_trace_count_standard_error,
        critical_path_seconds,
        waiting_seconds,
        {{ rounded("sum(critical_path_seconds) over root_transactions") }} as root_critical_path_seconds,
        {{ ratio("critical_path_seconds", rounded("sum(critical_path_seconds) over root_transactions")) }}
            as critical_path_share,
        {{ ratio("critical_path_seconds", "estimated_trace_count") }} as mean_critical_path_seconds,
        {{ ratio("summed_critical_path_share", "estimated_trace_count") }} as mean_critical_path_share,
        mean_critical_path_share_standard_error,
        {{ is_low_sample("effective_trace_count") }} as is_low_sample
    from totals
    window root_transactions as (partition by activity_date, root_service, root_transaction_name, environment)
)

select * from final
