{{ config(materialized="ephemeral") }}

{% set hours_around = var("deploy_impact_hours") %}

with windows as (
    select
        project_id,
        service,
        release_version
    from {{ ref("int_release_windows") }}
),

listed as (
    select
        release_version,
        deploy_id,
        environment,
        coalesce(finished_at, started_at) as deployed_at
    from {{ ref("stg_sentry__release_deploys") }}
),

releases as (
    select
        release_version,
        last_deploy_environment,
        last_deployed_at
    from {{ ref("stg_sentry__release") }}
),

-- A release whose deploys are not loaded still tells its last one.
deploys as (
    select
        release_version,
        deploy_id,
        environment,
        deployed_at
    from listed
    where deployed_at is not null
    union all
    select
        releases.release_version,
        'last of ' || releases.release_version as deploy_id,
        releases.last_deploy_environment as environment,
        releases.last_deployed_at as deployed_at
    from releases
    where
        releases.last_deployed_at is not null
        and releases.release_version not in (select listed.release_version from listed)
),

neighbours as (
    select
        windows.project_id,
        windows.service,
        deploys.release_version,
        deploys.deploy_id,
        coalesce(deploys.environment, '(none)') as environment,
        deploys.deployed_at,
        lag(deploys.deployed_at) over by_deploy as previous_deployed_at,
        lead(deploys.deployed_at) over by_deploy as next_deployed_at
    from deploys
    inner join windows on deploys.release_version = windows.release_version
    window by_deploy as (
        partition by windows.service, deploys.environment
        order by deploys.deployed_at, deploys.deploy_id
    )
),

-- Whole hours: that of the deploy itself is half old, half new, and belongs to neither side.
final as (
    select
        project_id,
        service,
        release_version,
        deploy_id,
        environment,
        deployed_at,
        previous_deployed_at,
        next_deployed_at,
        greatest(
            date_trunc('hour', deployed_at) - interval '{{ hours_around }} hours',
            date_trunc('hour', previous_deployed_at) + interval '1 hour'
        ) as before_from,
        date_trunc('hour', deployed_at) as before_until,
        date_trunc('hour', deployed_at) + interval '1 hour' as after_from,
        least(
            date_trunc('hour', deployed_at) + interval '{{ (hours_around | int) + 1 }} hours',
            date_trunc('hour', next_deployed_at)
        ) as after_until
    from neighbours
)

select * from final
