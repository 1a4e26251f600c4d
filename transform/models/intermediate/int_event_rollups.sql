with events as (
    select * from {{ ref("stg_app__events") }}
),

-- The first event of a session carries it, so that sessions add up over days, users and types.
numbered as (
    select
        *,
        session_id is not null
        and row_number() over (partition by session_id order by occurred_at, event_id) = 1 as is_session_start
    from events
    where user_id is not null
),

final as (
    select
        occurred_on as activity_date,
        user_id,
        event_type,
        count(*) as event_count,
        count(*) filter (where is_session_start) as session_count,
        count(*) filter (where campaign is not null) as campaign_event_count,
        round(coalesce(sum(revenue), 0), 4) as revenue,
        -- How much an act of this type says about a person's interest; receiving an email says nothing.
        count(*) * case event_type
            when 'email_sent' then 0
            when 'search' then 2
            when 'click' then 2
            when 'add_to_cart' then 5
            when 'form_submit' then 5
            when 'purchase' then 10
            else 1
        end as engagement_points,
        min(occurred_at) as first_occurred_at,
        max(occurred_at) as last_occurred_at,
        max(loaded_at) as loaded_at
    from numbered
    group by occurred_on, user_id, event_type
)

select * from final
