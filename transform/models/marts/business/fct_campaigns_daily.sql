-- What did each email campaign bring: who opened it, who clicked, what did they buy?
{{ config(
    materialized="incremental",
    unique_key="activity_date",
    meta={"time_column": "activity_date"},
    pre_hook="{{ clear_stale_days('product_version', of_source=true) }}",
    post_hook="{{ note_empty_days('product_version') }}",
) }}

{% set days = stale_days("product_version", of_source=true) %}

with versions as (
    select
        activity_date,
        product_version
    from {{ ref("int_day_versions") }}
),

events as (
    select *
    from {{ ref("stg_app__events") }}
    where campaign is not null and {{ on_days("occurred_on", days) }}
),

totals as (
    select
        occurred_on as activity_date,
        campaign,
        count(*) filter (where event_type = 'email_sent') as email_sent_count,
        count(*) filter (where event_type = 'email_opened') as email_opened_count,
        count(*) filter (where event_type = 'email_clicked') as email_clicked_count,
        count(distinct session_id) as session_count,
        count(*) filter (where event_type = 'purchase') as purchase_count,
        {{ rounded("coalesce(sum(revenue), 0)", digits=4) }} as revenue
    from events
    group by occurred_on, campaign
),

final as (
    select
        totals.activity_date,
        totals.campaign,
        totals.email_sent_count,
        totals.email_opened_count,
        totals.email_clicked_count,
        {{ ratio("totals.email_opened_count", "totals.email_sent_count") }} as email_open_rate,
        {{ ratio("totals.email_clicked_count", "totals.email_opened_count") }} as click_to_open_rate,
        totals.session_count,
        totals.purchase_count,
        {{ ratio("totals.purchase_count", "totals.session_count") }} as conversion_rate,
        totals.revenue,
        versions.product_version as day_version
    from totals
    left join versions using (activity_date)
)

select * from final
