with source as (
    {{ source_rows("releases", key="version") }}
),

final as (
    select
        version as release_version,
        id as release_id,
        shortversion as short_version,
        status,
        {{ json_texts("projects", "id") }} as project_ids,
        {{ json_texts("projects", "slug") }} as project_slugs,
        ref as source_ref,
        url as release_url,
        newgroups as new_issue_count,
        commitcount as commit_count,
        deploycount as deploy_count,
        {{ json_text("lastdeploy", "environment") }} as last_deploy_environment,
        datecreated as created_at,
        datereleased as released_at,
        firstevent as first_event_at,
        lastevent as last_event_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
