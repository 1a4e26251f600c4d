with issues as (
    select * from {{ ref("int_issue_state") }}
),

teams as (
    select
        team_id,
        team_slug
    from {{ ref("stg_sentry__teams") }}
),

project_teams as (
    select
        project_id,
        team_id,
        team_slug
    from {{ ref("stg_sentry__project_teams") }}
),

owned as (
    select
        issues.issue_id,
        coalesce(issues.assignee_type = 'team', false) as is_assigned,
        case when issues.assignee_type = 'team' then issues.assignee_id else project_teams.team_id end as team_id,
        project_teams.team_slug
    from issues
    left join project_teams
        on issues.project_id = project_teams.project_id and coalesce(issues.assignee_type <> 'team', true)
),

final as (
    select
        owned.issue_id,
        coalesce(owned.team_id, '(none)') as team_id,
        coalesce(teams.team_slug, owned.team_slug, owned.team_id, '(none)') as team,
        owned.is_assigned
    from owned
    left join teams on owned.team_id = teams.team_id
)

select * from final
