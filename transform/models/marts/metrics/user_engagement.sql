-- What did each user do on each day, and what did they suffer from us: product events, spans and errors side by side?
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="activity_date",
        on_schema_change="fail",
        meta={"time_column": "activity_date"},
    )
}}

with product as (
    select
        activity_date,
        user_id,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(session_count) as bigint) as session_count,
        cast(sum(engagement_points) as bigint) as engagement_score,
        cast(sum(event_count) filter (where event_type = 'page_view') as bigint) as page_view_count,
        cast(sum(event_count) filter (where event_type = 'click') as bigint) as click_count,
        cast(sum(event_count) filter (where event_type = 'search') as bigint) as search_count,
        cast(sum(event_count) filter (where event_type = 'form_submit') as bigint) as form_submit_count,
        cast(sum(event_count) filter (where event_type = 'add_to_cart') as bigint) as add_to_cart_count,
        cast(sum(event_count) filter (where event_type = 'purchase') as bigint) as purchase_count,
        cast(sum(event_count) filter (where event_type = 'email_sent') as bigint) as email_sent_count,
        cast(sum(event_count) filter (where event_type = 'email_opened') as bigint) as email_opened_count,
        cast(sum(event_count) filter (where event_type = 'email_clicked') as bigint) as email_clicked_count,
        round(sum(revenue), 4) as revenue,
        max(loaded_at) as product_loaded_at
    from {{ ref("int_event_rollups") }}
    group by activity_date, user_id
),

spans as (
    select
        started_on as activity_date,
        user_id,
        count(*) as stored_span_count,
        round(sum(span_weight), 6) as estimated_span_count,
        round(sum(span_weight) filter (where is_transaction), 6) as estimated_transaction_count,
        round(sum(span_weight) filter (where is_transaction and status_class = 'error'), 6)
            as estimated_failed_transaction_count,
        round(sum(span_weight * duration_seconds) filter (where is_transaction), 6) as total_transaction_seconds,
        max(loaded_at) as spans_loaded_at
    from {{ ref("stg_sentry__spans") }}
    where user_id is not null and started_on is not null
    group by started_on, user_id
),

errors as (
    select
        occurred_on as activity_date,
        user_id,
        count(*) as stored_error_count,
        round(sum(sample_weight), 6) as estimated_error_count,
        count(distinct issue_id) as issue_count,
        max(loaded_at) as errors_loaded_at
    from {{ ref("stg_sentry__events") }}
    where user_id is not null and occurred_on is not null
    group by occurred_on, user_id
),

joined as (
    select
        activity_date,
        user_id,
        coalesce(product.event_count, 0) as event_count,
        coalesce(product.session_count, 0) as session_count,
        coalesce(product.page_view_count, 0) as page_view_count,
        coalesce(product.click_count, 0) as click_count,
        coalesce(product.search_count, 0) as search_count,
        coalesce(product.form_submit_count, 0) as form_submit_count,
        coalesce(product.add_to_cart_count, 0) as add_to_cart_count,
        coalesce(product.purchase_count, 0) as purchase_count,
        coalesce(product.email_sent_count, 0) as email_sent_count,
        coalesce(product.email_opened_count, 0) as email_opened_count,
        coalesce(product.email_clicked_count, 0) as email_clicked_count,
        coalesce(product.revenue, 0) as revenue,
        coalesce(product.engagement_score, 0) as engagement_score,
        coalesce(spans.stored_span_count, 0) as stored_span_count,
        coalesce(spans.estimated_span_count, 0) as estimated_span_count,
        coalesce(spans.estimated_transaction_count, 0) as estimated_transaction_count,
        coalesce(spans.estimated_failed_transaction_count, 0) as estimated_failed_transaction_count,
        spans.estimated_failed_transaction_count / nullif(spans.estimated_transaction_count, 0)
            as failed_transaction_rate,
        coalesce(spans.total_transaction_seconds, 0) as total_transaction_seconds,
        spans.total_transaction_seconds / nullif(spans.estimated_transaction_count, 0) as mean_transaction_seconds,
        coalesce(errors.stored_error_count, 0) as stored_error_count,
        coalesce(errors.estimated_error_count, 0) as estimated_error_count,
        coalesce(errors.issue_count, 0) as issue_count,
        product.product_loaded_at,
        spans.spans_loaded_at,
        errors.errors_loaded_at
    from product
    full outer join spans using (activity_date, user_id)
    full outer join errors using (activity_date, user_id)
),

{% if is_incremental() %}
    -- A day seen on one side first is completed here: any side's count or newest load time tells that it moved.
    changed_days as (
        select distinct changed.activity_date
        from (
            select
                activity_date,
                user_id,
                event_count,
                stored_span_count,
                stored_error_count,
                product_loaded_at,
                spans_loaded_at,
                errors_loaded_at
            from joined
            except
            select
                activity_date,
                user_id,
                event_count,
                stored_span_count,
                stored_error_count,
                product_loaded_at,
                spans_loaded_at,
                errors_loaded_at
            from {{ this }}
        ) as changed
    ),

    final as (
        select joined.*
        from joined
        inner join changed_days on joined.activity_date = changed_days.activity_date
    )
{% else %}
    final as (
        select * from joined
    )
{% endif %}

select * from final
