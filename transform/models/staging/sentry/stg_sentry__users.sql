with source as (
    {{ source_rows("users", key="id") }}
),

final as (
    select
        id as member_id,
        {{ json_text('"user"', "id") }} as user_id,
        name as member_name,
        email,
        orgrole as organization_role,
        coalesce(pending, false) as is_pending,
        coalesce(expired, false) as is_expired,
        invitestatus as invite_status,
        invitername as inviter_name,
        {{ cast_or_null(json_text('"user"', "has2fa"), "boolean") }} as has_two_factor,
        {{ cast_or_null(json_text('"user"', "lastActive"), "timestamp") }} as last_active_at,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
