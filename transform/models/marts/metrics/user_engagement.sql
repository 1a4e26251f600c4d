-- What did each user do on each day, and what did they suffer from us: product events, spans and errors side by side?
{{ config(
    materialized="incremental",
    unique_key="activity_date",
    meta={"time_column": "activity_date"},
    pre_hook="{{ clear_stale_days('any_version') }}",
    post_hook="{{ note_empty_days('any_version') }}",
) }}

{# A day seen on one side first is completed here: the version covers all three. #}
{% set days = stale_days("any_version") %}

with versions as (
    select
        activity_date,
        any_version
    from {{ ref("int_day_versions") }}
),

product as (
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
        {{ rounded("sum(revenue)", digits=4) }} as revenue
    from {{ ref("int_event_rollups") }}
    where user_id != '(anonymous)' and {{ on_days("activity_date", days) }}
    group by activity_date, user_id
),

spans as (
    select
        activity_date,
        user_id,
        count(*) as stored_span_count,
        {{ rounded("sum(span_weight)") }} as estimated_span_count,
        {{ rounded("sum(span_weight) filter (where is_transaction)") }} as estimated_transaction_count,
        {{ rounded("sum(span_weight) filter (where is_transaction and status_class = 'error')") }}
            as estimated_failed_transaction_count,
        {{ rounded("sum(span_weight * duration_seconds) filter (where is_transaction)") }} as total_transaction_seconds
    from {{ ref("int_spans") }}
    where user_id is not null and {{ on_days("activity_date", days) }}
    group by activity_date, user_id
),

errors as (
    select
        activity_date,
        user_id,
        count(*) as stored_error_count,
        {{ rounded("sum(sample_weight)") }} as estimated_error_count,
        {{ rounded(count_standard_error("sample_weight", "1")) }} as estimated_error_count_standard_error,
        count(distinct issue_id) as stored_issue_count
    from {{ ref("int_errors") }}
    where user_id is not null and {{ on_days("activity_date", days) }}
    group by activity_date, user_id
),

final as (
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
        product.user_id is not null as is_seen_in_product,
        coalesce(spans.stored_span_count, 0) as stored_span_count,
        coalesce(spans.estimated_span_count, 0) as estimated_span_count,
        coalesce(spans.estimated_transaction_count, 0) as estimated_transaction_count,
        coalesce(spans.estimated_failed_transaction_count, 0) as estimated_failed_transaction_count,
        {{ ratio("coalesce(spans.estimated_failed_transaction_count, 0)", "spans.estimated_transaction_count") }}
            as failed_transaction_rate,
        coalesce(spans.total_transaction_seconds, 0) as total_transaction_seconds,
        {{ ratio("spans.total_transaction_seconds", "spans.estimated_transaction_count") }} as mean_transaction_seconds,
        coalesce(errors.stored_error_count, 0) as stored_error_count,
        coalesce(errors.estimated_error_count, 0) as estimated_error_count,
        coalesce(errors.estimated_error_count_standard_error, 0) as estimated_error_count_standard_error,
        coalesce(errors.stored_issue_count, 0) as stored_issue_count,
        spans.user_id is not null or errors.user_id is not null as is_seen_in_sentry,
        versions.any_version as day_version
    from product
    full outer join spans using (activity_date, user_id)
    full outer join errors using (activity_date, user_id)
    left join versions using (activity_date)
)

select * from final
