-- A day ends with the open issues it began with and what moved, the next begins with them, the last has today's.
with flow as (
    select
        *,
        lead(open_at_start_count) over (partition by service order by activity_date) as next_open_at_start_count
    from {{ ref("fct_issue_flow_daily") }}
),

open_now as (
    select
        service,
        count(*) as open_count
    from {{ ref("fct_issue_lifecycle") }}
    where is_open
    group by service
)

select
    flow.service,
    flow.activity_date
from flow
left join open_now on flow.service = open_now.service
where
    flow.open_at_end_count <> flow.open_at_start_count + flow.opened_count + flow.reopened_count + flow.unarchived_count
    - flow.resolved_count - flow.archived_count - flow.removed_count
    or flow.open_at_end_count <> coalesce(flow.next_open_at_start_count, open_now.open_count, 0)
