{# Reading a JSON column is where warehouses differ most: everything else in staging is plain SQL. #}

{# Text at a path (`$.user.email`), null where the path is missing. #}
{% macro json_text(column, path) -%}
    json_extract_string({{ column }}, '{{ path }}')
{%- endmacro %}

{# Texts at a path with a wildcard (`$[*].slug`), as a list; empty for a missing array. #}
{% macro json_texts(column, path) -%}
    coalesce(json_extract_string({{ column }}, '{{ path }}'), [])
{%- endmacro %}
