-- What happened to errors, failures, latency and crashes in the hours after each deploy?
{{ config(meta={"time_column": "deployed_at"}) }}

{% set worse_z = var("deploy_impact_z") %}
{% set worse_error_ratio = var("release_worse_error_ratio") %}
{% set worse_duration_ratio = var("deploy_worse_duration_ratio") %}
{% set failure_points = var("deploy_failure_points") %}
{% set crash_points = var("release_crash_free_points") %}

with deploys as (
    select * from {{ ref("int_release_deploys") }}
),

sides as (
    select * from {{ ref("int_release_deploy_sides") }}
),

issues as (
    select
        project_id,
        first_seen_at
    from {{ ref("stg_sentry__issues") }}
),

health as (
    select
        service,
        environment,
        activity_date,
        cast(sum(session_count) as bigint) as session_count,
        cast(sum(crashed_session_count) as bigint) as crashed_session_count
    from {{ ref("fct_release_health_daily") }}
    group by service, environment, activity_date
),

new_issues as (
    select
        deploys.service,
        deploys.release_version,
        deploys.deploy_id,
        count(*) as new_issue_count
    from deploys
    inner join issues
        on
            deploys.project_id = issues.project_id
            and deploys.deployed_at <= issues.first_seen_at
            and deploys.after_until > issues.first_seen_at
    group by deploys.service, deploys.release_version, deploys.deploy_id
),

measured as (
    select
        deploys.service,
        deploys.release_version,
        deploys.deploy_id,
        deploys.environment,
        deploys.deployed_at,
        deploys.previous_deployed_at,
        deploys.next_deployed_at,
        {% for side in ["before", "after"] %}
            {{ side }}.error_hours as error_hours_{{ side }},
            {{ side }}.error_count as error_count_{{ side }},
            {{ side }}.effective_error_count as effective_error_count_{{ side }},
            {{ side }}.error_weight as error_weight_{{ side }},
            {{ side }}.errors_per_hour as errors_per_hour_{{ side }},
            {{ side }}.errors_per_hour_standard_error as errors_per_hour_{{ side }}_standard_error,
            {{ side }}.transaction_count as transaction_count_{{ side }},
            {{ side }}.failed_count as failed_count_{{ side }},
            {{ side }}.effective_transaction_count as effective_transaction_count_{{ side }},
            {{ side }}.failure_rate as failure_rate_{{ side }},
            {{ side }}.failure_rate_standard_error as failure_rate_{{ side }}_standard_error,
            {{ side }}.mean_log_duration as mean_log_duration_{{ side }},
            {{ side }}.mean_log_duration_standard_error as mean_log_duration_{{ side }}_standard_error,
            health_{{ side }}.session_count as session_count_{{ side }},
            health_{{ side }}.crashed_session_count as crashed_session_count_{{ side }},
            {{ ratio("health_" ~ side ~ ".crashed_session_count", "health_" ~ side ~ ".session_count") }}
                as crashed_share_{{ side }},
        {% endfor %}
        {{ joint_dispersion("before.error_dispersion", "after.error_dispersion") }} as error_dispersion,
        coalesce(new_issues.new_issue_count, 0) as new_issue_count
    from deploys
    {% for side in ["before", "after"] %}
        inner join sides as {{ side }}
            on
                deploys.service = {{ side }}.service
                and deploys.release_version = {{ side }}.release_version
                and deploys.deploy_id = {{ side }}.deploy_id
                and {{ side }}.side = '{{ side }}'
    {% endfor %}
    left join new_issues
        on
            deploys.service = new_issues.service
            and deploys.release_version = new_issues.release_version
            and deploys.deploy_id = new_issues.deploy_id
    -- Sessions come by day: that before the deploy's and that after it, where no other deploy mixes in.
    {% for side, sign, neighbour, off in [("before", "-", "previous", "<"), ("after", "+", "next", ">")] %}
        left join health as health_{{ side }}
            on
                deploys.service = health_{{ side }}.service
                and deploys.environment = health_{{ side }}.environment
                and cast(deploys.deployed_at as date) {{ sign }} 1 = health_{{ side }}.activity_date
                and (
                    deploys.{{ neighbour }}_deployed_at is null
                    or cast(deploys.{{ neighbour }}_deployed_at as date) {{ off }} health_{{ side }}.activity_date
                )
    {% endfor %}
),

-- A side without errors has no weight of its own; had it some, they would weigh as on the other.
weighed as (
    select
        *,
        {% for side, other in [("before", "after"), ("after", "before")] %}
            {{
                independent_count(
                    "error_count_" ~ side, "effective_error_count_" ~ side, "error_dispersion"
                )
            }} as independent_error_count_{{ side }},
            {{ ratio("error_hours_" ~ side, "coalesce(error_weight_" ~ side ~ ", error_weight_" ~ other ~ ")") }}
                as error_exposure_{{ side }},
        {% endfor %}
        coalesce(effective_error_count_before, 0) + coalesce(effective_error_count_after, 0) as compared_error_count
    from measured
),

compared as (
    select
        *,
        {{ ratio("errors_per_hour_after", "errors_per_hour_before") }} as error_ratio,
        100 * (failure_rate_after - failure_rate_before) as failure_rate_difference_points,
        exp(mean_log_duration_after - mean_log_duration_before) as duration_ratio,
        100 * (crashed_share_before - crashed_share_after) as crash_free_session_difference_points,
        {% for bound in [rate_ratio_low, rate_ratio_high] %}
            {{
                bound(
                    "independent_error_count_after",
                    "error_exposure_after",
                    "independent_error_count_before",
                    "error_exposure_before",
                )
            }} as error_ratio_{{ "low" if loop.first else "high" }},
        {% endfor %}
        {% for measure in ["failure_rate", "mean_log_duration"] %}
            {{
                z(
                    measure ~ "_after - " ~ measure ~ "_before",
                    "power(" ~ measure ~ "_before_standard_error, 2)",
                    "power(" ~ measure ~ "_after_standard_error, 2)",
                )
            }} as {{ measure }}_z,
        {% endfor %}
        {{
            z(
                "crashed_share_before - crashed_share_after",
                share_variance("crashed_session_count_before", "session_count_before"),
                share_variance("crashed_session_count_after", "session_count_after"),
            )
        }} as crash_free_session_z,
        {{ is_low_sample("effective_transaction_count_before") }}
        or {{ is_low_sample("effective_transaction_count_after") }} as is_low_sample
    from weighed
),

judged as (
    select
        *,
        {{
            verdict(
                too_few="error_ratio_low is null or " ~ is_low_sample("compared_error_count"),
                worse="error_ratio_low > " ~ worse_error_ratio,
                better="error_ratio_high < 1.0 / " ~ worse_error_ratio,
            )
        }} as error_verdict,
        {{
            verdict(
                too_few="is_low_sample",
                worse="failure_rate_z >= " ~ worse_z ~ " and failure_rate_difference_points >= " ~ failure_points,
                better="failure_rate_z <= -" ~ worse_z ~ " and failure_rate_difference_points <= -" ~ failure_points,
            )
        }} as failure_verdict,
        {{
            verdict(
                too_few="is_low_sample or mean_log_duration_z is null",
                worse="mean_log_duration_z >= " ~ worse_z ~ " and duration_ratio >= " ~ worse_duration_ratio,
                better="mean_log_duration_z <= -" ~ worse_z ~ " and duration_ratio <= 1.0 / " ~ worse_duration_ratio,
            )
        }} as duration_verdict,
        {{
            verdict(
                too_few=is_low_sample("session_count_before") ~ " or " ~ is_low_sample("session_count_after"),
                worse="crash_free_session_z <= -" ~ worse_z
                ~ " and crash_free_session_difference_points <= -" ~ crash_points,
                better="crash_free_session_z >= " ~ worse_z
                ~ " and crash_free_session_difference_points >= " ~ crash_points,
            )
        }} as crash_verdict
    from compared
),

final as (
    select
        service,
        release_version,
        deploy_id,
        environment,
        deployed_at,
        previous_deployed_at,
        next_deployed_at,
        error_hours_before,
        error_hours_after,
        error_count_before as estimated_error_count_before,
        error_count_after as estimated_error_count_after,
        {{ rounded("errors_per_hour_before") }} as errors_per_hour_before,
        {{ rounded("errors_per_hour_before_standard_error") }} as errors_per_hour_before_standard_error,
        {{ rounded("errors_per_hour_after") }} as errors_per_hour_after,
        {{ rounded("errors_per_hour_after_standard_error") }} as errors_per_hour_after_standard_error,
        {{ rounded("error_ratio") }} as error_ratio,
        {{ rounded("error_ratio_low") }} as error_ratio_low,
        {{ rounded("error_ratio_high") }} as error_ratio_high,
        transaction_count_before as estimated_transaction_count_before,
        transaction_count_after as estimated_transaction_count_after,
        failed_count_before as estimated_failed_count_before,
        failed_count_after as estimated_failed_count_after,
        failure_rate_before,
        {{ rounded("failure_rate_before_standard_error") }} as failure_rate_before_standard_error,
        failure_rate_after,
        {{ rounded("failure_rate_after_standard_error") }} as failure_rate_after_standard_error,
        {{ rounded("failure_rate_difference_points") }} as failure_rate_difference_points,
        {{ rounded("failure_rate_z") }} as failure_rate_z,
        {{ rounded("exp(mean_log_duration_before)") }} as geometric_mean_seconds_before,
        {{ rounded("exp(mean_log_duration_after)") }} as geometric_mean_seconds_after,
        {{ rounded("duration_ratio") }} as duration_ratio,
        {{ rounded("mean_log_duration_z") }} as duration_z,
        new_issue_count,
        session_count_before,
        crashed_session_count_before,
        session_count_after,
        crashed_session_count_after,
        1 - crashed_share_before as crash_free_session_rate_before,
        1 - crashed_share_after as crash_free_session_rate_after,
        {{ rounded("crash_free_session_difference_points") }} as crash_free_session_difference_points,
        {{ rounded("crash_free_session_z") }} as crash_free_session_z,
        error_verdict,
        failure_verdict,
        duration_verdict,
        crash_verdict,
        {{ joint_verdict(["error_verdict", "failure_verdict", "duration_verdict", "crash_verdict"]) }} as verdict,
        is_low_sample
    from judged
)

select * from final
