{{ config(
    materialized="incremental",
    unique_key="activity_date",
    post_hook="{{ note_empty_days('sentry_version') }}",
) }}

{% set days = stale_days("sentry_version") %}

with versions as (
    select
        activity_date,
        sentry_version as day_version
    from {{ ref("int_day_versions") }}
),

transactions as (
    select
        activity_date,
        service,
        environment,
        coalesce(release_version, '(none)') as release_version,
        date_trunc('hour', started_at) as hour_started_at,
        trace_id,
        span_weight,
        case when status_class = 'error' then span_weight else 0 end as failed_weight,
        case when duration_seconds is not null then span_weight else 0 end as timed_weight,
        -- What is shorter than a microsecond counts as one.
        case when duration_seconds is not null then ln(greatest(duration_seconds, 0.000001)) else 0 end as log_duration
    from {{ ref("int_spans") }}
    where is_transaction and {{ on_days("activity_date", days) }}
),

-- A trace is kept or dropped whole, so its transactions are one draw.
traces as (
    select
        activity_date,
        service,
        environment,
        release_version,
        hour_started_at,
        trace_id,
        count(*) as stored_count,
        sum(span_weight) as weight,
        sum(failed_weight) as failed_weight,
        sum(timed_weight) as timed_weight,
        sum(timed_weight * log_duration) as log_weight
    from transactions
    group by activity_date, service, environment, release_version, hour_started_at, trace_id
),

transaction_hours as (
    select
        activity_date,
        service,
        environment,
        release_version,
        hour_started_at,
        cast(sum(stored_count) as bigint) as stored_transaction_count,
        {{ rounded("sum(weight)") }} as estimated_transaction_count,
        {{ rounded("sum(failed_weight)") }} as estimated_failed_count,
        {{ rounded("sum(weight * weight)") }} as squared_weights,
        {{ rounded("sum(weight * failed_weight)") }} as weights_by_failed,
        {{ rounded("sum(failed_weight * failed_weight)") }} as squared_failed,
        {{ rounded("sum(timed_weight)") }} as timed_weights,
        {{ rounded("sum(log_weight)") }} as log_weights,
        {{ rounded("sum(timed_weight * timed_weight)") }} as squared_timed,
        {{ rounded("sum(timed_weight * log_weight)") }} as timed_by_log,
        {{ rounded("sum(log_weight * log_weight)") }} as squared_log
    from traces
    group by activity_date, service, environment, release_version, hour_started_at
),

error_hours as (
    select
        activity_date,
        service,
        environment,
        coalesce(release_version, '(none)') as release_version,
        date_trunc('hour', occurred_at) as hour_started_at,
        count(*) as stored_error_count,
        {{ rounded("sum(sample_weight)") }} as estimated_error_count,
        {{ rounded("sum(sample_weight * sample_weight)") }} as squared_error_weights
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
    group by activity_date, service, environment, release_version, hour_started_at
),

joined as (
    select
        activity_date,
        service,
        environment,
        release_version,
        hour_started_at,
        coalesce(error_hours.stored_error_count, 0) as stored_error_count,
        coalesce(error_hours.estimated_error_count, 0) as estimated_error_count,
        coalesce(error_hours.squared_error_weights, 0) as squared_error_weights,
        coalesce(transaction_hours.stored_transaction_count, 0) as stored_transaction_count,
        coalesce(transaction_hours.estimated_transaction_count, 0) as estimated_transaction_count,
        coalesce(transaction_hours.estimated_failed_count, 0) as estimated_failed_count,
        coalesce(transaction_hours.squared_weights, 0) as squared_weights,
        coalesce(transaction_hours.weights_by_failed, 0) as weights_by_failed,
        coalesce(transaction_hours.squared_failed, 0) as squared_failed,
        coalesce(transaction_hours.timed_weights, 0) as timed_weights,
        coalesce(transaction_hours.log_weights, 0) as log_weights,
        coalesce(transaction_hours.squared_timed, 0) as squared_timed,
        coalesce(transaction_hours.timed_by_log, 0) as timed_by_log,
        coalesce(transaction_hours.squared_log, 0) as squared_log
    from error_hours
    full outer join transaction_hours
        using (activity_date, service, environment, release_version, hour_started_at)
),

final as (
    select
        joined.activity_date,
        versions.day_version,
        joined.service,
        joined.environment,
        joined.release_version,
        joined.hour_started_at,
        joined.stored_error_count,
        joined.estimated_error_count,
        joined.squared_error_weights,
        joined.stored_transaction_count,
        joined.estimated_transaction_count,
        joined.estimated_failed_count,
        joined.squared_weights,
        joined.weights_by_failed,
        joined.squared_failed,
        joined.timed_weights,
        joined.log_weights,
        joined.squared_timed,
        joined.timed_by_log,
        joined.squared_log
    from joined
    left join versions on joined.activity_date = versions.activity_date
)

select * from final
