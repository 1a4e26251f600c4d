-- How well did each service answer on each day?
{{ config(
    materialized="incremental",
    unique_key="activity_date",
    meta={"time_column": "activity_date"},
    post_hook="{{ note_empty_days('span_version') }}",
) }}

{% set days = stale_days("span_version") %}

with hours as (
    select *
    from {{ ref("int_service_hours") }}
    where {{ on_days("activity_date", days) }}
),

transactions as (
    select
        activity_date,
        service,
        environment,
        duration_seconds,
        span_weight
    from {{ ref("int_spans") }}
    where is_transaction and duration_seconds is not null and {{ on_days("activity_date", days) }}
),

totals as (
    select
        activity_date,
        day_version,
        service,
        environment,
        cast(sum(stored_transaction_count) as bigint) as stored_transaction_count,
        {{ rounded("sum(estimated_transaction_count)") }} as estimated_transaction_count,
        {{ rounded("sum(estimated_error_count)") }} as estimated_error_count,
        {{ rounded("sum(estimated_satisfied_count)") }} as estimated_satisfied_count,
        {{ rounded("sum(estimated_tolerating_count)") }} as estimated_tolerating_count,
        {{ rounded("sum(estimated_frustrated_count)") }} as estimated_frustrated_count,
        sum(squared_weights) as squared_weights,
        sum(transaction_variance) as transaction_variance,
        sum(error_variance) as error_variance,
        sum(error_covariance) as error_covariance,
        sum(score_variance) as score_variance,
        sum(score_covariance) as score_covariance,
        max(last_loaded_at) as last_loaded_at
    from hours
    group by activity_date, day_version, service, environment
),

rates as (
    select
        *,
        {{ ratio("estimated_transaction_count * estimated_transaction_count", "squared_weights") }}
            as effective_transaction_count,
        {{ ratio("estimated_error_count", "estimated_transaction_count") }} as error_rate,
        {{
            ratio(
                "(estimated_satisfied_count + estimated_tolerating_count / 2)",
                "(estimated_satisfied_count + estimated_tolerating_count + estimated_frustrated_count)",
            )
        }} as apdex
    from totals
),

-- Rank each transaction by the traffic that it and all faster ones stand for.
ranked as (
    select
        *,
        sum(span_weight) over (
            partition by activity_date, service, environment
            order by duration_seconds
            rows between unbounded preceding and current row
        ) / sum(span_weight) over (partition by activity_date, service, environment) + 0.000000001 as cumulative_share
    from transactions
),

percentiles as (
    select
        activity_date,
        service,
        environment,
        min(duration_seconds) filter (where cumulative_share >= 0.50) as p50_duration_seconds,
        min(duration_seconds) filter (where cumulative_share >= 0.95) as p95_duration_seconds,
        min(duration_seconds) filter (where cumulative_share >= 0.99) as p99_duration_seconds
    from ranked
    group by activity_date, service, environment
),

final as (
    select
        rates.activity_date,
        rates.day_version,
        rates.service,
        rates.environment,
        rates.stored_transaction_count,
        rates.estimated_transaction_count,
        {{ rounded("sqrt(greatest(rates.transaction_variance, 0))") }} as estimated_transaction_count_standard_error,
        rates.estimated_transaction_count / 1440 as transactions_per_minute,
        rates.estimated_error_count,
        rates.error_rate,
        {{
            rounded(
                "sqrt(greatest(rates.error_variance - 2 * rates.error_rate * rates.error_covariance"
                ~ " + rates.error_rate * rates.error_rate * rates.transaction_variance, 0))"
                ~ " / nullif(rates.estimated_transaction_count, 0)",
                9,
            )
        }} as error_rate_standard_error,
        rates.estimated_satisfied_count,
        rates.estimated_tolerating_count,
        rates.estimated_frustrated_count,
        rates.apdex,
        {{
            rounded(
                "sqrt(greatest(rates.score_variance - 2 * rates.apdex * rates.score_covariance"
                ~ " + rates.apdex * rates.apdex * rates.transaction_variance, 0))"
                ~ " / nullif(rates.estimated_transaction_count, 0)",
                9,
            )
        }} as apdex_standard_error,
        percentiles.p50_duration_seconds,
        percentiles.p95_duration_seconds,
        percentiles.p99_duration_seconds,
        {{ is_low_sample("rates.effective_transaction_count") }} as is_low_sample,
        rates.last_loaded_at
    from rates
    left join percentiles
        on
            rates.activity_date = percentiles.activity_date
            and rates.service = percentiles.service
            and rates.environment = percentiles.environment
)

select * from final
