-- The business by day and plan holds exactly the product events, of nobody known too, and the errors of users' days.
with product as (
    select
        activity_date,
        sum(event_count) as event_count,
        sum(revenue) as revenue
    from {{ ref("int_event_rollups") }}
    group by activity_date
),

by_user as (
    select
        activity_date,
        sum(estimated_error_count) as estimated_error_count
    from {{ ref("user_engagement") }}
    group by activity_date
),

by_plan as (
    select
        activity_date,
        sum(event_count) as event_count,
        sum(revenue) as revenue,
        sum(estimated_error_count) as estimated_error_count
    from {{ ref("fct_business_daily") }}
    group by activity_date
)

select activity_date
from by_plan
full outer join product using (activity_date)
full outer join by_user using (activity_date)
where
    coalesce(product.event_count, 0) is distinct from by_plan.event_count
    or abs(coalesce(product.revenue, 0) - by_plan.revenue) > 0.001
    or abs(coalesce(by_user.estimated_error_count, 0) - by_plan.estimated_error_count) > 0.001
