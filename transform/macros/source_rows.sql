{#
    The newest row per key of a table that the tap loads: every column that its .yml declares, in the
    declared type, and the loader's own.

    A stream that was not selected has no table, an older load or a partly selected stream lacks
    columns: what is missing is null, so the models above build anyway. Loaders that only append
    leave several rows per key; where the table has a primary key there is nothing to look for, which
    matters with a hundred million rows. Loaders that mark deletions leave the row.
#}
{% macro source_rows(table_name, key) -%}
    {%- set seed = sample_seeds().get(table_name) if target.name == "sample" -%}
    {%- set relation = ref(seed) if seed else source("sentry", table_name) -%}
    {%- if not execute -%}
        select * from {{ relation }}
    {%- elif relation.is_cte -%}
        {#- A unit test, which knows the fixture alone: its columns, and the loader's where it has none. By name
            only DuckDB can union, so the unit tests of staging run there alone. -#}
        {%- set fixture -%}
            select
            {%- for column in loader_columns() %}
                cast(null as {{ column_type(column.data_type) }}) as {{ column.name }}{{ "," if not loop.last }}
            {%- endfor %}
            where false
            union all by name
            select * from {{ relation }}
        {%- endset -%}
        {{ newest_rows(fixture, key) }}
    {%- else -%}
        {%- set loaded = loaded_columns(relation) -%}
        {%- set columns -%}
            select
            {%- for column in declared_columns(table_name) + loader_columns() %}
                {%- set stored = adapter.quote(column.name) if column.name in loaded else "null" %}
                cast({{ stored }} as {{ column_type(column.data_type) }}) as {{ adapter.quote(column.name) }}
                {{- "," if not loop.last }}
            {%- endfor %}
            {% if loaded %}from {{ relation }}{% else %}where false{% endif %}
        {%- endset -%}
        {%- if "PRIMARY KEY" in loaded -%}
            select * from ({{ columns }}) as loaded where _sdc_deleted_at is null
        {%- else -%}
            {{ newest_rows(columns, key) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro newest_rows(rows, key) -%}
    select *
    from (
        select
            *,
            row_number() over (
                partition by {{ key }}
                -- A batch may hold a row twice: what was read later holds.
                order by _sdc_batched_at desc nulls last, _sdc_extracted_at desc nulls last
            ) as recency
        from ({{ rows }}) as loaded
    ) as ranked
    where recency = 1 and _sdc_deleted_at is null
{%- endmacro %}

{# Names of a table's columns, and PRIMARY KEY where it has one; nothing where there is no table. #}
{% macro loaded_columns(relation) -%}
    {%- set catalogue -%}
        select column_name
        from information_schema.columns
        where table_schema = '{{ relation.schema }}' and table_name = '{{ relation.identifier }}'
        union all
        select constraint_type
        from information_schema.table_constraints
        where table_schema = '{{ relation.schema }}' and table_name = '{{ relation.identifier }}'
    {%- endset -%}
    {{ return(run_query(catalogue).columns[0].values() | list) }}
{%- endmacro %}

{# What _sentry__sources.yml says of a table. #}
{% macro declared_columns(table_name) -%}
    {%- set table = graph.sources.values()
        | selectattr("source_name", "equalto", "sentry")
        | selectattr("name", "equalto", table_name)
        | first -%}
    {{ return(table.columns.values() | list) }}
{%- endmacro %}

{% macro loader_columns() -%}
    {{ return([
        {"name": "_sdc_extracted_at", "data_type": "timestamp"},
        {"name": "_sdc_batched_at", "data_type": "timestamp"},
        {"name": "_sdc_deleted_at", "data_type": "varchar"},
    ]) }}
{%- endmacro %}

{#
    Seeds that stand in for raw tables with `--target sample`, by stream. They are called like it, but
    where a seed of the product has the name. Made by `python -m tests.sample`. A unit test brings rows of
    the source itself.
#}
{% macro sample_seeds() -%}
    {%- set seeds = {"events": "sentry_events", "users": "sentry_users"} -%}
    {%- for stream in [
        "detectors", "environments", "issue_detail", "issues", "monitor_checkins", "monitors", "organization",
        "project_detail", "project_keys", "projects", "release", "release_commits", "release_deploys",
        "release_health", "releases", "replays", "spans", "teams", "usage_outcomes", "user_feedback", "workflows",
    ] -%}
        {%- do seeds.update({stream: stream}) -%}
    {%- endfor -%}
    {{ return({} if model.resource_type == "unit_test" else seeds) }}
{%- endmacro %}
