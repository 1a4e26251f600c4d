{{ config(materialized="ephemeral") }}

with windows as (
    select * from {{ ref("int_release_windows") }}
),

issues as (
    select
        issue_id,
        project_id,
        substatus,
        first_seen_at,
        last_seen_at
    from {{ ref("stg_sentry__issues") }}
),

issue_releases as (
    select
        issue_id,
        release_version,
        min(first_occurred_at) as first_occurred_at,
        max(last_occurred_at) as last_occurred_at
    from {{ ref("int_release_issue_days") }}
    group by issue_id, release_version
),

activity as (
    select
        issue_id,
        activity_type,
        release_version,
        occurred_at
    from {{ ref("stg_sentry__issue_activity") }}
),

-- The first stored event of each issue names the release, if it is the first at all.
ranked_events as (
    select
        *,
        row_number() over (partition by issue_id order by first_occurred_at, release_version) as place
    from issue_releases
),

-- The release out when the issue was first seen: the last one before, whatever its package.
ranked_windows as (
    select
        issues.issue_id,
        windows.release_version,
        row_number() over (
            partition by issues.issue_id
            order by windows.released_at desc, windows.release_id desc
        ) as place
    from issues
    inner join windows
        on
            issues.project_id = windows.project_id
            and issues.first_seen_at >= windows.released_at
            and (windows.superseded_at is null or issues.first_seen_at < windows.superseded_at)
),

introduced as (
    select
        issues.issue_id,
        issues.project_id,
        coalesce(ranked_events.release_version, ranked_windows.release_version) as release_version,
        case when ranked_events.release_version is null then 'window' else 'event' end as new_issue_source
    from issues
    left join ranked_events
        on
            issues.issue_id = ranked_events.issue_id
            and ranked_events.place = 1
            and ranked_events.release_version <> '(none)'
            -- Sentry lists events to the second.
            and ranked_events.first_occurred_at < issues.first_seen_at + interval '1 second'
    left join ranked_windows
        on
            issues.issue_id = ranked_windows.issue_id
            and ranked_windows.place = 1
),

-- Sentry's own record of an issue that came back: in the release that it names, else in the one that was out.
ranked_regressions as (
    select
        issues.issue_id,
        windows.project_id,
        windows.release_version,
        row_number() over (
            partition by issues.issue_id, activity.occurred_at
            order by windows.released_at desc, windows.release_id desc
        ) as place
    from activity
    inner join issues on activity.issue_id = issues.issue_id
    inner join windows
        on
            issues.project_id = windows.project_id
            and case
                when activity.release_version is not null
                    then activity.release_version = windows.release_version
                else
                    activity.occurred_at >= windows.released_at
                    and (windows.superseded_at is null or activity.occurred_at < windows.superseded_at)
            end
    where activity.activity_type = 'set_regression'
),

regressed as (
    select
        issue_id,
        project_id,
        release_version
    from ranked_regressions
    where place = 1
    union
    -- Issues without a record, by their state.
    select
        issues.issue_id,
        windows.project_id,
        windows.release_version
    from issues
    inner join windows
        on
            issues.project_id = windows.project_id
            and issues.last_seen_at >= windows.released_at
            and (windows.superseded_at is null or issues.last_seen_at < windows.superseded_at)
    inner join issue_releases
        on
            issues.issue_id = issue_releases.issue_id
            and windows.release_version = issue_releases.release_version
            and windows.released_at <= issue_releases.last_occurred_at
    where
        issues.substatus = 'regressed'
        and issues.issue_id not in (select activity.issue_id from activity)
),

found as (
    select
        project_id,
        release_version,
        new_issue_source
    from introduced
    where release_version is not null
    union all
    select
        project_id,
        release_version,
        null as new_issue_source
    from regressed
),

final as (
    select
        project_id,
        release_version,
        count(new_issue_source) as new_issue_count,
        case
            when min(new_issue_source) <> max(new_issue_source) then 'both'
            else min(new_issue_source)
        end as new_issue_source,
        count(*) - count(new_issue_source) as regressed_issue_count
    from found
    group by project_id, release_version
)

select * from final
