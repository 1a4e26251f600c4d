with source as (
    {{ source_rows("teams", key="id") }}
),

final as (
    select
        id as team_id,
        slug as team_slug,
        name as team_name,
        membercount as member_count,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
