{{ config(enabled=not var("app_events_relation")) }}

{% set sample_events_until = (
    var("sample_events_until")
    or (var("sample_end") if target.name == "sample" else run_started_at.strftime("%Y-%m-%d %H:%M:%S"))
) %}

with pattern as (
    select * from {{ ref("events") }}
),

bounds as (
    select
        cast('{{ sample_events_until }}' as timestamp) as ends_at,
        date_trunc('day', cast('{{ sample_events_until }}' as timestamp)) - interval '60 days' as starts_at
),

-- A cycle is 28 days; 60 days and a part of today touch four at most.
cycles as (
    select
        steps.step
        + cast(floor(extract(epoch from (bounds.starts_at - timestamp '1970-01-01')) / 2419200) as bigint)
            as cycle_number
    from bounds
    cross join (values (0), (1), (2), (3)) as steps (step)
),

repeated as (
    select
        pattern.pattern_id || '-' || cast(cycles.cycle_number as varchar) as event_id,
        pattern.user_id,
        cast(pattern.session_number as varchar) || '-' || cast(cycles.cycle_number as varchar) as session_id,
        pattern.event_type,
        pattern.page,
        pattern.campaign,
        pattern.revenue,
        timestamp '1970-01-01'
        + (cycles.cycle_number * 28 * 1440 + pattern.minute_of_cycle) * interval '1 minute' as occurred_at
    from pattern
    cross join cycles
),

final as (
    select
        repeated.event_id,
        repeated.user_id,
        repeated.session_id,
        repeated.event_type,
        repeated.page,
        repeated.campaign,
        repeated.revenue,
        repeated.occurred_at,
        repeated.occurred_at as loaded_at
    from repeated
    inner join bounds on repeated.occurred_at >= bounds.starts_at and repeated.occurred_at < bounds.ends_at
)

select * from final
