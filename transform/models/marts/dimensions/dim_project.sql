-- What is each service: its platform, its teams, its settings, and since when does it report?
{{ config(meta={"time_column": None}) }}

with projects as (
    select * from {{ ref("stg_sentry__projects") }}
),

details as (
    select * from {{ ref("stg_sentry__project_detail") }}
),

teams as (
    select
        project_id,
        string_agg(team_slug, ', ' order by team_slug) as team_slugs,
        count(*) as team_count
    from {{ ref("stg_sentry__project_teams") }}
    group by project_id
),

keys as (
    select
        project_id,
        count(*) filter (where is_active) as active_key_count,
        min({{ ratio("rate_limit_count * 3600", "rate_limit_window_seconds") }}) filter (where is_active)
            as lowest_key_limit_per_hour
    from {{ ref("stg_sentry__project_keys") }}
    group by project_id
),

-- Projects that Sentry no longer lists keep their rows, and their last known slug.
seen as (
    select
        project_id,
        max(service) as service,
        min(activity_date) as first_activity_date,
        max(activity_date) as last_activity_date
    from {{ ref("int_project_days") }}
    group by project_id
),

clock as (
    select max(loaded_at) as loaded_at
    from projects
),

named as (
    select
        coalesce(projects.project_id, seen.project_id) as project_id,
        coalesce(projects.project_slug, seen.service) as service,
        -- Loaders that replace rows by key leave a project that Sentry no longer names.
        coalesce(projects.loaded_at >= clock.loaded_at - interval '1 day', false) as is_listed,
        projects.project_name,
        projects.platform,
        projects.has_transactions,
        projects.has_sessions,
        projects.latest_release_version,
        projects.created_at,
        projects.first_event_at,
        seen.first_activity_date,
        seen.last_activity_date
    from projects
    full outer join seen on projects.project_id = seen.project_id
    cross join clock
),

-- A slug may be given anew after its project was deleted; rows of marts belong to the one that has it now.
placed as (
    select
        *,
        row_number() over (
            partition by service
            order by is_listed desc, last_activity_date desc nulls last, project_id asc
        ) as slug_place
    from named
),

final as (
    select
        named.project_id,
        case when named.slug_place = 1 then named.service else named.service || ' (' || named.project_id || ')' end
            as service,
        named.project_name,
        named.is_listed,
        details.status,
        named.platform,
        teams.team_slugs,
        coalesce(teams.team_count, 0) as team_count,
        named.has_transactions,
        named.has_sessions,
        details.is_dynamically_sampled,
        details.auto_resolve_hours,
        coalesce(keys.active_key_count, 0) as active_key_count,
        keys.lowest_key_limit_per_hour,
        named.latest_release_version,
        named.created_at,
        cast(floor(extract(epoch from (clock.loaded_at - named.created_at)) / 86400) as integer) as age_days,
        named.first_event_at,
        named.first_activity_date,
        named.last_activity_date
    from placed as named
    cross join clock
    left join details on named.project_id = details.project_id
    left join teams on named.project_id = teams.project_id
    left join keys on named.project_id = keys.project_id
)

select * from final
