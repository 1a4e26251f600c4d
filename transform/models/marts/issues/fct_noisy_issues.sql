-- Which few issues make most of the events, and which go back and forth?
{{ config(meta={"time_column": "last_event_date"}) }}

with issues as (
    select * from {{ ref("int_issue_state") }}
),

issue_days as (
    select * from {{ ref("int_issue_days") }}
),

intervals as (
    select * from {{ ref("int_issue_status_intervals") }}
),

recent as (
    select
        issue_days.*,
        issue_days.activity_date > cast(issues.as_of_at as date) - 7 as is_last_7_days
    from issue_days
    inner join issues on issue_days.issue_id = issues.issue_id
    where issue_days.activity_date > cast(issues.as_of_at as date) - 30
),

by_issue as (
    select
        issue_id,
        max(activity_date) as last_event_date,
        count(*) as active_day_count_30_days,
        sum(stored_error_count) as stored_error_count_30_days,
        coalesce(sum(estimated_error_count) filter (where is_last_7_days), 0) as estimated_7_days,
        sum(estimated_error_count) as estimated_30_days,
        sqrt(coalesce(sum(power(estimated_error_count_standard_error, 2)) filter (where is_last_7_days), 0))
            as standard_error_7_days,
        sqrt(sum(power(estimated_error_count_standard_error, 2))) as standard_error_30_days,
        {{ ratio("sum(estimated_error_count) * sum(estimated_error_count)", "sum(squared_weights)") }}
            as effective_count_30_days,
        max(stored_user_count) as most_stored_users_of_a_day
    from recent
    group by issue_id
),

flips as (
    select
        intervals.issue_id,
        count(*) as flip_count
    from intervals
    inner join issues on intervals.issue_id = issues.issue_id
    where
        (
            (intervals.status = 'resolved' and intervals.previous_status = 'unresolved')
            or (intervals.status = 'unresolved' and intervals.previous_status = 'resolved')
        )
        and intervals.started_at > issues.as_of_at - interval '30 days'
    group by intervals.issue_id
),

ranked as (
    select
        *,
        row_number() over (order by estimated_7_days desc, issue_id asc) as rank_7_days,
        row_number() over (order by estimated_30_days desc, issue_id asc) as rank_30_days
    from by_issue
),

shared as (
    select
        *,
        sum(estimated_7_days) over (order by rank_7_days) as cumulative_7_days,
        sum(estimated_30_days) over (order by rank_30_days) as cumulative_30_days,
        sum(estimated_7_days) over () as total_7_days,
        sum(estimated_30_days) over () as total_30_days
    from ranked
),

final as (
    select
        issues.issue_id,
        issues.short_id,
        issues.service,
        issues.title,
        issues.level,
        issues.status,
        cast(shared.rank_7_days as bigint) as rank_7_days,
        {{ rounded("shared.estimated_7_days") }} as estimated_error_count_7_days,
        {{ rounded("shared.standard_error_7_days") }} as error_count_7_days_standard_error,
        {{ rounded("shared.total_7_days") }} as estimated_total_count_7_days,
        {{ rounded(ratio("shared.estimated_7_days", "shared.total_7_days"), digits=9) }} as share_7_days,
        {{ rounded(ratio("shared.cumulative_7_days", "shared.total_7_days"), digits=9) }} as cumulative_share_7_days,
        cast(shared.rank_30_days as bigint) as rank_30_days,
        {{ rounded("shared.estimated_30_days") }} as estimated_error_count_30_days,
        {{ rounded("shared.standard_error_30_days") }} as error_count_30_days_standard_error,
        {{ rounded("shared.total_30_days") }} as estimated_total_count_30_days,
        {{ rounded(ratio("shared.estimated_30_days", "shared.total_30_days"), digits=9) }} as share_30_days,
        {{ rounded(ratio("shared.cumulative_30_days", "shared.total_30_days"), digits=9) }} as cumulative_share_30_days,
        cast(shared.stored_error_count_30_days as bigint) as stored_error_count_30_days,
        {{ is_low_sample("shared.effective_count_30_days") }} as is_low_sample,
        issues.user_count,
        shared.most_stored_users_of_a_day,
        shared.active_day_count_30_days,
        shared.last_event_date,
        coalesce(flips.flip_count, 0) as flip_count_30_days,
        coalesce(flips.flip_count, 0) >= 3 as is_flapping,
        issues.issue_url
    from shared
    inner join issues on shared.issue_id = issues.issue_id
    left join flips on shared.issue_id = flips.issue_id
)

select * from final
