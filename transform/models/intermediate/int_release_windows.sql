{{ config(materialized="table") }}

{% set in_production = "in ('" ~ var("production_environments") | join("', '") ~ "')" %}

with releases as (
    select
        release_version,
        release_id,
        coalesce(package, '(none)') as package,
        status,
        created_at,
        -- Without a date of release the version counts from where Sentry first heard of it.
        coalesce(released_at, created_at, first_event_at) as released_at,
        commit_count,
        cast(coalesce(array_length(author_emails, 1), 0) as bigint) as author_count,
        deploy_count,
        last_deploy_environment,
        last_deployed_at,
        loaded_at
    from {{ ref("stg_sentry__release") }}
),

release_projects as (
    select
        release_version,
        project_id,
        project_slug,
        new_issue_count
    from {{ ref("stg_sentry__release_projects") }}
),

projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

production_deploys as (
    select
        release_version,
        min(coalesce(finished_at, started_at)) as first_deployed_at,
        max(coalesce(finished_at, started_at)) as last_deployed_at
    from {{ ref("stg_sentry__release_deploys") }}
    where environment {{ in_production }}
    group by release_version
),

ordered as (
    select
        release_projects.project_id,
        release_projects.new_issue_count,
        releases.*,
        lead(releases.released_at) over by_release as superseded_at,
        lag(releases.release_version) over by_release as previous_release_version,
        row_number() over by_release as release_number,
        lead(releases.released_at) over by_project as project_superseded_at
    from release_projects
    inner join releases on release_projects.release_version = releases.release_version
    where releases.released_at is not null
    window
        by_release as (
            partition by release_projects.project_id, releases.package
            order by releases.released_at, releases.release_id
        ),
        by_project as (
            partition by release_projects.project_id
            order by releases.released_at, releases.release_id
        )
),

final as (
    select
        ordered.project_id,
        coalesce(projects.project_slug, ordered.project_id) as service,
        ordered.package,
        ordered.release_version,
        ordered.release_id,
        ordered.release_number,
        ordered.previous_release_version,
        ordered.status = 'archived' as is_archived,
        ordered.superseded_at is null as is_latest,
        ordered.created_at,
        ordered.released_at,
        ordered.superseded_at,
        ordered.project_superseded_at,
        coalesce(
            production_deploys.first_deployed_at,
            case when ordered.last_deploy_environment {{ in_production }} then ordered.last_deployed_at end
        ) as first_production_deploy_at,
        coalesce(
            production_deploys.last_deployed_at,
            case when ordered.last_deploy_environment {{ in_production }} then ordered.last_deployed_at end
        ) as last_production_deploy_at,
        ordered.new_issue_count as sentry_new_issue_count,
        ordered.commit_count,
        ordered.author_count,
        ordered.deploy_count,
        ordered.loaded_at
    from ordered
    left join projects on ordered.project_id = projects.project_id
    left join production_deploys on ordered.release_version = production_deploys.release_version
)

select * from final
