{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("product_version", of_source=true) %}

with versions as (
    select
        activity_date,
        product_version
    from {{ ref("int_day_versions") }}
),

-- What nobody signed in for, such as a guest's purchase, counts as well.
events as (
    select
        event_id,
        coalesce(user_id, '(anonymous)') as user_id,
        session_id,
        event_type,
        campaign,
        revenue,
        occurred_at,
        occurred_on
    from {{ ref("stg_app__events") }}
    where {{ on_days("occurred_on", and_days_before(days)) }}
),

-- The first event of a session carries it, so that sessions add up over days, users and types.
-- A session that rests for a whole day begins anew.
numbered as (
    select
        *,
        session_id is not null
        and lag(occurred_on, 1, date '1970-01-01') over (partition by session_id order by occurred_at, event_id)
        < occurred_on - 1 as is_session_start
    from events
),

rollups as (
    select
        occurred_on as activity_date,
        user_id,
        event_type,
        count(*) as event_count,
        count(*) filter (where is_session_start) as session_count,
        count(*) filter (where campaign is not null) as campaign_event_count,
        {{ rounded("coalesce(sum(revenue), 0)", digits=4) }} as revenue,
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
        max(occurred_at) as last_occurred_at
    from numbered
    where {{ on_days("occurred_on", days) }}
    group by occurred_on, user_id, event_type
),

final as (
    select
        rollups.*,
        versions.product_version as day_version
    from rollups
    left join versions using (activity_date)
)

select * from final
