{{ config(materialized="ephemeral") }}

with windows as (
    select * from {{ ref("int_release_windows") }}
),

environments as (
    select * from {{ ref("int_release_hours") }}
),

hours as (
    select
        service,
        release_version,
        hour_started_at,
        sum(stored_error_count) as stored_error_count,
        sum(estimated_error_count) as estimated_error_count,
        sum(squared_error_weights) as squared_error_weights
    from environments
    group by service, release_version, hour_started_at
),

-- The whole hours from which error events can be stored: earlier ones are forgotten, later ones not loaded.
reach as (
    select
        min(hour_started_at) as reach_started_at,
        max(hour_started_at) as reach_ended_at
    from hours
    where stored_error_count > 0
),

-- Nothing at all from a release means that nobody knows whether it ran.
activity as (
    select
        service,
        release_version,
        max(hour_started_at) + interval '1 hour' as last_active_until
    from hours
    group by service, release_version
),

-- A project with several packages may run them side by side or each in turn. So a release also ends with the next
-- of any package, unless it was seen later.
observed as (
    select
        windows.project_id,
        windows.service,
        windows.release_version,
        greatest(date_trunc('hour', windows.released_at), reach.reach_started_at) as observed_from,
        least(
            date_trunc('hour', windows.superseded_at),
            case
                when windows.project_superseded_at is not null
                    then greatest(date_trunc('hour', windows.project_superseded_at), activity.last_active_until)
            end,
            reach.reach_ended_at
        ) as observed_until
    from windows
    inner join activity
        on windows.service = activity.service and windows.release_version = activity.release_version
    cross join reach
    where reach.reach_ended_at is not null
),

summed as (
    select
        observed.project_id,
        observed.release_version,
        cast(
            extract(epoch from (max(observed.observed_until) - max(observed.observed_from))) as double precision
        ) / 3600 as observed_hours,
        coalesce({{ rounded("sum(hours.estimated_error_count)") }}, 0) as window_error_count,
        coalesce({{ rounded("sum(hours.squared_error_weights)") }}, 0) as squared_window_weights,
        sum(power(hours.estimated_error_count, 2)) as squared_hourly_errors
    from observed
    left join hours
        on
            observed.service = hours.service
            and observed.release_version = hours.release_version
            and observed.observed_from <= hours.hour_started_at
            and observed.observed_until > hours.hour_started_at
    where observed.observed_until > observed.observed_from
    group by observed.project_id, observed.release_version
),

measured as (
    select
        *,
        observed_hours / 24 as observed_days,
        {{ ratio("squared_window_weights", "window_error_count") }} as error_weight
    from summed
),

final as (
    select
        project_id,
        release_version,
        observed_days,
        window_error_count,
        {{ ratio("window_error_count * window_error_count", "squared_window_weights") }} as effective_error_count,
        error_weight,
        {{
            rounded(
                hourly_dispersion("window_error_count", "squared_hourly_errors", "observed_hours", "error_weight")
            )
        }} as error_dispersion,
        {{ ratio("window_error_count", "observed_days") }} as errors_per_day,
        {{ ratio("sqrt(squared_window_weights)", "observed_days") }} as errors_per_day_standard_error
    from measured
)

select * from final
