"""What the tap read from Sentry, how long it took and waited, and how much of the quota is left."""

from __future__ import annotations

from orchestrate.monitoring.grafana.model import (
    CRITICAL,
    ENVIRONMENT,
    GOOD,
    HERE,
    NONE_ALLOWED,
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

HOUR = 3600
# As in the alert.
LAG_STEPS = (Step(HOUR, NOTICE), Step(2 * HOUR, WARNING))
# Others follow releases and issues, which may be quiet for long.
_READ_BY_TIME = 'stream!~"issue_detail|release|release_commits|release_deploys"'
_STREAM = f'{HERE}, stream=~"$stream"'


def _by_stream(metric: str) -> str:
    return f"max by (stream) (tap_sentry_stream_{metric}{{{_STREAM}}})"


def _lag(by: str = "max by (stream) ") -> str:
    """Time from the bookmark to now, growing while nothing is read."""
    bookmark = "tap_sentry_stream_bookmark_timestamp_seconds"
    return f"time() - {by}({bookmark}{{{_STREAM}, {_READ_BY_TIME}}})"


_NOW = Row(
    "The last run",
    (
        Panel(
            Kind.STAT,
            "Rows",
            "Rows that the tap wrote.",
            (Query(f"sum({_by_stream('last_rows')})"),),
            width=4,
            height=4,
        ),
        Panel(
            Kind.STAT,
            "Requests",
            "Requests to Sentry, retries among them.",
            (Query(f"sum({_by_stream('last_requests')})"),),
            width=4,
            height=4,
        ),
        Panel(
            Kind.STAT,
            "Greatest lag",
            "How far the bookmark of the slowest stream is behind now. More than 2 h is an alert.",
            (Query(_lag("min")),),
            unit="s",
            width=4,
            height=4,
            steps=LAG_STEPS,
        ),
        Panel(
            Kind.STAT,
            "Parts skipped",
            "Parts of streams, a project or an issue, that Sentry would not give.",
            (Query(f"sum({_by_stream('last_skipped_parts')})"),),
            width=4,
            height=4,
            steps=(Step(1, WARNING),),
        ),
        Panel(
            Kind.STAT,
            "Rows lost",
            "Rows that the tap wrote and the target did not store.",
            (Query(f"sum({_by_stream('last_rows')} - {_by_stream('last_stored_rows')})"),),
            width=4,
            height=4,
            steps=NONE_ALLOWED,
        ),
        Panel(
            Kind.STAT,
            "Quota used",
            "The largest share of a rate limit's window that was used up, by whoever has the "
            "token. Above 90 % all the time, with long waits, it is an alert.",
            (Query(f"max(tap_sentry_api_quota_used_ratio{{{HERE}}})"),),
            unit="percentunit",
            width=4,
            height=4,
            steps=(Step(0.9, NOTICE),),
            highest=1,
            decimals=0,
        ),
        Panel(
            Kind.TABLE,
            "Streams",
            "The last run, stream by stream. Lag: how far the bookmark is behind now; empty for "
            "streams that are not read by their own time. Read: time since it was read to its end.",
            (
                Query(_by_stream("last_rows")),
                Query(_by_stream("last_stored_rows")),
                Query(_by_stream("last_requests")),
                Query(_by_stream("last_duration_seconds")),
                Query(_lag()),
                Query(f"time() - {_by_stream('last_success_timestamp_seconds')}"),
                Query(_by_stream("last_skipped_parts")),
            ),
            width=14,
            height=13,
            columns=(
                Column("stream", "Stream"),
                Column("A", "Written", "short"),
                Column("B", "Stored", "short"),
                Column("C", "Requests", "short"),
                Column("D", "Time", "s"),
                Column("E", "Lag", "s", LAG_STEPS),
                Column("F", "Read", "s"),
                Column("G", "Skipped", "short", (Step(1, WARNING),)),
            ),
            sort="Written",
        ),
        Panel(
            Kind.TABLE,
            "Plan against reality",
            "Streams whose rows are counted before they are fetched. More rows than planned came "
            "while the run went on.",
            (
                Query(_by_stream("last_planned_rows")),
                Query(f"{_by_stream('last_rows')} and {_by_stream('last_planned_rows')}"),
                Query(_by_stream("last_planned_requests")),
                Query(f"{_by_stream('last_requests')} and {_by_stream('last_planned_rows')}"),
            ),
            width=10,
            height=5,
            columns=(
                Column("stream", "Stream"),
                Column("A", "Rows planned", "short"),
                Column("B", "Rows", "short"),
                Column("C", "Requests planned", "short"),
                Column("D", "Requests", "short"),
            ),
            sort="Rows",
        ),
        Panel(
            Kind.BARS,
            "Quota used by endpoint",
            "The largest share of a window used up in the last run, by kind of endpoint; Sentry "
            "counts each by itself.",
            (
                Query(
                    f"max by (endpoint) (tap_sentry_api_quota_used_ratio{{{HERE}}})",
                    "{{endpoint}}",
                ),
            ),
            unit="percentunit",
            width=10,
            height=8,
            steps=(Step(0.9, NOTICE),),
            highest=1,
            decimals=0,
        ),
    ),
)

_TIME = Row(
    "Over time",
    (
        Panel(
            Kind.TIMESERIES,
            "Rows by stream",
            "Rows that the tap wrote in the last run.",
            (Query(_by_stream("last_rows"), "{{stream}}"),),
            stacked=True,
        ),
        Panel(
            Kind.TIMESERIES,
            "Lag of the bookmarks",
            "How far the bookmark of each stream is behind now. A line that only climbs belongs to "
            "a stream whose state does not move.",
            (Query(_lag(), "{{stream}}"),),
            unit="s",
            steps=LAG_STEPS,
        ),
        Panel(
            Kind.TIMESERIES,
            "Requests by endpoint",
            "Requests in each hour, retries among them.",
            (
                Query(
                    f"max by (endpoint) (increase(tap_sentry_api_requests_total{{{HERE}}}[1h]))",
                    "{{endpoint}}",
                ),
            ),
            stacked=True,
            bars=True,
            least_step="1h",
            decimals=0,
        ),
        Panel(
            Kind.TIMESERIES,
            "Time held back by limits",
            "Waits before requests in each hour: for a limit of Sentry's, or for the own rate.",
            (
                Query(
                    "max by (endpoint) "
                    f"(increase(tap_sentry_api_wait_seconds_total{{{HERE}}}[1h]))",
                    "{{endpoint}}",
                ),
            ),
            unit="s",
            stacked=True,
            bars=True,
            least_step="1h",
        ),
        Panel(
            Kind.TIMESERIES,
            "Retries",
            "Share of the requests of a day that had to be asked again.",
            (
                Query(
                    "max by (endpoint) "
                    f"(increase(tap_sentry_api_retries_total{{{HERE}}}[1d]))"
                    " / clamp_min(max by (endpoint) "
                    f"(increase(tap_sentry_api_requests_total{{{HERE}}}[1d])), 1)",
                    "{{endpoint}}",
                ),
            ),
            unit="percentunit",
            steps=(Step(0.1, WARNING),),
        ),
        Panel(
            Kind.TIMESERIES,
            "Time to an answer",
            "Mean time from a request to its answer, of the requests of a day.",
            (
                Query(
                    "max by (endpoint) "
                    f"(increase(tap_sentry_api_answering_seconds_total{{{HERE}}}[1d]))"
                    " / clamp_min(max by (endpoint) "
                    f"(increase(tap_sentry_api_requests_total{{{HERE}}}[1d])), 1)",
                    "{{endpoint}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            Kind.BARS,
            "Completeness by category",
            "Rows that we have / rows that Sentry says it took, of the last 7 closed days.",
            (
                Query(
                    f"max by (category) (tap_sentry_completeness_ratio{{{HERE}}})", "{{category}}"
                ),
            ),
            unit="percentunit",
            height=6,
            steps=(Step(0.95, WARNING), Step(0.99, GOOD)),
            below=CRITICAL,
            highest=1,
            decimals=1,
        ),
        Panel(
            Kind.BARS,
            "Refused by Sentry for want of quota",
            "Items of the projects that Sentry refused / items that it received, of the last 7 "
            "complete days; more than 1 % is an alert. What it refuses no tap can read.",
            (
                Query(
                    f"max by (category) (tap_sentry_usage_rate_limited_ratio{{{HERE}}})",
                    "{{category}}",
                ),
            ),
            unit="percentunit",
            height=6,
            steps=(Step(0.01, WARNING),),
            highest=1,
            decimals=1,
        ),
    ),
)

DASHBOARD = Dashboard(
    "tap",
    "Sentry data: tap and quota",
    "What was read from Sentry, and at what price.",
    "now-24h",
    (ENVIRONMENT, Variable("stream", "Stream", "tap_sentry_stream_last_rows", many=True)),
    (_NOW, _TIME),
)
