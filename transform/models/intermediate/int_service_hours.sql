{{ config(
    materialized="incremental",
    unique_key="activity_date",
    post_hook="{{ note_empty_days('span_version') }}",
) }}

{% set days = stale_days("span_version") %}
{% set thresholds = var("apdex_thresholds") if execute else {} %}

with transactions as (
    select
        activity_date,
        day_version,
        service,
        environment,
        date_trunc('hour', started_at) as hour_started_at,
        trace_id,
        status_class,
        duration_seconds,
        {% if thresholds %}
            case service
            {% for service, threshold in thresholds.items() %}
                    when '{{ service }}' then {{ threshold }}
                {% endfor %}
                else {{ var("apdex_threshold_seconds") }}
            end as threshold_seconds,
        {% else %}
            {{ var("apdex_threshold_seconds") }} as threshold_seconds,
        {% endif %}
        span_weight,
        loaded_at
    from {{ ref("int_spans") }}
    where is_transaction and {{ on_days("activity_date", days) }}
),

-- What is sampled is the trace, with all its requests to a service.
traces as (
    select
        activity_date,
        day_version,
        service,
        environment,
        hour_started_at,
        trace_id,
        count(*) as stored_count,
        sum(span_weight) as estimated_count,
        coalesce(sum(span_weight) filter (where status_class = 'error'), 0) as errors,
        coalesce(sum(span_weight) filter (where duration_seconds <= threshold_seconds), 0) as satisfied,
        coalesce(
            sum(span_weight) filter (
                where duration_seconds > threshold_seconds and duration_seconds <= 4 * threshold_seconds
            ),
            0
        ) as tolerating,
        coalesce(sum(span_weight) filter (where duration_seconds > 4 * threshold_seconds), 0) as frustrated,
        max(loaded_at) as last_loaded_at
    from transactions
    group by activity_date, day_version, service, environment, hour_started_at, trace_id
),

scored as (
    select
        *,
        satisfied + tolerating / 2 as score,
        1 - stored_count / estimated_count as dropped_share
    from traces
),

final as (
    select
        activity_date,
        day_version,
        service,
        environment,
        hour_started_at,
        cast(sum(stored_count) as bigint) as stored_transaction_count,
        {{ rounded("sum(estimated_count)") }} as estimated_transaction_count,
        {{ rounded("sum(errors)") }} as estimated_error_count,
        {{ rounded("sum(satisfied)") }} as estimated_satisfied_count,
        {{ rounded("sum(tolerating)") }} as estimated_tolerating_count,
        {{ rounded("sum(frustrated)") }} as estimated_frustrated_count,
        {{ rounded("sum(estimated_count * estimated_count)") }} as squared_weights,
        {{ rounded("sum(dropped_share * estimated_count * estimated_count)") }} as transaction_variance,
        {{ rounded("sum(dropped_share * errors * errors)") }} as error_variance,
        {{ rounded("sum(dropped_share * errors * estimated_count)") }} as error_covariance,
        {{ rounded("sum(dropped_share * score * score)") }} as score_variance,
        {{ rounded("sum(dropped_share * score * estimated_count)") }} as score_covariance,
        max(last_loaded_at) as last_loaded_at
    from scored
    group by activity_date, day_version, service, environment, hour_started_at
)

select * from final
