"""Requests to Sentry by family of endpoints: retries, waits, answers, and how much of a quota."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from orchestrate.analyzer.history import History

# The tap's own limit: it holds back, but asks nothing.
OWN_RATE = "rate_limit"
_EXTRACTS = "extract_load"


class HeldBack(NamedTuple):
    """Seconds in which limits held requests of a tap back, of the seconds that the steps took.

    Families wait at the same time: the truth lies between the longest wait of each step (`low`)
    and all its waits one after another (`high`).
    """

    low: float
    high: float
    step_seconds: float


def totals(history: History) -> pd.DataFrame:
    """The requests of all runs with `environment` and `at`, the begin of their run."""
    runs = history.runs[["run_id", "environment", "started_at"]]
    runs = runs.rename(columns={"started_at": "at"}).astype({"run_id": "object"})
    found = history.requests.astype({"run_id": "object"}).merge(runs, on="run_id")
    return found.sort_values("at", kind="stable")


def endpoints(found: pd.DataFrame, step_seconds: float) -> pd.DataFrame:
    """A row for each family, as `totals` has them; the one that used most of its quota first."""
    groups = found.groupby("endpoint", observed=True)
    table = groups.agg(
        runs=("run_id", "nunique"),
        requests=("requests", "sum"),
        retries=("retries", "sum"),
        waited_seconds=("waited_seconds", "sum"),
        answering_seconds=("answering_seconds", "sum"),
        quota_requests=("quota_requests", "last"),
        quota_window_seconds=("quota_window_seconds", "last"),
        quota_used=("quota_used", "max"),
        median_quota_used=("quota_used", "median"),
    ).reset_index()
    asked = table["requests"].where(table["requests"] > 0)
    table = table.assign(
        endpoint=table["endpoint"].astype("object"),
        retry_share=table["retries"] / asked,
        waited_share=table["waited_seconds"] / step_seconds if step_seconds else np.nan,
        seconds_per_answer=table["answering_seconds"] / asked,
        headroom=1 - table["quota_used"],
    )
    names = ["endpoint", "runs", "requests", "retries", "retry_share", "waited_seconds"]
    names += ["waited_share", "seconds_per_answer", "quota_requests", "quota_window_seconds"]
    names += ["quota_used", "median_quota_used", "headroom"]
    return table[names].sort_values(["quota_used", "requests"], ascending=False)


def held_back(history: History) -> HeldBack:
    """How long limits held back the steps that extract and have ended."""
    steps = history.steps[history.steps["kind"] == _EXTRACTS].dropna(subset=["ended_at"])
    keys = ["run_id", "position"]
    waits = history.requests.groupby(keys, observed=True)["waited_seconds"].agg(["max", "sum"])
    known = steps[[*keys]].assign(
        seconds=(steps["ended_at"] - steps["started_at"]).dt.total_seconds()
    )
    joined = known.astype({"run_id": "object"}).merge(
        waits.reset_index().astype({"run_id": "object"}), on=keys
    )
    # A wait may be told a little longer than the step by another clock.
    return HeldBack(
        low=float(joined["max"].clip(upper=joined["seconds"]).sum()),
        high=float(joined["sum"].clip(upper=joined["seconds"]).sum()),
        step_seconds=float(joined["seconds"].sum()),
    )


def by_day(found: pd.DataFrame) -> pd.DataFrame:
    """Requests, retries, waits and the largest use of a quota of each family on each day, UTC."""
    days = found.assign(day=found["at"].dt.floor("D"), endpoint=found["endpoint"].astype("object"))
    return days.groupby(["day", "endpoint"], as_index=False).agg(
        requests=("requests", "sum"),
        retries=("retries", "sum"),
        waited_seconds=("waited_seconds", "sum"),
        quota_used=("quota_used", "max"),
    )


def retry_reasons(retries: pd.DataFrame) -> pd.DataFrame:
    """Why requests were asked again: retries and waits of each family and reason, the most first.

    https://docs.sentry.io/api/ratelimits/ on 429s; others are faults of Sentry or the network.
    """
    found = retries.groupby(["endpoint", "reason"], observed=True).agg(
        retries=("run_id", "size"),
        runs=("run_id", "nunique"),
        waited_seconds=("wait_seconds", "sum"),
        first_at=("at", "min"),
        last_at=("at", "max"),
    )
    return found.reset_index().sort_values("retries", ascending=False)
