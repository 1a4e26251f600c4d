with source as (
    select * from {{ var("app_users_relation") or ref("users") }}
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(name as varchar) as user_name,
        cast(email as varchar) as email,
        cast(plan as varchar) as plan,
        cast(country as varchar) as country,
        cast(signed_up_on as date) as signed_up_on
    from source
)

select * from final
