with source as (
    {{ source_rows("release_deploys", key="version, id") }}
),

final as (
    select
        version as release_version,
        id as deploy_id,
        environment,
        name as deploy_name,
        url as deploy_url,
        datestarted as started_at,
        datefinished as finished_at,
        {{ rounded("extract(epoch from (datefinished - datestarted))") }} as duration_seconds,
        changedat as release_changed_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
