with source as (
    {{ source_rows("release_commits", key="version, id") }}
),

final as (
    select
        version as release_version,
        id as commit_sha,
        message,
        {{ json_text("author", "id") }} as author_user_id,
        {{ json_text("author", "name") }} as author_name,
        {{ json_text("author", "email") }} as author_email,
        {{ json_text("repository", "name") }} as repository_name,
        {{ json_text("pullrequest", "id") }} as pull_request_id,
        datecreated as committed_at,
        changedat as release_changed_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
