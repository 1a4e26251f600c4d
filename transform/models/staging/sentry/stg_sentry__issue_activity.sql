with source as (
    {{ source_rows("issue_detail", key="id") }}
),

entries as (
    select
        id,
        {{ json_entries("activity") }} as entry,
        _sdc_batched_at
    from source
),

final as (
    select
        id as issue_id,
        {{ json_text("entry", "id") }} as activity_id,
        {{ json_text("entry", "type") }} as activity_type,
        {{ json_text("entry", "user.id") }} as actor_user_id,
        {{ json_text("entry", "user.email") }} as actor_email,
        {{ json_text("entry", "data.assigneeType") }} as assignee_type,
        {{ json_text("entry", "data.assignee") }} as assignee_id,
        {{ json_text("entry", "data.assigneeEmail") }} as assignee_email,
        {{ json_text("entry", "data.integration") }} as assigned_by_integration,
        -- Resolved in the next release: Sentry sends an empty version until there is one.
        nullif({{ json_text("entry", "data.version") }}, '') as release_version,
        {{ json_text("entry", "data.current_release_version") }} as resolved_after_release_version,
        {{ json_text("entry", "data.resolved_in_version") }} as resolved_in_release_version,
        {{ json_text("entry", "data.commit.id") }} as resolved_in_commit_sha,
        {{ json_text("entry", "data.pullRequest.id") }} as resolved_in_pull_request_id,
        coalesce({{ json_text("entry", "data.ignoreUntilEscalating") }} = 'true', false) as is_ignored_until_escalating,
        {{ cast_or_null(json_text("entry", "data.ignoreDuration"), "bigint") }} * 60 as ignored_duration_seconds,
        {{ cast_or_null(json_text("entry", "data.ignoreUntil"), "timestamp") }} as ignored_until_at,
        {{ cast_or_null(json_text("entry", "data.ignoreCount"), "bigint") }} as ignored_until_event_count,
        {{ cast_or_null(json_text("entry", "data.ignoreWindow"), "bigint") }} * 60 as ignored_event_window_seconds,
        {{ cast_or_null(json_text("entry", "data.ignoreUserCount"), "bigint") }} as ignored_until_user_count,
        {{ cast_or_null(json_text("entry", "data.ignoreUserWindow"), "bigint") }} * 60 as ignored_user_window_seconds,
        {{ json_text("entry", "data.priority") }} as priority,
        {{ cast_or_null(json_text("entry", "dateCreated"), "timestamp") }} as occurred_at,
        _sdc_batched_at as loaded_at
    from entries
)

select * from final
