-- Which teams are there, how many people are in each, and which services are theirs?
{{ config(meta={"time_column": None}) }}

with teams as (
    select * from {{ ref("stg_sentry__teams") }}
),

projects as (
    select * from {{ ref("stg_sentry__projects") }}
),

owned as (
    select
        project_teams.team_id,
        string_agg(projects.project_slug, ', ' order by projects.project_slug) as services,
        count(*) as project_count
    from {{ ref("stg_sentry__project_teams") }} as project_teams
    inner join projects on project_teams.project_id = projects.project_id
    group by project_teams.team_id
),

final as (
    select
        teams.team_id,
        teams.team_slug,
        teams.team_name,
        teams.member_count,
        coalesce(owned.project_count, 0) as project_count,
        owned.services,
        teams.created_at
    from teams
    left join owned on teams.team_id = owned.team_id
)

select * from final
