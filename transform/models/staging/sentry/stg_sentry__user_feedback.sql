with source as (
    {{ source_rows("user_feedback", key="id") }}
),

final as (
    select
        id as feedback_id,
        projectid as project_id,
        {{ json_text("issue", "id") }} as issue_id,
        eventid as event_id,
        {{ json_text('"user"', "id") }} as user_id,
        name as reporter_name,
        email as reporter_email,
        comments,
        datecreated as submitted_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
