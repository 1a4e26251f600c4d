-- How fast does each service spend its error budget, and must somebody act?
{{ config(meta={"time_column": "hour_started_at"}) }}

{% set targets = var("slo_targets") if execute else {} %}
{% set windows = {"1h": 1, "6h": 6, "24h": 24, "72h": 72, "30d": 720} %}

with hours as (
    select
        *,
        {% if targets %}
            cast(
                case service
                {% for service, target in targets.items() %}
                        when '{{ service }}' then {{ target }}
                    {% endfor %}
                    else {{ var("slo_target") }}
                end as double precision
            ) as slo_target
        {% else %}
            cast({{ var("slo_target") }} as double precision) as slo_target
        {% endif %}
    from {{ ref("int_service_hours") }}
),

-- By the clock: hours without traffic have no row.
summed as (
    select
        service,
        environment,
        hour_started_at,
        slo_target,
        stored_transaction_count,
        {% for name, hours in windows.items() %}
            {{ rounded("sum(estimated_transaction_count) over hours_" ~ name) }} as transactions_{{ name }},
            {{ rounded("sum(estimated_error_count) over hours_" ~ name) }} as errors_{{ name }},
            {{ rounded("sum(transaction_variance) over hours_" ~ name) }} as transaction_variance_{{ name }},
            {{ rounded("sum(error_variance) over hours_" ~ name) }} as error_variance_{{ name }},
            {{ rounded("sum(error_covariance) over hours_" ~ name) }} as error_covariance_{{ name }},
            {{ rounded("sum(squared_weights) over hours_" ~ name) }} as squared_weights_{{ name }},
        {% endfor %}
        last_loaded_at
    from hours
    window
    {% for name, hours in windows.items() %}
            hours_{{ name }} as (
                partition by service, environment
                order by hour_started_at
                range between interval '{{ hours - 1 }} hours' preceding and current row
            ){{ "," if not loop.last }}
    {% endfor %}
),

-- Rounded, else an error rate of 0.144 would burn a little less than 14.4.
rates as (
    select
        *,
    {% for name in windows %}
        {{ ratio("errors_" ~ name, "transactions_" ~ name) }} as error_rate_{{ name }},
        {{ rounded(ratio("errors_" ~ name, "transactions_" ~ name ~ " * (1 - slo_target)")) }}
            as burn_rate_{{ name }},
        -- A burn of 14.4 is one failure of six requests: a rate of so few says nothing.
        coalesce(
            {{ ratio("errors_" ~ name ~ " * transactions_" ~ name, "squared_weights_" ~ name) }}
            >= {{ var("slo_min_failures") }},
            false
        ) as has_failures_{{ name }}{{ "," if not loop.last }}
    {% endfor %}
    from summed
),

final as (
    select
        service,
        environment,
        hour_started_at,
        slo_target,
        stored_transaction_count,
        {% for name in windows %}
            transactions_{{ name }} as estimated_transaction_count_{{ name }},
            errors_{{ name }} as estimated_error_count_{{ name }},
            error_rate_{{ name }},
            {%- set variance -%}
                error_variance_{{ name }}
                - 2 * error_rate_{{ name }} * error_covariance_{{ name }}
                + error_rate_{{ name }} * error_rate_{{ name }} * transaction_variance_{{ name }}
            {%- endset %}
            {{ rounded("sqrt(greatest(" ~ variance ~ ", 0)) / nullif(transactions_" ~ name ~ ", 0)", 9) }}
                as error_rate_standard_error_{{ name }},
            burn_rate_{{ name }},
        {% endfor %}
        -- One without a request since has no newer row to end its last alarm.
        hour_started_at >= max(hour_started_at) over () - interval '1 hour' as is_current,
        coalesce(burn_rate_1h >= 14.4 and has_failures_1h, false) as is_fast_burn,
        coalesce(burn_rate_6h >= 6 and burn_rate_1h >= 6 and has_failures_6h, false) as is_slow_burn,
        coalesce(burn_rate_72h >= 1 and burn_rate_6h >= 1 and has_failures_72h, false) as is_ticket,
        {{ rounded("transactions_30d * (1 - slo_target)") }} as error_budget_30d,
        {{ rounded("transactions_30d * (1 - slo_target) - errors_30d") }} as remaining_error_budget_30d,
        1 - burn_rate_30d as remaining_error_budget_share_30d,
        {{ is_low_sample(ratio("transactions_6h * transactions_6h", "squared_weights_6h")) }} as is_low_sample,
        last_loaded_at
    from rates
)

select * from final
