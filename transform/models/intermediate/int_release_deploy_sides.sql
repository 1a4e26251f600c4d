{{ config(materialized="ephemeral") }}

{% set means = [
    ("failure_rate", "failed_count", "transaction_count", "squared_failed", "weights_by_failed", "squared_weights"),
    ("mean_log_duration", "log_weights", "timed_weights", "squared_log", "timed_by_log", "squared_timed"),
] %}
{% set counts = [
    "stored_error_count",
    "estimated_error_count",
    "squared_error_weights",
    "estimated_transaction_count",
    "estimated_failed_count",
    "squared_weights",
    "weights_by_failed",
    "squared_failed",
    "timed_weights",
    "log_weights",
    "squared_timed",
    "timed_by_log",
    "squared_log",
] %}

with deploys as (
    select * from {{ ref("int_release_deploys") }}
),

releases as (
    select * from {{ ref("int_release_hours") }}
),

-- Releases run side by side while one takes over from the other.
hours as (
    select
        service,
        environment,
        {% for count in counts %}
            sum({{ count }}) as {{ count }},
        {% endfor %}
        hour_started_at
    from releases
    group by service, environment, hour_started_at
),

-- The hours from which error events can be stored; the last of them is not over.
reach as (
    select
        min(hour_started_at) as reach_started_at,
        max(hour_started_at) as reach_ended_at
    from hours
    where stored_error_count > 0
),

sides as (
    {% for side in ["before", "after"] %}
        select
            service,
            release_version,
            deploy_id,
            environment,
            '{{ side }}' as side,
            {{ side }}_from as side_from,
            {{ side }}_until as side_until
        from deploys
        {{ "union all" if not loop.last }}
    {% endfor %}
),

-- Without any error event nobody knows whether there were none or none was loaded: no hours.
exposed as (
    select
        sides.*,
        coalesce(reach.reach_ended_at, sides.side_from) as errors_until,
        greatest(
            cast(
                extract(
                    epoch from (
                        least(sides.side_until, coalesce(reach.reach_ended_at, sides.side_from))
                        - greatest(sides.side_from, coalesce(reach.reach_started_at, sides.side_until))
                    )
                ) as double precision
            ) / 3600,
            0
        ) as error_hours
    from sides
    cross join reach
),

sums as (
    select
        exposed.service,
        exposed.release_version,
        exposed.deploy_id,
        exposed.side,
        exposed.error_hours,
        {{ rounded("sum(hours.estimated_error_count) filter (where hours.hour_started_at < exposed.errors_until)") }}
            as error_count,
        sum(hours.squared_error_weights) filter (where hours.hour_started_at < exposed.errors_until)
            as squared_error_weights,
        sum(power(hours.estimated_error_count, 2)) filter (where hours.hour_started_at < exposed.errors_until)
            as squared_hourly_errors,
        sum(hours.estimated_transaction_count) as transaction_count,
        sum(hours.estimated_failed_count) as failed_count,
        sum(hours.squared_weights) as squared_weights,
        sum(hours.weights_by_failed) as weights_by_failed,
        sum(hours.squared_failed) as squared_failed,
        sum(hours.timed_weights) as timed_weights,
        sum(hours.log_weights) as log_weights,
        sum(hours.squared_timed) as squared_timed,
        sum(hours.timed_by_log) as timed_by_log,
        sum(hours.squared_log) as squared_log
    from exposed
    left join hours
        on
            exposed.service = hours.service
            and exposed.environment = hours.environment
            and exposed.side_from <= hours.hour_started_at
            and exposed.side_until > hours.hour_started_at
    group by
        exposed.service, exposed.release_version, exposed.deploy_id, exposed.side, exposed.error_hours
),

measured as (
    select
        *,
        case when error_hours > 0 then coalesce(error_count, 0) end as known_error_count,
        coalesce(squared_error_weights, 0) as known_squared_error_weights,
        {{ ratio("squared_error_weights", "error_count") }} as error_weight
    from sums
),

-- Standard errors hold chance and sampling together: variances of weighted sums over traces, or over error events.
final as (
    select
        service,
        release_version,
        deploy_id,
        side,
        error_hours,
        known_error_count as error_count,
        {{ ratio("known_error_count", "error_hours") }} as errors_per_hour,
        {{ ratio("sqrt(known_squared_error_weights)", "error_hours") }} as errors_per_hour_standard_error,
        {{ ratio("known_error_count * known_error_count", "known_squared_error_weights") }} as effective_error_count,
        error_weight,
        {{ rounded(hourly_dispersion("error_count", "squared_hourly_errors", "error_hours", "error_weight")) }}
            as error_dispersion,
        coalesce({{ rounded("transaction_count") }}, 0) as transaction_count,
        coalesce({{ rounded("failed_count") }}, 0) as failed_count,
        {% for name, part, whole, squared_part, whole_by_part, squared_whole in means %}
            {{ ratio(part, whole) }} as {{ name }},
            {{
                ratio(
                    "sqrt(greatest(" ~ squared_part ~ " - 2 * " ~ ratio(part, whole) ~ " * " ~ whole_by_part
                    ~ " + power(" ~ ratio(part, whole) ~ ", 2) * " ~ squared_whole ~ ", 0))",
                    whole,
                )
            }} as {{ name }}_standard_error,
        {% endfor %}
        {{ ratio("transaction_count * transaction_count", "squared_weights") }} as effective_transaction_count
    from measured
)

select * from final
