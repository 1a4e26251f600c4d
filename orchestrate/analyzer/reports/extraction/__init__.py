"""Page `extraction`: how Sentry's API holds up, and how far plans of the tap can be trusted."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Metric, Report, Table, Unit
from orchestrate.analyzer.reports.extraction import quota, requests, streams
from orchestrate.analyzer.reports.extraction.insights import Found, insights
from orchestrate.analyzer.reports.extraction.streams import PlanError

_MOST_PLANS = 2_000  # more would make a chart and an export that nobody reads


def report(history: History, choice: Choice) -> Report:
    """What the runs that extracted say. They are all chosen already, so `choice` is not asked."""
    if history.runs.empty or (history.streams.empty and history.requests.empty):
        return Report(page="extraction", empty=_nothing(len(history.runs)))
    del choice
    found = _found(history)
    return Report(
        page="extraction",
        metrics=_metrics(found),
        insights=insights(found),
        tables=_tables(found),
    )


def _nothing(runs: int) -> str:
    told = "There is no run to look at." if not runs else f"None of the {runs:,} runs extracted."
    return (
        f"{told} Run `meltano run tap-sentry target-duckdb`, or choose another environment, other "
        "jobs or a longer window."
    )


def _found(history: History) -> Found:
    syncs, totals = streams.syncs(history), requests.totals(history)
    held = requests.held_back(history)
    listed = streams.streams(syncs, history.skipped, history.now) if len(syncs) else pd.DataFrame()
    return Found(
        now=history.now,
        syncs=syncs,
        totals=totals,
        streams=listed,
        endpoints=requests.endpoints(totals, held.step_seconds),
        held=held,
        plan_rows=streams.plan_error(syncs, "rows"),
        plan_requests=streams.plan_error(syncs, "requests"),
        forecast=quota.forecast(totals, history.now),
        what_if=quota.what_if(totals, syncs),
        reasons=requests.retry_reasons(history.retries),
        skipped=streams.skipped_parts(history),
    )


def _metrics(found: Found) -> list[Metric]:
    asked, retries = found.totals["requests"].sum(), found.totals["retries"].sum()
    counted = found.syncs.dropna(subset=["requests"])
    in_streams = counted["requests"].sum()
    answering = found.totals["answering_seconds"].sum()
    held, whole = found.held, found.held.step_seconds
    used = found.totals["quota_used"].max()
    lags = found.streams["lag_seconds"].dropna() if len(found.streams) else pd.Series(dtype=float)
    return [
        Metric(
            name="Rows",
            value=int(found.syncs["rows"].sum()),
            help=f"Of {len(found.syncs):,} syncs of streams in "
            f"{found.syncs['run_id'].nunique():,} runs.",
        ),
        Metric(
            name="Rows not stored",
            value=int(found.streams["not_stored"].sum()) if len(found.streams) else None,
            help="Read in syncs that ended well, and not stored by the target.",
        ),
        Metric(name="Requests", value=int(asked), help="To Sentry, repeated ones among them."),
        Metric(
            name="Rows per request",
            value=float(counted["rows"].sum() / in_streams) if in_streams else None,
            help=f"{counted['rows'].sum():,} rows of {in_streams:,.0f} requests for streams.",
        ),
        Metric(
            name="Seconds per answer",
            value=float(answering / asked) if asked else None,
            unit=Unit.SECONDS,
            help=f"Mean: {answering:,.1f} s from {asked:,} requests to their answers, waits left "
            "out. Requests go side by side, so runs are not that long.",
        ),
        Metric(
            name="Asked again",
            value=float(retries / asked) if asked else None,
            unit=Unit.SHARE,
            help=f"{retries:,} of {asked:,} requests.",
        ),
        Metric(
            name="Held back at most",
            value=held.high / whole if whole else None,
            low=held.low / whole if whole else None,
            high=held.high / whole if whole else None,
            unit=Unit.SHARE,
            help=f"{held.low:,.1f} to {held.high:,.1f} s of {whole:,.1f} s of extraction: "
            "endpoints wait at the same time, so the sum of their waits is the most it can be.",
        ),
        Metric(
            name="Most used quota",
            value=float(used) if pd.notna(used) else None,
            unit=Unit.SHARE,
            help="The largest share of one of Sentry's windows that was used up, by whoever has "
            "the same token.",
        ),
        _plan_metric("Plan of rows off by", "rows", found.plan_rows),
        _plan_metric("Plan of requests off by", "requests", found.plan_requests),
        Metric(
            name="Oldest bookmark",
            value=float(lags.max()) if len(lags) else None,
            unit=Unit.SECONDS,
            help="How long ago the stream that lags most was complete.",
        ),
        Metric(
            name="Skipped parts",
            value=int(found.skipped["parts"].sum()),
            help="Different parts of streams that Sentry would not give.",
        ),
    ]


def _plan_metric(name: str, of: str, plan: PlanError) -> Metric:
    return Metric(
        name=name,
        value=plan.absolute,
        unit=Unit.SHARE,
        help=f"{plan.planned:,} {of} planned, {plan.real:,} came, in {plan.plans:,} syncs that had "
        "a plan and ended well. Too much and too little do not cancel out.",
    )


def _tables(found: Found) -> dict[str, Table]:
    share, seconds = Unit.SHARE, Unit.SECONDS
    return {
        "streams": Table(
            title="Streams",
            frame=found.streams,
            help="`last_20`: rows of the newest syncs. The lag is from the bookmark to now. A plan "
            "is off by `plan_signed` where too much and too little cancel out, else by "
            "`plan_absolute`.",
            units={
                "median_seconds": seconds,
                "lag_seconds": seconds,
                "plan_signed": share,
                "plan_absolute": share,
            },
        ),
        "endpoints": Table(
            title="Requests by endpoint",
            frame=found.endpoints,
            help="`rate_limit` is the tap's own limit: it holds back and asks nothing. Endpoints "
            "wait at the same time: their waits are not to be added up.",
            units={
                "retry_share": share,
                "waited_seconds": seconds,
                "waited_share": share,
                "seconds_per_answer": seconds,
                "quota_window_seconds": seconds,
                "quota_used": share,
                "median_quota_used": share,
                "headroom": share,
            },
        ),
        "forecast": Table(
            title="When quotas will be used up",
            frame=found.forecast,
            help="Theil and Sen's line through the largest use of each day; a rise counts where "
            "Mann and Kendall's test takes it for more than chance. Earliest and latest follow "
            "from the 95 % interval of the slope.",
            units={"quota_used": share, "newest_quota_used": share, "used_per_day": share},
        ),
        "what_if": Table(
            title="How much more fits",
            frame=found.what_if,
            help="Before Sentry holds a busy run back (one that 95 % of the runs do not exceed), "
            "if requests grow in proportion with projects or rows. With ten times the requests a "
            "run takes at least the seconds of the last column.",
            units={
                "busy_quota_used": share,
                f"least_seconds_at_{quota.GROWN}x": seconds,
            },
        ),
        "retries": Table(
            title="Why requests were asked again",
            frame=found.reasons,
            units={"waited_seconds": seconds},
        ),
        "skipped": Table(title="What Sentry would not give", frame=found.skipped),
        "rows_by_day": Table(title="Rows by day", frame=streams.rows_by_day(found.syncs)),
        "requests_by_day": Table(
            title="Requests by day",
            frame=requests.by_day(found.totals),
            units={"waited_seconds": seconds, "quota_used": share},
        ),
        "plans": Table(
            title="Plans and what came",
            frame=streams.plans(found.syncs).head(_MOST_PLANS),
            help=f"The newest {_MOST_PLANS:,} at most; the numbers above count all.",
        ),
    }
