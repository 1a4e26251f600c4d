{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("span_version", of_source=true) %}

with projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

versions as (
    select
        activity_date,
        span_version
    from {{ ref("int_day_versions") }}
),

spans as (
    select *
    from {{ ref("stg_sentry__spans") }}
    where started_on is not null and {{ during_days("filed_at", days) }}
),

final as (
    select
        spans.started_on as activity_date,
        versions.span_version as day_version,
        spans.project_id,
        coalesce(projects.project_slug, spans.project_id) as service,
        coalesce(spans.environment, '(none)') as environment,
        coalesce(spans.operation, '(none)') as operation,
        spans.trace_id,
        spans.span_id,
        spans.parent_span_id,
        spans.parent_span_id is null as is_root,
        coalesce(spans.segment_span_id, case when spans.is_transaction then spans.span_id end) as segment_span_id,
        spans.is_transaction,
        spans.transaction_name,
        spans.description,
        spans.span_status,
        spans.status_class,
        spans.http_status_code,
        spans.release_version,
        spans.user_id,
        spans.duration_seconds,
        spans.self_time_seconds,
        spans.sample_weight,
        spans.span_weight,
        spans.is_partial_scan,
        spans.started_at,
        spans.started_at + spans.duration_seconds * interval '1 second' as ended_at,
        spans.received_at,
        spans.loaded_at
    from spans
    left join versions on spans.started_on = versions.activity_date
    left join projects on spans.project_id = projects.project_id
)

select * from final
