with source as (
    {{ source_rows("issues", key="id") }}
),

final as (
    select
        id as issue_id,
        shortid as short_id,
        {{ json_text("project", "id") }} as project_id,
        {{ json_text("project", "slug") }} as project_slug,
        title,
        culprit,
        {{ json_text("metadata", "type") }} as error_type,
        level,
        status,
        substatus,
        status = 'resolved' as is_resolved,
        {{ json_text("statusdetails", "inRelease") }} as resolved_in_release_version,
        {{ json_text("statusdetails", "inCommit.id") }} as resolved_in_commit_sha,
        coalesce({{ json_text("statusdetails", "inNextRelease") }} = 'true', false) as is_resolved_in_next_release,
        coalesce({{ json_text("statusdetails", "autoResolved") }} = 'true', false) as is_auto_resolved,
        {{ cast_or_null(json_text("statusdetails", "ignoreUntil"), "timestamp") }} as ignored_until_at,
        {{ cast_or_null(json_text("statusdetails", "ignoreCount"), "bigint") }} as ignored_until_event_count,
        {{ cast_or_null(json_text("statusdetails", "ignoreWindow"), "bigint") }} * 60 as ignored_event_window_seconds,
        {{ cast_or_null(json_text("statusdetails", "ignoreUserCount"), "bigint") }} as ignored_until_user_count,
        {{ cast_or_null(json_text("statusdetails", "ignoreUserWindow"), "bigint") }} * 60
            as ignored_user_window_seconds,
        priority,
        issuetype as issue_type,
        issuecategory as issue_category,
        platform,
        {{ json_text("assignedto", "type") }} as assignee_type,
        {{ json_text("assignedto", "id") }} as assignee_id,
        {{ json_text("assignedto", "name") }} as assignee_name,
        coalesce(isunhandled, false) as is_unhandled,
        {{ cast_or_null("count", "bigint") }} as event_count,
        usercount as user_count,
        numcomments as comment_count,
        firstseen as first_seen_at,
        lastseen as last_seen_at,
        fullpassat as full_pass_at,
        permalink as issue_url,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
