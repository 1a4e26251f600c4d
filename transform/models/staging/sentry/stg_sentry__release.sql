with source as (
    {{ source_rows("release", key="id") }}
),

final as (
    select
        id as release_id,
        version as release_version,
        shortversion as short_version,
        {{ json_text("versioninfo", "package") }} as package,
        {{ json_text("versioninfo", "buildHash") }} as build_hash,
        status,
        {{ json_texts("projects", "id") }} as project_ids,
        {{ json_texts("projects", "slug") }} as project_slugs,
        {{ json_texts("authors", "email") }} as author_emails,
        ref as source_ref,
        url as release_url,
        newgroups as new_issue_count,
        commitcount as commit_count,
        {{ json_text("lastcommit", "id") }} as last_commit_sha,
        deploycount as deploy_count,
        {{ json_text("lastdeploy", "environment") }} as last_deploy_environment,
        {{ cast_or_null(json_text("lastdeploy", "dateFinished"), "timestamp") }} as last_deployed_at,
        datecreated as created_at,
        datestarted as started_at,
        datereleased as released_at,
        firstevent as first_event_at,
        lastevent as last_event_at,
        changedat as changed_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
