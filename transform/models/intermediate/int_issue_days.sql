{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("error_version") %}

with errors as (
    select *
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
),

final as (
    select
        activity_date,
        max(day_version) as day_version,
        -- A day has a row even when none of its events has an issue, or it would be stale in every build.
        coalesce(issue_id, '(none)') as issue_id,
        count(*) as stored_error_count,
        {{ rounded("sum(sample_weight)") }} as estimated_error_count,
        {{ rounded(count_standard_error("sample_weight", "1")) }} as estimated_error_count_standard_error,
        {{ rounded("sum(sample_weight * sample_weight)") }} as squared_weights,
        count(distinct user_id) as stored_user_count
    from errors
    group by activity_date, coalesce(issue_id, '(none)')
)

select * from final
