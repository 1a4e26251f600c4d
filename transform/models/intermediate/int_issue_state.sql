with issues as (
    select * from {{ ref("stg_sentry__issues") }}
),

projects as (
    select
        project_id,
        project_slug
    from {{ ref("stg_sentry__projects") }}
),

-- "Now" is when the newest issue was loaded: a build repeated on the same data gives the same rows.
newest as (
    select
        max(loaded_at) as as_of_at,
        max(full_pass_at) as newest_pass_at,
        min(last_seen_at) as observed_from_at
    from issues
),

-- A pass goes from the issue seen longest ago to the newest; one that was interrupted came this far.
reached as (
    select max(issues.last_seen_at) as reached_at
    from issues
    inner join newest on issues.full_pass_at = newest.newest_pass_at
),

flagged as (
    select
        issues.*,
        newest.as_of_at,
        newest.observed_from_at,
        coalesce(
            issues.status in ('pending_deletion', 'deletion_in_progress', 'pending_merge')
            or (
                issues.full_pass_at < newest.newest_pass_at
                and issues.last_seen_at < reached.reached_at
                -- Older ones are not asked for any more.
                and issues.last_seen_at >= newest.newest_pass_at - interval '{{ var("retention_days") }} days'
            ),
            false
        ) as is_gone
    from issues
    cross join newest
    cross join reached
),

final as (
    select
        flagged.issue_id,
        flagged.short_id,
        flagged.project_id,
        coalesce(projects.project_slug, flagged.project_slug, flagged.project_id) as service,
        flagged.title,
        flagged.level,
        flagged.priority,
        flagged.status,
        flagged.substatus,
        flagged.assignee_type,
        flagged.assignee_id,
        flagged.assignee_name,
        flagged.event_count,
        flagged.user_count,
        flagged.issue_url,
        flagged.first_seen_at,
        flagged.last_seen_at,
        flagged.loaded_at,
        flagged.as_of_at,
        flagged.is_gone,
        -- Sentry's clock can be ahead of the loader's.
        greatest(case when flagged.is_gone then flagged.loaded_at else flagged.as_of_at end, flagged.first_seen_at)
            as known_until_at,
        greatest(flagged.first_seen_at, flagged.observed_from_at) as observed_from_at
    from flagged
    left join projects on flagged.project_id = projects.project_id
)

select * from final
