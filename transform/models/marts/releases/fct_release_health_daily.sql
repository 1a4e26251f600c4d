-- How healthy is each release on each day, and how far is it rolled out?
{{ config(meta={"time_column": "activity_date"}) }}

with health as (
    select
        activity_date,
        project_id,
        coalesce(environment, '(none)') as environment,
        coalesce(nullif(release_version, ''), '(none)') as release_version,
        session_count,
        crashed_session_count,
        user_count,
        crashed_user_count,
        loaded_at
    from {{ ref("stg_sentry__release_health") }}
    where activity_date is not null
),

projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

summed as (
    select
        health.activity_date,
        coalesce(projects.project_slug, health.project_id) as service,
        health.environment,
        health.release_version,
        cast(coalesce(sum(health.session_count), 0) as bigint) as session_count,
        cast(coalesce(sum(health.crashed_session_count), 0) as bigint) as crashed_session_count,
        cast(coalesce(sum(health.user_count), 0) as bigint) as user_count,
        cast(coalesce(sum(health.crashed_user_count), 0) as bigint) as crashed_user_count,
        max(health.loaded_at) as last_loaded_at
    from health
    left join projects on health.project_id = projects.project_id
    group by 1, 2, 3, 4
),

shared as (
    select
        *,
        cast(sum(session_count) over (partition by activity_date, service, environment) as bigint)
            as service_session_count
    from summed
),

final as (
    select
        activity_date,
        service,
        environment,
        release_version,
        session_count,
        crashed_session_count,
        1 - {{ ratio("crashed_session_count", "session_count") }} as crash_free_session_rate,
        {{ rounded("1 - " ~ wilson_high("crashed_session_count", "session_count")) }} as crash_free_session_rate_low,
        {{ rounded("1 - " ~ wilson_low("crashed_session_count", "session_count")) }} as crash_free_session_rate_high,
        user_count,
        crashed_user_count,
        1 - {{ ratio("crashed_user_count", "user_count") }} as crash_free_user_rate,
        {{ rounded("1 - " ~ wilson_high("crashed_user_count", "user_count")) }} as crash_free_user_rate_low,
        {{ rounded("1 - " ~ wilson_low("crashed_user_count", "user_count")) }} as crash_free_user_rate_high,
        service_session_count,
        {{ ratio("session_count", "service_session_count") }} as adoption,
        {{ is_low_sample("session_count") }} as is_low_sample,
        last_loaded_at
    from shared
)

select * from final
