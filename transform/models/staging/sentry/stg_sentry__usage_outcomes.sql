with source as (
    {{ source_rows("usage_outcomes", key="id") }}
),

final as (
    select
        id as usage_outcome_id,
        timestamp as hour_at,
        cast(project as varchar) as project_id,
        category,
        outcome,
        nullif(reason, 'none') as reason,
        quantity,
        times_seen,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
