-- Did the backlog grow?
{{ config(meta={"time_column": "activity_date"}) }}

with issues as (
    select * from {{ ref("int_issue_state") }}
),

intervals as (
    select * from {{ ref("int_issue_status_intervals") }}
),

-- What was resolved before the first issue that we know was last seen isn't here: no day from before then.
bounds as (
    select
        cast(min(last_seen_at) as date) as first_date,
        cast(max(as_of_at) as date) as last_date
    from issues
),

services as (
    select distinct service from issues
),

calendar as (
    select {{ days("first_date", "last_date") }} as activity_date
    from bounds
    where first_date is not null
),

grid as (
    select
        services.service,
        calendar.activity_date
    from services
    cross join calendar
),

-- An interval of an open issue adds one when it begins and takes one away when it ends, unless the next is open too.
changes as (
    select
        service,
        cast(started_at as date) as activity_date,
        case when status = 'unresolved' and previous_status is null then 1 else 0 end as opened,
        case when status = 'unresolved' and previous_status = 'resolved' then 1 else 0 end as reopened,
        case when status = 'unresolved' and previous_status = 'ignored' then 1 else 0 end as unarchived,
        case when status = 'resolved' and previous_status = 'unresolved' then 1 else 0 end as resolved,
        case when status = 'ignored' and previous_status = 'unresolved' then 1 else 0 end as archived,
        0 as removed
    from intervals
    union all
    select
        intervals.service,
        cast(intervals.ended_at as date) as activity_date,
        0 as opened,
        0 as reopened,
        0 as unarchived,
        0 as resolved,
        0 as archived,
        1 as removed
    from intervals
    inner join issues on intervals.issue_id = issues.issue_id
    where issues.is_gone and intervals.status = 'unresolved' and intervals.ended_at = issues.known_until_at
),

by_day as (
    select
        service,
        activity_date,
        sum(opened) as opened_count,
        sum(reopened) as reopened_count,
        sum(unarchived) as unarchived_count,
        sum(resolved) as resolved_count,
        sum(archived) as archived_count,
        sum(removed) as removed_count
    from changes
    group by service, activity_date
),

-- Counted from the intervals themselves, so that the sum of the changes can be held against it.
open_intervals as (
    select
        service,
        cast(started_at as date) as first_date,
        coalesce(cast(ended_at as date), date '9999-12-31') as closed_date
    from intervals
    where status = 'unresolved'
),

open_by_day as (
    select
        grid.service,
        grid.activity_date,
        count(open_intervals.first_date) filter (where open_intervals.first_date < grid.activity_date)
            as open_at_start_count,
        count(open_intervals.first_date) filter (where open_intervals.closed_date > grid.activity_date)
            as open_at_end_count
    from grid
    left join open_intervals
        on
            grid.service = open_intervals.service
            and grid.activity_date >= open_intervals.first_date
            and grid.activity_date <= open_intervals.closed_date
    group by grid.service, grid.activity_date
),

final as (
    select
        open_by_day.activity_date,
        open_by_day.service,
        open_by_day.open_at_start_count,
        cast(coalesce(by_day.opened_count, 0) as bigint) as opened_count,
        cast(coalesce(by_day.reopened_count, 0) as bigint) as reopened_count,
        cast(coalesce(by_day.unarchived_count, 0) as bigint) as unarchived_count,
        cast(coalesce(by_day.resolved_count, 0) as bigint) as resolved_count,
        cast(coalesce(by_day.archived_count, 0) as bigint) as archived_count,
        cast(coalesce(by_day.removed_count, 0) as bigint) as removed_count,
        open_by_day.open_at_end_count,
        open_by_day.open_at_end_count - open_by_day.open_at_start_count as net_change_count
    from open_by_day
    left join by_day
        on open_by_day.service = by_day.service and open_by_day.activity_date = by_day.activity_date
)

select * from final
