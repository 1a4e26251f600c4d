-- Each roll-up holds exactly the spans of what it was made of: staging, daily rows, their histograms, weeks, months.
with staged as (
    select
        activity_date,
        count(*) as stored_span_count
    from {{ ref("int_spans") }}
    group by activity_date
),

daily as (
    select
        activity_date,
        sum(stored_span_count) as stored_span_count,
        sum(estimated_span_count) as estimated_span_count,
        sum(estimated_ok_count + estimated_error_count + estimated_cancelled_count + estimated_unknown_count)
            as estimated_by_status,
        sum(estimated_timed_span_count) as estimated_timed_span_count
    from {{ ref("span_volume_daily") }}
    group by activity_date
),

durations as (
    select
        activity_date,
        sum(estimated_span_count) as estimated_span_count
    from {{ ref("span_duration_daily") }}
    group by activity_date
),

-- Rows of a period, and the days that they must hold.
{% for period in ("week", "month") %}
    {{ period }}ly as (
        select
            {{ period }}_start_date as start_date,
            sum(stored_span_count) as stored_span_count,
            sum(estimated_span_count) as estimated_span_count
        from {{ ref("span_volume_" ~ period ~ "ly") }}
        group by start_date
    ),

    days_of_{{ period }} as (
        select
            cast(date_trunc('{{ period }}', activity_date) as date) as start_date,
            sum(stored_span_count) as stored_span_count,
            sum(estimated_span_count) as estimated_span_count
        from daily
        group by start_date
    ){{ "," if not loop.last }}
{% endfor %}

select
    'spans and daily' as disagreeing,
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
    'histograms and timed' as disagreeing,
    daily.activity_date as since
from daily
left join durations on daily.activity_date = durations.activity_date
where abs(daily.estimated_timed_span_count - coalesce(durations.estimated_span_count, 0)) > 0.001

union all

{% for period in ("week", "month") %}
    select
        'daily and {{ period }}ly' as disagreeing,
        days_of_{{ period }}.start_date as since
    from days_of_{{ period }}
    left join {{ period }}ly on days_of_{{ period }}.start_date = {{ period }}ly.start_date
    where
        days_of_{{ period }}.stored_span_count is distinct from {{ period }}ly.stored_span_count
        or abs(days_of_{{ period }}.estimated_span_count - {{ period }}ly.estimated_span_count) > 0.001
    {{ "union all" if not loop.last }}
{% endfor %}
