-- How old is what we have: when did each stream last bring rows, and when did the newest of them happen?
{{ config(meta={"time_column": "newest_loaded_at"}) }}

{# Every stream, with the column of its staging model that tells when a row happened, where one does. dbt
   must know the models before it has read the sources, so they are listed, and compared below. #}
{% set time_columns = {
    "detectors": none,
    "environments": none,
    "events": "occurred_at",
    "issue_detail": "last_seen_at",
    "issues": "last_seen_at",
    "monitor_checkins": "added_at",
    "monitors": none,
    "organization": none,
    "project_detail": none,
    "project_keys": none,
    "projects": none,
    "release": "changed_at",
    "release_commits": "release_changed_at",
    "release_deploys": "release_changed_at",
    "release_health": "activity_date",
    "releases": "created_at",
    "replays": "started_at",
    "spans": "filed_at",
    "teams": none,
    "usage_outcomes": "hour_at",
    "user_feedback": "submitted_at",
    "users": none,
    "workflows": none,
} %}

{# A unit test sees no sources, the linter no graph. #}
{% set sources = graph.sources.values() | selectattr("source_name", "equalto", "sentry") | list
    if execute and graph.sources else [] %}
{% if sources and sources | map(attribute="name") | sort != time_columns | sort %}
    {{ exceptions.raise_compiler_error("fct_stream_freshness lists other streams than _sentry__sources.yml") }}
{% endif %}

with loaded as (
    {%- for stream, time_column in time_columns.items() %}
        select
            '{{ stream }}' as stream_name,
            count(*) as stored_row_count,
            cast({{ "max(" ~ time_column ~ ")" if time_column else "null" }} as timestamp) as newest_event_at,
            max(loaded_at) as newest_loaded_at
        from {{ ref("stg_sentry__" ~ stream) }}
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
),

raw_tables as (
    select distinct table_name as stream_name
    from information_schema.tables
    where table_schema = '{{ sources[0].schema if sources else "sentry" }}'
),

clock as (
    select max(newest_loaded_at) as as_of
    from loaded
),

final as (
    select
        loaded.stream_name,
        -- Seeds stand in for the tables of the target sample.
        raw_tables.stream_name is not null or loaded.stored_row_count > 0 as is_loaded,
        loaded.stored_row_count,
        loaded.newest_event_at,
        loaded.newest_loaded_at,
        clock.as_of,
        {{ rounded("extract(epoch from (clock.as_of - loaded.newest_loaded_at)) / 3600") }} as load_age_hours,
        {{ rounded("extract(epoch from (clock.as_of - loaded.newest_event_at)) / 3600") }} as event_age_hours,
        {{ rounded("extract(epoch from (loaded.newest_loaded_at - loaded.newest_event_at)) / 3600") }} as lag_hours
    from loaded
    cross join clock
    left join raw_tables on loaded.stream_name = raw_tables.stream_name
)

select * from final
