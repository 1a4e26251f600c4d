{{ config(enabled=not var("app_events_relation")) }}

{% set sample_events_until = var("sample_events_until") or run_started_at.strftime("%Y-%m-%d %H:%M:%S") %}

with pattern as (
    select * from {{ ref("events") }}
),

bounds as (
    select
        cast('{{ sample_events_until }}' as timestamp) as ends_at,
        date_trunc('day', ends_at) - interval 60 day as starts_at
),

-- A cycle is 28 days.
cycles as (
    select unnest(range(epoch_ms(starts_at) // 2419200000, epoch_ms(ends_at) // 2419200000 + 1)) as cycle_number
    from bounds
),

repeated as (
    select
        pattern.*,
        cycles.cycle_number,
        make_timestamp((cycles.cycle_number * 28 * 1440 + pattern.minute_of_cycle) * 60000000) as occurred_at
    from pattern
    cross join cycles
),

final as (
    select
        repeated.pattern_id || '-' || repeated.cycle_number as event_id,
        repeated.user_id,
        repeated.session_number || '-' || repeated.cycle_number as session_id,
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
