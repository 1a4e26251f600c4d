"""How well the services do and what spoils it: a row of the business dashboard."""

from __future__ import annotations

from orchestrate.monitoring.grafana.asking import OF_SERVICE, OF_SERVICES, days, sql
from orchestrate.monitoring.grafana.model import (
    CRITICAL,
    GOOD,
    NOTICE,
    WARNING,
    Column,
    Kind,
    Panel,
    Query,
    Row,
    State,
    Step,
)

# The marts' verdicts.
_WORSE = "case verdict when 'worse' then 2 when 'better' then 0 else 1 end"
_VERDICTS = (
    State(0, "better", GOOD),
    State(1, "no difference seen", "text"),
    State(2, "worse", CRITICAL),
)


QUALITY = Row(
    "Quality of the services",
    (
        Panel(
            Kind.TIMESERIES,
            "Crash-free sessions",
            "By day and service.",
            sql(
                days(
                    "fct_release_health_daily",
                    "1 - sum(crashed_session_count) / nullif(sum(session_count), 0) as crash_free",
                    "service",
                    OF_SERVICES,
                ),
                "{{service}}",
            ),
            unit="percentunit",
            lowest=None,
            highest=1,
        ),
        Panel(
            Kind.TIMESERIES,
            "Failed requests",
            "Share of the requests, by day and service.",
            sql(
                days(
                    "fct_service_daily",
                    "sum(estimated_error_count) / nullif(sum(estimated_transaction_count), 0)"
                    " as failed",
                    "service",
                    OF_SERVICES,
                ),
                "{{service}}",
            ),
            unit="percentunit",
        ),
        Panel(
            Kind.TIMESERIES,
            "Slow requests",
            "95 % of a day's requests were faster; of the environment with most requests.",
            sql(
                days(
                    "fct_service_daily",
                    "arg_max(p95_duration_seconds, estimated_transaction_count) as p95",
                    "service",
                    OF_SERVICES,
                ),
                "{{service}}",
            ),
            unit="s",
        ),
        Panel(
            Kind.TIMESERIES,
            "Issues opened and closed",
            "New, reopened and resolved issues by day.",
            sql(
                days(
                    "fct_issue_flow_daily",
                    "cast(sum(opened_count) as double) as new, "
                    "cast(sum(reopened_count) as double) as reopened, "
                    "cast(sum(resolved_count) as double) as resolved",
                    where=OF_SERVICES,
                )
            ),
            bars=True,
        ),
        Panel(
            Kind.BARS,
            "Error budgets left",
            "Share of the error budget of 30 days that is left, by service and its environment; "
            "below 0 it is overdrawn.",
            (
                Query(
                    "sort(max by (service, service_environment) "
                    f"(tap_sentry_service_error_budget_remaining_ratio{{{OF_SERVICE}}}))",
                    "{{service}} {{service_environment}}",
                ),
            ),
            unit="percentunit",
            width=8,
            height=12,
            steps=(Step(0, WARNING), Step(0.25, NOTICE), Step(0.5, GOOD)),
            below=CRITICAL,
            highest=1,
            decimals=0,
        ),
        Panel(
            Kind.TABLE,
            "Releases that broke things",
            "The newest releases; those that are worse than the one before first. Worse: errors a "
            "day (times those before) or crash-free sessions (points of per cent), beyond "
            "doubt.",
            sql(
                f"""
select
    service,
    release_version,
    {_WORSE} as verdict,
    new_issue_count,
    regressed_issue_count,
    error_rate_ratio,
    crash_free_session_difference_points,
    released_at
from marts.fct_release_quality
where {OF_SERVICES}
order by verdict desc, released_at desc
limit 15
""".strip()
            ),
            width=16,
            height=12,
            columns=(
                Column("service", "Service"),
                Column("release_version", "Release"),
                Column("verdict", "Verdict", states=_VERDICTS),
                Column("new_issue_count", "New issues", "short"),
                Column("regressed_issue_count", "Regressed", "short"),
                Column("error_rate_ratio", "Errors, times", "none"),
                Column("crash_free_session_difference_points", "Crash-free pts", "none"),
                Column("released_at", "Released", "dateTimeAsIso"),
            ),
            sort="Verdict",
        ),
        Panel(
            Kind.TABLE,
            "Noisy issues",
            "What causes most errors of the last 30 days. All above: share that it and the ones "
            "above it have.",
            sql(
                f"""
select short_id, service, title, status, estimated_error_count_30_days, share_30_days,
    cumulative_share_30_days, user_count
from marts.fct_noisy_issues
where {OF_SERVICES}
order by rank_30_days
limit 15
""".strip()
            ),
            width=14,
            height=11,
            columns=(
                Column("short_id", "Issue"),
                Column("service", "Service"),
                Column("title", "Title"),
                Column("status", "Status"),
                Column("estimated_error_count_30_days", "Errors", "short"),
                Column("share_30_days", "Share", "percentunit"),
                Column("cumulative_share_30_days", "All above", "percentunit"),
                Column("user_count", "Users", "short"),
            ),
            sort="Errors",
        ),
        Panel(
            Kind.TABLE,
            "Slowest queries",
            "Database queries that took most time in the period, all stored calls added up. Worst "
            "p95: of the days, the one on which the slowest 5 % were slowest.",
            sql(
                f"""
select query_text, service, total_seconds, calls, p95_seconds
from (
    select
        query_text,
        service,
        sum(total_seconds) as total_seconds,
        sum(estimated_call_count) as calls,
        max(p95_duration_seconds) as p95_seconds
    from (select *, cast(activity_date as timestamp) as time from marts.fct_queries_daily)
    where {OF_SERVICES} and $__timeFilter(time)
    group by query_text, service
)
order by total_seconds desc
limit 15
""".strip()
            ),
            width=10,
            height=11,
            columns=(
                Column("query_text", "Query"),
                Column("service", "Service"),
                Column("total_seconds", "Time", "s"),
                Column("calls", "Calls", "short"),
                Column("p95_seconds", "Worst p95", "s"),
            ),
            sort="Time",
        ),
    ),
)
