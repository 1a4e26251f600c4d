with source as (
    {{ source_rows("events", key="projectid, eventid") }}
),

tagged as (
    select
        *,
        {{ tag_list("tags") }} as tag_list
    from source
),

final as (
    select
        eventid as event_id,
        projectid as project_id,
        groupid as issue_id,
        "event.type" as event_type,
        title,
        message,
        location,
        culprit,
        platform,
        {{ json_text("metadata", "type") }} as error_type,
        {{ tag_value("tag_list", "level") }} as level,
        {{ tag_value("tag_list", "environment") }} as environment,
        {{ tag_value("tag_list", "release") }} as release_version,
        {{ tag_value("tag_list", "transaction") }} as transaction_name,
        {{ tag_value("tag_list", "url") }} as url,
        {{ tag_value("tag_list", "browser") }} as browser,
        {{ json_text("contexts", "trace.trace_id") }} as trace_id,
        {{ json_text('"user"', "id") }} as user_id,
        {{ json_text('"user"', "email") }} as user_email,
        {{ json_text('"user"', "username") }} as username,
        coalesce(sample_weight, 1) as sample_weight,
        datecreated as occurred_at,
        cast(datecreated as date) as occurred_on,
        datereceived as received_at,
        _sdc_batched_at as loaded_at
    from tagged
)

select * from final
