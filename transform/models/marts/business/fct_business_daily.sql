-- How does the business go by day and plan: active users, conversion, email opens, revenue, users hit by errors?
{{ config(meta={"time_column": "activity_date"}) }}

with engagement as (
    select * from {{ ref("user_engagement") }}
),

users as (
    select * from {{ ref("int_user_activity") }}
),

totals as (
    select
        engagement.activity_date,
        coalesce(users.plan, 'unknown') as plan,
        count(*) filter (where engagement.engagement_score > 0) as active_user_count,
        cast(sum(engagement.session_count) as bigint) as session_count,
        cast(sum(engagement.event_count) as bigint) as event_count,
        cast(sum(engagement.engagement_score) as bigint) as engagement_score,
        cast(sum(engagement.purchase_count) as bigint) as purchase_count,
        count(*) filter (where engagement.purchase_count > 0) as purchasing_user_count,
        {{ rounded("sum(engagement.revenue)", digits=4) }} as revenue,
        cast(sum(engagement.email_sent_count) as bigint) as email_sent_count,
        cast(sum(engagement.email_opened_count) as bigint) as email_opened_count,
        cast(sum(engagement.email_clicked_count) as bigint) as email_clicked_count,
        count(*) filter (where engagement.is_seen_in_sentry) as stored_seen_user_count,
        count(*) filter (where engagement.stored_error_count > 0) as stored_affected_user_count,
        {{ rounded("sum(engagement.estimated_error_count)") }} as estimated_error_count,
        {{ rounded("sqrt(sum(power(engagement.estimated_error_count_standard_error, 2)))") }}
            as estimated_error_count_standard_error
    from engagement
    left join users on engagement.user_id = users.user_id
    group by engagement.activity_date, coalesce(users.plan, 'unknown')
),

-- Of nobody in particular: these count in no number of users and in no rate of them.
anonymous as (
    select
        activity_date,
        '(anonymous)' as plan,
        cast(0 as bigint) as active_user_count,
        cast(sum(session_count) as bigint) as session_count,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(engagement_points) as bigint) as engagement_score,
        cast(coalesce(sum(event_count) filter (where event_type = 'purchase'), 0) as bigint) as purchase_count,
        cast(0 as bigint) as purchasing_user_count,
        {{ rounded("sum(revenue)", digits=4) }} as revenue,
        cast(coalesce(sum(event_count) filter (where event_type = 'email_sent'), 0) as bigint) as email_sent_count,
        cast(coalesce(sum(event_count) filter (where event_type = 'email_opened'), 0) as bigint)
            as email_opened_count,
        cast(coalesce(sum(event_count) filter (where event_type = 'email_clicked'), 0) as bigint)
            as email_clicked_count,
        cast(0 as bigint) as stored_seen_user_count,
        cast(0 as bigint) as stored_affected_user_count,
        cast(0 as double precision) as estimated_error_count,
        cast(0 as double precision) as estimated_error_count_standard_error
    from {{ ref("int_event_rollups") }}
    where user_id = '(anonymous)'
    group by activity_date
),

all_totals as (
    select * from totals
    union all
    select * from anonymous
),

-- Everybody who had signed up by then, active or not.
populations as (
    select
        dates.activity_date,
        users.plan,
        count(*) as user_count
    from (select distinct activity_date from engagement) as dates
    inner join users on users.has_profile and dates.activity_date >= coalesce(users.signed_up_on, date '1970-01-01')
    group by dates.activity_date, users.plan
),

final as (
    select
        totals.activity_date,
        totals.plan,
        coalesce(populations.user_count, 0) as user_count,
        totals.active_user_count,
        {{ ratio("totals.active_user_count", "populations.user_count") }} as active_user_rate,
        totals.session_count,
        totals.event_count,
        totals.engagement_score,
        {{ ratio("totals.engagement_score", "totals.active_user_count") }} as mean_engagement_score,
        totals.purchase_count,
        totals.purchasing_user_count,
        {{ ratio("totals.purchase_count", "totals.session_count") }} as conversion_rate,
        totals.revenue,
        totals.email_sent_count,
        totals.email_opened_count,
        totals.email_clicked_count,
        {{ ratio("totals.email_opened_count", "totals.email_sent_count") }} as email_open_rate,
        totals.stored_seen_user_count,
        totals.stored_affected_user_count,
        {{ ratio("totals.stored_affected_user_count", "totals.stored_seen_user_count") }} as affected_user_rate,
        totals.estimated_error_count,
        totals.estimated_error_count_standard_error
    from all_totals as totals
    left join populations using (activity_date, plan)
)

select * from final
