{#
    Wilson's 95 % interval of a share (Wilson, 1927): right for few rows and for shares near 0 and 1, where the
    usual plus-or-minus would leave [0, 1] or have no width. Null without rows.
#}
{% macro wilson_low(part, whole) -%}
    {{ wilson_bound(part, whole, "-") }}
{%- endmacro %}

{% macro wilson_high(part, whole) -%}
    {{ wilson_bound(part, whole, "+") }}
{%- endmacro %}

{% macro wilson_bound(part, whole, sign) -%}
    (
        {{ part }} + 1.9208
        {{ sign }} 1.96 * sqrt(
            cast({{ part }} as double precision) * ({{ whole }} - {{ part }}) / nullif({{ whole }}, 0) + 0.9604
        )
    ) / ({{ whole }} + 3.8416)
{%- endmacro %}

{#
    Variance of a share of independent rows, for the difference of two shares. One row more on each side (Agresti
    and Caffo, 2000): that none of few failed does not mean that none can.
#}
{% macro share_variance(part, whole) -%}
    cast({{ part }} + 1 as double precision) * ({{ whole }} - {{ part }} + 1) / power({{ whole }} + 2, 3)
{%- endmacro %}

{#
    95 % interval of the ratio of two rates of events. Given both counts together, the one has a binomial share of them
    (Przyborowski and Wilenski, 1940), whose odds by the exposures are the ratio; so Wilson's bounds hold for few events
    and for none on a side, where the ratio itself has no value or no error. Counts are of independent events of weight
    one (see `independent_count`), exposures the time in which one of them stands for one event.
#}
{% macro rate_ratio_low(count, exposure, other_count, other_exposure) -%}
    {%- set share = wilson_low(count, "(" ~ count ~ " + " ~ other_count ~ ")") -%}
    greatest({{ share }}, 0) / (1 - {{ share }}) * {{ ratio(other_exposure, exposure) }}
{%- endmacro %}

{# No rate is so high that none elsewhere excludes it: null where the other side has no event. #}
{% macro rate_ratio_high(count, exposure, other_count, other_exposure) -%}
    case
        when {{ other_count }} > 0
            then 1 / ({{ rate_ratio_low(other_count, other_exposure, count, exposure) }})
    end
{%- endmacro %}

{#
    Variance of hourly counts / their mean, 1 for events by chance and more for those in bursts or with the time of day,
    from sums over the hours (an hour without any adds nothing but counts). `weight` is what one effective event stands
    for, so that sampling, which the effective count knows, isn't counted twice. Null without two hours or any event.
#}
{% macro hourly_dispersion(sum, squared_sum, hours, weight) -%}
    case
        when {{ hours }} > 1
            then
                greatest({{ squared_sum }} - {{ ratio(sum ~ " * " ~ sum, hours) }}, 0) / ({{ hours }} - 1)
                / nullif({{ ratio(sum, hours) }} * {{ weight }}, 0)
    end
{%- endmacro %}

{# The larger dispersion of two sides, at least 1; null where it is known of neither. #}
{% macro joint_dispersion(dispersion, other_dispersion) -%}
    case
        when coalesce({{ dispersion }}, {{ other_dispersion }}) is not null
            then greatest(coalesce({{ dispersion }}, 1), coalesce({{ other_dispersion }}, 1), 1)
    end
{%- endmacro %}

{# How many independent events say as much: a burst is one. Null where nobody knows whether there were any. #}
{% macro independent_count(estimated, effective, dispersion) -%}
    case when {{ estimated }} is not null then {{ ratio("coalesce(" ~ effective ~ ", 0)", dispersion) }} end
{%- endmacro %}
