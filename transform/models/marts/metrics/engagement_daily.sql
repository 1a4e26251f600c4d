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
        round(sum(engagement.revenue), 4) as revenue,
        cast(sum(engagement.email_sent_count) as bigint) as email_sent_count,
        cast(sum(engagement.email_opened_count) as bigint) as email_opened_count,
        cast(sum(engagement.email_clicked_count) as bigint) as email_clicked_count,
        count(*) filter (where engagement.stored_span_count + engagement.stored_error_count > 0) as seen_user_count,
        count(*) filter (where engagement.stored_error_count > 0) as affected_user_count,
        round(sum(engagement.estimated_error_count), 6) as estimated_error_count
    from engagement
    left join users on engagement.user_id = users.user_id
    group by engagement.activity_date, coalesce(users.plan, 'unknown')
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
        totals.active_user_count / nullif(populations.user_count, 0) as active_user_rate,
        totals.session_count,
        totals.event_count,
        totals.engagement_score,
        totals.engagement_score / nullif(totals.active_user_count, 0) as mean_engagement_score,
        totals.purchase_count,
        totals.purchasing_user_count,
        totals.purchase_count / nullif(totals.session_count, 0) as conversion_rate,
        totals.revenue,
        totals.email_sent_count,
        totals.email_opened_count,
        totals.email_clicked_count,
        totals.email_opened_count / nullif(totals.email_sent_count, 0) as email_open_rate,
        totals.seen_user_count,
        totals.affected_user_count,
        totals.affected_user_count / nullif(totals.seen_user_count, 0) as affected_user_rate,
        totals.estimated_error_count
    from totals
    left join populations using (activity_date, plan)
)

select * from final
