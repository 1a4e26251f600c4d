with source as (
    {{ source_rows("issue_detail", key="id") }}
),

entries as (
    select
        id,
        {{ json_entries("openperiods") }} as entry,
        _sdc_batched_at
    from source
),

periods as (
    select
        id,
        {{ cast_or_null(json_text("entry", "start"), "timestamp") }} as opened_at,
        {{ cast_or_null(json_text("entry", "end"), "timestamp") }} as closed_at,
        {{ cast_or_null(json_text("entry", "lastChecked"), "timestamp") }} as last_checked_at,
        _sdc_batched_at
    from entries
),

final as (
    select
        id as issue_id,
        opened_at,
        closed_at,
        closed_at is null as is_open,
        {{ rounded("extract(epoch from (closed_at - opened_at))") }} as duration_seconds,
        last_checked_at,
        _sdc_batched_at as loaded_at
    from periods
)

select * from final
