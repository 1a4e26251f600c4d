-- What was sent to Sentry, what became of it, and what does that cost?
{{ config(meta={"time_column": "activity_date"}) }}

{% set unit_prices = var("usage_unit_prices") %}
{# A case without any price needs one branch all the same. #}
{% set unit_price %}
    case totals.category
        {% for category in unit_prices %} when '{{ category }}' then {{ unit_prices[category] }} {% endfor %}
        when '' then 0
    end
{% endset %}
{# Outcomes as Sentry names them; any other counts as other. #}
{% set outcomes =
    ["accepted", "filtered", "rate_limited", "invalid", "abuse", "client_discard", "cardinality_limited"] %}

with outcomes as (
    select * from {{ ref("stg_sentry__usage_outcomes") }}
),

services as (
    select
        project_id,
        service
    from {{ ref("dim_project") }}
),

totals as (
    select
        cast(hour_at as date) as activity_date,
        project_id,
        category,
        {%- for outcome in outcomes %}
            cast(coalesce(sum(quantity) filter (where outcome = '{{ outcome }}'), 0) as bigint)
                as {{ outcome }}_quantity,
        {%- endfor %}
        cast(sum(quantity) as bigint) as total_quantity,
        cast(coalesce(sum(times_seen) filter (where outcome = 'accepted'), 0) as bigint) as accepted_times_seen,
        cast(sum(times_seen) as bigint) as total_times_seen
    from outcomes
    group by cast(hour_at as date), project_id, category
),

refusals as (
    select
        cast(hour_at as date) as activity_date,
        project_id,
        category,
        outcome || coalesce(': ' || reason, '') as refusal,
        sum(quantity) as quantity
    from outcomes
    where outcome != 'accepted'
    group by cast(hour_at as date), project_id, category, outcome || coalesce(': ' || reason, '')
),

ranked as (
    select
        *,
        row_number() over (
            partition by activity_date, project_id, category
            order by quantity desc, refusal asc
        ) as refusal_rank
    from refusals
),

loads as (
    select max(loaded_at) as loaded_at
    from outcomes
),

final as (
    select
        totals.activity_date,
        totals.project_id,
        coalesce(services.service, totals.project_id) as service,
        totals.category,
        {%- for outcome in outcomes %}
            totals.{{ outcome }}_quantity,
        {%- endfor %}
        totals.total_quantity
        {%- for outcome in outcomes %}
            - totals.{{ outcome }}_quantity
        {%- endfor %} as other_quantity,
        totals.total_quantity,
        totals.total_quantity - totals.client_discard_quantity as received_quantity,
        {{ ratio("totals.accepted_quantity", "(totals.total_quantity - totals.client_discard_quantity)") }}
            as accept_rate,
        {{ ratio("totals.rate_limited_quantity", "(totals.total_quantity - totals.client_discard_quantity)") }}
            as rate_limited_rate,
        ranked.refusal as main_refusal,
        cast(ranked.quantity as bigint) as main_refusal_quantity,
        totals.accepted_times_seen,
        totals.total_times_seen,
        {{ rounded("totals.accepted_quantity * " ~ unit_price | trim) }} as accepted_cost,
        cast(totals.activity_date as timestamp) + interval '1 day' <= loads.loaded_at as is_complete
    from totals
    cross join loads
    left join services on totals.project_id = services.project_id
    left join ranked
        on
            totals.activity_date = ranked.activity_date
            and totals.project_id = ranked.project_id
            and totals.category = ranked.category
            and ranked.refusal_rank = 1
)

select * from final
