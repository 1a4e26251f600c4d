with source as (
    {{ source_rows("events", key="projectid, eventid") }}
),

tagged as (
    select
        *,
        {{ json_texts("tags", "$[*].key") }} as tag_keys,
        {{ json_texts("tags", "$[*].value") }} as tag_values
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
        {{ json_text("metadata", "$.type") }} as error_type,
        tag_values[list_position(tag_keys, 'level')] as level,
        tag_values[list_position(tag_keys, 'environment')] as environment,
        tag_values[list_position(tag_keys, 'release')] as release_version,
        tag_values[list_position(tag_keys, 'transaction')] as transaction_name,
        tag_values[list_position(tag_keys, 'url')] as url,
        tag_values[list_position(tag_keys, 'browser')] as browser,
        {{ json_text("contexts", "$.trace.trace_id") }} as trace_id,
        {{ json_text("user", "$.id") }} as user_id,
        {{ json_text("user", "$.email") }} as user_email,
        {{ json_text("user", "$.username") }} as username,
        coalesce(sample_weight, 1) as sample_weight,
        datecreated as occurred_at,
        cast(datecreated as date) as occurred_on,
        datereceived as received_at,
        _sdc_batched_at as loaded_at
    from tagged
)

select * from final
