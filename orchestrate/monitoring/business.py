"""What the marts tell of the business and its services, over windows of whole days.

The label `window` is `1d`, the newest day that is over; `7d`, the seven days that end with it; or
`28d`, the 28 days before those seven, which the others are held against.
"""

from __future__ import annotations

from orchestrate.monitoring.model import Kind, Metric, Query


def _windows(mart: str) -> str:
    """Every day of each window, as `activity_date` and `name`; none before the mart's first.

    A window of which the mart has less than half is left out: a rule takes it for a whole one.
    """
    return f"""
    span as (
        select min(activity_date) as first_day, max(activity_date) - 1 as last_day
        from marts.{mart}
    ),
    windows(name, first_ago, last_ago) as (values ('1d', 0, 0), ('7d', 6, 0), ('28d', 34, 7)),
    days as (
        select windows.name, cast(listed.day as date) as activity_date
        from span, windows, lateral (
            select unnest(generate_series(
                greatest(span.first_day, span.last_day - windows.first_ago),
                span.last_day - windows.last_ago,
                interval 1 day
            )) as day
        ) as listed
        where span.first_day <= span.last_day - (windows.first_ago + windows.last_ago + 1) // 2
    )"""


# What is asked, by the mart that answers.
QUERIES: dict[str, tuple[Query, ...]] = {
    "fct_business_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "window"),
            (
                Metric("business_sessions", "Sessions of the window."),
                Metric("business_purchases", "Purchases of the window."),
                Metric("business_conversion_ratio", "Purchases / sessions."),
                Metric("business_daily_revenue", "Revenue a day, mean, in the currency of events."),
                Metric("business_daily_revenue_stddev", "How much it differs from day to day."),
                Metric("business_daily_active_users", "Users a day with any activity, mean."),
                Metric("business_daily_engagement_score", "Engagement points a day, mean."),
                Metric("business_daily_engagement_score_stddev", "How much they differ by day."),
                Metric("business_emails_sent", "Emails sent in the window."),
                Metric("business_email_open_ratio", "Emails opened / emails sent."),
            ),
            f"""
            with {_windows("fct_business_daily")},
            daily as (
                select
                    days.name,
                    days.activity_date,
                    coalesce(sum(session_count), 0) as sessions,
                    coalesce(sum(purchase_count), 0) as purchases,
                    coalesce(sum(revenue), 0) as revenue,
                    coalesce(sum(active_user_count), 0) as active_users,
                    coalesce(sum(engagement_score), 0) as score,
                    coalesce(sum(email_sent_count), 0) as sent,
                    coalesce(sum(email_opened_count), 0) as opened
                from days left join marts.fct_business_daily using (activity_date)
                group by days.name, days.activity_date
            )
            select
                name,
                sum(sessions),
                sum(purchases),
                sum(purchases) / nullif(sum(sessions), 0),
                avg(revenue),
                stddev_samp(revenue),
                avg(active_users),
                avg(score),
                stddev_samp(score),
                sum(sent),
                sum(opened) / nullif(sum(sent), 0)
            from daily
            group by name
            """,
        ),
    ),
    "fct_campaigns_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "campaign"),
            (
                Metric("campaign_emails_sent", "Emails of a campaign, of the last 30 days."),
                Metric("campaign_email_open_ratio", "Those opened / those sent."),
                Metric("campaign_revenue", "Revenue of a campaign, of the last 30 days."),
            ),
            """
            select
                campaign,
                sum(email_sent_count),
                sum(email_opened_count) / sum(email_sent_count),
                sum(revenue)
            from marts.fct_campaigns_daily
            where activity_date > (select max(activity_date) from marts.fct_business_daily) - 30
            group by campaign
            having sum(email_sent_count) > 0
            """,
        ),
    ),
    "fct_release_health_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "service", "window"),
            (
                Metric("service_sessions", "Sessions that reported their health."),
                Metric("service_crash_free_sessions_ratio", "Those without a crash / all of them."),
            ),
            f"""
            with {_windows("fct_release_health_daily")}
            select
                service,
                name,
                sum(session_count),
                1 - sum(crashed_session_count) / nullif(sum(session_count), 0)
            from days inner join marts.fct_release_health_daily using (activity_date)
            group by service, name
            """,
        ),
    ),
    "fct_service_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "service", "window"),
            (
                Metric("service_transactions", "Requests of the window, estimated."),
                Metric("service_stored_transactions", "Those stored, of which it is estimated."),
                Metric("service_error_ratio", "Failed requests / requests."),
            ),
            f"""
            with {_windows("fct_service_daily")}
            select
                service,
                name,
                sum(estimated_transaction_count),
                sum(stored_transaction_count),
                sum(estimated_error_count) / nullif(sum(estimated_transaction_count), 0)
            from days inner join marts.fct_service_daily using (activity_date)
            group by service, name
            """,
        ),
    ),
    "fct_issue_flow_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "service", "window"),
            (Metric("service_daily_new_issues", "Issues a day seen for the first time, mean."),),
            f"""
            with {_windows("fct_issue_flow_daily")}
            select
                service,
                name,
                sum(opened_count) / (select count(*) from days as own where own.name = days.name)
            from days inner join marts.fct_issue_flow_daily using (activity_date)
            group by service, name
            """,
        ),
        Query(
            Kind.GAUGE,
            ("environment", "service"),
            (Metric("service_open_issues", "Issues that are unresolved."),),
            """
            select service, arg_max(open_at_end_count, activity_date)
            from marts.fct_issue_flow_daily
            group by service
            """,
        ),
    ),
    "fct_service_slo": (
        Query(
            Kind.GAUGE,
            ("environment", "service", "service_environment"),
            (
                Metric(
                    "service_error_budget_remaining_ratio",
                    "Share of the error budget of 30 days that is left; below 0 it is overdrawn.",
                ),
                Metric("service_fast_burn", "1 if it burns so fast that somebody must act."),
                Metric("service_slow_burn", "1 if it burns faster than it may for hours."),
            ),
            """
            select
                service,
                environment,
                arg_max(remaining_error_budget_share_30d, hour_started_at),
                max(coalesce(is_current and is_fast_burn, false)::int),
                max(coalesce(is_current and is_slow_burn, false)::int)
            from marts.fct_service_slo
            group by service, environment
            """,
        ),
    ),
}
