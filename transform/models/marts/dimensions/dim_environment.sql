-- Which environments are there, those that only rows name included, and which does Sentry hide?
{{ config(meta={"time_column": None}) }}

with listed as (
    select
        coalesce(nullif(environment_name, ''), '(none)') as environment,
        min(environment_id) as environment_id,
        bool_and(is_hidden) as is_hidden
    from {{ ref("stg_sentry__environments") }}
    group by coalesce(nullif(environment_name, ''), '(none)')
),

seen as (
    select
        environment,
        cast(sum(stored_span_count) as bigint) as stored_span_count,
        cast(sum(stored_error_count) as bigint) as stored_error_count,
        min(activity_date) as first_activity_date,
        max(activity_date) as last_activity_date
    from {{ ref("int_project_days") }}
    group by environment
),

final as (
    select
        environment,
        listed.environment_id,
        listed.is_hidden,
        coalesce(seen.stored_span_count, 0) as stored_span_count,
        coalesce(seen.stored_error_count, 0) as stored_error_count,
        seen.first_activity_date,
        seen.last_activity_date
    from listed
    full outer join seen using (environment)
)

select * from final
