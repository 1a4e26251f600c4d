-- How long until an issue is noticed and resolved, when those still open count as what they are?
{{ config(meta={"time_column": none}) }}

{% set horizon = var("issue_horizon_days") * 86400 %}

with curve as (
    select * from {{ ref("fct_issue_survival") }}
),

issues as (
    select * from {{ ref("fct_issue_lifecycle") }}
),

owners as (
    select * from {{ ref("int_issue_teams") }}
),

-- Each step of a curve is as wide as the time since the step before and as high as that one left it.
widths as (
    select
        *,
        coalesce(lag(survival) over ages, 1) as survival_before,
        coalesce(lag(age_seconds) over ages, 0) as age_before,
        lead(age_seconds) over ages is null as is_last
    from curve
    window ages as (partition by outcome, service, level, team order by age_seconds)
),

areas as (
    select
        outcome,
        service,
        level,
        team,
        sum(happened_count) as happened_count,
        sum(censored_count) as censored_count,
        sum(survival_before * (least(age_seconds, {{ horizon }}) - least(age_before, {{ horizon }})))
        + sum(survival * greatest({{ horizon }} - age_seconds, 0)) filter (where is_last) as mean_seconds,
        min(age_seconds) filter (where survival <= 0.5) as median_seconds,
        bool_or(is_last and age_seconds < {{ horizon }} and survival > 0) as is_extrapolated,
        bool_or(is_early_unknown) as is_early_unknown
    from widths
    group by outcome, service, level, team
),

members as (
    select
        issue_id,
        '(all)' as service,
        '(all)' as level,
        '(all)' as team
    from issues
    union all
    select
        issue_id,
        service,
        '(all)' as level,
        '(all)' as team
    from issues
    union all
    select
        issue_id,
        '(all)' as service,
        coalesce(level, '(none)') as level,
        '(all)' as team
    from issues
    union all
    select
        issue_id,
        '(all)' as service,
        '(all)' as level,
        team
    from owners
),

counts as (
    select
        members.service,
        members.level,
        members.team,
        count(*) as issue_count,
        count(*) filter (where issues.is_open) as open_count,
        count(issues.first_triaged_at) as acknowledged_count,
        count(issues.first_resolved_at) as resolved_count,
        count(*) filter (where issues.first_resolved_precision <> 'exact') as inexact_resolved_count,
        avg(issues.resolve_seconds) as naive_mean_resolve_seconds
    from members
    inner join issues on members.issue_id = issues.issue_id
    group by members.service, members.level, members.team
),

final as (
    select
        counts.service,
        counts.level,
        counts.team,
        counts.issue_count,
        counts.open_count,
        counts.acknowledged_count,
        counts.resolved_count,
        counts.inexact_resolved_count,
        cast(coalesce(acknowledged.happened_count + acknowledged.censored_count, 0) as bigint)
            as acknowledge_followed_count,
        cast(coalesce(acknowledged.happened_count, 0) as bigint) as acknowledge_timed_count,
        {{ rounded("acknowledged.mean_seconds", digits=3) }} as mtta_seconds,
        coalesce(acknowledged.is_extrapolated, false) as is_mtta_extrapolated,
        {{ is_low_sample("acknowledged.happened_count") }} or coalesce(acknowledged.is_early_unknown, false)
            as is_mtta_low_sample,
        acknowledged.median_seconds as median_acknowledge_seconds,
        cast(coalesce(resolved.happened_count + resolved.censored_count, 0) as bigint) as resolve_followed_count,
        cast(coalesce(resolved.happened_count, 0) as bigint) as resolve_timed_count,
        {{ rounded("resolved.mean_seconds", digits=3) }} as mttr_seconds,
        coalesce(resolved.is_extrapolated, false) as is_mttr_extrapolated,
        {{ is_low_sample("resolved.happened_count") }} or coalesce(resolved.is_early_unknown, false)
            as is_mttr_low_sample,
        resolved.median_seconds as median_resolve_seconds,
        {{ rounded("counts.naive_mean_resolve_seconds", digits=3) }} as naive_mean_resolve_seconds,
        cast({{ horizon }} as bigint) as horizon_seconds
    from counts
    left join areas as acknowledged
        on
            counts.service = acknowledged.service
            and counts.level = acknowledged.level
            and counts.team = acknowledged.team
            and acknowledged.outcome = 'acknowledged'
    left join areas as resolved
        on
            counts.service = resolved.service
            and counts.level = resolved.level
            and counts.team = resolved.team
            and resolved.outcome = 'resolved'
)

select * from final
