-- Did we get everything that Sentry has?
{{ config(meta={"time_column": "activity_date"}) }}

with projects as (
    select
        project_id,
        service,
        is_dynamically_sampled
    from {{ ref("dim_project") }}
),

usage as (
    select
        activity_date,
        project_id,
        category,
        accepted_quantity
    from {{ ref("fct_usage_daily") }}
),

usage_loads as (
    select
        cast(min(hour_at) as date) as first_day,
        cast(max(hour_at) as date) as last_day,
        -- The tap reads three hours again, for outcomes that came late.
        cast(max(loaded_at) - interval '3 hours' as date) as settled_before,
        coalesce(bool_or(category = 'span_indexed'), false) as has_indexed_spans,
        coalesce(bool_or(category = 'transaction_indexed'), false) as has_indexed_transactions
    from {{ ref("stg_sentry__usage_outcomes") }}
),

-- What Sentry stored is counted as indexed, where it is counted apart.
counted as (
    select
        usage.activity_date,
        usage.project_id,
        case usage.category
            when 'span_indexed' then 'span'
            when 'transaction_indexed' then 'transaction'
            else usage.category
        end as category,
        usage.accepted_quantity
    from usage
    cross join usage_loads
    where
        usage.category in ('error', 'replay', 'monitor')
        or usage.category = case when usage_loads.has_indexed_spans then 'span_indexed' else 'span' end
        or usage.category
        = case when usage_loads.has_indexed_transactions then 'transaction_indexed' else 'transaction' end
),

project_days as (
    select * from {{ ref("int_project_days") }}
),

sampled as (
    {%- for category in ("error", "span", "transaction") %}
        select
            activity_date,
            project_id,
            '{{ category }}' as category,
            sum(stored_{{ category }}_count) as stored_count,
            sum(estimated_{{ category }}_count) as estimated_count,
            sqrt(sum(
                estimated_{{ category }}_count_standard_error * estimated_{{ category }}_count_standard_error
            )) as estimated_count_standard_error,
            sum(late_{{ category }}_count) as late_count
        from project_days
        group by activity_date, project_id
        having sum(stored_{{ category }}_count) > 0
        union all
    {%- endfor %}
    select
        cast(started_at as date) as activity_date,
        project_id,
        'replay' as category,
        count(*) as stored_count,
        count(*) as estimated_count,
        0 as estimated_count_standard_error,
        0 as late_count
    from {{ ref("stg_sentry__replays") }}
    where started_at is not null
    group by cast(started_at as date), project_id
    union all
    -- Sentry itself adds what it missed; nobody sent that.
    select
        cast(check_ins.added_at as date) as activity_date,
        monitors.project_id,
        'monitor' as category,
        count(*) as stored_count,
        count(*) as estimated_count,
        0 as estimated_count_standard_error,
        0 as late_count
    from {{ ref("stg_sentry__monitor_checkins") }} as check_ins
    inner join {{ ref("stg_sentry__monitors") }} as monitors on check_ins.monitor_id = monitors.monitor_id
    where check_ins.status != 'missed'
    group by cast(check_ins.added_at as date), monitors.project_id
),

categories as (
    select
        category,
        min(activity_date) as first_day
    from sampled
    group by category
),

paired as (
    select
        activity_date,
        project_id,
        category,
        coalesce(counted.accepted_quantity, 0) as accepted_quantity,
        cast(coalesce(sampled.stored_count, 0) as bigint) as stored_count,
        {{ rounded("coalesce(sampled.estimated_count, 0)") }} as estimated_count,
        {{ rounded("coalesce(sampled.estimated_count_standard_error, 0)") }} as estimated_count_standard_error,
        coalesce(sampled.late_count, 0) as late_count
    from counted
    full outer join sampled using (activity_date, project_id, category)
),

-- Rows received after midnight are in Sentry's count of the next day.
shifted as (
    select
        *,
        cast(
            late_count + case
                when
                    lag(activity_date) over (partition by project_id, category order by activity_date)
                    = activity_date - 1
                    then lag(late_count) over (partition by project_id, category order by activity_date)
                else 0
            end as bigint
        ) as shifted_count
    from paired
),

compared as (
    select
        shifted.activity_date,
        shifted.project_id,
        coalesce(projects.service, shifted.project_id) as service,
        shifted.category,
        case
            when shifted.category = 'span' and usage_loads.has_indexed_spans then 'span_indexed'
            when shifted.category = 'transaction' and usage_loads.has_indexed_transactions then 'transaction_indexed'
            else shifted.category
        end as usage_category,
        shifted.accepted_quantity,
        shifted.stored_count,
        shifted.estimated_count,
        shifted.estimated_count_standard_error,
        shifted.shifted_count,
        shifted.estimated_count - shifted.accepted_quantity as difference,
        {{ ratio("shifted.estimated_count", "shifted.accepted_quantity") }} as completeness,
        {{ ratio("shifted.estimated_count_standard_error", "shifted.accepted_quantity") }}
            as completeness_standard_error,
        greatest(
            0.01 * shifted.accepted_quantity,
            2 * shifted.estimated_count_standard_error
        ) + shifted.shifted_count as tolerance,
        (shifted.category = 'span' and not usage_loads.has_indexed_spans and projects.is_dynamically_sampled)
        or (
            shifted.category = 'transaction'
            and not usage_loads.has_indexed_transactions
            and projects.is_dynamically_sampled
        ) as is_counted_before_sampling,
        shifted.activity_date in (categories.first_day, usage_loads.first_day)
        or shifted.activity_date >= usage_loads.settled_before as is_open
    from shifted
    inner join categories on shifted.category = categories.category
    cross join usage_loads
    left join projects on shifted.project_id = projects.project_id
    where
        shifted.activity_date >= categories.first_day
        and shifted.activity_date between usage_loads.first_day and usage_loads.last_day
),

final as (
    select
        activity_date,
        project_id,
        service,
        category,
        usage_category,
        accepted_quantity,
        stored_count,
        estimated_count,
        estimated_count_standard_error,
        shifted_count,
        difference,
        completeness,
        completeness_standard_error,
        cast(tolerance as double precision) as tolerance,
        case
            when coalesce(is_counted_before_sampling, false) then 'not comparable'
            when is_open then 'open day'
            when abs(difference) <= tolerance then 'complete'
            when difference < 0 then 'short'
            else 'over'
        end as status
    from compared
)

select * from final
