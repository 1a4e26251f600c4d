with source as (
    {{ source_rows("monitor_checkins", key="monitorid, id") }}
),

final as (
    select
        monitorid as monitor_id,
        id as check_in_id,
        monitorslug as monitor_slug,
        environment,
        status,
        status in ('error', 'missed', 'timeout') as is_failed,
        duration / 1000 as duration_seconds,
        expectedtime as expected_at,
        dateinprogress as started_at,
        dateadded as added_at,
        dateupdated as updated_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
