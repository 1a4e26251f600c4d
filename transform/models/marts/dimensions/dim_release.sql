-- What is in each release: which services, how many commits, authors and deploys, and is it the latest of any service?
{{ config(meta={"time_column": "created_at"}) }}

with releases as (
    select * from {{ ref("stg_sentry__releases") }}
),

details as (
    select * from {{ ref("stg_sentry__release") }}
),

known as (
    select
        coalesce(details.release_version, releases.release_version) as release_version,
        coalesce(details.short_version, releases.short_version) as short_version,
        details.package,
        coalesce(details.status, releases.status) as status,
        coalesce(details.commit_count, releases.commit_count, 0) as commit_count,
        coalesce(details.deploy_count, releases.deploy_count, 0) as deploy_count,
        case
            when details.release_version is not null then coalesce(array_length(details.author_emails, 1), 0)
        end as author_count,
        coalesce(details.new_issue_count, releases.new_issue_count) as new_issue_count,
        coalesce(details.last_deploy_environment, releases.last_deploy_environment) as last_deploy_environment,
        details.last_deployed_at,
        coalesce(details.created_at, releases.created_at) as created_at,
        coalesce(details.released_at, releases.released_at) as released_at,
        coalesce(details.first_event_at, releases.first_event_at) as first_event_at,
        coalesce(details.last_event_at, releases.last_event_at) as last_event_at
    from details
    full outer join releases on details.release_version = releases.release_version
),

-- Sentry orders releases by the day they were released, or made where nobody said so.
ranked as (
    select
        release_projects.release_version,
        release_projects.project_slug,
        row_number() over (
            partition by release_projects.project_id
            order by coalesce(known.released_at, known.created_at) desc, known.release_version desc
        ) as recency
    from {{ ref("stg_sentry__release_projects") }} as release_projects
    inner join known on release_projects.release_version = known.release_version
),

projects as (
    select
        release_version,
        string_agg(project_slug, ', ' order by project_slug) as services,
        count(*) as project_count,
        string_agg(project_slug, ', ' order by project_slug) filter (where recency = 1) as latest_of_services
    from ranked
    group by release_version
),

final as (
    select
        known.release_version,
        known.package,
        known.short_version,
        known.status,
        projects.services,
        coalesce(projects.project_count, 0) as project_count,
        projects.latest_of_services is not null as is_latest,
        projects.latest_of_services,
        known.commit_count,
        cast(known.author_count as bigint) as author_count,
        known.deploy_count,
        known.last_deploy_environment,
        known.last_deployed_at,
        known.new_issue_count,
        known.created_at,
        known.released_at,
        known.first_event_at,
        known.last_event_at
    from known
    left join projects on known.release_version = projects.release_version
)

select * from final
