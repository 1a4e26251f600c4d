with source as (
    {{ source_rows("project_keys", key="id") }}
),

final as (
    select
        id as key_id,
        cast(projectid as varchar) as project_id,
        name as key_name,
        public as public_key,
        coalesce(isactive, false) as is_active,
        {{ cast_or_null(json_text("ratelimit", "count"), "bigint") }} as rate_limit_count,
        {{ cast_or_null(json_text("ratelimit", "window"), "bigint") }} as rate_limit_window_seconds,
        usecase as use_case,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
