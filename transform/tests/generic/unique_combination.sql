{#
    Fails with each combination of the columns that occurs more than once, or is not complete. With
    `newest_by`, a time, only rows of the newest three days are looked at: history was, when it was new.
#}
{% test unique_combination(model, columns, newest_by=none) %}

select
    {{ columns | join(", ") }},
    count(*) as row_count
from {{ model }}
{%- if newest_by %}
where {{ newest_by }} >= (select max(newest.{{ newest_by }}) from {{ model }} as newest) - interval '3 days'
{%- endif %}
group by {{ columns | join(", ") }}
having count(*) > 1 or {{ columns | join(" is null or ") }} is null

{% endtest %}
