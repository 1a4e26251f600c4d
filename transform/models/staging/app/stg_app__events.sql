with source as (
    select * from {{ var("app_events_relation") or ref("base_app__sample_events") }}
),

final as (
    select
        cast(event_id as varchar) as event_id,
        cast(user_id as varchar) as user_id,
        cast(session_id as varchar) as session_id,
        event_type,
        page,
        campaign,
        cast(revenue as double) as revenue,
        occurred_at,
        cast(occurred_at as date) as occurred_on,
        loaded_at
    from source
)

select * from final
