"""What the page `extraction` says in sentences, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from orchestrate.analyzer.formats import duration, share
from orchestrate.analyzer.report import Insight, Tone
from orchestrate.analyzer.reports.extraction.quota import AT_LIMIT
from orchestrate.analyzer.reports.extraction.requests import OWN_RATE, HeldBack
from orchestrate.analyzer.reports.extraction.streams import UNMOVED_SYNCS, PlanError

_MUCH_USED = 0.8
_MUCH_HELD_BACK = 0.2
_OFTEN_RETRIED = 0.05
_SOON_DAYS = 60
_GOOD_PLAN = 0.1
_BROKEN = ("failure", "killed", "timeout")
_NAMED = 3  # so many are named, the others counted


@dataclass(frozen=True)
class Found:
    """All that the reports of streams, requests and quotas found."""

    now: pd.Timestamp
    syncs: pd.DataFrame
    totals: pd.DataFrame
    streams: pd.DataFrame
    endpoints: pd.DataFrame
    held: HeldBack
    plan_rows: PlanError
    plan_requests: PlanError
    forecast: pd.DataFrame
    what_if: pd.DataFrame
    reasons: pd.DataFrame
    skipped: pd.DataFrame


def insights(found: Found) -> list[Insight]:
    """The sentences, in the page's order."""
    return [
        *_streams(found.streams),
        *_limit(found),
        *_forecast(found.forecast, found.now),
        *_retries(found),
        *_plan("rows", found.plan_rows),
        *_plan("requests", found.plan_requests),
        *_skipped(found.skipped),
    ]


def _streams(streams: pd.DataFrame) -> Iterator[Insight]:
    if streams.empty:
        return
    for stream in streams[streams["last_result"].isin(_BROKEN)].itertuples():
        yield Insight(
            Tone.BAD,
            f"Stream {stream.stream} of {_named(stream.environment)} ended with "
            f"{stream.last_result} in its newest sync, {_minute(stream.last_sync_at)}.",
        )
    still = streams[streams["unmoved_syncs"] >= UNMOVED_SYNCS]
    for stream in still.sort_values("lag_seconds", ascending=False).head(_NAMED).itertuples():
        yield Insight(
            Tone.WARNING,
            f"Stream {stream.stream} of {_named(stream.environment)} does not move: its newest "
            f"{stream.unmoved_syncs:.0f} syncs left the bookmark where it was, "
            f"{duration(stream.lag_seconds)} ago.",
        )
    if len(still) > _NAMED:
        yield Insight(Tone.WARNING, f"{len(still) - _NAMED} more streams do not move either.")
    for environment, found in streams[streams["unusual"] != ""].groupby("environment"):
        names = ", ".join(found["stream"].head(_NAMED))
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        yield Insight(
            Tone.WARNING,
            f"The newest sync of {names}{more} in {_named(str(environment))} ended well "
            "without a row, which is unusual: nearly all syncs before had some.",
        )
    lost = streams[streams["not_stored"] > 0]
    if len(lost):
        names = ", ".join(lost["stream"].astype("object").unique()[:_NAMED])
        yield Insight(
            Tone.BAD,
            f"{lost['not_stored'].sum():,} rows were read and not stored, in syncs that ended "
            f"well: {names}.",
        )


def _limit(found: Found) -> Iterator[Insight]:
    known = found.endpoints.dropna(subset=["quota_used"])
    if len(known):
        top = known.iloc[0]
        fits = found.what_if.set_index("endpoint")["fits_times"].get(top["endpoint"])
        more = f"; a busy run could ask {fits:.2f} times as much" if pd.notna(fits) else ""
        verdicts = found.forecast.set_index("endpoint")["verdict"]
        if verdicts.get(top["endpoint"]) == AT_LIMIT:
            more += ", and by its trend it is at the limit now: what is more has to wait"
        limit = "its quota"
        if pd.notna(top["quota_requests"]) and pd.notna(top["quota_window_seconds"]):
            window = duration(top["quota_window_seconds"])
            limit = f"{top['quota_requests']:.0f} requests in {window}"
        yield Insight(
            Tone.WARNING if top["quota_used"] >= _MUCH_USED else Tone.NOTE,
            f"The endpoint {top['endpoint']} comes nearest to its limit: at most "
            f"{share(top['quota_used'])} of {limit} were used{more}.",
        )
    held, waits = found.held, found.endpoints["waited_seconds"]
    if not held.step_seconds or not held.high:
        return
    most = found.endpoints.loc[waits.idxmax()]
    who = "the tap's own rate_limit" if most["endpoint"] == OWN_RATE else most["endpoint"]
    part = held.low / held.step_seconds
    yield Insight(
        Tone.WARNING if part >= _MUCH_HELD_BACK else Tone.NOTE,
        f"Limits held extraction back for {share(part)} to {share(held.high / held.step_seconds)} "
        f"of its {duration(held.step_seconds)}; longest waited {who}, "
        f"{duration(most['waited_seconds'])}.",
    )


def _forecast(forecast: pd.DataFrame, now: pd.Timestamp) -> Iterator[Insight]:
    for row in forecast.dropna(subset=["reaches_limit_at"]).itertuples():
        latest = f"{row.latest_at:%Y-%m-%d}" if pd.notna(row.latest_at) else "never"
        is_soon = (row.reaches_limit_at - now).days <= _SOON_DAYS
        yield Insight(
            Tone.WARNING if is_soon else Tone.NOTE,
            f"The endpoint {row.endpoint} will have used up its quota on about "
            f"{row.reaches_limit_at:%Y-%m-%d} ({row.earliest_at:%Y-%m-%d} to {latest}): its use "
            f"grew by {share(row.used_per_day)} of the quota a day over {_days(row.days)}.",
        )


def _retries(found: Found) -> Iterator[Insight]:
    asked, again = found.totals["requests"].sum(), found.totals["retries"].sum()
    if not again:
        return
    why = ""
    if len(found.reasons):
        top = found.reasons.iloc[0]
        why = f"; most often {top['endpoint']}: {top['reason']} ({top['retries']} times)"
    yield Insight(
        Tone.WARNING if again >= _OFTEN_RETRIED * asked else Tone.NOTE,
        f"{again:,} of {asked:,} requests ({share(again / asked)}) were asked again{why}.",
    )


def _plan(of: str, plan: PlanError) -> Iterator[Insight]:
    if plan.signed is None or plan.absolute is None:
        return
    counted = f"{plan.planned:,} {of} planned, {plan.real:,} came in {plan.plans:,} syncs"
    if plan.is_biased:
        side, often = ("low", plan.higher) if plan.signed > 0 else ("high", plan.lower)
        yield Insight(
            Tone.WARNING,
            f"Plans of {of} are too {side} by {share(abs(plan.signed))} of what was planned: "
            f"{counted}, and {often:,} of the {plan.higher + plan.lower:,} plans that were off "
            f"were too {side}.",
        )
    else:
        sign = "+" if plan.signed > 0 else ""
        yield Insight(
            Tone.GOOD if plan.absolute <= _GOOD_PLAN else Tone.NOTE,
            f"Plans of {of} were off by {share(plan.absolute)}, and by {sign}{share(plan.signed)} "
            f"on the whole: {counted}.",
        )


def _skipped(skipped: pd.DataFrame) -> Iterator[Insight]:
    if skipped.empty:
        return
    told = "; ".join(
        f"{row.parts} of {row.stream}: {row.reason}" for row in skipped.head(_NAMED).itertuples()
    )
    more = len(skipped) - _NAMED
    rest = f"; and {more} more reasons" if more > 0 else ""
    parts = skipped["parts"].sum()
    word = "part" if parts == 1 else "parts"
    yield Insight(Tone.WARNING, f"Sentry would not give {parts:,} {word}: {told}{rest}.")


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _named(environment: str) -> str:
    return environment or "no environment"


def _minute(at: pd.Timestamp) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
