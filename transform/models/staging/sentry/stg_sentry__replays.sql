with source as (
    {{ source_rows("replays", key="id") }}
),

final as (
    select
        id as replay_id,
        project_id,
        environment,
        platform,
        ({{ json_texts("releases") }})[1] as release_version,
        {{ json_text('"user"', "id") }} as user_id,
        {{ json_text('"user"', "email") }} as user_email,
        {{ json_text("browser", "name") }} as browser,
        {{ json_text("os", "name") }} as operating_system,
        ({{ json_texts("urls") }})[1] as entry_url,
        cast(duration as double precision) as duration_seconds,
        activity as activity_score,
        count_errors as error_count,
        count_warnings as warning_count,
        count_dead_clicks as dead_click_count,
        count_rage_clicks as rage_click_count,
        count_segments as segment_count,
        count_urls as url_count,
        coalesce(is_archived, false) as is_archived,
        started_at,
        finished_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
