"""Page "cost": what the runs of a window cost, what of it was in vain, what reuse has spared."""

from __future__ import annotations

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report
from orchestrate.analyzer.reports.cost import metrics as cost_metrics
from orchestrate.analyzer.reports.cost import tables as cost_tables
from orchestrate.analyzer.reports.cost.insights import insights
from orchestrate.analyzer.reports.cost.savings import by_kind, planning, reused, saved
from orchestrate.analyzer.reports.cost.work import work

PAGE = "cost"
EMPTY = (
    "No run is in this window, so nothing was spent. Choose a longer window, or run the pipeline: "
    "`meltano run tap-sentry target-duckdb dbt`."
)


def report(history: History, choice: Choice) -> Report:
    """What the page says of a history, at the prices of a choice."""
    if history.runs.empty:
        return Report(page=PAGE, empty=EMPTY, currency=choice.currency)
    done, span_days = work(history, choice), history.span_days(choice.days)
    found = reused(done)
    spared = saved(done, found)
    kinds = by_kind(spared)
    parts = done.entries.groupby("part", observed=False)["cost"].sum()
    tables = {
        "parts": cost_tables.parts(done),
        "days": cost_tables.days(done, spared, history.now),
        "models": cost_tables.models(done, found),
        "jobs": cost_tables.jobs(done, spared, span_days),
        "runs": cost_tables.runs(done, spared),
        "classes": cost_tables.classes(done),
        "steps": cost_tables.steps(done),
        "savings": cost_tables.savings(kinds),
        "sizes": cost_tables.sizes(done, choice),
    }
    metrics = [
        *cost_metrics.spent(done, tables["days"].frame, span_days, choice),
        *cost_metrics.in_vain(done, parts),
        *cost_metrics.reuse(kinds, float(planning(done).sum())),
        *cost_metrics.quantities(history, done, parts),
    ]
    return Report(
        page=PAGE,
        metrics=metrics,
        insights=insights(done, parts, metrics, tables["models"].frame, kinds),
        tables=tables,
        currency=choice.currency,
    )
