with source as (
    {{ source_rows("release", key="id") }}
),

entries as (
    select
        version,
        {{ json_entries("projects") }} as entry,
        _sdc_batched_at
    from source
),

final as (
    select
        version as release_version,
        {{ json_text("entry", "id") }} as project_id,
        {{ json_text("entry", "slug") }} as project_slug,
        {{ cast_or_null(json_text("entry", "newGroups"), "bigint") }} as new_issue_count,
        coalesce({{ json_text("entry", "hasHealthData") }} = 'true', false) as has_health_data,
        _sdc_batched_at as loaded_at
    from entries
)

select * from final
