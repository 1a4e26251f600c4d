with users as (
    select * from {{ ref("stg_app__users") }}
),

rollups as (
    select *
    from {{ ref("int_event_rollups") }}
    where user_id != '(anonymous)'
),

activity as (
    select
        user_id,
        min(activity_date) filter (where engagement_points > 0) as first_active_on,
        max(activity_date) filter (where engagement_points > 0) as last_active_on,
        count(distinct activity_date) filter (where engagement_points > 0) as active_day_count,
        sum(event_count) as event_count,
        sum(session_count) as session_count,
        sum(event_count) filter (where event_type = 'purchase') as purchase_count,
        sum(revenue) as revenue,
        sum(engagement_points) as engagement_points
    from rollups
    group by user_id
),

final as (
    select
        coalesce(users.user_id, activity.user_id) as user_id,
        users.user_id is not null as has_profile,
        coalesce(users.plan, 'unknown') as plan,
        coalesce(users.country, 'unknown') as country,
        users.signed_up_on,
        activity.first_active_on,
        activity.last_active_on,
        coalesce(activity.active_day_count, 0) as active_day_count,
        cast(coalesce(activity.event_count, 0) as bigint) as event_count,
        cast(coalesce(activity.session_count, 0) as bigint) as session_count,
        cast(coalesce(activity.purchase_count, 0) as bigint) as purchase_count,
        {{ rounded("coalesce(activity.revenue, 0)", digits=4) }} as revenue,
        cast(coalesce(activity.engagement_points, 0) as bigint) as engagement_points
    from users
    full outer join activity on users.user_id = activity.user_id
)

select * from final
