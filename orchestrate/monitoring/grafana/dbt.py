"""How dbt's models and tests fare, and how old what they read and make is."""

from __future__ import annotations

from orchestrate.monitoring.grafana.model import (
    CRITICAL,
    ENVIRONMENT,
    GOOD,
    HERE,
    NONE_ALLOWED,
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

VERDICTS = (State(0, "fresh", GOOD), State(1, "too old", CRITICAL))


_DURATION = f"tap_sentry_dbt_model_last_duration_seconds{{{HERE}}}"
_TABLES = f'tap_sentry_table_rows{{{HERE}, schema="marts"}}'


def _models(metric: str) -> str:
    return f"max by (model) (tap_sentry_dbt_model_{metric}{{{HERE}}})"


def _tests(metric: str) -> str:
    return f"max by (test) (tap_sentry_dbt_test_{metric}{{{HERE}}})"


def _streams(metric: str) -> str:
    return f"max by (stream) (tap_sentry_source_{metric}{{{HERE}}})"


def _count(title: str, description: str, query: str, steps: tuple[Step, ...] = ()) -> Panel:
    return Panel(
        Kind.STAT, title, description, (Query(query),), width=4, height=4, steps=steps, decimals=0
    )


_NOW = Row(
    "Now",
    (
        _count(
            "Models", "Models, snapshots and seeds that dbt builds.", f"count({_models('failed')})"
        ),
        _count(
            "Models failed",
            "Failed or killed when they were last built.",
            f"sum({_models('failed')})",
            NONE_ALLOWED,
        ),
        _count(
            "Models skipped",
            "Left out, since one before them failed.",
            f"sum({_models('skipped')})",
            NONE_ALLOWED,
        ),
        _count("Tests", "Tests of dbt, unit tests among them.", f"count({_tests('failed')})"),
        _count("Tests failed", "When they last ran.", f"sum({_tests('failed')})", NONE_ALLOWED),
        _count(
            "Tests warned",
            "When they last ran; a warning stops nothing.",
            f"sum({_tests('warned')})",
            (Step(1, WARNING),),
        ),
        Panel(
            Kind.BARS,
            "Slowest models",
            "How long the 12 slowest models last took.",
            (Query(f"sort_desc(topk(12, {_models('last_duration_seconds')}))", "{{model}}"),),
            unit="s",
            height=10,
        ),
        Panel(
            Kind.TABLE,
            "Tests that find fault",
            "Failed and warned tests with the rows they found fault with.",
            (
                Query(f"{_tests('failing_rows')} > 0"),
                Query(f"{_tests('failed')} and {_tests('failing_rows')} > 0"),
                Query(f"{_tests('last_duration_seconds')} and {_tests('failing_rows')} > 0"),
            ),
            height=10,
            columns=(
                Column("test", "Test"),
                Column("A", "Rows", "short"),
                Column(
                    "B",
                    "Verdict",
                    states=(State(0, "warned", WARNING), State(1, "failed", CRITICAL)),
                ),
                Column("C", "Time", "s"),
            ),
            sort="Rows",
            when_empty="No test finds fault.",
        ),
    ),
)

_TIME = Row(
    "Over time",
    (
        Panel(
            Kind.TIMESERIES,
            "Time of the slowest models",
            "How long each of those that are slowest now took.",
            (
                Query(
                    f"{_models('last_duration_seconds')} "
                    f"and on (model) topk(8, max by (model) ({_DURATION} @ end()))",
                    "{{model}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            Kind.TIMESERIES,
            "Work of a build",
            "Time of all models and of all tests, added up; more than the time on the clock, since "
            "dbt works on several at once.",
            (
                Query(f"sum({_models('last_duration_seconds')})", "models"),
                Query(f"sum({_tests('last_duration_seconds')})", "tests"),
            ),
            unit="s",
            stacked=True,
        ),
        Panel(
            Kind.TIMESERIES,
            "Models and tests in trouble",
            "After each build.",
            (
                Query(f"sum({_models('failed')})", "models failed"),
                Query(f"sum({_models('skipped')})", "models skipped"),
                Query(f"sum({_tests('failed')})", "tests failed"),
                Query(f"sum({_tests('warned')})", "tests warned"),
            ),
            decimals=0,
        ),
        Panel(
            Kind.TIMESERIES,
            "Calls of dbt",
            "Calls that ended in each hour, by command and result.",
            (
                Query(
                    "max by (command, result) "
                    f"(increase(tap_sentry_dbt_invocations_total{{{HERE}}}[1h]))",
                    "{{command}}: {{result}}",
                ),
            ),
            stacked=True,
            bars=True,
            least_step="1h",
            decimals=0,
        ),
    ),
)

_DATA = Row(
    "Sources and marts",
    (
        Panel(
            Kind.TABLE,
            "Sources",
            "Read: time since the newest published row was read. Happened: time since what it "
            "speaks of. Allowed: how old dbt lets it get; Used: the share of that.",
            (
                Query(f"time() - {_streams('loaded_timestamp_seconds')}"),
                Query(f"time() - {_streams('newest_timestamp_seconds')}"),
                Query(_streams("warn_after_seconds")),
                Query(
                    f"(time() - {_streams('loaded_timestamp_seconds')})"
                    f" / {_streams('warn_after_seconds')}"
                ),
            ),
            height=12,
            columns=(
                Column("stream", "Stream"),
                Column("A", "Read", "s"),
                Column("B", "Happened", "s"),
                Column("C", "Allowed", "s"),
                Column("D", "Used", "percentunit", (Step(0.8, WARNING), Step(1, CRITICAL))),
            ),
            sort="Read",
        ),
        Panel(
            Kind.TABLE,
            "Marts",
            "Newest: time since the newest row's time; of a day, since its beginning. Built: time "
            "since dbt built it.",
            (
                Query(
                    f"time() - max by (mart) (tap_sentry_mart_newest_timestamp_seconds{{{HERE}}})"
                ),
                Query(
                    "time() - max by (mart) (label_replace("
                    f"tap_sentry_dbt_model_last_success_timestamp_seconds{{{HERE}}}, "
                    '"mart", "$1", "model", "(.*)")) and on (mart) '
                    f"max by (mart) (tap_sentry_mart_newest_timestamp_seconds{{{HERE}}})"
                ),
                Query(
                    "max by (mart) (label_replace("
                    f"{_TABLES}, "
                    '"mart", "$1", "table", "(.*)")) and on (mart) '
                    f"max by (mart) (tap_sentry_mart_newest_timestamp_seconds{{{HERE}}})"
                ),
            ),
            height=12,
            columns=(
                Column("mart", "Mart"),
                Column("A", "Newest", "s"),
                Column("B", "Built", "s"),
                Column("C", "Rows", "short"),
            ),
            sort="Newest",
        ),
        Panel(
            Kind.TIMESERIES,
            "Rows of the marts",
            "The 10 largest tables that the marts have in the published copy.",
            (
                Query(
                    f"max by (table) ({_TABLES}) "
                    f"and on (table) topk(10, max by (table) ({_TABLES} @ end()))",
                    "{{table}}",
                ),
            ),
        ),
        Panel(
            Kind.TIMESERIES,
            "Age of the published copy",
            "Time since the copy that dashboards read was replaced. It stays as it is while builds "
            "fail.",
            (
                Query(
                    f"time() - max(tap_sentry_published_timestamp_seconds{{{HERE}}})", "published"
                ),
            ),
            unit="s",
        ),
    ),
)

_FRESHNESS = Row(
    "Options: dbt source freshness",
    (
        Panel(
            Kind.TABLE,
            "What dbt says of the sources",
            "The verdict of `dbt source freshness`, where it is run: older than may be, or than "
            "should be.",
            (
                Query(f"max by (source) (tap_sentry_dbt_source_failed{{{HERE}}})"),
                Query(f"max by (source) (tap_sentry_dbt_source_warned{{{HERE}}})"),
            ),
            width=24,
            columns=(
                Column("source", "Source"),
                Column("A", "Limit", states=VERDICTS),
                Column("B", "Warning", states=VERDICTS),
            ),
            sort="Source",
            ascending=True,
        ),
    ),
    optional=True,
)

DASHBOARD = Dashboard(
    "dbt",
    "Sentry data: dbt",
    "Models, tests, sources and marts.",
    "now-7d",
    (ENVIRONMENT,),
    (_NOW, _TIME, _DATA, _FRESHNESS),
)
