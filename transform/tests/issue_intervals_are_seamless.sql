-- The intervals of an issue follow each other without gap or overlap from its first event on; only the last one lasts.
with intervals as (
    select
        issue_id,
        interval_number,
        started_at,
        ended_at,
        lead(started_at) over (partition by issue_id order by interval_number) as next_started_at
    from {{ ref("int_issue_status_intervals") }}
),

issues as (
    select * from {{ ref("int_issue_state") }}
)

select
    issues.issue_id,
    intervals.interval_number
from issues
left join intervals on issues.issue_id = intervals.issue_id
where
    intervals.issue_id is null
    or (intervals.interval_number = 1 and intervals.started_at <> issues.first_seen_at)
    or (intervals.next_started_at is not null and intervals.ended_at is distinct from intervals.next_started_at)
    or (intervals.next_started_at is null and intervals.ended_at is not null and not issues.is_gone)
    or intervals.ended_at < intervals.started_at
