{# What a comparison says, given conditions. #}
{% macro verdict(too_few, worse, better) -%}
    case
        when {{ too_few }} then 'too few'
        when {{ worse }} then 'worse'
        when {{ better }} then 'better'
        else 'no difference'
    end
{%- endmacro %}

{# What several verdicts say together: worse beats better, and both beat what is the same or not known. #}
{% macro joint_verdict(verdicts) -%}
    {%- set all = verdicts | join(", ") -%}
    case
        when 'worse' in ({{ all }}) then 'worse'
        when 'better' in ({{ all }}) then 'better'
        when 'no difference' in ({{ all }}) then 'no difference'
        else 'too few'
    end
{%- endmacro %}

{# A difference in units of its standard error, from the variances of both sides. #}
{% macro z(difference, variance, other_variance) -%}
    {{ ratio("(" ~ difference ~ ")", "sqrt(" ~ variance ~ " + " ~ other_variance ~ ")") }}
{%- endmacro %}
