{{ config(materialized="incremental", unique_key="trace_id") }}

{% set days = stale_days("span_version") %}

{# A trace is read whole: the stale days, and the others on which its known spans lie. #}
{% set read_days = days %}
{% if days and is_incremental() and execute %}
    {% set reach = var("max_trace_days") %}
    {% set extents %}
        select distinct
            greatest(activity_date, date '{{ days | first }}' - {{ reach }}) as first_day,
            least(last_span_on, date '{{ days | last }}' + {{ reach }}) as last_day
        from {{ this }}
        where trace_id in (select trace_id from {{ ref("int_spans") }} where {{ on_days("activity_date", days) }})
    {% endset %}
    {% set read_days = days | list %}
    {% for extent in run_query(extents).rows %}
        {% for offset in range((extent[1] - extent[0]).days + 1) %}
            {% set day = extent[0] + modules.datetime.timedelta(days=offset) %}
            {% do read_days.append(day | string) if day | string not in read_days %}
        {% endfor %}
    {% endfor %}
{% endif %}

-- Read several times instead of kept: that takes half the memory and no longer.
with spans as not materialized (
    select
        activity_date,
        day_version,
        project_id,
        service,
        environment,
        operation,
        trace_id,
        span_id,
        parent_span_id,
        is_root,
        coalesce(segment_span_id, '(none)') as segment_id,
        is_transaction,
        transaction_name,
        status_class,
        release_version,
        user_id,
        duration_seconds,
        self_time_seconds,
        span_weight,
        started_at,
        coalesce(ended_at, started_at) as ended_at,
        loaded_at
    from {{ ref("int_spans") }}
    where {{ on_days("activity_date", read_days) }}
    {% if days is not none %}
        and trace_id in (select trace_id from {{ ref("int_spans") }} where {{ on_days("activity_date", days) }})
    {% endif %}
),

versions as (
    select distinct
        activity_date,
        day_version
    from spans
),

traces as (
    select
        trace_id,
        min(activity_date) as activity_date,
        max(activity_date) as last_span_on
    from spans
    group by trace_id
),

members as (
    select
        trace_id,
        service,
        segment_id,
        min(project_id) as project_id,
        min(environment) as environment,
        min(transaction_name) as transaction_name,
        min(release_version) as release_version,
        min(user_id) as user_id,
        max(span_weight) as span_weight,
        min(started_at) as first_started_at,
        max(ended_at) as last_ended_at,
        count(*) as stored_span_count,
        count(*) filter (where status_class = 'error') as stored_error_span_count,
        {{ rounded("coalesce(sum(self_time_seconds), 0)") }} as self_time_seconds,
        max(loaded_at) as last_loaded_at
    from spans
    group by trace_id, service, segment_id
),

roots as (
    select *
    from spans
    where is_transaction and segment_id = span_id
),

parents as (
    select
        roots.trace_id,
        roots.service,
        roots.segment_id,
        parents.service as parent_service,
        parents.segment_id as parent_segment_span_id,
        parents.ended_at as parent_ended_at,
        -- An SDK that reports to two projects sends each span twice.
        row_number() over (
            partition by roots.trace_id, roots.service, roots.segment_id
            order by case when parents.service = roots.service then 0 else 1 end, parents.service
        ) as choice
    from roots
    inner join spans as parents on roots.trace_id = parents.trace_id and roots.parent_span_id = parents.span_id
    where parents.segment_id <> roots.segment_id
),

joined as (
    select
        traces.activity_date,
        versions.day_version,
        traces.last_span_on,
        members.trace_id,
        members.project_id,
        members.service,
        members.segment_id as segment_span_id,
        roots.span_id is not null as has_root,
        coalesce(roots.is_root, false) as is_parentless,
        parents.parent_service,
        parents.parent_segment_span_id,
        coalesce(roots.environment, members.environment) as environment,
        coalesce(roots.operation, '(none)') as operation,
        coalesce(roots.transaction_name, members.transaction_name, '(none)') as transaction_name,
        coalesce(roots.release_version, members.release_version) as release_version,
        coalesce(roots.user_id, members.user_id) as user_id,
        coalesce(roots.status_class, 'unknown') as status_class,
        coalesce(roots.span_weight, members.span_weight) as span_weight,
        coalesce(roots.started_at, members.first_started_at) as started_at,
        coalesce(roots.ended_at, members.last_ended_at) as ended_at,
        roots.duration_seconds,
        coalesce(roots.started_at >= parents.parent_ended_at, false) as is_asynchronous,
        members.first_started_at,
        members.last_ended_at,
        members.stored_span_count,
        members.stored_error_span_count,
        members.self_time_seconds,
        members.last_loaded_at
    from members
    inner join traces on members.trace_id = traces.trace_id
    left join versions on traces.activity_date = versions.activity_date
    left join roots
        on
            members.trace_id = roots.trace_id
            and members.service = roots.service
            and members.segment_id = roots.segment_id
    left join parents
        on
            members.trace_id = parents.trace_id
            and members.service = parents.service
            and members.segment_id = parents.segment_id
            and parents.choice = 1
),

final as (
    select
        activity_date,
        day_version,
        last_span_on,
        trace_id,
        project_id,
        service,
        segment_span_id,
        has_root,
        is_parentless,
        row_number() over (
            partition by trace_id
            order by
                case when is_parentless then 0 when has_root then 1 else 2 end,
                started_at,
                segment_span_id,
                service
        ) = 1 as is_trace_root,
        parent_service,
        parent_segment_span_id,
        is_asynchronous,
        environment,
        operation,
        transaction_name,
        release_version,
        user_id,
        status_class,
        span_weight,
        started_at,
        ended_at,
        duration_seconds,
        first_started_at,
        last_ended_at,
        stored_span_count,
        stored_error_span_count,
        self_time_seconds,
        last_loaded_at
    from joined
)

select * from final
