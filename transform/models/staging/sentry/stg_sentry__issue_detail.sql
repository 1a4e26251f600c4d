with source as (
    {{ source_rows("issue_detail", key="id") }}
),

final as (
    select
        id as issue_id,
        shortid as short_id,
        {{ json_text("project", "id") }} as project_id,
        status,
        substatus,
        {{ json_text("firstrelease", "version") }} as first_release_version,
        {{ json_text("lastrelease", "version") }} as last_release_version,
        userreportcount as user_report_count,
        firstseen as first_seen_at,
        lastseen as last_seen_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
