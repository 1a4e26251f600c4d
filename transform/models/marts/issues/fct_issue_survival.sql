-- How long do issues stay open or unnoticed, those included of which we don't know the end yet?
{{ config(meta={"time_column": none}) }}

with issues as (
    select * from {{ ref("fct_issue_lifecycle") }}
),

owners as (
    select * from {{ ref("int_issue_teams") }}
),

-- An issue can only be in the warehouse if it lived until we began to look: before that age it is not at risk.
times as (
    select
        'resolved' as outcome,
        issue_id,
        service,
        level,
        extract(epoch from (observed_from_at - first_seen_at)) as entry_seconds,
        followed_seconds as exit_seconds,
        not is_resolution_censored as is_event
    from issues
    -- One that came back was resolved before, if not at a time that we know.
    where not (is_resolution_censored and regressed_count > 0)
    union all
    -- Without activity a reaction from before the first read has no known time: such an issue is followed from then on.
    select
        'acknowledged' as outcome,
        issue_id,
        service,
        level,
        extract(
            epoch from (
                case when has_activity then observed_from_at else greatest(observed_from_at, first_read_at) end
                - first_seen_at
            )
        ) as entry_seconds,
        coalesce(acknowledge_seconds, extract(epoch from (known_until_at - first_seen_at))) as exit_seconds,
        first_triaged_at is not null as is_event
    from issues
    where first_triaged_precision is distinct from 'before_first_read'
),

-- To the whole second: more is not known, and what happened in one second is a tie.
seconds as (
    select
        outcome,
        issue_id,
        service,
        coalesce(level, '(none)') as level,
        cast(floor(entry_seconds) as bigint) as entry_seconds,
        cast(floor(exit_seconds) as bigint) as exit_seconds,
        is_event
    from times
),

spells as (
    select *
    from seconds
    where exit_seconds >= 0 and (exit_seconds > entry_seconds or entry_seconds <= 0)
),

grouped as (
    {% for service, level in [("'(all)'", "'(all)'"), ("service", "'(all)'"), ("'(all)'", "level")] %}
        select
            outcome,
            {{ service }} as service,
            {{ level }} as level,
            '(all)' as team,
            entry_seconds,
            exit_seconds,
            is_event
        from spells
        union all
    {% endfor %}
    select
        spells.outcome,
        '(all)' as service,
        '(all)' as level,
        owners.team,
        spells.entry_seconds,
        spells.exit_seconds,
        spells.is_event
    from spells
    inner join owners on spells.issue_id = owners.issue_id
),

-- Who leaves in the second of another's entry is at risk without it; who was there from the start enters before 0.
moves as (
    select
        outcome,
        service,
        level,
        team,
        case when entry_seconds <= 0 then -1 else entry_seconds end as age_seconds,
        1 as entered,
        0 as happened,
        0 as censored
    from grouped
    union all
    select
        outcome,
        service,
        level,
        team,
        exit_seconds as age_seconds,
        0 as entered,
        case when is_event then 1 else 0 end as happened,
        case when is_event then 0 else 1 end as censored
    from grouped
),

by_age as (
    select
        outcome,
        service,
        level,
        team,
        age_seconds,
        sum(entered) as entered_count,
        sum(happened) as happened_count,
        sum(censored) as censored_count
    from moves
    group by outcome, service, level, team, age_seconds
),

at_risk as (
    select
        *,
        sum(entered_count - happened_count - censored_count) over (
            partition by outcome, service, level, team
            order by age_seconds
            rows between unbounded preceding and 1 preceding
        ) as at_risk_count,
        coalesce(
            sum(entered_count) over (
                partition by outcome, service, level, team
                order by age_seconds
                rows between 1 following and unbounded following
            ),
            0
        ) as to_enter_count,
        sum(entered_count) over (partition by outcome, service, level, team) as total_count
    from by_age
),

-- While older issues are still to enter, few young ones that all end would take the curve to 0 for ever: such
-- steps are left out (Lai and Ying, 1991).
checked as (
    select
        *,
        happened_count > 0
        and to_enter_count > 0
        and (at_risk_count < sqrt(total_count) or happened_count = at_risk_count) as is_skipped
    from at_risk
    where happened_count + censored_count > 0
),

-- Who is censored in the second in which others are resolved is at risk with them.
steps as (
    select
        *,
        case
            when not is_skipped and happened_count < at_risk_count
                then ln({{ ratio("at_risk_count - happened_count", "at_risk_count") }})
        end as log_share,
        case
            when not is_skipped
                then {{ ratio("happened_count", "at_risk_count * (at_risk_count - happened_count)") }}
        end as variance_part,
        case when happened_count = at_risk_count and not is_skipped then 1 else 0 end as is_last
    from checked
),

curve as (
    select
        *,
        sum(log_share) over (partition by outcome, service, level, team order by age_seconds) as log_survival,
        sum(variance_part) over (partition by outcome, service, level, team order by age_seconds) as variance_sum,
        max(is_last) over (partition by outcome, service, level, team order by age_seconds) as is_ended,
        bool_or(is_skipped) over (partition by outcome, service, level, team order by age_seconds) as is_early_unknown
    from steps
),

final as (
    select
        outcome,
        service,
        level,
        team,
        age_seconds,
        cast(age_seconds as double precision) / 86400 as age_days,
        cast(at_risk_count as bigint) as at_risk_count,
        cast(happened_count as bigint) as happened_count,
        cast(censored_count as bigint) as censored_count,
        case when is_ended = 1 then 0 else {{ rounded("exp(coalesce(log_survival, 0))", digits=9) }} end as survival,
        case when is_ended = 0 then {{ rounded("exp(coalesce(log_survival, 0)) * sqrt(variance_sum)", digits=9) }} end
            as survival_standard_error,
        is_early_unknown
    from curve
)

select * from final
