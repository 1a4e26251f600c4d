-- Which issues burst, and on which days?
{{ config(meta={"time_column": "activity_date"}) }}

with issue_days as (
    select *
    from {{ ref("int_issue_days") }}
    where issue_id <> '(none)'
),

issues as (
    select
        issue_id,
        service,
        title,
        first_seen_at
    from {{ ref("int_issue_state") }}
),

-- A day on which the issue is silent counts as 0, a day without any event at all does not: nobody looked.
known_days as (
    select distinct activity_date
    from {{ ref("int_issue_days") }}
),

day_numbers as (
    select cast({{ days("date '2000-01-01'", "date '2000-01-14'") }} - date '2000-01-01' as integer) + 1 as days_before
),

baseline_days as (
    select
        known_days.activity_date,
        earlier_days.activity_date as baseline_date
    from known_days
    cross join day_numbers
    inner join known_days as earlier_days
        on known_days.activity_date - day_numbers.days_before = earlier_days.activity_date
),

baseline_counts as (
    select
        activity_date,
        count(*) as baseline_day_count
    from baseline_days
    group by activity_date
),

counted as (
    select
        issue_days.*,
        coalesce(baseline_counts.baseline_day_count, 0) as baseline_day_count
    from issue_days
    left join baseline_counts on issue_days.activity_date = baseline_counts.activity_date
),

-- Most issues have a few events a day, which are no burst whatever came before.
judged as (
    select *
    from counted
    where estimated_error_count >= 10 and baseline_day_count >= 7
),

baseline as (
    select
        judged.issue_id,
        judged.activity_date,
        coalesce(earlier.estimated_error_count, 0) as estimated_error_count
    from judged
    inner join baseline_days on judged.activity_date = baseline_days.activity_date
    left join issue_days as earlier
        on
            judged.issue_id = earlier.issue_id
            and baseline_days.baseline_date = earlier.activity_date
),

medians as (
    select
        issue_id,
        activity_date,
        percentile_cont(0.5) within group (order by estimated_error_count) as median_count
    from baseline
    group by issue_id, activity_date
),

deviations as (
    select
        baseline.issue_id,
        baseline.activity_date,
        percentile_cont(0.5) within group (
            order by abs(baseline.estimated_error_count - medians.median_count)
        ) as median_deviation
    from baseline
    inner join medians
        on baseline.issue_id = medians.issue_id and baseline.activity_date = medians.activity_date
    group by baseline.issue_id, baseline.activity_date
),

-- 1.4826 makes the median deviation of normal values their standard deviation. Counts vary by their root at
-- least: without that bound one event more than on fourteen even days were a burst.
scaled as (
    select
        counted.*,
        {{ ratio("counted.estimated_error_count * counted.estimated_error_count", "counted.squared_weights") }}
            as effective_count,
        medians.median_count,
        deviations.median_deviation,
        (counted.estimated_error_count - medians.median_count)
        / greatest(1.4826 * deviations.median_deviation, sqrt(greatest(medians.median_count, 1))) as robust_z_score
    from counted
    left join medians
        on counted.issue_id = medians.issue_id and counted.activity_date = medians.activity_date
    left join deviations
        on counted.issue_id = deviations.issue_id and counted.activity_date = deviations.activity_date
),

final as (
    select
        scaled.activity_date,
        scaled.issue_id,
        coalesce(issues.service, '(none)') as service,
        issues.title,
        scaled.stored_error_count,
        scaled.estimated_error_count,
        scaled.estimated_error_count_standard_error,
        {{ is_low_sample("scaled.effective_count") }} as is_low_sample,
        scaled.baseline_day_count,
        {{ rounded("scaled.median_count") }} as baseline_median_count,
        {{ rounded("scaled.median_deviation") }} as baseline_median_deviation,
        {{ rounded("scaled.robust_z_score") }} as robust_z_score,
        coalesce(
            scaled.robust_z_score > 6
            and scaled.estimated_error_count - scaled.median_count > 3 * scaled.estimated_error_count_standard_error,
            false
        ) as is_spike,
        coalesce(cast(issues.first_seen_at as date) >= scaled.activity_date - 1, false) as is_new_issue
    from scaled
    left join issues on scaled.issue_id = issues.issue_id
)

select * from final
