{# A quotient of counts or sums; null when nothing is there to divide by. Whole numbers would divide to whole ones. #}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as double precision) / nullif({{ denominator }}, 0)
{%- endmacro %}

{# A sum of fractions to the sixth digit: its last digits depend on the order of rows, and rebuilt days must be equal. #}
{% macro rounded(expression, digits=6) -%}
    cast(round(cast({{ expression }} as decimal(38, {{ digits + 3 }})), {{ digits }}) as double precision)
{%- endmacro %}
