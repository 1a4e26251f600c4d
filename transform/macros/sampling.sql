{#
    What a sample says of all traffic, and how surely (Horvitz and Thompson, 1952: each row that was
    kept with probability p stands for 1/p). The unit that is kept or dropped is an error event, or a
    whole trace with its spans; of each unit one needs `stored`, its rows, and `estimated`, the sum of
    their weights. Nothing is sampled: every standard error is 0.
#}

{# Standard error of sum(estimated) over units. Floors and caps per issue only make it smaller. #}
{% macro count_standard_error(estimated, stored) -%}
    sqrt(greatest(sum({{ estimated }} * ({{ estimated }} - {{ stored }})), 0))
{%- endmacro %}

{# Standard error of sum(part) / sum(estimated) over units, by linearization. #}
{% macro rate_standard_error(part, estimated, stored) -%}
    {%- set kept = "(1 - cast(" ~ stored ~ " as double precision) / " ~ estimated ~ ")" -%}
    {%- set rate = "sum(" ~ part ~ ") / sum(" ~ estimated ~ ")" -%}
    sqrt(greatest(
        sum({{ kept }} * {{ part }} * {{ part }})
        - 2 * {{ rate }} * sum({{ kept }} * {{ part }} * {{ estimated }})
        + {{ rate }} * {{ rate }} * sum({{ kept }} * {{ estimated }} * {{ estimated }}),
        0
    )) / nullif(sum({{ estimated }}), 0)
{%- endmacro %}

{#
    Bound of the 95 % interval of a rate: Wilson's (1927), in which the relative variance of the count,
    or what the rate's own says if that is more, stands for 1/n. Unlike rate +- 1.96 standard errors it
    covers rare events, of which a sample may hold none; without sampling it is the rate itself.
#}
{% macro rate_low(rate, rate_standard_error, count, count_standard_error) -%}
    {{ rate_bound(rate, rate_standard_error, count, count_standard_error, "-") }}
{%- endmacro %}

{% macro rate_high(rate, rate_standard_error, count, count_standard_error) -%}
    {{ rate_bound(rate, rate_standard_error, count, count_standard_error, "+") }}
{%- endmacro %}

{% macro rate_bound(rate, rate_standard_error, count, count_standard_error, sign) -%}
    {%- set spread = "(" ~ rate ~ " * (1 - " ~ rate ~ "))" -%}
    {%- set variance -%}
        greatest(
            power({{ count_standard_error }} / nullif({{ count }}, 0), 2),
            coalesce(power({{ rate_standard_error }}, 2) / nullif({{ spread }}, 0), 0)
        )
    {%- endset -%}
    ({{ rate }} + 1.9208 * {{ variance }} {{ sign }} 1.96 * sqrt(
        greatest({{ spread }}, 0) * {{ variance }} + 0.9604 * power({{ variance }}, 2)
    )) / (1 + 3.8416 * {{ variance }})
{%- endmacro %}

{# Size of an evenly weighted sample as good as this one (Kish, 1965). #}
{% macro effective_count(weight) -%}
    sum({{ weight }}) * sum({{ weight }}) / nullif(sum({{ weight }} * {{ weight }}), 0)
{%- endmacro %}

{# Whether too few rows stand behind a figure to act on it; the variable min_effective_count is the bound. #}
{% macro is_low_sample(effective_count) -%}
    coalesce({{ effective_count }}, 0) < {{ var("min_effective_count") }}
{%- endmacro %}
