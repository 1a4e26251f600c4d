{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("error_version") %}

with errors as (
    select
        activity_date,
        day_version,
        service,
        coalesce(release_version, '(none)') as release_version,
        -- A day has a row even when none of its events has a user, or it would be stale in every build.
        coalesce(user_id, '(none)') as user_id
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
),

final as (
    select
        activity_date,
        day_version,
        service,
        release_version,
        user_id,
        count(*) as stored_error_count
    from errors
    group by activity_date, day_version, service, release_version, user_id
)

select * from final
