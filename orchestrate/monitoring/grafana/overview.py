"""Is everything well? To be answered in ten seconds, by the colours of the first two lines."""

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
    State,
    Step,
)

HOUR, DAY = 3600, 86_400
# As in the alerts: the objective is 2 h; more than 6 h warns, more than 24 h is critical.
AGE_STEPS = (Step(2 * HOUR, NOTICE), Step(6 * HOUR, WARNING), Step(DAY, CRITICAL))
OUTCOMES = (State(0, "failed", CRITICAL), State(1, "succeeded", GOOD))

_LOADED = f"max(tap_sentry_source_loaded_timestamp_seconds{{{HERE}}})"
_LAST_OK = f'min by (pipeline) (tap_sentry_last_run_result{{{HERE}, result="success"}})'
# Recorded by alerts/slo.yml.
_LATE = "environment:tap_sentry_data_late"
_BUDGET = 0.01
_BUDGET_MINUTES = 30 * 24 * 60 * _BUDGET


def _firing(severity: str = ".+") -> str:
    """Alerts of this environment, and of the host, which have none."""
    return (
        'ALERTS{alertname=~"TapSentry.*", alertstate="firing", '
        f'severity=~"{severity}", environment=~"$environment|"}}'
    )


_HEALTH = Row(
    "Is everything well?",
    (
        Panel(
            Kind.STAT,
            "Age of the data",
            "Time since the newest published row was read. The objective is at most 2 h; from 6 h "
            "on it is an alert, from 24 h on a critical one.",
            (Query(f"time() - {_LOADED}"),),
            unit="s",
            width=4,
            height=4,
            steps=AGE_STEPS,
            more="dbt",
        ),
        Panel(
            Kind.STAT,
            "Last run",
            "How the last run of every pipeline ended; failed if one of them did.",
            (Query(f"min({_LAST_OK})"),),
            unit="none",
            width=4,
            height=4,
            states=OUTCOMES,
        ),
        Panel(
            Kind.STAT,
            "Failing tests",
            "Tests of dbt that failed when they last ran.",
            (Query(f"sum(max by (test) (tap_sentry_dbt_test_failed{{{HERE}}}))"),),
            width=4,
            height=4,
            steps=NONE_ALLOWED,
            more="dbt",
        ),
        Panel(
            Kind.STAT,
            "Models not built",
            "Models that failed or were left out when dbt last had them to build.",
            (
                Query(
                    f"sum(max by (model) (tap_sentry_dbt_model_failed{{{HERE}}}))"
                    f" + sum(max by (model) (tap_sentry_dbt_model_skipped{{{HERE}}}))"
                ),
            ),
            width=4,
            height=4,
            steps=NONE_ALLOWED,
            more="dbt",
        ),
        Panel(
            Kind.STAT,
            "Critical alerts",
            "What fires now and needs somebody at once, of this environment and of the host.",
            (Query(f"count({_firing('critical')}) or vector(0)"),),
            width=4,
            height=4,
            steps=NONE_ALLOWED,
        ),
        Panel(
            Kind.STAT,
            "Warnings",
            "What fires now and can wait for the working day, of this environment and of the host.",
            (Query(f"count({_firing('warning')}) or vector(0)"),),
            width=4,
            height=4,
            steps=(Step(1, WARNING),),
        ),
        Panel(
            Kind.STAT,
            "Error budget left",
            "Of the objective that the data is at most 2 h old for 99 % of 30 days: the share of "
            "the allowed 7.2 h that is not used up. Minutes without metrics count as good.",
            (
                Query(
                    f"1 - max(sum_over_time({_LATE}:bool{{{HERE}}}[30d])) / {_BUDGET_MINUTES:.0f}"
                ),
            ),
            unit="percentunit",
            width=4,
            height=4,
            steps=(Step(0, WARNING), Step(0.25, NOTICE), Step(0.5, GOOD)),
            below=CRITICAL,
            lowest=None,
            decimals=0,
            when_empty="no promise yet",
        ),
        Panel(
            Kind.STAT,
            "Next run",
            "Time until the next run of a schedule is due; negative while it is late. Half an hour "
            "late is an alert. Empty where no scheduled job has run yet.",
            (Query(f"min(tap_sentry_schedule_due_timestamp_seconds{{{HERE}}}) - time()"),),
            unit="s",
            width=4,
            height=4,
            steps=(Step(-HOUR / 2, NOTICE), Step(0, GOOD)),
            below=CRITICAL,
            lowest=None,
            when_empty="not scheduled",
        ),
        Panel(
            Kind.STAT,
            "Time of the last run",
            "How long the last run that is over took; of several pipelines the longest.",
            (Query(f"max(tap_sentry_last_run_duration_seconds{{{HERE}}})"),),
            unit="s",
            width=4,
            height=4,
        ),
        Panel(
            Kind.STAT,
            "Rows lost",
            "Rows that the tap wrote and the target did not store, since the ledger began.",
            (
                Query(
                    f"sum(max by (stream) (tap_sentry_stream_rows_total{{{HERE}}})"
                    f" - max by (stream) (tap_sentry_stream_stored_rows_total{{{HERE}}}))"
                ),
            ),
            width=4,
            height=4,
            steps=NONE_ALLOWED,
            more="tap",
        ),
        Panel(
            Kind.STAT,
            "Completeness",
            "Rows that we have / rows that Sentry says it took, of the last 7 closed days; the "
            "worst category. Missing rows of any day are an alert.",
            (Query(f"min(tap_sentry_completeness_ratio{{{HERE}}})"),),
            unit="percentunit",
            width=4,
            height=4,
            steps=(Step(0.95, WARNING), Step(0.99, GOOD)),
            below=CRITICAL,
            decimals=1,
        ),
        Panel(
            Kind.STAT,
            "Age of the metrics",
            "Time since these metrics were written. Half an hour is an alert: then everything else "
            "on this page is old.",
            (Query("time() - max(tap_sentry_metrics_timestamp_seconds)"),),
            unit="s",
            width=4,
            height=4,
            steps=(Step(HOUR / 4, NOTICE), Step(HOUR / 2, CRITICAL)),
            more="system",
        ),
    ),
)

_COURSE = Row(
    "How it came to this",
    (
        Panel(
            Kind.STATES,
            "Runs",
            "How the last run stood at each moment, by pipeline.",
            (Query(_LAST_OK, "{{pipeline}}"),),
            unit="none",
            height=5,
            states=OUTCOMES,
        ),
        Panel(
            Kind.TABLE,
            "Firing alerts",
            "What fires now. TapSentryWatchdog always does: where it is missing, nobody evaluates "
            "the rules.",
            (Query(f"max by (alertname, severity) ({_firing()})"),),
            height=5,
            columns=(Column("alertname", "Alert"), Column("severity", "Severity")),
            ascending=True,
            sort="Severity",
            when_empty="No rule fires, not even the watchdog: are the rules loaded?",
        ),
        Panel(
            Kind.TIMESERIES,
            "Age of the data",
            "Saw teeth are healthy: each run takes the age back. The lines are the objective and "
            "the two alerts.",
            (Query(f"time() - {_LOADED}", "newest row"),),
            unit="s",
            steps=AGE_STEPS,
        ),
        Panel(
            Kind.TIMESERIES,
            "Burn rate of the freshness objective",
            "How many times faster than allowed the error budget is used up, by window. An alert: "
            "14.4 over 1 h, 6 over 6 h, 3 over a day, 1 over three days.",
            tuple(
                Query(f"max({_LATE}:ratio{window}{{{HERE}}}) / {_BUDGET}", window)
                for window in ("1h", "6h", "1d", "3d")
            ),
            when_empty="Nothing is promised of an environment that ran once.",
            unit="none",
            steps=(Step(1, NOTICE), Step(6, WARNING), Step(14.4, CRITICAL)),
        ),
        Panel(
            Kind.TIMESERIES,
            "Time of runs and of their steps",
            "How long the last run took, and what of that was extraction and what dbt.",
            (
                Query(f"max by (pipeline) (tap_sentry_last_run_duration_seconds{{{HERE}}})", "run"),
                Query(
                    f"max by (step) (tap_sentry_last_step_duration_seconds{{{HERE}}})", "{{step}}"
                ),
            ),
            unit="s",
        ),
        Panel(
            Kind.TIMESERIES,
            "Rows of the last run",
            "What the tap wrote and the target stored; the two lines lie on each other as long as "
            "nothing is lost.",
            (
                Query(f"sum(max by (stream) (tap_sentry_stream_last_rows{{{HERE}}}))", "written"),
                Query(
                    f"sum(max by (stream) (tap_sentry_stream_last_stored_rows{{{HERE}}}))",
                    "stored",
                ),
            ),
        ),
        Panel(
            Kind.TIMESERIES,
            "Runs by result",
            "Runs that ended in each hour.",
            (
                Query(
                    "sum by (result) (max by (pipeline, result) "
                    f"(increase(tap_sentry_runs_total{{{HERE}}}[1h])))",
                    "{{result}}",
                ),
            ),
            stacked=True,
            bars=True,
            least_step="1h",
            decimals=0,
        ),
        Panel(
            Kind.TIMESERIES,
            "Failing tests and models not built",
            "After each run.",
            (
                Query(f"sum(max by (test) (tap_sentry_dbt_test_failed{{{HERE}}}))", "tests failed"),
                Query(f"sum(max by (test) (tap_sentry_dbt_test_warned{{{HERE}}}))", "tests warned"),
                Query(
                    f"sum(max by (model) (tap_sentry_dbt_model_failed{{{HERE}}}))", "models failed"
                ),
                Query(
                    f"sum(max by (model) (tap_sentry_dbt_model_skipped{{{HERE}}}))",
                    "models skipped",
                ),
            ),
            decimals=0,
        ),
    ),
)

DASHBOARD = Dashboard(
    "overview",
    "Sentry data: overview",
    "Is the pipeline from Sentry to the marts well?",
    "now-24h",
    (ENVIRONMENT,),
    (_HEALTH, _COURSE),
)
