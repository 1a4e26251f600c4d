{{ config(materialized="incremental", unique_key="activity_date") }}

{% set days = stale_days("span_version") %}
{% set transaction = "activity_date, service, transaction_name, environment" %}
{% set query = transaction ~ ", query_text" %}

-- Read several times instead of kept: that takes half the memory and no longer.
with spans as not materialized (
    select
        activity_date,
        day_version,
        service,
        environment,
        coalesce(transaction_name, '(none)') as transaction_name,
        trace_id,
        span_id,
        parent_span_id,
        coalesce(segment_span_id, '(none)') as segment_id,
        is_transaction,
        operation like 'db%' as is_query,
        description,
        duration_seconds,
        span_weight,
        started_at,
        coalesce(ended_at, started_at) as ended_at,
        loaded_at
    from {{ ref("int_spans") }}
    where {{ on_days("activity_date", days) }}
),

days as (
    select distinct
        activity_date,
        day_version
    from spans
),

texts as (
    select
        description,
        {{ query_text("description") }} as query_text
    from (
        select distinct description
        from spans
        where is_query and description is not null
    ) as described
),

calls as not materialized (
    select
        spans.activity_date,
        spans.service,
        spans.transaction_name,
        spans.environment,
        coalesce(texts.query_text, '(none)') as query_text,
        spans.trace_id,
        spans.span_id,
        spans.parent_span_id,
        spans.segment_id,
        spans.duration_seconds,
        spans.span_weight,
        spans.started_at,
        spans.ended_at,
        spans.loaded_at
    from spans
    left join texts on spans.description = texts.description
    where spans.is_query
),

transactions as (
    select
        {{ transaction }},
        {{ rounded("sum(span_weight)") }} as estimated_transaction_count
    from spans
    where is_transaction
    group by {{ transaction }}
),

-- What is sampled is the trace, with all its calls.
traces as (
    select
        {{ query }},
        trace_id,
        count(*) as stored_count,
        sum(span_weight) as estimated_count,
        sum(span_weight * duration_seconds) as total_seconds,
        sum(span_weight) filter (where duration_seconds is not null) as timed,
        max(loaded_at) as last_loaded_at
    from calls
    group by {{ query }}, trace_id
),

totals as (
    select
        {{ query }},
        cast(sum(stored_count) as bigint) as stored_call_count,
        {{ rounded("sum(estimated_count)") }} as estimated_call_count,
        {{ rounded(count_standard_error("estimated_count", "stored_count")) }} as estimated_call_count_standard_error,
        {{ rounded(effective_count("estimated_count")) }} as effective_trace_count,
        {{ rounded("coalesce(sum(total_seconds), 0)") }} as total_seconds,
        {{ rounded("coalesce(sum(timed), 0)") }} as timed_call_count,
        max(last_loaded_at) as last_loaded_at
    from traces
    group by {{ query }}
),

-- Rank each call by the traffic that it and all faster ones stand for.
ranked as (
    select
        {{ query }},
        duration_seconds,
        sum(span_weight) over (
            partition by {{ query }}
            order by duration_seconds
            rows between unbounded preceding and current row
        ) / sum(span_weight) over (
            partition by {{ query }}
        ) + 0.000000001 as cumulative_share
    from calls
    where duration_seconds is not null
),

percentiles as (
    select
        {{ query }},
        min(duration_seconds) filter (where cumulative_share >= 0.95) as p95_duration_seconds
    from ranked
    group by {{ query }}
),

-- What runs beside an equal query does not wait for it.
ordered as (
    select
        *,
        coalesce(
            started_at >= lag(ended_at) over (
                partition by activity_date, service, trace_id, segment_id, parent_span_id, query_text
                order by started_at, span_id
            ),
            true
        ) as is_after_previous
    from calls
    where parent_span_id is not null and query_text <> '(none)'
),

repetitions as (
    select
        {{ query }},
        trace_id,
        segment_id,
        parent_span_id,
        max(span_weight) as span_weight,
        count(*) as repetition_count,
        coalesce(sum(duration_seconds), 0) as total_seconds,
        coalesce(sum(duration_seconds) - max(duration_seconds), 0) as possible_saving_seconds
    from ordered
    where is_after_previous
    group by {{ query }}, trace_id, segment_id, parent_span_id
    having count(*) >= 5
),

repeating_segments as (
    select
        {{ query }},
        trace_id,
        segment_id,
        max(span_weight) as span_weight,
        sum(repetition_count) as repetition_count,
        max(repetition_count) as longest_repetition_count,
        sum(total_seconds) as total_seconds,
        sum(possible_saving_seconds) as possible_saving_seconds
    from repetitions
    group by {{ query }}, trace_id, segment_id
),

repeating_traces as (
    select
        {{ query }},
        trace_id,
        count(*) as stored_count,
        sum(span_weight) as estimated_count,
        sum(span_weight * repetition_count) as repetitions,
        max(longest_repetition_count) as longest_repetition_count,
        sum(span_weight * total_seconds) as total_seconds,
        sum(span_weight * possible_saving_seconds) as possible_saving_seconds
    from repeating_segments
    group by {{ query }}, trace_id
),

repeating as (
    select
        {{ query }},
        cast(sum(stored_count) as bigint) as stored_repeating_transaction_count,
        {{ rounded("sum(estimated_count)") }} as estimated_repeating_transaction_count,
        {{ rounded(count_standard_error("estimated_count", "stored_count")) }}
            as estimated_repeating_transaction_count_standard_error,
        {{ rounded(effective_count("estimated_count")) }} as effective_repeating_trace_count,
        {{ rounded("sum(repetitions)") }} as estimated_repetition_count,
        cast(max(longest_repetition_count) as bigint) as longest_repetition_count,
        {{ rounded("sum(total_seconds)") }} as repetition_seconds,
        {{ rounded("sum(possible_saving_seconds)") }} as possible_saving_seconds
    from repeating_traces
    group by {{ query }}
),

final as (
    select
        days.activity_date,
        days.day_version,
        totals.service,
        totals.transaction_name,
        totals.environment,
        totals.query_text,
        totals.stored_call_count,
        totals.estimated_call_count,
        totals.estimated_call_count_standard_error,
        totals.effective_trace_count,
        totals.total_seconds,
        totals.timed_call_count,
        percentiles.p95_duration_seconds,
        transactions.estimated_transaction_count,
        repeating.stored_repeating_transaction_count,
        repeating.estimated_repeating_transaction_count,
        repeating.estimated_repeating_transaction_count_standard_error,
        repeating.effective_repeating_trace_count,
        repeating.estimated_repetition_count,
        repeating.longest_repetition_count,
        repeating.repetition_seconds,
        repeating.possible_saving_seconds,
        totals.last_loaded_at
    from days
    -- A day without queries leaves a row that says so, else each build would look for them again.
    left join (
        totals
        left join percentiles using ({{ query }})
        left join repeating using ({{ query }})
        left join transactions using ({{ transaction }})
    ) on days.activity_date = totals.activity_date
)

select * from final
