{{ config(
    materialized="incremental",
    unique_key="activity_date",
    post_hook="{{ note_empty_days('span_version') }}",
) }}

{% set days = stale_days("span_version") %}

with transactions as (
    select
        activity_date,
        day_version,
        service,
        environment,
        coalesce(transaction_name, '(none)') as transaction_name,
        coalesce(release_version, '(none)') as release_version,
        {{ duration_bucket("duration_seconds") }} as bucket,
        ln(greatest(duration_seconds, 0.000001)) as log_duration,
        span_weight,
        started_at
    from {{ ref("int_spans") }}
    where is_transaction and duration_seconds is not null and {{ on_days("activity_date", days) }}
),

final as (
    select
        activity_date,
        day_version,
        service,
        environment,
        transaction_name,
        release_version,
        bucket,
        count(*) as stored_transaction_count,
        {{ rounded("sum(span_weight)") }} as weight,
        {{ rounded("sum(span_weight * span_weight)") }} as squared_weight,
        {{ rounded("sum(span_weight * log_duration)", 9) }} as weighted_log,
        {{ rounded("sum(span_weight * log_duration * log_duration)", 9) }} as weighted_squared_log,
        min(started_at) as first_started_at,
        max(started_at) as last_started_at
    from transactions
    group by
        activity_date,
        day_version,
        service,
        environment,
        transaction_name,
        release_version,
        bucket
)

select * from final
