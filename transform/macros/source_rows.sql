{#
    The newest row per key of a table that the tap loads, with every column that its .yml declares.

    A stream that was not selected has no table, an older load or a partly selected stream lacks
    columns: the first half of the union names and types them, so the models above build anyway, on
    no rows or on nulls. Loaders that only append leave several rows per key, those that mark
    deletions leave the row.
#}
{% macro source_rows(table_name, key) -%}
    {%- set relation = source("sentry", table_name) -%}
    {%- if not execute -%}
        select * from {{ relation }}
    {%- else -%}
        select *
        from (
            select
            {%- for column in declared_columns(table_name) %}
                cast(null as {{ column.data_type }}) as "{{ column.name }}",
            {%- endfor %}
                cast(null as timestamp) as _sdc_extracted_at,
                cast(null as timestamp) as _sdc_batched_at,
                cast(null as varchar) as _sdc_deleted_at
            where false
            {%- if relation.is_cte or load_relation(relation) is not none %}
            union all by name
            select * from {{ relation }}
            {%- endif %}
        ) as loaded
        qualify
            row_number() over (partition by {{ key }} order by _sdc_batched_at desc nulls last) = 1
            and _sdc_deleted_at is null
    {%- endif -%}
{%- endmacro %}

{# What _sentry__sources.yml says of a table. Unit tests know no sources: their fixture names every column. #}
{% macro declared_columns(table_name) -%}
    {%- set table = graph.get("sources", {}).values()
        | selectattr("source_name", "equalto", "sentry")
        | selectattr("name", "equalto", table_name)
        | first -%}
    {{ return(table.columns.values() if table else []) }}
{%- endmacro %}
