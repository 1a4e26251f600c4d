with source as (
    select * from {{ var("app_users_relation") or ref("users") }}
),

final as (
    select
        cast(user_id as varchar) as user_id,
        name as user_name,
        email,
        plan,
        country,
        cast(signed_up_on as date) as signed_up_on
    from source
)

select * from final
