with source as (
    {{ source_rows("organization", key="id") }}
),

final as (
    select
        id as organization_id,
        slug as organization_slug,
        name as organization_name,
        {{ json_text("status", "id") }} as status,
        coalesce(require2fa, false) as requires_two_factor,
        coalesce(hasauthprovider, false) as has_auth_provider,
        coalesce(isearlyadopter, false) as is_early_adopter,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
