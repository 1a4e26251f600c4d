-- How are durations spread on each day? The histograms that any longer period or coarser grain merges by adding up.
{{ config(materialized="incremental", unique_key="activity_date", meta={"time_column": "activity_date"}) }}

{% set days = stale_days("span_version") %}

with spans as (
    select *
    from {{ ref("int_spans") }}
    where duration_seconds is not null and {{ on_days("activity_date", days) }}
),

bucketed as (
    select
        activity_date,
        service,
        operation,
        environment,
        {{ duration_bucket("duration_seconds") }} as bucket,
        count(*) as stored_span_count,
        {{ rounded("sum(span_weight)") }} as estimated_span_count,
        max(day_version) as day_version
    from spans
    group by activity_date, service, operation, environment, bucket
),

final as (
    select
        activity_date,
        service,
        operation,
        environment,
        bucket,
        {{ rounded("power(2, bucket / 16.0)", digits=9) }} as upper_bound_seconds,
        stored_span_count,
        estimated_span_count,
        day_version
    from bucketed
)

select * from final
