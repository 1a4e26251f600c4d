-- Does one and the same person engage less on days with errors than on days without?
{{ config(meta={"time_column": "last_activity_date"}) }}

with engagement as (
    select * from {{ ref("user_engagement") }}
),

users as (
    select * from {{ ref("int_user_activity") }}
),

compared as (
    select
        engagement.user_id,
        coalesce(users.plan, 'unknown') as plan,
        count(*) filter (where engagement.stored_error_count > 0) as error_day_count,
        count(*) filter (where engagement.stored_error_count = 0) as other_day_count,
        avg(engagement.engagement_score) filter (where engagement.stored_error_count > 0) as error_day_mean,
        avg(engagement.engagement_score) filter (where engagement.stored_error_count = 0) as other_day_mean,
        min(engagement.activity_date) as first_activity_date,
        max(engagement.activity_date) as last_activity_date
    from engagement
    left join users on engagement.user_id = users.user_id
    where engagement.is_seen_in_sentry
    group by engagement.user_id, coalesce(users.plan, 'unknown')
),

-- Users weigh the same however many days they have: they are what varies.
averaged as (
    select
        case when grouping(plan) = 1 then '(all)' else plan end as plan,
        count(*) as user_count,
        cast(sum(error_day_count) as bigint) as error_day_count,
        cast(sum(other_day_count) as bigint) as other_day_count,
        {{ rounded("avg(error_day_mean)") }} as mean_engagement_score_with_errors,
        {{ rounded("avg(other_day_mean)") }} as mean_engagement_score_without_errors,
        {{ rounded("avg(error_day_mean - other_day_mean)") }} as mean_difference,
        {{ rounded("stddev_samp(error_day_mean - other_day_mean) / sqrt(count(*))") }}
            as mean_difference_standard_error,
        min(first_activity_date) as first_activity_date,
        max(last_activity_date) as last_activity_date
    from compared
    where error_day_count > 0 and other_day_count > 0
    group by grouping sets ((plan), ())
),

final as (
    select
        *,
        {{ is_low_sample("user_count") }} as is_low_sample
    from averaged
    where user_count > 0
)

select * from final
