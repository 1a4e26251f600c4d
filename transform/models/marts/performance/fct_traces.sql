-- How long did each trace take, and where was the time spent?
{{ config(materialized="incremental", unique_key="trace_id", meta={"time_column": "started_at"}) }}

{% set days = stale_days("span_version") %}

with segments as (
    select *
    from {{ ref("int_segments") }}
    where {{ over_days("activity_date", "last_span_on", days) }}
),

services as (
    select
        trace_id,
        service,
        critical_path_seconds,
        waiting_seconds,
        critical_path_share,
        row_number() over (partition by trace_id order by critical_path_seconds desc, service asc) as place
    from {{ ref("fct_trace_services") }}
    where trace_id in (select segments.trace_id from segments)
),

paths as (
    select
        trace_id,
        max(service) filter (where place = 1) as longest_service,
        max(critical_path_share) filter (where place = 1) as longest_service_share,
        {{ rounded("sum(critical_path_seconds)") }} as critical_path_seconds,
        {{ rounded("sum(waiting_seconds)") }} as waiting_seconds
    from services
    group by trace_id
),

totals as (
    select
        trace_id,
        min(first_started_at) as started_at,
        max(last_ended_at) as ended_at,
        cast(sum(stored_span_count) as bigint) as stored_span_count,
        count(*) as stored_segment_count,
        count(distinct service) as stored_service_count,
        cast(sum(stored_error_span_count) as bigint) as stored_error_span_count,
        max(last_loaded_at) as last_loaded_at
    from segments
    group by trace_id
),

roots as (
    select *
    from segments
    where is_trace_root
),

final as (
    select
        roots.activity_date,
        roots.day_version,
        totals.trace_id,
        totals.started_at,
        totals.ended_at,
        roots.service as root_service,
        roots.operation as root_operation,
        roots.transaction_name as root_transaction_name,
        roots.environment,
        roots.release_version,
        roots.user_id,
        roots.is_parentless as is_root_stored,
        roots.status_class = 'error' as is_failed,
        roots.duration_seconds as root_duration_seconds,
        cast(extract(epoch from (totals.ended_at - totals.started_at)) as double precision) as end_to_end_seconds,
        paths.critical_path_seconds,
        paths.waiting_seconds,
        paths.longest_service,
        paths.longest_service_share,
        totals.stored_span_count,
        totals.stored_segment_count,
        totals.stored_service_count,
        totals.stored_error_span_count,
        roots.span_weight as trace_weight,
        totals.last_loaded_at
    from totals
    inner join roots on totals.trace_id = roots.trace_id
    left join paths on totals.trace_id = paths.trace_id
)

select * from final
