-- Which team carries what?
{{ config(meta={"time_column": "as_of_at"}) }}

with lifecycle as (
    select * from {{ ref("fct_issue_lifecycle") }}
),

owners as (
    select * from {{ ref("int_issue_teams") }}
),

issue_days as (
    select * from {{ ref("int_issue_days") }}
),

resolution as (
    select * from {{ ref("fct_issue_resolution") }}
),

teams as (
    select
        team_id,
        team_slug as team
    from {{ ref("stg_sentry__teams") }}
    union
    select
        team_id,
        team
    from owners
),

events as (
    select
        issue_days.issue_id,
        sum(issue_days.stored_error_count) as stored_error_count,
        sum(issue_days.estimated_error_count) as estimated_error_count,
        sum(power(issue_days.estimated_error_count_standard_error, 2)) as error_count_variance,
        sum(issue_days.squared_weights) as squared_weights
    from issue_days
    inner join lifecycle on issue_days.issue_id = lifecycle.issue_id
    where issue_days.activity_date > cast(lifecycle.as_of_at as date) - 7
    group by issue_days.issue_id
),

carried as (
    select
        owners.team_id,
        owners.is_assigned,
        lifecycle.*,
        events.stored_error_count,
        events.estimated_error_count,
        events.error_count_variance,
        events.squared_weights
    from owners
    inner join lifecycle on owners.issue_id = lifecycle.issue_id
    left join events on owners.issue_id = events.issue_id
),

by_team as (
    select
        team_id,
        count(*) filter (where is_open) as open_issue_count,
        count(*) filter (where is_open and is_assigned) as assigned_open_issue_count,
        count(*) filter (where is_open and owner_type is null) as unassigned_open_issue_count,
        count(*) filter (where first_seen_at > as_of_at - interval '7 days') as new_issue_count_7_days,
        count(*) filter (where is_open and substatus = 'regressed') as regressed_open_issue_count,
        count(*) filter (where is_open and substatus = 'escalating') as escalating_open_issue_count,
        min(first_seen_at) filter (where is_open) as oldest_open_first_seen_at,
        max(age_seconds) filter (where is_open) as oldest_open_age_seconds,
        sum(stored_error_count) as stored_error_count,
        sum(estimated_error_count) as estimated_error_count,
        sum(error_count_variance) as error_count_variance,
        {{ ratio("sum(estimated_error_count) * sum(estimated_error_count)", "sum(squared_weights)") }}
            as effective_count
    from carried
    group by team_id
),

as_of as (
    select max(as_of_at) as as_of_at from lifecycle
),

final as (
    select
        teams.team_id,
        teams.team,
        coalesce(by_team.open_issue_count, 0) as open_issue_count,
        coalesce(by_team.assigned_open_issue_count, 0) as assigned_open_issue_count,
        coalesce(by_team.unassigned_open_issue_count, 0) as unassigned_open_issue_count,
        coalesce(by_team.new_issue_count_7_days, 0) as new_issue_count_7_days,
        coalesce(by_team.regressed_open_issue_count, 0) as regressed_open_issue_count,
        coalesce(by_team.escalating_open_issue_count, 0) as escalating_open_issue_count,
        by_team.oldest_open_first_seen_at,
        by_team.oldest_open_age_seconds,
        cast(coalesce(by_team.stored_error_count, 0) as bigint) as stored_error_count_7_days,
        {{ rounded("coalesce(by_team.estimated_error_count, 0)") }} as estimated_error_count_7_days,
        {{ rounded("sqrt(coalesce(by_team.error_count_variance, 0))") }} as error_count_7_days_standard_error,
        {{ is_low_sample("by_team.effective_count") }} as is_low_sample,
        coalesce(resolution.resolve_timed_count, 0) as resolve_timed_count,
        resolution.mttr_seconds,
        coalesce(resolution.is_mttr_low_sample, true) as is_mttr_low_sample,
        as_of.as_of_at
    from teams
    cross join as_of
    left join by_team on teams.team_id = by_team.team_id
    left join resolution
        on teams.team = resolution.team and resolution.service = '(all)' and resolution.level = '(all)'
)

select * from final
