{#
    Which days an incremental model builds anew: those whose version in int_day_versions is not the
    one that its own rows carry in `day_version`. A late row, a row sent again, a second load of a day
    and a renamed project all change the version; a day that the source forgot keeps its rows.

    A model that reads the source itself (`of_source`) also keeps the source's first two days once the source has
    forgotten the days before: what is left of the first may be the rest of a day, and the second was built with
    the whole of it.
#}

{# Dates as texts, ascending; none when everything is built. #}
{% macro stale_days(version, of_source=false) -%}
    {%- set versions = ref("int_day_versions") -%}
    {%- if not is_incremental() or not execute -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set differing -%}
        select cast(activity_date as varchar) as activity_date
        from (
            select activity_date, {{ version }} as day_version from {{ versions }} where {{ version }} is not null
            except
            select activity_date, day_version from {{ this }}
            except
            select activity_date, day_version from {{ empty_days() }} where model_name = '{{ this.identifier }}'
        ) as stale
        {%- if of_source %}
        where activity_date > (
            select
                case
                    when min(activity_date) > (select min(activity_date) from {{ this }}) then min(activity_date) + 1
                    else date '0001-01-01'
                end
            from {{ versions }}
            where {{ version }} is not null
        )
        {%- endif %}
        order by activity_date
    {%- endset -%}
    {{ return(run_query(differing).columns[0].values() | list) }}
{%- endmacro %}

{#
    A pre-hook of models in which a day may come to have no rows: dbt's delete+insert deletes the days of the new rows
    alone, so that the last row of such a day would stay.
#}
{% macro clear_stale_days(version, of_source=false) -%}
    {%- set days = stale_days(version, of_source) -%}
    {%- if days -%}
        delete from {{ this }} where {{ on_days("activity_date", days) }}
    {%- endif -%}
{%- endmacro %}

{#
    Days of which a model made no row, as of spans that name no user: without a note they would look stale in every
    build. A post-hook of such models writes it; an on-run-start hook makes the table.
#}
{% macro note_empty_days(version) -%}
    delete from {{ empty_days() }} where model_name = '{{ this.identifier }}';
    insert into {{ empty_days() }}
    select '{{ this.identifier }}', versions.activity_date, versions.day_version
    from (
        select activity_date, {{ version }} as day_version from {{ ref("int_day_versions") }}
    ) as versions
    where
        versions.day_version is not null
        and not exists (select 1 from {{ this }} as built where built.activity_date = versions.activity_date)
{%- endmacro %}

{% macro make_empty_days() -%}
    create schema if not exists {{ empty_days().schema }};
    create table if not exists {{ empty_days() }} (model_name varchar, activity_date date, day_version varchar)
{%- endmacro %}

{% macro empty_days() -%}
    {{ return(api.Relation.create(database=target.database, schema="intermediate", identifier="empty_days")) }}
{%- endmacro %}

{# These days and the day before each. #}
{% macro and_days_before(days) -%}
    {%- if days is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = [] -%}
    {%- for day in days -%}
        {%- do found.append(modules.datetime.date.fromisoformat(day) - modules.datetime.timedelta(days=1)) -%}
        {%- do found.append(modules.datetime.date.fromisoformat(day)) -%}
    {%- endfor -%}
    {{ return(found | map("string") | unique | sort) }}
{%- endmacro %}

{# The condition that a date is one of the stale days. #}
{% macro on_days(column, days) -%}
    {%- if days is none -%}
        true
    {%- elif days -%}
        {{ column }} in ({% for day in days %}date '{{ day }}'{{ ", " if not loop.last }}{% endfor %})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{# The condition that any stale day lies between two dates, both included. #}
{% macro over_days(first, last, days) -%}
    {%- if days is none or not days -%}
        {{ on_days(first, days) }}
    {%- else -%}
        (
        {%- for day in days %}
            ({{ first }} <= date '{{ day }}' and {{ last }} >= date '{{ day }}')
            {{- " or" if not loop.last }}
        {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}

{# The same of a timestamp as ranges, by which a table that lies in the order of time is read in part. #}
{% macro during_days(column, days) -%}
    {%- if days is none or not days -%}
        {{ on_days(column, days) }}
    {%- else -%}
        (
        {%- for day in days %}
            {%- set next_day = modules.datetime.date.fromisoformat(day) + modules.datetime.timedelta(days=1) %}
            ({{ column }} >= timestamp '{{ day }}' and {{ column }} < timestamp '{{ next_day }}')
            {{- " or" if not loop.last }}
        {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}
