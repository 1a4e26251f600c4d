-- Which days are there, to which week and month do they belong, and which are over?
{{ config(meta={"time_column": "activity_date"}) }}

with loads as (
    select
        min(activity_date) as first_day,
        max(activity_date) as last_day,
        greatest(max(spans_loaded_at), max(errors_loaded_at)) as loaded_at
    from {{ ref("int_project_days") }}
    union all
    select
        min(activity_date) as first_day,
        max(activity_date) as last_day,
        -- Loaded then or later.
        max(last_occurred_at) as loaded_at
    from {{ ref("int_event_rollups") }}
    union all
    select
        cast(min(first_seen_at) as date) as first_day,
        cast(max(first_seen_at) as date) as last_day,
        max(loaded_at) as loaded_at
    from {{ ref("stg_sentry__issues") }}
    union all
    select
        cast(min(hour_at) as date) as first_day,
        cast(max(hour_at) as date) as last_day,
        max(loaded_at) as loaded_at
    from {{ ref("stg_sentry__usage_outcomes") }}
),

bounds as (
    select
        min(first_day) as first_day,
        max(last_day) as last_day,
        cast(max(loaded_at) as date) as loaded_on
    from loads
),

dates as (
    select
        {{ days("first_day", "last_day") }} as activity_date,
        loaded_on
    from bounds
    where first_day is not null
),

final as (
    select
        activity_date,
        cast(extract(year from activity_date) as integer) as calendar_year,
        cast(extract(quarter from activity_date) as integer) as calendar_quarter,
        cast(extract(month from activity_date) as integer) as calendar_month,
        cast(extract(isoyear from activity_date) as integer) as iso_year,
        cast(extract(week from activity_date) as integer) as iso_week,
        cast(date_trunc('week', activity_date) as date) as week_start_date,
        cast(date_trunc('month', activity_date) as date) as month_start_date,
        cast(extract(isodow from activity_date) as integer) as day_of_week,
        extract(isodow from activity_date) in (6, 7) as is_weekend,
        activity_date < loaded_on as is_complete
    from dates
)

select * from final
