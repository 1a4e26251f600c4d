{% set history = ref("issue_status") %}

{# The newest read is in the history as well, unless it changed nothing or `dbt run` left the snapshot out. #}
{% set has_history = not execute or history.is_cte or load_relation(history) %}

with issues as (
    select * from {{ ref("stg_sentry__issues") }}
),

{% if has_history %}
    history as (
        select * from {{ history }}
    ),

    -- A loader's clock that went back gives a read an earlier time than the state it ended.
    superseded as (
        select
            history.*,
            coalesce(history.dbt_valid_to, issues.loaded_at) as next_read_at
        from history
        left join issues on history.issue_id = issues.issue_id
    ),
{% endif %}

observed as (
    select
        issue_id,
        status,
        substatus,
        is_auto_resolved,
        assignee_type,
        last_seen_at,
        loaded_at as read_at,
        cast(null as timestamp) as stepped_back_from_at
    from issues
    {% if has_history %}
        union
        select
            issue_id,
            status,
            substatus,
            is_auto_resolved,
            assignee_type,
            last_seen_at,
            case
                when next_read_at < dbt_valid_from then next_read_at - interval '1 microsecond'
                else dbt_valid_from
            end as read_at,
            case when next_read_at < dbt_valid_from then dbt_valid_from end as stepped_back_from_at
        from superseded
    {% endif %}
),

final as (
    select
        issue_id,
        status,
        substatus,
        is_auto_resolved,
        assignee_type,
        last_seen_at,
        read_at,
        row_number() over (partition by issue_id order by read_at, status) = 1 as is_first_read,
        lag(stepped_back_from_at) over (partition by issue_id order by read_at, status) as stepped_back_from_at
    from observed
)

select * from final
