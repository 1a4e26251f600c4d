{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("error_version") %}

with errors as (
    select
        activity_date,
        day_version,
        service,
        -- A day has a row even when none of its events has an issue, or it would be stale in every build.
        coalesce(issue_id, '(none)') as issue_id,
        coalesce(release_version, '(none)') as release_version,
        occurred_at
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
),

final as (
    select
        activity_date,
        day_version,
        service,
        issue_id,
        release_version,
        count(*) as stored_error_count,
        min(occurred_at) as first_occurred_at,
        max(occurred_at) as last_occurred_at
    from errors
    group by activity_date, day_version, service, issue_id, release_version
)

select * from final
