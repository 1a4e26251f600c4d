{#
    Durations in logarithmic buckets, 16 to each factor of two (the layout of a Prometheus native
    histogram of schema 4): bucket i holds 2^((i-1)/16) < seconds <= 2^(i/16). Buckets of two
    histograms with the same number simply add up, and a percentile read from the sum is at most
    2.2 % off, which no average of percentiles can promise.
#}

{# Bucket of a duration; what is shorter than a microsecond counts as one. #}
{% macro duration_bucket(seconds) -%}
    cast(ceil(16 * ln(greatest({{ seconds }}, 0.000001)) / ln(2) - 0.000001) as integer)
{%- endmacro %}

{# Duration that a bucket stands for: the value with the same relative distance to both bounds. #}
{% macro bucket_duration(bucket) -%}
    2 * power(2, {{ bucket }} / 16.0) / (power(2, 1 / 16.0) + 1)
{%- endmacro %}
