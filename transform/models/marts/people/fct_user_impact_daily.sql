-- How many people met errors, of how many that Sentry saw, and how many errors each of them?
{{ config(
    materialized="incremental",
    unique_key="activity_date",
    meta={"time_column": "activity_date"},
    pre_hook="{{ clear_stale_days('sentry_version') }}",
    post_hook="{{ note_empty_days('sentry_version') }}",
) }}

{% set days = stale_days("sentry_version") %}

with versions as (
    select
        activity_date,
        sentry_version as day_version
    from {{ ref("int_day_versions") }}
),

seen_in_spans as (
    select distinct
        activity_date,
        service,
        environment,
        user_id
    from {{ ref("int_spans") }}
    where user_id is not null and {{ on_days("activity_date", days) }}
),

met_errors as (
    select
        activity_date,
        service,
        environment,
        user_id,
        count(*) as stored_error_count,
        sum(sample_weight) as estimated_error_count,
        sum(sample_weight * (sample_weight - 1)) as error_variance
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
    group by activity_date, service, environment, user_id
),

people as (
    select
        activity_date,
        service,
        environment,
        user_id,
        cast(0 as bigint) as stored_error_count,
        cast(0 as double precision) as estimated_error_count,
        cast(0 as double precision) as error_variance
    from seen_in_spans
    union all
    select * from met_errors
),

-- Whoever uses two services is one person of all of them, so totals are counted and not added up.
counted as (
    select
        activity_date,
        case when grouping(service) = 1 then '(all)' else service end as service,
        case when grouping(environment) = 1 then '(all)' else environment end as environment,
        count(distinct user_id) as stored_seen_user_count,
        count(distinct user_id) filter (where stored_error_count > 0) as stored_affected_user_count,
        cast(coalesce(sum(stored_error_count) filter (where user_id is not null), 0) as bigint) as stored_error_count,
        coalesce(sum(estimated_error_count) filter (where user_id is not null), 0) as estimated_error_count,
        sqrt(greatest(coalesce(sum(error_variance) filter (where user_id is not null), 0), 0))
            as estimated_error_count_standard_error,
        coalesce(sum(estimated_error_count) filter (where user_id is null), 0) as estimated_anonymous_error_count
    from people
    group by grouping sets (
        (activity_date, service, environment),
        (activity_date, service),
        (activity_date, environment),
        (activity_date)
    )
),

final as (
    select
        counted.activity_date,
        versions.day_version,
        counted.service,
        counted.environment,
        counted.stored_seen_user_count,
        counted.stored_affected_user_count,
        {{ ratio("counted.stored_affected_user_count", "counted.stored_seen_user_count") }} as affected_user_rate,
        {{ rounded(wilson_low("counted.stored_affected_user_count", "counted.stored_seen_user_count")) }}
            as affected_user_rate_low,
        {{ rounded(wilson_high("counted.stored_affected_user_count", "counted.stored_seen_user_count")) }}
            as affected_user_rate_high,
        counted.stored_error_count,
        {{ rounded("counted.estimated_error_count") }} as estimated_error_count,
        {{ rounded("counted.estimated_error_count_standard_error") }} as estimated_error_count_standard_error,
        {{ rounded(ratio("counted.estimated_error_count", "counted.stored_affected_user_count")) }}
            as estimated_errors_per_affected_user,
        {{ rounded(ratio("counted.estimated_error_count_standard_error", "counted.stored_affected_user_count")) }}
            as estimated_errors_per_affected_user_standard_error,
        {{ rounded("counted.estimated_anonymous_error_count") }} as estimated_anonymous_error_count,
        {{ is_low_sample("counted.stored_seen_user_count") }} as is_low_sample
    from counted
    left join versions on counted.activity_date = versions.activity_date
)

select * from final
