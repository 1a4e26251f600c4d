-- Who is who: the members of the organization, and the customers of the application they look after?
{{ config(meta={"time_column": None}) }}

with members as (
    select * from {{ ref("stg_sentry__users") }}
),

customers as (
    select * from {{ ref("int_user_activity") }}
),

profiles as (
    select * from {{ ref("stg_app__users") }}
),

seen as (
    select
        user_id,
        min(activity_date) as first_activity_date,
        max(activity_date) as last_activity_date
    from {{ ref("user_engagement") }}
    group by user_id
),

people as (
    select
        'member' as kind,
        member_id as person_id,
        user_id as sentry_user_id,
        member_name as person_name,
        email,
        cast(null as varchar) as plan,
        cast(null as varchar) as country,
        organization_role,
        is_pending,
        user_id is not null as has_profile,
        cast(created_at as date) as joined_on,
        cast(null as date) as first_activity_date,
        cast(last_active_at as date) as last_activity_date
    from members
    union all
    select
        'customer' as kind,
        coalesce(customers.user_id, seen.user_id) as person_id,
        cast(null as varchar) as sentry_user_id,
        profiles.user_name as person_name,
        profiles.email,
        coalesce(customers.plan, 'unknown') as plan,
        coalesce(customers.country, 'unknown') as country,
        cast(null as varchar) as organization_role,
        cast(null as boolean) as is_pending,
        coalesce(customers.has_profile, false) as has_profile,
        profiles.signed_up_on as joined_on,
        seen.first_activity_date,
        seen.last_activity_date
    from customers
    full outer join seen on customers.user_id = seen.user_id
    left join profiles on customers.user_id = profiles.user_id
),

final as (
    select
        kind || ':' || person_id as person_key,
        kind,
        person_id,
        sentry_user_id,
        person_name,
        email,
        plan,
        country,
        organization_role,
        is_pending,
        has_profile,
        joined_on,
        first_activity_date,
        last_activity_date
    from people
)

select * from final
