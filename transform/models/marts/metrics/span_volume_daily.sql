-- How much work did each service do on each day, by kind of operation and environment: how often, how long, how well?
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="activity_date",
        on_schema_change="fail",
        meta={"time_column": "activity_date"},
    )
}}

with projects as (
    select * from {{ ref("stg_sentry__projects") }}
),

spans as (
    select
        spans.started_on as activity_date,
        coalesce(projects.project_slug, spans.project_id) as service,
        coalesce(spans.operation, '(none)') as operation,
        coalesce(spans.environment, '(none)') as environment,
        spans.trace_id,
        spans.user_id,
        spans.is_transaction,
        spans.status_class,
        spans.duration_seconds,
        spans.self_time_seconds,
        spans.span_weight,
        spans.loaded_at
    from {{ ref("stg_sentry__spans") }} as spans
    left join projects on spans.project_id = projects.project_id
    where spans.started_on is not null
),

{% if is_incremental() %}
    -- A late row changes a day's count, a row sent again its newest load time, a renamed project its service.
    changed_days as (
        select distinct changed.activity_date
        from (
            select
                activity_date,
                service,
                count(*) as stored_span_count,
                max(loaded_at) as last_loaded_at
            from spans
            group by activity_date, service
            except
            select
                activity_date,
                service,
                cast(sum(stored_span_count) as bigint) as stored_span_count,
                max(last_loaded_at) as last_loaded_at
            from {{ this }}
            group by activity_date, service
        ) as changed
    ),

    selected as (
        select spans.*
        from spans
        inner join changed_days on spans.activity_date = changed_days.activity_date
    ),
{% else %}
    selected as (
        select * from spans
    ),
{% endif %}

-- Rank each span by the traffic that it and all faster ones stand for: a percentile is where that reaches its share.
ranked as (
    select
        *,
        sum(span_weight) over (
            partition by activity_date, service, operation, environment
            order by duration_seconds
            rows between unbounded preceding and current row
        ) / sum(span_weight) over (
            partition by activity_date, service, operation, environment
        ) + 0.000000001 as cumulative_share
    from selected
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
        min(duration_seconds) filter (where cumulative_share >= 0.99) as p99_duration_seconds
    from ranked
    group by activity_date, service, operation, environment
),

buckets as (
    select
        activity_date,
        service,
        operation,
        environment,
        {{ duration_bucket("duration_seconds") }} as bucket,
        round(sum(span_weight), 6) as estimated_span_count
    from selected
    where duration_seconds is not null
    group by activity_date, service, operation, environment, bucket
),

histograms as (
    select
        activity_date,
        service,
        operation,
        environment,
        map(list(bucket order by bucket), list(estimated_span_count order by bucket)) as duration_histogram
    from buckets
    group by activity_date, service, operation, environment
),

totals as (
    select
        activity_date,
        service,
        operation,
        environment,
        count(*) as stored_span_count,
        round(sum(span_weight), 6) as estimated_span_count,
        round(sum(span_weight * span_weight), 6) as squared_weights,
        round(coalesce(sum(span_weight) filter (where is_transaction), 0), 6) as estimated_transaction_count,
        round(coalesce(sum(span_weight) filter (where status_class = 'ok'), 0), 6) as estimated_ok_count,
        round(coalesce(sum(span_weight) filter (where status_class = 'error'), 0), 6) as estimated_error_count,
        round(coalesce(sum(span_weight) filter (where status_class = 'cancelled'), 0), 6) as estimated_cancelled_count,
        round(coalesce(sum(span_weight) filter (where status_class = 'unknown'), 0), 6) as estimated_unknown_count,
        round(coalesce(sum(span_weight * duration_seconds), 0), 6) as total_duration_seconds,
        round(coalesce(sum(span_weight * self_time_seconds), 0), 6) as total_self_time_seconds,
        round(sum(span_weight) filter (where duration_seconds is not null), 6) as timed_span_count,
        min(duration_seconds) as min_duration_seconds,
        max(duration_seconds) as max_duration_seconds,
        count(distinct trace_id) as trace_count,
        count(distinct user_id) as user_count,
        max(loaded_at) as last_loaded_at
    from selected
    group by activity_date, service, operation, environment
),

final as (
    select
        totals.activity_date,
        totals.service,
        totals.operation,
        totals.environment,
        totals.stored_span_count,
        totals.estimated_span_count,
        round(totals.estimated_span_count * totals.estimated_span_count / totals.squared_weights, 6)
            as effective_span_count,
        totals.estimated_transaction_count,
        totals.estimated_ok_count,
        totals.estimated_error_count,
        totals.estimated_cancelled_count,
        totals.estimated_unknown_count,
        totals.estimated_error_count / totals.estimated_span_count as error_rate,
        totals.estimated_span_count / 1440 as spans_per_minute,
        totals.total_duration_seconds,
        totals.total_self_time_seconds,
        totals.total_duration_seconds / totals.timed_span_count as mean_duration_seconds,
        totals.min_duration_seconds,
        percentiles.p50_duration_seconds,
        percentiles.p75_duration_seconds,
        percentiles.p95_duration_seconds,
        percentiles.p99_duration_seconds,
        totals.max_duration_seconds,
        histograms.duration_histogram,
        totals.trace_count,
        totals.user_count,
        totals.last_loaded_at
    from totals
    left join percentiles using (activity_date, service, operation, environment)
    left join histograms using (activity_date, service, operation, environment)
)

select * from final
