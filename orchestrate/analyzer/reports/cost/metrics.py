"""The numbers of the page "cost": what was spent, what in vain, what reuse has spared."""

from __future__ import annotations

import math

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.money import HOUR_SECONDS
from orchestrate.analyzer.report import Metric, Unit
from orchestrate.analyzer.reports.cost.savings import BOUNDS, DEFERRED, PROVEN, UNPROVEN
from orchestrate.analyzer.reports.cost.spans import FAILED, NO_OP, REQUESTS
from orchestrate.analyzer.reports.cost.work import Work

MONTH_DAYS = 30
FEWEST_DAYS = 7  # a forecast has each day of the week in it
# Of a normal distribution so many standard deviations hold 95 % of the cases.
_BAND = 1.96


def forecast(complete_days: pd.Series) -> tuple[float, float, float] | None:
    """What 30 days to come will cost, between bounds that hold it in 95 of 100 cases.

    The bounds are those of a sum of 30 days like the ones seen, not knowing their mean better than
    these tell: 1.96 s sqrt(30 + 30^2 / n). None for fewer than FEWEST_DAYS.
    """
    count = len(complete_days)
    if count < FEWEST_DAYS:
        return None
    expected = MONTH_DAYS * float(complete_days.mean())
    spread = _BAND * float(complete_days.std()) * math.sqrt(MONTH_DAYS + MONTH_DAYS**2 / count)
    return expected, max(0.0, expected - spread), expected + spread


def spent(done: Work, per_day: pd.DataFrame, span_days: float, choice: Choice) -> list[Metric]:
    """What was spent: in all, by run, by day, and in a month to come."""
    total = float(done.entries["cost"].sum())
    by_run = done.entries.groupby("run")["cost"].sum()
    ended = by_run[done.runs["ended_at"].notna().reindex(by_run.index)]
    month = forecast(per_day.loc[per_day["is_complete"], "cost"])
    value, low, high = month or (None, None, None)
    hour = formats.money(choice.machine_hour, choice.currency)
    price = f"{hour} for each hour of the machine"
    if choice.warehouse_size:
        credit = formats.money(choice.credit, choice.currency)
        price += (
            f"; while nodes of dbt run, instead a warehouse {choice.warehouse_size} at {credit} a "
            "credit, 60 s at least each time it resumes (calls of dbt in one run with less than "
            "60 s between them keep it awake)"
        )
    help_total = (
        f"{len(done.runs):,} runs. Price: {price}; "
        f"{formats.money(choice.request_price, choice.currency)} for 1,000 requests to Sentry. "
        "Prices are in the currency chosen, nothing is converted. Runs at the same time are "
        "counted as if each had a machine."
    )
    amount = Unit.MONEY
    return [
        Metric(name="Total cost", value=total, unit=amount, help=help_total),
        Metric(
            name="Cost per run",
            value=float(ended.mean()) if len(ended) else None,
            unit=amount,
            help=f"The mean of {len(ended):,} runs that have ended.",
        ),
        Metric(
            name="Median run",
            value=float(ended.median()) if len(ended) else None,
            unit=amount,
            help=f"Half of {len(ended):,} ended runs cost less.",
        ),
        Metric(
            name="Cost per day",
            value=total / span_days,
            unit=amount,
            help=f"Total cost by {span_days:.1f} days, from the first run of the window to now.",
        ),
        Metric(
            name="Forecast for 30 days",
            value=value,
            low=low,
            high=high,
            unit=amount,
            help=f"30 times the mean of {int(per_day['is_complete'].sum())} whole UTC days, with "
            "bounds that hold it in 95 of 100 cases if days to come are like those. "
            f"It needs {FEWEST_DAYS} whole days.",
        ),
    ]


def in_vain(done: Work, parts: pd.Series) -> list[Metric]:
    """What was spent on work that failed, or that changed nothing."""
    total = float(parts.sum())
    compared = int(done.nodes["outcome"].notna().sum())
    nothing_new = int((done.nodes["part"] == NO_OP).sum())
    return [
        Metric(
            name="Failed work",
            value=float(parts[FAILED]),
            unit=Unit.MONEY,
            help=f"Of {formats.money(total, done.currency)}: nodes that failed or were killed, "
            "and loads that did not succeed. What was skipped after them costs and saves nothing.",
        ),
        Metric(
            name="Changed nothing",
            value=float(parts[NO_OP]) if compared else None,
            unit=Unit.MONEY,
            help=f"{nothing_new:,} builds that left the contents identical, of {compared:,} whose "
            "contents the reuse planner compared. Of other builds nobody knows.",
        ),
    ]


def reuse(kinds: pd.DataFrame, planning: float) -> list[Metric]:
    """What reuse has spared, by how sure that is, less what planning took."""
    proven, deferred = kinds.loc[PROVEN], kinds.loc[DEFERRED]
    net = {bound: float(proven[f"{bound}_money"]) - planning for bound in BOUNDS}
    known = _known(net["middle"])
    unknown = int(kinds["unknown"].sum())
    return [
        Metric(
            name="Proven saving, net",
            value=known,
            low=_known(net["low"]) if proven["nodes"] else None,
            high=_known(net["high"]) if proven["nodes"] else None,
            unit=Unit.MONEY,
            help=f"{int(proven['nodes']):,} nodes reused since nothing they read had changed: what "
            "they usually take (median of their builds in the window, bounds by the quartiles), "
            "less what planning took.",
        ),
        Metric(
            name="Planning",
            value=planning,
            unit=Unit.MONEY,
            help="What the reuse planner took before dbt built, in the shadow too, beyond what is "
            "billed without it. Already subtracted from the net saving.",
        ),
        Metric(
            name="Return on planning",
            value=known / planning
            if known is not None and planning > 0 and proven["nodes"]
            else None,
            help="Net saving for each unit of money spent on planning: 0 breaks even. A dash where "
            "nothing was planned or reused.",
        ),
        Metric(
            name="Deferred",
            value=_known(float(deferred["middle_money"])),
            low=_known(float(deferred["low_money"])) if deferred["nodes"] else None,
            high=_known(float(deferred["high_money"])) if deferred["nodes"] else None,
            unit=Unit.MONEY,
            help=f"{int(deferred['nodes']):,} nodes not built again within their build_after, a "
            "minimum interval that somebody declared. Put off, not proven to be needless.",
        ),
        Metric(
            name="Saving unknown",
            value=unknown,
            help=f"Reused nodes, of {int(kinds['nodes'].sum()):,}, that were never built in this "
            f"window: what they would have taken is unknown. {int(kinds['nodes'][UNPROVEN]):,} "
            "were reused without a reason that proves it; no saving is counted for those.",
        ),
    ]


def quantities(history: History, done: Work, parts: pd.Series) -> list[Metric]:
    """How much there was to pay for."""
    asked = int(history.requests["requests"].fillna(0).sum())
    busy = float(done.sessions["busy_seconds"].sum())
    threads = float(done.nodes["node_seconds"].sum())
    return [
        Metric(
            name="Machine hours",
            value=float(done.entries["seconds"].sum()) / HOUR_SECONDS,
            help=f"The wall clock of all runs. In {formats.duration(busy)} of it dbt's nodes or "
            f"the planner ran; all threads together took {formats.duration(threads)} for nodes, "
            "which is more, since they overlap, and is never what is paid for.",
        ),
        Metric(
            name="Requests to Sentry",
            value=asked,
            help=f"They cost {formats.money(float(parts[REQUESTS]), done.currency)}.",
        ),
    ]


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
