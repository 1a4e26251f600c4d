with source as (
    {{ source_rows("monitors", key="id") }}
),

entries as (
    select
        id,
        {{ json_entries("environments") }} as entry,
        _sdc_batched_at
    from source
),

final as (
    select
        id as monitor_id,
        {{ json_text("entry", "name") }} as environment,
        {{ json_text("entry", "status") }} as status,
        coalesce({{ json_text("entry", "isMuted") }} = 'true', false) as is_muted,
        {{ cast_or_null(json_text("entry", "lastCheckIn"), "timestamp") }} as last_check_in_at,
        {{ cast_or_null(json_text("entry", "nextCheckIn"), "timestamp") }} as next_check_in_at,
        {{ cast_or_null(json_text("entry", "nextCheckInLatest"), "timestamp") }} as next_check_in_latest_at,
        {{ cast_or_null(json_text("entry", "activeIncident.startingTimestamp"), "timestamp") }} as incident_started_at,
        {{ cast_or_null(json_text("entry", "dateCreated"), "timestamp") }} as created_at,
        _sdc_batched_at as loaded_at
    from entries
)

select * from final
