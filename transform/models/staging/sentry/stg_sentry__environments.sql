with source as (
    {{ source_rows("environments", key="id") }}
),

final as (
    select
        id as environment_id,
        name as environment_name,
        coalesce(ishidden, false) as is_hidden,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
