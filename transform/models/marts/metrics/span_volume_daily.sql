-- How much work did each service do on each day, by kind of operation and environment: how often, how long, how well?
{{ config(materialized="incremental", unique_key="activity_date", meta={"time_column": "activity_date"}) }}

{% set days = stale_days("span_version") %}
{% set rate = (
    "rated.error_rate",
    "rated.error_rate_standard_error",
    "rated.estimated_span_count",
    "rated.estimated_span_count_standard_error",
) %}

with spans as (
    select *
    from {{ ref("int_spans") }}
    where {{ on_days("activity_date", days) }}
),

-- Rank each span by the traffic that it and all faster ones stand for: a percentile is where that reaches its share.
ranked as (
    select
        activity_date,
        service,
        operation,
        environment,
        duration_seconds,
        sum(span_weight) over (
            partition by activity_date, service, operation, environment
            order by duration_seconds
            rows between unbounded preceding and current row
        ) / sum(span_weight) over (
            partition by activity_date, service, operation, environment
        ) + 0.000000001 as cumulative_share
    from spans
    where duration_seconds is not null
),

percentiles as (
    select
        activity_date,
        service,
        operation,
        environment,
        min(duration_seconds) filter (where cumulative_share >= 0.50) as p50_duration_seconds,
        min(duration_seconds) filter (where cumulative_share >= 0.75) as p75_duration_seconds,
        min(duration_seconds) filter (where cumulative_share >= 0.95) as p95_duration_seconds,
        min(duration_seconds) filter (where cumulative_share >= 0.99) as p99_duration_seconds,
        max(duration_seconds) as max_duration_seconds
    from ranked
    group by activity_date, service, operation, environment
),

-- Whole traces are kept or dropped, so they are what standard errors count in.
traces as (
    select
        activity_date,
        service,
        operation,
        environment,
        trace_id,
        count(*) as stored_spans,
        sum(span_weight) as estimated,
        sum(span_weight * span_weight) as squared,
        coalesce(sum(span_weight) filter (where is_transaction), 0) as transaction_spans,
        coalesce(sum(span_weight) filter (where status_class = 'ok'), 0) as ok_spans,
        coalesce(sum(span_weight) filter (where status_class = 'error'), 0) as error_spans,
        coalesce(sum(span_weight) filter (where status_class = 'cancelled'), 0) as cancelled_spans,
        coalesce(sum(span_weight) filter (where status_class = 'unknown'), 0) as unknown_spans,
        coalesce(sum(span_weight * duration_seconds), 0) as total_duration,
        coalesce(sum(span_weight * self_time_seconds), 0) as total_self_time,
        coalesce(sum(span_weight) filter (where duration_seconds is not null), 0) as timed_spans,
        max(day_version) as day_version
    from spans
    group by activity_date, service, operation, environment, trace_id
),

totals as (
    select
        activity_date,
        service,
        operation,
        environment,
        cast(sum(stored_spans) as bigint) as stored_span_count,
        count(*) as stored_trace_count,
        {{ rounded("sum(estimated)") }} as estimated_span_count,
        {{ rounded(count_standard_error("estimated", "stored_spans")) }} as estimated_span_count_standard_error,
        {{ rounded("sum(estimated) * sum(estimated) / sum(squared)") }} as effective_span_count,
        {{ rounded("sum(transaction_spans)") }} as estimated_transaction_count,
        {{ rounded("sum(ok_spans)") }} as estimated_ok_count,
        {{ rounded("sum(error_spans)") }} as estimated_error_count,
        {{ rounded("sum(cancelled_spans)") }} as estimated_cancelled_count,
        {{ rounded("sum(unknown_spans)") }} as estimated_unknown_count,
        {{ rounded(rate_standard_error("error_spans", "estimated", "stored_spans")) }} as error_rate_standard_error,
        {{ rounded("sum(total_duration)") }} as total_duration_seconds,
        {{ rounded("sum(total_self_time)") }} as total_self_time_seconds,
        {{ rounded("sum(timed_spans)") }} as estimated_timed_span_count,
        max(day_version) as day_version
    from traces
    group by activity_date, service, operation, environment
),

rated as (
    select
        *,
        {{ ratio("estimated_error_count", "estimated_span_count") }} as error_rate
    from totals
),

final as (
    select
        rated.activity_date,
        rated.service,
        rated.operation,
        rated.environment,
        rated.stored_span_count,
        rated.stored_trace_count,
        rated.estimated_span_count,
        rated.estimated_span_count_standard_error,
        rated.effective_span_count,
        {{ is_low_sample("rated.effective_span_count") }} as is_low_sample,
        rated.estimated_transaction_count,
        rated.estimated_ok_count,
        rated.estimated_error_count,
        rated.estimated_cancelled_count,
        rated.estimated_unknown_count,
        rated.error_rate,
        rated.error_rate_standard_error,
        {{ rounded(rate_low(*rate)) }} as error_rate_low,
        {{ rounded(rate_high(*rate)) }} as error_rate_high,
        {{ ratio("rated.estimated_span_count", "1440") }} as spans_per_minute,
        rated.total_duration_seconds,
        rated.total_self_time_seconds,
        rated.estimated_timed_span_count,
        {{ ratio("rated.total_duration_seconds", "rated.estimated_timed_span_count") }} as mean_duration_seconds,
        percentiles.p50_duration_seconds,
        percentiles.p75_duration_seconds,
        percentiles.p95_duration_seconds,
        percentiles.p99_duration_seconds,
        percentiles.max_duration_seconds,
        rated.day_version
    from rated
    left join percentiles using (activity_date, service, operation, environment)
)

select * from final
