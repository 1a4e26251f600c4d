-- Which requests run the same query again and again, and what would one query instead save?
{{ config(meta={"time_column": "activity_date"}) }}

with queries as (
    select *
    from {{ ref("int_queries") }}
    where stored_repeating_transaction_count is not null
),

final as (
    select
        activity_date,
        service,
        transaction_name,
        environment,
        query_text,
        stored_repeating_transaction_count as stored_affected_transaction_count,
        estimated_repeating_transaction_count as estimated_affected_transaction_count,
        estimated_repeating_transaction_count_standard_error as estimated_affected_transaction_count_standard_error,
        estimated_transaction_count,
        {{ ratio("estimated_repeating_transaction_count", "estimated_transaction_count") }}
            as affected_transaction_rate,
        estimated_repetition_count,
        {{ ratio("estimated_repetition_count", "estimated_repeating_transaction_count") }} as mean_repetition_count,
        longest_repetition_count,
        repetition_seconds as total_seconds,
        possible_saving_seconds,
        {{ is_low_sample("effective_repeating_trace_count") }} as is_low_sample,
        last_loaded_at
    from queries
)

select * from final
