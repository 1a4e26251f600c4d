-- The same per week: what adds up is added up, percentiles are read from the merged histograms.
{{ config(meta={"time_column": "week_start_date"}) }}

with daily as (
    select
        *,
        cast(date_trunc('week', activity_date) as date) as week_start_date
    from {{ ref("span_volume_daily") }}
),

entries as (
    select
        week_start_date,
        service,
        operation,
        environment,
        unnest(map_keys(duration_histogram)) as bucket,
        unnest(map_values(duration_histogram)) as estimated_span_count
    from daily
),

merged as (
    select
        week_start_date,
        service,
        operation,
        environment,
        bucket,
        sum(estimated_span_count) as estimated_span_count
    from entries
    group by week_start_date, service, operation, environment, bucket
),

ranked as (
    select
        *,
        sum(estimated_span_count) over (
            partition by week_start_date, service, operation, environment
            order by bucket
        ) / sum(estimated_span_count) over (
            partition by week_start_date, service, operation, environment
        ) + 0.000000001 as cumulative_share
    from merged
),

percentiles as (
    select
        week_start_date,
        service,
        operation,
        environment,
        {{ bucket_duration("min(bucket) filter (where cumulative_share >= 0.50)") }} as p50_duration_seconds,
        {{ bucket_duration("min(bucket) filter (where cumulative_share >= 0.75)") }} as p75_duration_seconds,
        {{ bucket_duration("min(bucket) filter (where cumulative_share >= 0.95)") }} as p95_duration_seconds,
        {{ bucket_duration("min(bucket) filter (where cumulative_share >= 0.99)") }} as p99_duration_seconds
    from ranked
    group by week_start_date, service, operation, environment
),

totals as (
    select
        week_start_date,
        service,
        operation,
        environment,
        count(*) as day_count,
        cast(sum(stored_span_count) as bigint) as stored_span_count,
        round(sum(estimated_span_count), 6) as estimated_span_count,
        round(sum(estimated_error_count), 6) as estimated_error_count,
        round(sum(total_duration_seconds), 6) as total_duration_seconds,
        round(sum(total_self_time_seconds), 6) as total_self_time_seconds,
        max(max_duration_seconds) as max_duration_seconds
    from daily
    group by week_start_date, service, operation, environment
),

final as (
    select
        totals.week_start_date,
        totals.service,
        totals.operation,
        totals.environment,
        totals.day_count,
        totals.stored_span_count,
        totals.estimated_span_count,
        totals.estimated_error_count,
        totals.estimated_error_count / totals.estimated_span_count as error_rate,
        totals.total_duration_seconds,
        totals.total_self_time_seconds,
        percentiles.p50_duration_seconds,
        percentiles.p75_duration_seconds,
        percentiles.p95_duration_seconds,
        percentiles.p99_duration_seconds,
        totals.max_duration_seconds
    from totals
    left join percentiles using (week_start_date, service, operation, environment)
)

select * from final
