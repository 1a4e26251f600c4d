-- Each roll-up holds exactly the spans of what it was made of: staging, daily rows, their histograms, weekly rows.
with staged as (
    select
        started_on as activity_date,
        count(*) as stored_span_count
    from {{ ref("stg_sentry__spans") }}
    group by started_on
),

daily as (
    select
        activity_date,
        sum(stored_span_count) as stored_span_count,
        sum(estimated_span_count) as estimated_span_count,
        sum(estimated_ok_count + estimated_error_count + estimated_cancelled_count + estimated_unknown_count)
            as estimated_by_status,
        sum(list_sum(map_values(duration_histogram))) as estimated_by_duration
    from {{ ref("span_volume_daily") }}
    group by activity_date
),

weekly as (
    select
        week_start_date,
        sum(stored_span_count) as stored_span_count,
        sum(estimated_span_count) as estimated_span_count
    from {{ ref("span_volume_weekly") }}
    group by week_start_date
),

weeks as (
    select
        date_trunc('week', activity_date) as week_start_date,
        sum(stored_span_count) as stored_span_count,
        sum(estimated_span_count) as estimated_span_count
    from daily
    group by week_start_date
)

select
    'staging and daily' as disagreeing,
    staged.activity_date as since
from staged
left join daily on staged.activity_date = daily.activity_date
where staged.stored_span_count is distinct from daily.stored_span_count

union all

select
    'statuses and all' as disagreeing,
    daily.activity_date as since
from daily
where abs(estimated_by_status - estimated_span_count) > 0.001

union all

select
    'histograms and all' as disagreeing,
    daily.activity_date as since
from daily
where estimated_by_duration > estimated_span_count + 0.001

union all

select
    'daily and weekly' as disagreeing,
    weeks.week_start_date as since
from weeks
left join weekly on weeks.week_start_date = weekly.week_start_date
where
    weeks.stored_span_count is distinct from weekly.stored_span_count
    or abs(weeks.estimated_span_count - weekly.estimated_span_count) > 0.001
