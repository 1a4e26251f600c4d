with source as (
    {{ source_rows("spans", key='"project.id", trace, id') }}
),

-- Sentry files a span under its start in whole seconds; the precise start falls into the same second.
timed as (
    select
        *,
        coalesce(make_timestamp(cast(round("precise.start_ts" * 1000000) as bigint)), timestamp) as started_at
    from source
),

final as (
    select
        cast("project.id" as varchar) as project_id,
        trace as trace_id,
        id as span_id,
        nullif(parent_span, '') as parent_span_id,
        nullif("transaction.span_id", '') as segment_span_id,
        coalesce(is_transaction, false) as is_transaction,
        nullif("span.op", '') as operation,
        nullif("span.description", '') as description,
        nullif(transaction, '') as transaction_name,
        nullif("span.status", '') as span_status,
        -- What Sentry's failure_rate() counts: every status but these three; spans without one did not say.
        case
            when coalesce("span.status", '') in ('', 'unknown') then 'unknown'
            when "span.status" in ('ok', 'cancelled') then "span.status"
            else 'error'
        end as status_class,
        try_cast("http.response_status_code" as integer) as http_status_code,
        nullif(release, '') as release_version,
        nullif(environment, '') as environment,
        nullif("user.id", '') as user_id,
        round("span.duration" / 1000, 9) as duration_seconds,
        round("span.self_time" / 1000, 9) as self_time_seconds,
        sampling_rate,
        coalesce(sample_weight, 1) as sample_weight,
        coalesce(sample_weight, 1) / coalesce(nullif(sampling_rate, 0), 1) as span_weight,
        started_at,
        cast(started_at as date) as started_on,
        make_timestamp(cast(round(received * 1000000) as bigint)) as received_at,
        _sdc_batched_at as loaded_at
    from timed
)

select * from final
