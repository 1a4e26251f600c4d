with source as (
    {{ source_rows("spans", key='"project.id", trace, id') }}
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
        {{ cast_or_null('"http.response_status_code"', "integer") }} as http_status_code,
        nullif(release, '') as release_version,
        nullif(environment, '') as environment,
        nullif("user.id", '') as user_id,
        "span.duration" / 1000 as duration_seconds,
        "span.self_time" / 1000 as self_time_seconds,
        sampling_rate,
        coalesce(sample_weight, 1) as sample_weight,
        coalesce(sample_weight, 1) / coalesce(nullif(sampling_rate, 0), 1) as span_weight,
        datascanned = 'partial' as is_partial_scan,
        attributes,
        -- Sentry files a span under its start in whole seconds; the precise start falls into the same second.
        timestamp as filed_at,
        coalesce({{ timestamp_of('"precise.start_ts"') }}, timestamp) as started_at,
        cast(timestamp as date) as started_on,
        {{ timestamp_of("received") }} as received_at,
        _sdc_batched_at as loaded_at
    from source
)

select * from final
