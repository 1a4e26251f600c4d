"""When an endpoint's quota will be used up, and how much more work fits into it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from orchestrate.analyzer import statistics
from orchestrate.analyzer.statistics import Direction, Trend

AT_LIMIT = "at its limit already"
BUSY = 0.95  # a run is busy as this share of the runs are not
GROWN = 10  # times the work, for what would be then
_PROJECTS = "projects"
_DAY_S = 86_400
_NO_DATES: dict[str, Any] = dict.fromkeys(("reaches_limit_at", "earliest_at", "latest_at"), pd.NaT)
_FARTHEST_DAYS = 1_826  # a trend of weeks says nothing of the time after five years


def forecast(found: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """Where the largest use of each quota goes, by the whole days of `extraction_requests.totals`.

    `reaches_limit_at` is when the line of Theil and Sen comes to 100 %, `earliest_at` and
    `latest_at` when lines with the bounds of its slope do. There is no date without a rise that is
    more than chance, none beyond five years, and none where the line is there already.
    """
    known = found.dropna(subset=["quota_used"])
    days = known.assign(day=known["at"].dt.floor("D"))
    first_day = days["day"].min()
    rows = []
    for endpoint, group in days.groupby("endpoint", observed=True):
        by_day = group.groupby("day")
        used, requests = by_day["quota_used"].max(), by_day["requests"].median()
        times = (used.index - used.index[0]).total_seconds() / _DAY_S
        today = (now - used.index[0]).total_seconds() / _DAY_S
        # The first day began before, and today is not over: their largest is not that of a day.
        whole = (used.index > first_day) & (used.index < now.floor("D"))
        growth = statistics.trend(times[whole], used[whole])
        asked = statistics.trend(times[whole], requests[whole])
        rows.append(
            {
                "endpoint": endpoint,
                "days": int(whole.sum()),
                "quota_used": float(used.max()),
                "newest_quota_used": float(used.iloc[-1]),
                "used_per_day": growth.slope if growth else None,
                "requests_per_day": asked.slope if asked else None,
                "requests_trend": asked.direction.value if asked else None,
                **_reached(times[whole], used[whole], today, growth, now),
                **({"verdict": AT_LIMIT, **_NO_DATES} if used.iloc[-1] >= 1 else {}),
            }
        )
    columns = ["endpoint", "days", "quota_used", "newest_quota_used", "used_per_day"]
    columns += ["requests_per_day", "requests_trend", "verdict"]
    columns += ["reaches_limit_at", "earliest_at", "latest_at"]
    return pd.DataFrame(rows, columns=columns).sort_values("quota_used", ascending=False)


def _reached(
    times: pd.Index,
    used: pd.Series,
    today: float,
    growth: Trend | None,
    now: pd.Timestamp,
) -> dict[str, Any]:
    told = _NO_DATES
    if growth is None:
        few = f"too few days: {len(used)} of {statistics.FEWEST_POINTS}"
        return {"verdict": few, **told}
    if growth.direction is not Direction.RISING:
        return {"verdict": growth.direction.value, **told}
    # The line of that slope that half of the days lie above.
    level = statistics.quantile(used.to_numpy() - growth.slope * times.to_numpy(), 0.5) or 0.0
    left = 1 - (level + growth.slope * today)
    if left <= 0:
        return {"verdict": AT_LIMIT, **told}
    slopes = {
        "reaches_limit_at": growth.slope,
        "earliest_at": growth.high,
        "latest_at": growth.low,
    }
    return {
        "verdict": growth.direction.value,
        **{name: _date(left, slope, now) for name, slope in slopes.items()},
    }


def _date(left: float, slope: float, now: pd.Timestamp) -> Any:
    days = left / slope if slope > 0 else math.inf
    return (now + pd.Timedelta(days=days)).floor("s") if days <= _FARTHEST_DAYS else pd.NaT


def what_if(requests: pd.DataFrame, streams: pd.DataFrame) -> pd.DataFrame:
    """How many times the work fits before Sentry holds the tap back, by each quota.

    A busy run is one that 95 % of the runs do not exceed. Requests are taken to grow in proportion
    with projects and with rows, and to leave as fast as they do now.

    Args:
        requests: As `extraction_requests.totals` gives them.
        streams: As `extraction_streams.syncs` gives them.
    """
    projects = _projects(streams)
    rows_of_runs = streams.groupby("run_id")["rows"].sum()
    rows_now = statistics.quantile(rows_of_runs[rows_of_runs > 0], 0.5)
    rows = []
    for endpoint, group in requests.dropna(subset=["quota_used"]).groupby(
        "endpoint", observed=True
    ):
        used = statistics.quantile(group["quota_used"], BUSY) or 0.0
        asked = statistics.quantile(group["requests"], BUSY) or 0.0
        quota, window = group["quota_requests"].iloc[-1], group["quota_window_seconds"].iloc[-1]
        fits = max(1 / used, 1.0) if used else None
        over = max(GROWN * asked - quota, 0.0)
        rows.append(
            {
                "endpoint": endpoint,
                "busy_quota_used": used,
                "fits_times": fits,
                "projects": projects,
                "more_projects": _more(projects, fits),
                "rows_per_run": None if rows_now is None else round(rows_now),
                "more_rows_per_run": _more(rows_now, fits),
                f"least_seconds_at_{GROWN}x": over * window / quota,
            }
        )
    columns = ["endpoint", "busy_quota_used", "fits_times", "projects", "more_projects"]
    columns += ["rows_per_run", "more_rows_per_run", f"least_seconds_at_{GROWN}x"]
    return pd.DataFrame(rows, columns=columns).sort_values("busy_quota_used", ascending=False)


def _more(now: float | None, fits: float | None) -> int | None:
    # What is a whole number but for the last digit of a double must not lose one.
    return None if now is None or fits is None else math.floor(now * (fits - 1) + 1e-9)


def _projects(streams: pd.DataFrame) -> int | None:
    """How many projects the newest sync of them gave; None where they are not read."""
    found = streams[(streams["stream"] == _PROJECTS) & (streams["rows"] > 0)]
    return int(found["rows"].iloc[-1]) if len(found) else None
