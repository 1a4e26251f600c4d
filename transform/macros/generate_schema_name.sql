{# Schemas are called what the project says (`staging`, `marts`), not `<target schema>_staging`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
