-- Which services decide how long traces take?
{{ config(materialized="incremental", unique_key="trace_id", meta={"time_column": "activity_date"}) }}

{% set days = stale_days("span_version") %}

with recursive segments as (
    select *
    from {{ ref("int_segments") }}
    where {{ over_days("activity_date", "last_span_on", days) }}
),

roots as (
    select *
    from segments
    where is_trace_root
),

-- What has no stored parent hangs below the root of the trace.
hung as (
    select
        row_number() over (order by segments.trace_id, segments.service, segments.segment_span_id) as segment_number,
        segments.trace_id,
        segments.service,
        segments.segment_span_id,
        case when segments.is_trace_root then null else coalesce(segments.parent_service, roots.service) end
            as parent_service,
        case
            when segments.is_trace_root then null
            else coalesce(segments.parent_segment_span_id, roots.segment_span_id)
        end as parent_segment_span_id,
        segments.started_at,
        segments.ended_at,
        segments.is_trace_root
        or segments.is_asynchronous
        or (segments.parent_segment_span_id is null and segments.started_at >= roots.ended_at) as is_detached
    from segments
    inner join roots on segments.trace_id = roots.trace_id
),

nodes as (
    select
        hung.segment_number,
        hung.trace_id,
        hung.service,
        parents.segment_number as parent_number,
        hung.started_at,
        hung.ended_at,
        hung.is_detached
    from hung
    left join hung as parents
        on
            hung.trace_id = parents.trace_id
            and hung.parent_service = parents.service
            and hung.parent_segment_span_id = parents.segment_span_id
),

-- Children for which their parent waits, numbered in the order in which they end.
children as (
    select
        segment_number,
        parent_number,
        started_at,
        ended_at,
        is_detached,
        row_number() over (partition by parent_number order by ended_at, segment_number) as end_rank,
        row_number() over (partition by parent_number order by ended_at desc, segment_number desc) as end_rank_back
    from nodes
    where parent_number is not null and not is_detached and ended_at > started_at
),

-- How many of its siblings had ended when a child began; one pass instead of comparing all pairs.
moments as (
    select
        segment_number,
        parent_number,
        ended_at as moment,
        0 as is_start
    from children
    union all
    select
        segment_number,
        parent_number,
        started_at as moment,
        1 as is_start
    from children
),

counted as (
    select
        segment_number,
        parent_number,
        is_start,
        sum(1 - is_start) over (
            partition by parent_number
            order by moment, is_start
            rows between unbounded preceding and current row
        ) as ended_count
    from moments
),

-- Where the walk back goes from a segment: to the child that ended last, to the sibling that ended last before the
-- segment began, or up, from what began after its caller was done.
edges as (
    select
        parent_number as from_number,
        segment_number,
        'child' as kind,
        started_at,
        ended_at,
        is_detached
    from children
    where end_rank_back = 1
    union all
    select
        counted.segment_number as from_number,
        children.segment_number,
        'sibling' as kind,
        children.started_at,
        children.ended_at,
        children.is_detached
    from counted
    inner join children on counted.parent_number = children.parent_number and counted.ended_count = children.end_rank
    where counted.is_start = 1
    union all
    select
        nodes.segment_number as from_number,
        parents.segment_number,
        'up' as kind,
        parents.started_at,
        parents.ended_at,
        parents.is_detached
    from nodes
    inner join nodes as parents on nodes.parent_number = parents.segment_number
),

lasts as (
    select
        *,
        row_number() over (partition by trace_id order by ended_at desc, segment_number asc) as recency
    from nodes
    where is_detached
),

-- The walk. A segment counts between its bounds; union without all ends it where links go in a circle.
path as (
    select
        segment_number,
        cast(null as bigint) as waiter_number,
        cast(null as bigint) as parent_number,
        'up' as kind,
        is_detached,
        started_at,
        ended_at,
        started_at as lower_bound,
        ended_at as upper_bound
    from lasts
    where recency = 1
    union
    select
        edges.segment_number,
        case
            when edges.kind <> 'up' then null
            when path.is_detached then path.segment_number
            else path.waiter_number
        end as waiter_number,
        case edges.kind when 'child' then path.segment_number when 'sibling' then path.parent_number end
            as parent_number,
        edges.kind,
        edges.is_detached,
        edges.started_at,
        edges.ended_at,
        case edges.kind
            when 'up' then edges.started_at
            when 'child' then greatest(path.started_at, path.lower_bound)
            else path.lower_bound
        end as lower_bound,
        case
            when edges.kind = 'child' then least(path.ended_at, path.upper_bound)
            when edges.kind = 'sibling' or path.is_detached then least(path.started_at, path.upper_bound)
            else path.upper_bound
        end as upper_bound
    from path
    inner join edges on path.segment_number = edges.from_number
    where
        (edges.kind = 'up' and path.kind = 'up')
        or (edges.kind = 'child' and (path.kind <> 'up' or path.is_detached))
        or (edges.kind = 'sibling' and path.kind <> 'up')
),

covered as (
    select
        segment_number,
        parent_number,
        waiter_number,
        greatest(extract(epoch from (least(ended_at, upper_bound) - greatest(started_at, lower_bound))), 0)
            as covered_seconds,
        greatest(extract(epoch from (upper_bound - greatest(ended_at, lower_bound))), 0) as waiting_seconds
    from path
    where kind <> 'up' or is_detached
),

pieces as (
    select
        segment_number,
        covered_seconds as critical_seconds,
        cast(0 as double precision) as waiting_seconds
    from covered
    union all
    select
        parent_number as segment_number,
        -covered_seconds as critical_seconds,
        cast(0 as double precision) as waiting_seconds
    from covered
    where parent_number is not null
    union all
    select
        waiter_number as segment_number,
        cast(0 as double precision) as critical_seconds,
        waiting_seconds
    from covered
    where waiter_number is not null
),

critical as (
    select
        nodes.trace_id,
        nodes.service,
        {{ rounded("sum(pieces.critical_seconds)") }} as critical_path_seconds,
        {{ rounded("sum(pieces.waiting_seconds)") }} as waiting_seconds
    from pieces
    inner join nodes on pieces.segment_number = nodes.segment_number
    group by nodes.trace_id, nodes.service
),

services as (
    select
        trace_id,
        service,
        min(project_id) as project_id,
        cast(sum(stored_span_count) as bigint) as stored_span_count,
        cast(sum(stored_error_span_count) as bigint) as stored_error_span_count,
        count(*) as stored_segment_count,
        {{ rounded("sum(self_time_seconds)") }} as self_time_seconds
    from segments
    group by trace_id, service
),

totals as (
    select
        trace_id,
        {{ rounded("sum(critical_path_seconds)") }} as trace_critical_path_seconds
    from critical
    group by trace_id
),

final as (
    select
        roots.activity_date,
        roots.day_version,
        services.trace_id,
        services.service,
        roots.service as root_service,
        roots.transaction_name as root_transaction_name,
        roots.environment,
        roots.span_weight as trace_weight,
        services.stored_segment_count,
        services.stored_span_count,
        services.stored_error_span_count,
        services.self_time_seconds,
        coalesce(critical.critical_path_seconds, 0) as critical_path_seconds,
        coalesce(critical.waiting_seconds, 0) as waiting_seconds,
        totals.trace_critical_path_seconds,
        {{ ratio("coalesce(critical.critical_path_seconds, 0)", "totals.trace_critical_path_seconds") }}
            as critical_path_share
    from services
    inner join roots on services.trace_id = roots.trace_id
    left join critical on services.trace_id = critical.trace_id and services.service = critical.service
    left join totals on services.trace_id = totals.trace_id
)

select * from final
