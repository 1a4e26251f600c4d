with source as (
    {{ source_rows("release_health", key="id") }}
),

final as (
    select
        id as release_health_id,
        cast(timestamp as date) as activity_date,
        cast(project as varchar) as project_id,
        release as release_version,
        nullif(environment, '') as environment,
        sessions as session_count,
        cast(round(sessions * (1 - crash_free_session_rate)) as bigint) as crashed_session_count,
        crash_free_session_rate,
        users as user_count,
        cast(round(users * (1 - crash_free_user_rate)) as bigint) as crashed_user_count,
        crash_free_user_rate,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
