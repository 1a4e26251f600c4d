with source as (
    {{ source_rows("workflows", key="id") }}
),

final as (
    select
        id as workflow_id,
        name as workflow_name,
        coalesce(enabled, false) as is_enabled,
        ({{ json_texts("detectorids") }})[1] is not null as has_detector,
        environment,
        {{ cast_or_null(json_text("config", "frequency"), "bigint") }} * 60 as action_interval_seconds,
        -- team:1 or user:1
        nullif(split_part(owner, ':', 1), '') as owner_type,
        nullif(split_part(owner, ':', 2), '') as owner_id,
        createdby as created_by_user_id,
        lasttriggered as last_triggered_at,
        datecreated as created_at,
        dateupdated as updated_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
