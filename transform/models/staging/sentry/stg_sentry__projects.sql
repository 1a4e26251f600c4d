with source as (
    {{ source_rows("projects", key="id") }}
),

final as (
    select
        id as project_id,
        slug as project_slug,
        name as project_name,
        platform,
        {{ json_texts("teams", "id") }} as team_ids,
        {{ json_texts("environments") }} as environments,
        {{ json_text("latestrelease", "version") }} as latest_release_version,
        coalesce(firsttransactionevent, false) as has_transactions,
        coalesce(hassessions, false) as has_sessions,
        datecreated as created_at,
        firstevent as first_event_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
