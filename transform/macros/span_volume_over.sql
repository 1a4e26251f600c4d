{#
    span_volume_daily over a longer period (`week`, `month`): what adds up is added up, percentiles
    are read from the merged histograms of span_duration_daily. The mean of the days' percentiles
    would be wrong by any amount.
#}
{% macro span_volume_over(period) -%}
{%- set start = "cast(date_trunc('" ~ period ~ "', activity_date) as date)" -%}
{%- set grain = period ~ "_start_date, service, operation, environment" -%}
{%- set rate_of_all = "(sum(estimated_error_count) / sum(estimated_span_count))" -%}
{%- set rate = (
    "rated.error_rate",
    "rated.error_rate_standard_error",
    "rated.estimated_span_count",
    "rated.estimated_span_count_standard_error",
) %}

with daily as (
    select
        *,
        {{ start }} as {{ period }}_start_date
    from {{ ref("span_volume_daily") }}
),

durations as (
    select
        {{ start }} as {{ period }}_start_date,
        service,
        operation,
        environment,
        bucket,
        sum(estimated_span_count) as estimated_span_count
    from {{ ref("span_duration_daily") }}
    group by {{ grain }}, bucket
),

ranked as (
    select
        *,
        sum(estimated_span_count) over (partition by {{ grain }} order by bucket)
        / sum(estimated_span_count) over (partition by {{ grain }}) + 0.000000001 as cumulative_share
    from durations
),

percentiles as (
    select
        {{ grain }},
        {%- for percent in (50, 75, 95, 99) %}
        {%- set bucket = "min(bucket) filter (where cumulative_share >= 0." ~ percent ~ ")" %}
        {{ rounded(bucket_duration(bucket), digits=9) }} as p{{ percent }}_duration_seconds{{ "," if not loop.last }}
        {%- endfor %}
    from ranked
    group by {{ grain }}
),

totals as (
    select
        {{ grain }},
        count(*) as day_count,
        cast(sum(stored_span_count) as bigint) as stored_span_count,
        {{ rounded("sum(estimated_span_count)") }} as estimated_span_count,
        -- A trace lies on one day, but for those at midnight: the errors of days add up as squares.
        {{ rounded("sqrt(sum(power(estimated_span_count_standard_error, 2)))") }} as estimated_span_count_standard_error,
        -- Kish's counts do not add up: a day of heavier rows outweighs the others.
        {{ rounded(ratio(
            "sum(estimated_span_count) * sum(estimated_span_count)",
            "sum(estimated_span_count * estimated_span_count / nullif(effective_span_count, 0))",
        )) }} as effective_span_count,
        -- Within days, and between them: how much each day weighs is an estimate too.
        {{ rounded(
            "sqrt(greatest(sum(power(error_rate_standard_error * estimated_span_count, 2)"
            ~ " + power(estimated_error_count / estimated_span_count * estimated_span_count_standard_error, 2))"
            ~ " - 2 * " ~ rate_of_all ~ " * sum(estimated_error_count / estimated_span_count"
            ~ " * power(estimated_span_count_standard_error, 2))"
            ~ " + power(" ~ rate_of_all ~ ", 2) * sum(power(estimated_span_count_standard_error, 2)), 0))"
            ~ " / sum(estimated_span_count)"
        ) }} as error_rate_standard_error,
        {{ rounded("sum(estimated_error_count)") }} as estimated_error_count,
        {{ rounded("sum(total_duration_seconds)") }} as total_duration_seconds,
        {{ rounded("sum(total_self_time_seconds)") }} as total_self_time_seconds,
        {{ rounded("sum(estimated_timed_span_count)") }} as estimated_timed_span_count,
        max(max_duration_seconds) as max_duration_seconds
    from daily
    group by {{ grain }}
),

rated as (
    select
        *,
        {{ ratio("estimated_error_count", "estimated_span_count") }} as error_rate
    from totals
),

final as (
    select
        rated.{{ period }}_start_date,
        rated.service,
        rated.operation,
        rated.environment,
        rated.day_count,
        rated.stored_span_count,
        rated.estimated_span_count,
        rated.estimated_span_count_standard_error,
        {{ is_low_sample("rated.effective_span_count") }} as is_low_sample,
        rated.estimated_error_count,
        rated.error_rate,
        rated.error_rate_standard_error,
        {{ rounded(rate_low(*rate)) }} as error_rate_low,
        {{ rounded(rate_high(*rate)) }} as error_rate_high,
        rated.total_duration_seconds,
        rated.total_self_time_seconds,
        {{ ratio("rated.total_duration_seconds", "rated.estimated_timed_span_count") }} as mean_duration_seconds,
        percentiles.p50_duration_seconds,
        percentiles.p75_duration_seconds,
        percentiles.p95_duration_seconds,
        percentiles.p99_duration_seconds,
        rated.max_duration_seconds
    from rated
    left join percentiles using ({{ grain }})
)

select * from final
{%- endmacro %}
