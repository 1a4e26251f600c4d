{#
    Where warehouses differ. DuckDB (DuckLake too) is the default, PostgreSQL has its own word for
    each; models say nothing that only one of them understands.
#}

{# A type as _sentry__sources.yml names it, target-duckdb's. #}
{% macro column_type(data_type) -%}
    {{ return(adapter.dispatch("column_type")(data_type)) }}
{%- endmacro %}

{% macro default__column_type(data_type) -%}
    {{ data_type }}
{%- endmacro %}

{% macro postgres__column_type(data_type) -%}
    {{ {"double": "double precision", "json": "jsonb"}.get(data_type, data_type) }}
{%- endmacro %}

{# Text at a path of a JSON column (`user.email`), null where the path is missing. #}
{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch("json_text")(column, path)) }}
{%- endmacro %}

{% macro default__json_text(column, path) -%}
    json_extract_string({{ column }}, '$.{{ path }}')
{%- endmacro %}

{% macro postgres__json_text(column, path) -%}
    {{ column }} #>> '{{ "{" ~ path | replace(".", ",") ~ "}" }}'
{%- endmacro %}

{# Texts of a JSON array as an array: its own, or one field of each object in it; empty for a missing array. #}
{% macro json_texts(column, field=none) -%}
    {{ return(adapter.dispatch("json_texts")(column, field)) }}
{%- endmacro %}

{% macro default__json_texts(column, field) -%}
    coalesce(json_extract_string({{ column }}, '$[*]{{ "." ~ field if field }}'), [])
{%- endmacro %}

{% macro postgres__json_texts(column, field) -%}
    array(
        select entries.entry {{ "->> '" ~ field ~ "'" if field else "#>> '{}'" }}
        from jsonb_array_elements(
            case when jsonb_typeof({{ column }}) = 'array' then {{ column }} else '[]' end
        ) as entries (entry)
    )
{%- endmacro %}

{# One row for each object of a JSON array, as the set-returning part of a select: `select id, <this> as entry`. #}
{% macro json_entries(column) -%}
    {{ return(adapter.dispatch("json_entries")(column)) }}
{%- endmacro %}

{% macro default__json_entries(column) -%}
    unnest(cast({{ column }} as json[]))
{%- endmacro %}

{% macro postgres__json_entries(column) -%}
    jsonb_array_elements(case when jsonb_typeof({{ column }}) = 'array' then {{ column }} else '[]' end)
{%- endmacro %}

{# Sentry's tags, a JSON list of {key, value}, read once so that tag_value() can look for several. #}
{% macro tag_list(column) -%}
    {{ return(adapter.dispatch("tag_list")(column)) }}
{%- endmacro %}

{% macro default__tag_list(column) -%}
    from_json({{ column }}, '[{"key": "VARCHAR", "value": "VARCHAR"}]')
{%- endmacro %}

{% macro postgres__tag_list(column) -%}
    {{ column }}
{%- endmacro %}

{# The value of a tag in a tag_list(); null where the tag is missing. #}
{% macro tag_value(tags, key) -%}
    {{ return(adapter.dispatch("tag_value")(tags, key)) }}
{%- endmacro %}

{% macro default__tag_value(tags, key) -%}
    list_filter({{ tags }}, lambda tag: tag.key = '{{ key }}')[1].value
{%- endmacro %}

{% macro postgres__tag_value(tags, key) -%}
    jsonb_path_query_first({{ tags }}, '$[*] ? (@.key == "{{ key }}")') ->> 'value'
{%- endmacro %}

{# A text as another type, null where it isn't one. #}
{% macro cast_or_null(expression, type) -%}
    {{ return(adapter.dispatch("cast_or_null")(expression, type)) }}
{%- endmacro %}

{% macro default__cast_or_null(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{% macro postgres__cast_or_null(expression, type) -%}
    {%- set forms = {
        "bigint": "^-?[0-9]{1,18}$",
        "integer": "^-?[0-9]{1,9}$",
        "double precision": "^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$",
        "boolean": "^(true|false)$",
        "timestamp": "^[0-9]{4}-[0-9]{2}-[0-9]{2}",
    } -%}
    case when {{ expression }} ~ '{{ forms[type] }}' then cast({{ expression }} as {{ type }}) end
{%- endmacro %}

{# The UTC timestamp of epoch seconds with a fraction, to the microsecond. #}
{% macro timestamp_of(epoch_seconds) -%}
    {{ return(adapter.dispatch("timestamp_of")(epoch_seconds)) }}
{%- endmacro %}

{% macro default__timestamp_of(epoch_seconds) -%}
    make_timestamp(cast(round({{ epoch_seconds }} * 1000000) as bigint))
{%- endmacro %}

{% macro postgres__timestamp_of(epoch_seconds) -%}
    timestamp '1970-01-01' + {{ epoch_seconds }} * interval '1 second'
{%- endmacro %}

{# One row for each day from the first to the last, both included, as the set-returning part of a select. #}
{% macro days(first, last) -%}
    {{ return(adapter.dispatch("days")(first, last)) }}
{%- endmacro %}

{% macro default__days(first, last) -%}
    cast(unnest(generate_series(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1 day')) as date)
{%- endmacro %}

{% macro postgres__days(first, last) -%}
    cast(generate_series(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1 day') as date)
{%- endmacro %}

{#
    Columns whose type a new build of an incremental model changes. PostgreSQL has two words for text and gives now
    one, now the other: that is no change.
#}
{% macro postgres__diff_column_data_types(source_columns, target_columns) -%}
    {%- set compared = [] -%}
    {%- for column in source_columns if not column.is_string() -%}
        {%- do compared.append(column) -%}
    {%- endfor -%}
    {{ return(dbt.default__diff_column_data_types(compared, target_columns)) }}
{%- endmacro %}
