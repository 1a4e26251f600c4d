{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("sentry_version") %}

with versions as (
    select
        activity_date,
        sentry_version as day_version
    from {{ ref("int_day_versions") }}
),

-- A trace is kept or dropped as a whole.
traces as (
    select
        activity_date,
        project_id,
        service,
        environment,
        trace_id,
        count(*) as stored_span_count,
        sum(sample_weight) as estimated_span_count,
        count(*) filter (where is_transaction) as stored_transaction_count,
        coalesce(sum(sample_weight) filter (where is_transaction), 0) as estimated_transaction_count,
        count(*) filter (where is_partial_scan) as partial_scan_span_count,
        count(*) filter (where cast(received_at as date) > activity_date) as late_span_count,
        count(*) filter (where is_transaction and cast(received_at as date) > activity_date) as late_transaction_count,
        max(loaded_at) as loaded_at
    from {{ ref("int_spans") }}
    where {{ on_days("activity_date", days) }}
    group by activity_date, project_id, service, environment, trace_id
),

spans as (
    select
        activity_date,
        project_id,
        service,
        environment,
        sum(stored_span_count) as stored_span_count,
        sum(estimated_span_count) as estimated_span_count,
        {{ count_standard_error("estimated_span_count", "stored_span_count") }} as estimated_span_count_standard_error,
        sum(stored_transaction_count) as stored_transaction_count,
        sum(estimated_transaction_count) as estimated_transaction_count,
        {{ count_standard_error("estimated_transaction_count", "stored_transaction_count") }}
            as estimated_transaction_count_standard_error,
        sum(partial_scan_span_count) as partial_scan_span_count,
        sum(late_span_count) as late_span_count,
        sum(late_transaction_count) as late_transaction_count,
        max(loaded_at) as spans_loaded_at
    from traces
    group by activity_date, project_id, service, environment
),

errors as (
    select
        activity_date,
        project_id,
        service,
        environment,
        count(*) as stored_error_count,
        sum(sample_weight) as estimated_error_count,
        {{ count_standard_error("sample_weight", 1) }} as estimated_error_count_standard_error,
        count(*) filter (where cast(received_at as date) > activity_date) as late_error_count,
        max(loaded_at) as errors_loaded_at
    from {{ ref("int_errors") }}
    where {{ on_days("activity_date", days) }}
    group by activity_date, project_id, service, environment
),

joined as (
    select
        activity_date,
        project_id,
        service,
        environment,
        cast(coalesce(spans.stored_span_count, 0) as bigint) as stored_span_count,
        {{ rounded("coalesce(spans.estimated_span_count, 0)") }} as estimated_span_count,
        {{ rounded("coalesce(spans.estimated_span_count_standard_error, 0)") }} as estimated_span_count_standard_error,
        cast(coalesce(spans.late_span_count, 0) as bigint) as late_span_count,
        cast(coalesce(spans.partial_scan_span_count, 0) as bigint) as partial_scan_span_count,
        cast(coalesce(spans.stored_transaction_count, 0) as bigint) as stored_transaction_count,
        {{ rounded("coalesce(spans.estimated_transaction_count, 0)") }} as estimated_transaction_count,
        {{ rounded("coalesce(spans.estimated_transaction_count_standard_error, 0)") }}
            as estimated_transaction_count_standard_error,
        cast(coalesce(spans.late_transaction_count, 0) as bigint) as late_transaction_count,
        coalesce(errors.stored_error_count, 0) as stored_error_count,
        {{ rounded("coalesce(errors.estimated_error_count, 0)") }} as estimated_error_count,
        {{ rounded("coalesce(errors.estimated_error_count_standard_error, 0)") }}
            as estimated_error_count_standard_error,
        coalesce(errors.late_error_count, 0) as late_error_count,
        spans.spans_loaded_at,
        errors.errors_loaded_at
    from spans
    full outer join errors using (activity_date, project_id, service, environment)
),

final as (
    select
        joined.activity_date,
        versions.day_version,
        joined.project_id,
        joined.service,
        joined.environment,
        joined.stored_span_count,
        joined.estimated_span_count,
        joined.estimated_span_count_standard_error,
        joined.late_span_count,
        joined.partial_scan_span_count,
        joined.stored_transaction_count,
        joined.estimated_transaction_count,
        joined.estimated_transaction_count_standard_error,
        joined.late_transaction_count,
        joined.stored_error_count,
        joined.estimated_error_count,
        joined.estimated_error_count_standard_error,
        joined.late_error_count,
        joined.spans_loaded_at,
        joined.errors_loaded_at
    from joined
    inner join versions on joined.activity_date = versions.activity_date
)

select * from final
