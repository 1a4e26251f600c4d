with source as (
    {{ source_rows("monitors", key="id") }}
),

final as (
    select
        id as monitor_id,
        slug as monitor_slug,
        name as monitor_name,
        {{ json_text("project", "id") }} as project_id,
        status,
        coalesce(ismuted, false) as is_muted,
        {{ json_text("config", "schedule_type") }} as schedule_type,
        -- Of an interval it is a list, which PostgreSQL writes with spaces.
        replace({{ json_text("config", "schedule") }}, ', ', ',') as schedule,
        {{ json_text("config", "timezone") }} as schedule_timezone,
        {{ cast_or_null(json_text("config", "checkin_margin"), "bigint") }} * 60 as check_in_margin_seconds,
        {{ cast_or_null(json_text("config", "max_runtime"), "bigint") }} * 60 as max_runtime_seconds,
        {{ cast_or_null(json_text("config", "failure_issue_threshold"), "bigint") }} as failure_issue_threshold,
        {{ cast_or_null(json_text("config", "recovery_threshold"), "bigint") }} as recovery_threshold,
        {{ json_text("owner", "type") }} as owner_type,
        {{ json_text("owner", "id") }} as owner_id,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
