{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("error_version") %}

with errors as (
    select
        activity_date,
        day_version,
        service,
        environment,
        coalesce(release_version, '(none)') as release_version,
        issue_id,
        user_id,
        sample_weight
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
),

final as (
    select
        activity_date,
        day_version,
        service,
        environment,
        release_version,
        count(*) as stored_error_count,
        {{ rounded("sum(sample_weight)") }} as estimated_error_count,
        {{ rounded("sum(sample_weight * sample_weight)") }} as squared_error_weights,
        count(distinct issue_id) as stored_issue_count,
        count(distinct user_id) as stored_user_count
    from errors
    group by activity_date, day_version, service, environment, release_version
)

select * from final
