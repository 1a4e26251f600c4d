with source as (
    {{ source_rows("detectors", key="id") }}
),

final as (
    select
        id as detector_id,
        projectid as project_id,
        name as detector_name,
        type as detector_type,
        coalesce(enabled, false) as is_enabled,
        ({{ json_texts("workflowids") }})[1] is not null as has_workflow,
        {{ json_text("owner", "type") }} as owner_type,
        {{ json_text("owner", "id") }} as owner_id,
        createdby as created_by_user_id,
        {{ json_text("latestgroup", "id") }} as latest_issue_id,
        datecreated as created_at,
        dateupdated as updated_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
