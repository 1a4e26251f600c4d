with source as (
    select * from {{ var("app_events_relation") or ref("base_app__sample_events") }}
),

final as (
    select
        cast(event_id as varchar) as event_id,
        cast(user_id as varchar) as user_id,
        cast(session_id as varchar) as session_id,
        cast(event_type as varchar) as event_type,
        cast(page as varchar) as page,
        cast(campaign as varchar) as campaign,
        cast(revenue as double precision) as revenue,
        cast(occurred_at as timestamp) as occurred_at,
        cast(occurred_at as date) as occurred_on,
        cast(loaded_at as timestamp) as loaded_at
    from source
)

select * from final
