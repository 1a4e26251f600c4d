"""What the published copy of the warehouse tells of the data: freshness, completeness, usage.

A sample's first label is the environment; the queries have the others.
"""

from __future__ import annotations

from orchestrate.monitoring.model import Kind, Metric, Query

# What is asked, by the mart that answers.
QUERIES: dict[str, tuple[Query, ...]] = {
    "fct_stream_freshness": (
        Query(
            Kind.GAUGE,
            ("environment", "stream"),
            (
                Metric(
                    "source_loaded_timestamp_seconds",
                    "When the newest published row of a stream was read.",
                ),
                Metric(
                    "source_newest_timestamp_seconds",
                    "When the newest published row of a stream happened.",
                ),
            ),
            """
            select stream_name, epoch(newest_loaded_at), epoch(newest_event_at)
            from marts.fct_stream_freshness
            where is_loaded
            """,
        ),
    ),
    "fct_tap_completeness": (
        Query(
            Kind.GAUGE,
            ("environment", "category"),
            (
                Metric(
                    "completeness_ratio",
                    "Rows that we have / rows that Sentry says it took, of the last 7 closed days.",
                ),
                Metric(
                    "completeness_shortfalls",
                    "Pairs of a project and one of these days for which rows are missing.",
                ),
            ),
            """
            with closed as (
                select * from marts.fct_tap_completeness
                where status in ('complete', 'short', 'over')
            )
            select
                category,
                sum(estimated_count) / nullif(sum(accepted_quantity), 0),
                count(*) filter (where status = 'short')
            from closed
            where activity_date > (select max(activity_date) from closed) - 7
            group by category
            """,
        ),
    ),
    "fct_usage_daily": (
        Query(
            Kind.GAUGE,
            ("environment", "category"),
            (
                Metric(
                    "usage_daily_accepted",
                    "Items a day that Sentry took, mean of the last 7 complete days.",
                ),
                Metric(
                    "usage_rate_limited_ratio",
                    "Items refused for want of quota / items received, of the same days.",
                ),
            ),
            """
            with complete as (select * from marts.fct_usage_daily where is_complete)
            select
                category,
                sum(accepted_quantity) / (
                    select least(7, max(activity_date) - min(activity_date) + 1) from complete
                ),
                sum(rate_limited_quantity) / nullif(sum(received_quantity), 0)
            from complete
            where activity_date > (select max(activity_date) from complete) - 7
            group by category
            """,
        ),
    ),
}
