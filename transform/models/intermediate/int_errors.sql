{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("error_version", of_source=true) %}

with projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

versions as (
    select
        activity_date,
        error_version
    from {{ ref("int_day_versions") }}
),

events as (
    select *
    from {{ ref("stg_sentry__events") }}
    where occurred_on is not null and {{ during_days("occurred_at", days) }}
),

final as (
    select
        events.occurred_on as activity_date,
        versions.error_version as day_version,
        events.project_id,
        coalesce(projects.project_slug, events.project_id) as service,
        coalesce(events.environment, '(none)') as environment,
        events.event_id,
        events.issue_id,
        events.title,
        events.error_type,
        events.level,
        events.transaction_name,
        events.release_version,
        events.user_id,
        events.trace_id,
        events.sample_weight,
        events.occurred_at,
        events.received_at,
        events.loaded_at
    from events
    left join versions on events.occurred_on = versions.activity_date
    left join projects on events.project_id = projects.project_id
)

select * from final
