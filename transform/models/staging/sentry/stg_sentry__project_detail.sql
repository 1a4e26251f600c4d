with source as (
    {{ source_rows("project_detail", key="id") }}
),

final as (
    select
        id as project_id,
        slug as project_slug,
        name as project_name,
        platform,
        status,
        {{ json_text("team", "id") }} as team_id,
        defaultenvironment as default_environment,
        nullif(resolveage, 0) as auto_resolve_hours,
        coalesce(isinternal, false) as is_internal,
        coalesce(isdynamicallysampled, false) as is_dynamically_sampled,
        groupingconfig as grouping_config,
        subjectprefix as subject_prefix,
        datascrubber as has_data_scrubber,
        scrubipaddresses as scrubs_ip_addresses,
        datecreated as created_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
