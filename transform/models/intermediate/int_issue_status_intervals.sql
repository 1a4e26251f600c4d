with issues as (
    select * from {{ ref("int_issue_state") }}
),

projects as (
    select
        project_id,
        auto_resolve_hours
    from {{ ref("stg_sentry__project_detail") }}
),

activity as (
    select * from {{ ref("stg_sentry__issue_activity") }}
),

observations as (
    select * from {{ ref("int_issue_observations") }}
),

activity_reads as (
    select
        issue_id,
        max(loaded_at) as read_at,
        max(occurred_at) as newest_act_at
    from activity
    group by issue_id
),

births as (
    select
        issues.issue_id,
        issues.first_seen_at as changed_at,
        0 as change_order,
        '' as activity_id,
        'unresolved' as status,
        'new' as substatus,
        true as is_automatic,
        case when activity_reads.issue_id is null then 'snapshot' else 'activity' end as known_from,
        'exact' as start_precision
    from issues
    left join activity_reads on issues.issue_id = activity_reads.issue_id
),

acts as (
    select
        activity.issue_id,
        -- A merged issue brings acts from before its own first event.
        greatest(activity.occurred_at, issues.first_seen_at) as changed_at,
        1 as change_order,
        activity.activity_id,
        case
            when activity.activity_type = 'set_ignored' then 'ignored'
            when activity.activity_type like 'set_resolved%' then 'resolved'
            else 'unresolved'
        end as status,
        case
            when activity.activity_type in ('set_unresolved', 'auto_set_ongoing') then 'ongoing'
            when activity.activity_type = 'set_regression' then 'regressed'
            when activity.activity_type = 'set_escalating' then 'escalating'
            when activity.activity_type <> 'set_ignored' then null
            when activity.is_ignored_until_escalating then 'archived_until_escalating'
            when
                activity.ignored_duration_seconds is not null
                or activity.ignored_until_at is not null
                or activity.ignored_until_event_count is not null
                or activity.ignored_until_user_count is not null
                then 'archived_until_condition_met'
            else 'archived_forever'
        end as substatus,
        activity.actor_user_id is null as is_automatic,
        'activity' as known_from,
        'exact' as start_precision
    from activity
    inner join issues on activity.issue_id = issues.issue_id
    where
        activity.occurred_at is not null
        and activity.activity_type in (
            'set_resolved',
            'set_resolved_by_age',
            'set_resolved_in_release',
            'set_resolved_in_commit',
            'set_resolved_in_pull_request',
            'set_unresolved',
            'set_regression',
            'set_escalating',
            'auto_set_ongoing',
            'set_ignored'
        )
),

-- An issue's detail is read when it has new events, its status in every pass: a later read can know more.
known_reads as (
    select
        observations.*,
        -- What was read after the activity, if by a clock that had gone back, is newer than all of that.
        greatest(
            issues.first_seen_at,
            case
                when observations.read_at <= activity_reads.read_at
                    then least(activity_reads.newest_act_at, issues.known_until_at)
            end
        ) as not_before_at,
        observations.is_first_read and activity_reads.issue_id is null as is_late,
        -- Sentry resolves a silent issue when it has been so for this long.
        case when observations.is_auto_resolved then coalesce(projects.auto_resolve_hours, 0) else 0 end
            as silent_hours
    from observations
    inner join issues on observations.issue_id = issues.issue_id
    left join projects on issues.project_id = projects.project_id
    left join activity_reads on observations.issue_id = activity_reads.issue_id
    where
        observations.status in ('unresolved', 'resolved', 'ignored')
        and (
            activity_reads.read_at is null
            or observations.read_at > activity_reads.read_at
            -- The activity is read in the run that reads the list, a little later.
            or activity_reads.read_at between observations.stepped_back_from_at - interval '1 hour'
            and observations.stepped_back_from_at + interval '1 hour'
        )
),

-- What the first read found had happened at some time before. A resolved issue was resolved after its last
-- event, or it would have come back; nothing better is known of the others.
reads as (
    select
        issue_id,
        greatest(
            case when is_late then least(last_seen_at + silent_hours * interval '1 hour', read_at) else read_at end,
            not_before_at
        ) as changed_at,
        2 as change_order,
        '' as activity_id,
        status,
        substatus,
        is_auto_resolved or status = 'unresolved' as is_automatic,
        'snapshot' as known_from,
        case when is_late then 'before_first_read' else 'between_reads' end as start_precision
    from known_reads
),

changes as (
    select * from births
    union all
    select * from acts
    union all
    select * from reads
),

in_order as (
    select
        changes.*,
        lead(changes.changed_at) over (
            partition by changes.issue_id order by changes.changed_at, changes.change_order, changes.activity_id
        ) as next_changed_at
    from changes
    inner join issues on changes.issue_id = issues.issue_id
    where changes.changed_at <= issues.known_until_at
),

-- Of several changes at one instant the last one counts.
compared as (
    select
        *,
        lag(status) over (partition by issue_id order by changed_at) as previous_status,
        lag(substatus) over (partition by issue_id order by changed_at) as previous_substatus
    from in_order
    where next_changed_at is distinct from changed_at
),

-- Read once more as it was before, or archived anew while archived: the same interval goes on.
flagged as (
    select
        *,
        coalesce(status <> previous_status, true)
        or (status = 'unresolved' and substatus is not null and coalesce(substatus <> previous_substatus, true))
            as is_start
    from compared
),

numbered as (
    select
        *,
        sum(case when is_start then 1 else 0 end) over (partition by issue_id order by changed_at) as interval_number
    from flagged
),

named as (
    select
        *,
        last_value(substatus) over (
            partition by issue_id, interval_number
            order by changed_at
            rows between unbounded preceding and unbounded following
        ) as newest_substatus
    from numbered
),

starts as (
    select
        *,
        lead(changed_at) over (partition by issue_id order by changed_at) as next_started_at
    from named
    where is_start
),

final as (
    select
        starts.issue_id,
        issues.project_id,
        issues.service,
        cast(starts.interval_number as integer) as interval_number,
        starts.status,
        starts.newest_substatus as substatus,
        starts.previous_status,
        starts.changed_at as started_at,
        coalesce(starts.next_started_at, case when issues.is_gone then issues.known_until_at end) as ended_at,
        cast(
            extract(epoch from (coalesce(starts.next_started_at, issues.known_until_at) - starts.changed_at))
            as double precision
        ) as duration_seconds,
        starts.known_from,
        starts.start_precision,
        starts.start_precision = 'exact' as is_start_exact,
        starts.is_automatic
    from starts
    inner join issues on starts.issue_id = issues.issue_id
)

select * from final
