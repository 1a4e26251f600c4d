-- Which release broke what?
{{ config(meta={"time_column": "released_at"}) }}

{% set worse_ratio = var("release_worse_error_ratio") %}
{% set crash_points = var("release_crash_free_points") %}

with windows as (
    select * from {{ ref("int_release_windows") }}
),

issues as (
    select * from {{ ref("int_release_issues") }}
),

window_errors as (
    select * from {{ ref("int_release_error_windows") }}
),

days as (
    select * from {{ ref("int_release_days") }}
),

user_days as (
    select * from {{ ref("int_release_user_days") }}
),

health as (
    select * from {{ ref("fct_release_health_daily") }}
),

-- Errors over the release's life.
errors as (
    select
        service,
        release_version,
        cast(sum(stored_error_count) as bigint) as stored_error_count,
        {{ rounded("sum(estimated_error_count)") }} as estimated_error_count,
        {{ rounded("sum(squared_error_weights)") }} as squared_error_weights
    from days
    group by service, release_version
),

users as (
    select
        service,
        release_version,
        count(distinct nullif(user_id, '(none)')) as stored_affected_user_count
    from user_days
    group by service, release_version
),

sessions as (
    select
        service,
        release_version,
        cast(sum(session_count) as bigint) as session_count,
        cast(sum(crashed_session_count) as bigint) as crashed_session_count,
        cast(sum(user_count) as bigint) as user_day_count,
        cast(sum(crashed_user_count) as bigint) as crashed_user_day_count
    from health
    group by service, release_version
),

adoption_days as (
    select
        activity_date,
        service,
        release_version,
        sum(session_count) as session_count,
        sum(sum(session_count)) over (partition by activity_date, service) as service_session_count
    from health
    group by activity_date, service, release_version
),

adoption as (
    select
        service,
        release_version,
        max({{ ratio("session_count", "service_session_count") }}) as adoption_peak
    from adoption_days
    where not {{ is_low_sample("service_session_count") }}
    group by service, release_version
),

measured as (
    select
        windows.*,
        issues.new_issue_count,
        issues.new_issue_source,
        issues.regressed_issue_count,
        errors.stored_error_count,
        errors.estimated_error_count,
        errors.squared_error_weights,
        users.stored_affected_user_count,
        window_errors.observed_days,
        window_errors.window_error_count,
        window_errors.effective_error_count,
        window_errors.error_weight,
        window_errors.error_dispersion,
        window_errors.errors_per_day,
        window_errors.errors_per_day_standard_error,
        sessions.session_count,
        sessions.crashed_session_count,
        {{ ratio("sessions.crashed_session_count", "sessions.session_count") }} as crashed_session_share,
        {{ share_variance("sessions.crashed_session_count", "sessions.session_count") }} as session_share_variance,
        sessions.user_day_count,
        sessions.crashed_user_day_count,
        {{ ratio("sessions.crashed_user_day_count", "sessions.user_day_count") }} as crashed_user_day_share,
        {{ share_variance("sessions.crashed_user_day_count", "sessions.user_day_count") }} as user_day_share_variance,
        adoption.adoption_peak
    from windows
    left join issues on windows.project_id = issues.project_id and windows.release_version = issues.release_version
    left join window_errors
        on
            windows.project_id = window_errors.project_id
            and windows.release_version = window_errors.release_version
    left join errors on windows.service = errors.service and windows.release_version = errors.release_version
    left join users on windows.service = users.service and windows.release_version = users.release_version
    left join sessions on windows.service = sessions.service and windows.release_version = sessions.release_version
    left join adoption on windows.service = adoption.service and windows.release_version = adoption.release_version
),

compared as (
    select
        measured.*,
        previous.errors_per_day as previous_errors_per_day,
        previous.window_error_count as previous_window_error_count,
        previous.effective_error_count as previous_effective_error_count,
        {{ joint_dispersion("measured.error_dispersion", "previous.error_dispersion") }} as joint_error_dispersion,
        -- A side without errors has no weight of its own; had it some, they would weigh as on the other.
        {{ ratio("measured.observed_days", "coalesce(measured.error_weight, previous.error_weight)") }}
            as error_exposure,
        {{ ratio("previous.observed_days", "coalesce(previous.error_weight, measured.error_weight)") }}
            as previous_error_exposure,
        coalesce(measured.effective_error_count, 0) + coalesce(previous.effective_error_count, 0)
            as compared_effective_count,
        100 * (previous.crashed_session_share - measured.crashed_session_share)
            as crash_free_session_difference_points,
        100 * sqrt(
            measured.session_share_variance + previous.session_share_variance
        ) as crash_free_session_difference_standard_error,
        100 * (previous.crashed_user_day_share - measured.crashed_user_day_share)
            as crash_free_user_day_difference_points,
        100 * sqrt(
            measured.user_day_share_variance + previous.user_day_share_variance
        ) as crash_free_user_day_difference_standard_error,
        {{ is_low_sample("measured.session_count") }}
        or {{ is_low_sample("previous.session_count") }} as has_few_sessions
    from measured
    left join measured as previous
        on
            measured.project_id = previous.project_id
            and measured.previous_release_version = previous.release_version
),

weighed as (
    select
        *,
        {{ independent_count("window_error_count", "effective_error_count", "joint_error_dispersion") }}
            as independent_error_count,
        {{
            independent_count(
                "previous_window_error_count", "previous_effective_error_count", "joint_error_dispersion"
            )
        }} as previous_independent_error_count
    from compared
),

rated as (
    select
        *,
        {{ ratio("errors_per_day", "previous_errors_per_day") }} as error_rate_ratio,
        {% for bound in [rate_ratio_low, rate_ratio_high] %}
            {{
                bound(
                    "independent_error_count",
                    "error_exposure",
                    "previous_independent_error_count",
                    "previous_error_exposure",
                )
            }} as error_rate_ratio_{{ "low" if loop.first else "high" }},
        {% endfor %}
        1.96 * crash_free_session_difference_standard_error as session_margin_points
    from weighed
),

judged as (
    select
        *,
        {{
            verdict(
                too_few="error_rate_ratio_low is null or " ~ is_low_sample("compared_effective_count"),
                worse="error_rate_ratio_low > " ~ worse_ratio,
                better="error_rate_ratio_high < 1.0 / " ~ worse_ratio,
            )
        }} as error_verdict,
        {{
            verdict(
                too_few="has_few_sessions",
                worse="crash_free_session_difference_points + session_margin_points < -" ~ crash_points,
                better="crash_free_session_difference_points - session_margin_points > " ~ crash_points,
            )
        }} as crash_verdict
    from rated
),

final as (
    select
        service,
        release_version,
        package,
        release_number,
        released_at,
        superseded_at,
        is_latest,
        previous_release_version,
        coalesce(new_issue_count, 0) as new_issue_count,
        new_issue_source,
        sentry_new_issue_count,
        coalesce(regressed_issue_count, 0) as regressed_issue_count,
        coalesce(stored_error_count, 0) as stored_error_count,
        coalesce(estimated_error_count, 0) as estimated_error_count,
        coalesce({{ rounded("sqrt(greatest(squared_error_weights - estimated_error_count, 0))") }}, 0)
            as estimated_error_count_standard_error,
        coalesce(stored_affected_user_count, 0) as stored_affected_user_count,
        {{ rounded("observed_days") }} as observed_days,
        window_error_count as estimated_window_error_count,
        {{ rounded("errors_per_day") }} as errors_per_day,
        {{ rounded("errors_per_day_standard_error") }} as errors_per_day_standard_error,
        {{ rounded("previous_errors_per_day") }} as previous_errors_per_day,
        {{ rounded("error_rate_ratio") }} as error_rate_ratio,
        {{ rounded("error_rate_ratio_low") }} as error_rate_ratio_low,
        {{ rounded("error_rate_ratio_high") }} as error_rate_ratio_high,
        session_count,
        crashed_session_count,
        {{ rounded("1 - crashed_session_share", digits=9) }} as crash_free_session_rate,
        {{ rounded("crash_free_session_difference_points") }} as crash_free_session_difference_points,
        {{ rounded("crash_free_session_difference_standard_error") }} as crash_free_session_difference_standard_error,
        user_day_count,
        crashed_user_day_count,
        {{ rounded("1 - crashed_user_day_share", digits=9) }} as crash_free_user_day_rate,
        {{ rounded("crash_free_user_day_difference_points") }} as crash_free_user_day_difference_points,
        {{ rounded("crash_free_user_day_difference_standard_error") }} as crash_free_user_day_difference_standard_error,
        adoption_peak,
        commit_count,
        author_count,
        deploy_count,
        first_production_deploy_at,
        last_production_deploy_at,
        is_archived,
        error_verdict,
        crash_verdict,
        {{ joint_verdict(["error_verdict", "crash_verdict"]) }} as verdict,
        {{ is_low_sample(ratio("estimated_error_count * estimated_error_count", "squared_error_weights")) }}
            as is_low_sample
    from judged
)

select * from final
