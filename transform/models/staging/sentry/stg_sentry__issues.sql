with source as (
    {{ source_rows("issues", key="id") }}
),

final as (
    select
        id as issue_id,
        shortid as short_id,
        {{ json_text("project", "$.id") }} as project_id,
        {{ json_text("project", "$.slug") }} as project_slug,
        title,
        culprit,
        {{ json_text("metadata", "$.type") }} as error_type,
        level,
        status,
        substatus,
        status = 'resolved' as is_resolved,
        priority,
        issuetype as issue_type,
        issuecategory as issue_category,
        platform,
        {{ json_text("assignedto", "$.type") }} as assignee_type,
        {{ json_text("assignedto", "$.id") }} as assignee_id,
        {{ json_text("assignedto", "$.name") }} as assignee_name,
        coalesce(isunhandled, false) as is_unhandled,
        try_cast(count as bigint) as event_count,
        usercount as user_count,
        numcomments as comment_count,
        firstseen as first_seen_at,
        lastseen as last_seen_at,
        permalink as issue_url,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
