-- What became of each issue, and how fast did we react?
{{ config(meta={"time_column": "loaded_at"}) }}

with issues as (
    select * from {{ ref("int_issue_state") }}
),

intervals as (
    select * from {{ ref("int_issue_status_intervals") }}
),

activity as (
    select * from {{ ref("stg_sentry__issue_activity") }}
),

observations as (
    select * from {{ ref("int_issue_observations") }}
),

ranked_intervals as (
    select
        *,
        row_number() over (partition by issue_id, status order by started_at) as status_rank,
        row_number() over (partition by issue_id order by started_at desc) as recency
    from intervals
),

by_issue as (
    select
        issue_id,
        max(started_at) filter (where status = 'resolved' and status_rank = 1) as first_resolved_at,
        max(start_precision) filter (where status = 'resolved' and status_rank = 1) as first_resolved_precision,
        max(started_at) filter (where status = 'resolved') as last_resolved_at,
        max(started_at) filter (where recency = 1) as status_since_at,
        max(status) filter (where recency = 1) as status,
        max(substatus) filter (where recency = 1) as substatus,
        count(*) filter (where status = 'unresolved' and previous_status = 'resolved') as reopened_count,
        count(*) filter (where status = 'unresolved' and substatus = 'regressed') as regressed_count,
        count(*) filter (where status = 'unresolved' and substatus = 'escalating') as escalated_count,
        count(*) filter (where status = 'ignored') as archived_count,
        {{ rounded("coalesce(sum(duration_seconds) filter (where status = 'unresolved'), 0)") }} as open_seconds
    from ranked_intervals
    group by issue_id
),

activity_reads as (
    select distinct issue_id from activity
),

first_reads as (
    select
        issue_id,
        min(read_at) as first_read_at
    from observations
    group by issue_id
),

assignments as (
    select
        issue_id,
        occurred_at as happened_at,
        'exact' as happened_precision,
        actor_user_id is not null as is_by_person
    from activity
    where activity_type = 'assigned'
    union all
    select
        issue_id,
        read_at as happened_at,
        case when is_first_read then 'before_first_read' else 'between_reads' end as happened_precision,
        -- A read does not tell an ownership rule from a person.
        true as is_by_person
    from observations
    where assignee_type is not null
),

ranked_assignments as (
    select
        *,
        row_number() over (partition by issue_id order by happened_at, happened_precision) as assignment_rank
    from assignments
),

first_assignments as (
    select *
    from ranked_assignments
    where assignment_rank = 1
),

reactions as (
    select
        issue_id,
        happened_at,
        happened_precision
    from assignments
    where is_by_person
    union all
    select
        issue_id,
        started_at as happened_at,
        start_precision as happened_precision
    from intervals
    where status <> 'unresolved' and not is_automatic
    union all
    select
        issue_id,
        occurred_at as happened_at,
        'exact' as happened_precision
    from activity
    where
        actor_user_id is not null
        and activity_type in ('set_priority', 'mark_reviewed', 'note', 'set_unresolved', 'unassigned', 'merge')
),

ranked_reactions as (
    select
        *,
        row_number() over (partition by issue_id order by happened_at, happened_precision) as reaction_rank
    from reactions
),

first_reactions as (
    select *
    from ranked_reactions
    where reaction_rank = 1
),

joined as (
    select
        issues.*,
        by_issue.status as known_status,
        by_issue.substatus as known_substatus,
        by_issue.status_since_at,
        -- An act of before the first event belongs to an issue that was merged into this one.
        case
            when first_reactions.happened_at < issues.first_seen_at then issues.first_seen_at
            else first_reactions.happened_at
        end as first_triaged_at,
        first_reactions.happened_precision as first_triaged_precision,
        case
            when first_assignments.happened_at < issues.first_seen_at then issues.first_seen_at
            else first_assignments.happened_at
        end as first_assigned_at,
        first_assignments.happened_precision as first_assigned_precision,
        by_issue.first_resolved_at,
        by_issue.first_resolved_precision,
        by_issue.last_resolved_at,
        by_issue.reopened_count,
        by_issue.regressed_count,
        by_issue.escalated_count,
        by_issue.archived_count,
        by_issue.open_seconds,
        activity_reads.issue_id is not null as has_activity,
        first_reads.first_read_at,
        case
            when by_issue.first_resolved_at is not null then by_issue.first_resolved_at
            when by_issue.status = 'ignored' then by_issue.status_since_at
            else issues.known_until_at
        end as followed_until_at
    from issues
    inner join by_issue on issues.issue_id = by_issue.issue_id
    inner join first_reads on issues.issue_id = first_reads.issue_id
    left join first_assignments on issues.issue_id = first_assignments.issue_id
    left join first_reactions on issues.issue_id = first_reactions.issue_id
    left join activity_reads on issues.issue_id = activity_reads.issue_id
),

final as (
    select
        issue_id,
        short_id,
        project_id,
        service,
        title,
        level,
        priority,
        known_status as status,
        known_substatus as substatus,
        known_status = 'unresolved' and not is_gone as is_open,
        is_gone,
        first_seen_at,
        last_seen_at,
        first_triaged_at,
        first_triaged_precision,
        first_assigned_at,
        first_assigned_precision,
        first_resolved_at,
        first_resolved_precision,
        last_resolved_at,
        status_since_at,
        reopened_count,
        regressed_count,
        escalated_count,
        archived_count,
        open_seconds,
        cast(extract(epoch from (as_of_at - first_seen_at)) as double precision) as age_seconds,
        cast(extract(epoch from (first_triaged_at - first_seen_at)) as double precision) as acknowledge_seconds,
        cast(extract(epoch from (first_resolved_at - first_seen_at)) as double precision) as resolve_seconds,
        first_resolved_at is null as is_resolution_censored,
        cast(extract(epoch from (followed_until_at - first_seen_at)) as double precision) as followed_seconds,
        assignee_type as owner_type,
        assignee_id as owner_id,
        assignee_name as owner_name,
        event_count,
        user_count,
        has_activity,
        first_read_at,
        observed_from_at,
        known_until_at,
        as_of_at,
        issue_url,
        loaded_at
    from joined
)

select * from final
