with projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

spans as (
    select
        started_on as activity_date,
        project_id,
        count(*) as row_count,
        max(loaded_at) as last_loaded_at
    from {{ ref("stg_sentry__spans") }}
    where started_on is not null
    group by started_on, project_id
),

errors as (
    select
        occurred_on as activity_date,
        project_id,
        count(*) as row_count,
        max(loaded_at) as last_loaded_at
    from {{ ref("stg_sentry__events") }}
    where occurred_on is not null
    group by occurred_on, project_id
),

product_events as (
    select
        occurred_on as activity_date,
        count(*) as row_count,
        max(loaded_at) as last_loaded_at
    from {{ ref("stg_app__events") }}
    where occurred_on is not null
    group by occurred_on
),

loads as (
    select
        'span' as kind,
        *
    from spans
    union all
    select
        'error' as kind,
        *
    from errors
),

-- A renamed project changes the version of its days too: marts show its name.
sentry_loads as (
    select
        loads.kind,
        loads.activity_date,
        concat_ws(
            ' ',
            coalesce(projects.project_slug, loads.project_id),
            cast(loads.row_count as varchar),
            cast(loads.last_loaded_at as varchar)
        ) as load_text
    from loads
    left join projects on loads.project_id = projects.project_id
),

-- Whether a session begins on a day depends on the day before as well.
product_loads as (
    select
        'product' as kind,
        own.activity_date,
        concat_ws(
            ' ',
            cast(own.row_count as varchar),
            cast(own.last_loaded_at as varchar),
            cast(day_before.row_count as varchar),
            cast(day_before.last_loaded_at as varchar)
        ) as load_text
    from product_events as own
    left join product_events as day_before on own.activity_date = day_before.activity_date + 1
),

all_loads as (
    select * from sentry_loads
    union all
    select * from product_loads
),

final as (
    select
        activity_date,
        md5(string_agg(load_text, ',' order by load_text) filter (where kind = 'span')) as span_version,
        md5(string_agg(load_text, ',' order by load_text) filter (where kind = 'error')) as error_version,
        md5(string_agg(load_text, ',' order by load_text) filter (where kind = 'product')) as product_version,
        md5(string_agg(kind || ' ' || load_text, ',' order by kind, load_text) filter (where kind <> 'product'))
            as sentry_version,
        md5(string_agg(kind || ' ' || load_text, ',' order by kind, load_text)) as any_version
    from all_loads
    group by activity_date
)

select * from final
