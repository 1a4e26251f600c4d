-- The business by day and plan holds exactly the product events and errors of the users' days.
with by_user as (
    select
        activity_date,
        sum(event_count) as event_count,
        sum(estimated_error_count) as estimated_error_count
    from {{ ref("user_engagement") }}
    group by activity_date
),

by_plan as (
    select
        activity_date,
        sum(event_count) as event_count,
        sum(estimated_error_count) as estimated_error_count
    from {{ ref("engagement_daily") }}
    group by activity_date
)

select by_user.activity_date
from by_user
left join by_plan on by_user.activity_date = by_plan.activity_date
where
    by_user.event_count is distinct from by_plan.event_count
    or abs(by_user.estimated_error_count - by_plan.estimated_error_count) > 0.001
