with source as (
    {{ source_rows("projects", key="id") }}
),

entries as (
    select
        id,
        {{ json_entries("teams") }} as entry,
        _sdc_batched_at
    from source
),

final as (
    select
        id as project_id,
        {{ json_text("entry", "id") }} as team_id,
        {{ json_text("entry", "slug") }} as team_slug,
        _sdc_batched_at as loaded_at
    from entries
)

select * from final
