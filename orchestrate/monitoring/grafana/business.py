"""What Sentry tells of the product: quality, releases, engagement, campaigns, revenue, usage.

Numbers with an alert come from Prometheus, histories and lists straight from the marts.
"""

from __future__ import annotations

from orchestrate.monitoring.grafana.asking import OF_SERVICE, OF_SERVICES, days, sql
from orchestrate.monitoring.grafana.model import (
    CRITICAL,
    ENVIRONMENT,
    GOOD,
    HERE,
    NOTICE,
    WARNING,
    Column,
    Dashboard,
    Kind,
    Panel,
    Query,
    Row,
    Step,
    Variable,
)
from orchestrate.monitoring.grafana.quality import QUALITY

_WEEK = f'{OF_SERVICE}, window="7d"'


def _weighted(ratio: str, weight: str) -> str:
    """Mean of a share of all services, by how much each has to do."""
    weights = f"max by (service) (tap_sentry_service_{weight}{{{_WEEK}}})"
    ratios = f"max by (service) (tap_sentry_service_{ratio}{{{_WEEK}}})"
    return f"sum({ratios} * {weights}) / sum({weights} and {ratios})"


def _of_week(metric: str) -> str:
    return f'max(tap_sentry_business_{metric}{{{HERE}, window="7d"}})'


def _change(metric: str) -> str:
    """How much more or less than in the 28 days before, as a share."""
    return f'{_of_week(metric)} / max(tap_sentry_business_{metric}{{{HERE}, window="28d"}}) - 1'


def _number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str = "short",
    steps: tuple[Step, ...] = (),
    below: str = GOOD,
    decimals: int | None = None,
    lowest: float | None = 0,
) -> Panel:
    return Panel(
        Kind.STAT,
        title,
        description,
        (Query(query),),
        unit=unit,
        width=4,
        height=4,
        steps=steps,
        below=below,
        decimals=decimals,
        lowest=lowest,
    )


_NOW = Row(
    "The last 7 complete days",
    (
        _number(
            "Crash-free sessions",
            "Sessions without a crash / all of them, of the services chosen.",
            _weighted("crash_free_sessions_ratio", "sessions"),
            unit="percentunit",
            steps=(Step(0.98, WARNING), Step(0.99, NOTICE), Step(0.995, GOOD)),
            below=CRITICAL,
            decimals=2,
        ),
        _number(
            "Failed requests",
            "Failed requests / requests of the services chosen, estimated from the sample.",
            _weighted("error_ratio", "transactions"),
            unit="percentunit",
            steps=(Step(0.01, NOTICE), Step(0.05, WARNING)),
            decimals=2,
        ),
        _number(
            "New issues a day",
            "Issues seen for the first time, mean.",
            f"sum(max by (service) (tap_sentry_service_daily_new_issues{{{_WEEK}}}))",
            decimals=1,
        ),
        _number(
            "Open issues",
            "Unresolved issues of the services chosen.",
            f"sum(max by (service) (tap_sentry_service_open_issues{{{OF_SERVICE}}}))",
        ),
        _number(
            "Conversion",
            "Purchases / sessions.",
            _of_week("conversion_ratio"),
            unit="percentunit",
            decimals=1,
        ),
        _number(
            "Emails opened",
            "Emails opened / emails sent; an alert below 10 %.",
            _of_week("email_open_ratio"),
            unit="percentunit",
            steps=(Step(0.1, NOTICE), Step(0.2, GOOD)),
            below=WARNING,
            decimals=1,
        ),
        _number(
            "Revenue a day",
            "Mean, in the currency of the events.",
            _of_week("daily_revenue"),
            decimals=0,
        ),
        _number(
            "Revenue: change",
            "Against the 28 days before. The alert also asks whether chance could do it.",
            _change("daily_revenue"),
            unit="percentunit",
            steps=(Step(-0.2, NOTICE), Step(-0.1, GOOD)),
            below=WARNING,
            decimals=0,
            lowest=None,
        ),
        _number(
            "Conversion: change",
            "Against the 28 days before. The alert, from -5 % on, also asks whether chance could "
            "do it.",
            _change("conversion_ratio"),
            unit="percentunit",
            steps=(Step(-0.05, GOOD),),
            below=NOTICE,
            decimals=0,
            lowest=None,
        ),
        _number(
            "Active users a day",
            "Users with any activity, mean.",
            _of_week("daily_active_users"),
            decimals=0,
        ),
        _number(
            "Engagement: change",
            "Engagement points a day, against the 28 days before.",
            _change("daily_engagement_score"),
            unit="percentunit",
            steps=(Step(-0.2, NOTICE), Step(-0.1, GOOD)),
            below=WARNING,
            decimals=0,
            lowest=None,
        ),
        _number(
            "Services that burn",
            "Services, by their own environments, whose error budget burns faster than it may.",
            f"sum(max by (service, service_environment) ("
            f"tap_sentry_service_fast_burn{{{OF_SERVICE}}}"
            f" or tap_sentry_service_slow_burn{{{OF_SERVICE}}}))",
            steps=(Step(1, WARNING),),
        ),
    ),
)

_PRODUCT = Row(
    "Users, campaigns, revenue",
    (
        Panel(
            Kind.TIMESERIES,
            "Revenue",
            "By day, in the currency of the events.",
            sql(days("fct_business_daily", "sum(revenue) as revenue")),
            bars=True,
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Conversion",
            "Purchases / sessions, by day.",
            sql(
                days(
                    "fct_business_daily",
                    "sum(purchase_count) / nullif(sum(session_count), 0) as conversion",
                )
            ),
            unit="percentunit",
            width=8,
        ),
        Panel(
            Kind.TIMESERIES,
            "Engagement",
            "Users with any activity, and those of them who met errors, by day.",
            sql(
                days(
                    "fct_business_daily",
                    "cast(sum(active_user_count) as double) as active, "
                    "cast(sum(stored_affected_user_count) as double) as met_errors",
                )
            ),
            width=8,
        ),
        Panel(
            Kind.TABLE,
            "Campaigns",
            "The last 30 days. Less than 10 % opened is an alert.",
            (
                Query(f"max by (campaign) (tap_sentry_campaign_emails_sent{{{HERE}}})"),
                Query(f"max by (campaign) (tap_sentry_campaign_email_open_ratio{{{HERE}}})"),
                Query(f"max by (campaign) (tap_sentry_campaign_revenue{{{HERE}}})"),
            ),
            height=7,
            columns=(
                Column("campaign", "Campaign"),
                Column("A", "Sent", "short"),
                Column(
                    "B",
                    "Opened",
                    "percentunit",
                    (Step(0.1, NOTICE), Step(0.2, GOOD)),
                    below=WARNING,
                ),
                Column("C", "Revenue", "short"),
            ),
            sort="Opened",
        ),
        Panel(
            Kind.TIMESERIES,
            "Emails",
            "Sent, opened, clicked, by day of sending.",
            sql(
                days(
                    "fct_campaigns_daily",
                    "cast(sum(email_sent_count) as double) as sent, "
                    "cast(sum(email_opened_count) as double) as opened, "
                    "cast(sum(email_clicked_count) as double) as clicked",
                )
            ),
            bars=True,
            height=7,
        ),
    ),
)

_USAGE = Row(
    "Usage and cost",
    (
        Panel(
            Kind.TIMESERIES,
            "Items that Sentry took",
            "By day and category; each may be billed by itself.",
            sql(
                days(
                    "fct_usage_daily",
                    "cast(sum(accepted_quantity) as double) as accepted",
                    "category",
                    OF_SERVICES,
                ),
                "{{category}}",
            ),
            stacked=True,
            bars=True,
        ),
        Panel(
            Kind.TABLE,
            "Usage of the period",
            "What became of the items that the SDKs sent. Cost is what the project's rates "
            "(see fct_usage_daily) make of it; empty without rates.",
            sql(
                f"""
select
    category,
    cast(sum(received_quantity) as double) as received,
    cast(sum(accepted_quantity) as double) as accepted,
    cast(sum(filtered_quantity) as double) as filtered,
    cast(sum(rate_limited_quantity) as double) as rate_limited,
    sum(rate_limited_quantity) / nullif(sum(received_quantity), 0) as refused_share,
    sum(accepted_cost) as cost
from (select *, cast(activity_date as timestamp) as time from marts.fct_usage_daily)
where {OF_SERVICES} and $__timeFilter(time)
group by category
order by accepted desc
""".strip()
            ),
            columns=(
                Column("category", "Category"),
                Column("received", "Received", "short"),
                Column("accepted", "Accepted", "short"),
                Column("filtered", "Filtered", "short"),
                Column("rate_limited", "Refused", "short"),
                Column(
                    "refused_share",
                    "Refused, share",
                    "percentunit",
                    (Step(0.01, WARNING),),
                ),
                Column("cost", "Cost", "short"),
            ),
            sort="Accepted",
        ),
    ),
)

DASHBOARD = Dashboard(
    "business",
    "Sentry data: business",
    "Quality, releases, users, campaigns and revenue. Panels on marts are of the warehouse that "
    "Grafana was given, whatever environment is chosen.",
    "now-30d",
    (
        ENVIRONMENT,
        Variable("service", "Service", "tap_sentry_service_open_issues", many=True),
    ),
    (_NOW, QUALITY, _PRODUCT, _USAGE),
)
