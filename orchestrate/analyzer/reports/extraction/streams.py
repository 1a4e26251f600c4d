"""Streams of the tap: rows, requests, bookmarks, and what was planned of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from orchestrate.analyzer import statistics
from orchestrate.analyzer.history import History

NEWEST = 20  # so many syncs the sparkline shows, and so many tell what is usual
UNMOVED_SYNCS = 3  # a bookmark that so many syncs left where it was does not move
_FEWEST_BEFORE = 5
_USUAL_SHARE = 0.95
_BIAS_SHARE = 0.05
_SUCCESS = "success"


class PlanError(NamedTuple):
    """How far a plan was off; shares are of what was planned, None where that was nothing.

    `signed` adds up to what was too much or too little, in `absolute` the two do not cancel out.
    `higher` and `lower` count the plans that reality was above and below.
    """

    plans: int
    planned: int
    real: int
    signed: float | None
    absolute: float | None
    higher: int
    lower: int

    @property
    def is_biased(self) -> bool:
        """Whether it is off to one side more than chance would have it, and by 5 % or more."""
        if self.signed is None or abs(self.signed) < _BIAS_SHARE:
            return False
        side = self.higher if self.signed > 0 else self.lower
        found = statistics.rate(side, self.higher + self.lower)
        return found is not None and found.low > 1 / 2


def syncs(history: History) -> pd.DataFrame:
    """The streams of all runs with `environment` and `at`, the begin of their run; oldest first."""
    runs = history.runs[["run_id", "environment", "started_at"]]
    runs = runs.rename(columns={"started_at": "at"}).astype({"run_id": "object"})
    found = history.streams.astype({"run_id": "object"}).merge(runs, on="run_id")
    seconds = (found["ended_at"] - found["started_at"]).dt.total_seconds()
    return found.assign(seconds=seconds).sort_values(["at", "position"], kind="stable")


def streams(found: pd.DataFrame, skipped: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """A row for each stream of each environment, as `syncs` has them."""
    environments = found.drop_duplicates("run_id").set_index("run_id")["environment"]
    parts = skipped.assign(environment=skipped["run_id"].astype("object").map(environments))
    parts = parts.drop_duplicates(["environment", "stream", "part"])
    counts = parts.groupby(["environment", "stream"], observed=True).size()
    rows = [
        {"environment": environment, "stream": stream}
        | _stream(group, now)
        | {"skipped_parts": int(counts.get((environment, stream), 0))}
        for (environment, stream), group in found.groupby(["environment", "stream"], observed=True)
    ]
    return pd.DataFrame(rows).sort_values(["rows", "stream"], ascending=[False, True])


def _stream(group: pd.DataFrame, now: pd.Timestamp) -> dict[str, Any]:
    good = group[group["result"] == _SUCCESS]
    asked = group.dropna(subset=["requests"])
    requests = asked["requests"].sum()
    bookmarks = group["bookmark_at"].dropna()
    newest = group.iloc[-1]
    plan = plan_error(group, "rows")
    had_rows, before = _usual(good)
    return {
        "last_20": group["rows"].tail(NEWEST).tolist(),
        "syncs": len(group),
        "last_sync_at": newest["at"],
        "last_result": newest["result"] if isinstance(newest["result"], str) else None,
        "rows": int(group["rows"].sum()),
        "last_rows": int(newest["rows"]),
        "not_stored": int((good["rows"] - good["stored_rows"]).clip(lower=0).sum()),
        "requests": int(requests) if len(asked) else None,
        "rows_per_request": asked["rows"].sum() / requests if requests else None,
        "median_seconds": statistics.quantile(group["seconds"], 0.5),
        "bookmark_at": bookmarks.iloc[-1] if len(bookmarks) else pd.NaT,
        "lag_seconds": (now - bookmarks.iloc[-1]).total_seconds() if len(bookmarks) else None,
        "unmoved_syncs": _unmoved(bookmarks) if len(bookmarks) else None,
        "zero_row_syncs": int((good["rows"] == 0).sum()),
        "unusual": f"0 rows; {had_rows} of the {before} syncs before had some" if before else "",
        "plan_signed": plan.signed,
        "plan_absolute": plan.absolute,
    }


def _unmoved(bookmarks: pd.Series) -> int:
    """How many of the newest syncs left the bookmark where it was."""
    moved = (bookmarks != bookmarks.iloc[-1]).to_numpy()[::-1]
    return int(moved.argmax() if moved.any() else len(moved)) - 1


def _usual(good: pd.DataFrame) -> tuple[int, int]:
    """Of the syncs before one without rows, how many had rows; 0 of 0 where that is nothing odd."""
    if good.empty or good["rows"].iloc[-1]:
        return 0, 0
    before = good["rows"].iloc[-NEWEST - 1 : -1]
    had_rows = int((before > 0).sum())
    is_odd = len(before) >= _FEWEST_BEFORE and had_rows >= _USUAL_SHARE * len(before)
    return (had_rows, len(before)) if is_odd else (0, 0)


def plans(found: pd.DataFrame) -> pd.DataFrame:
    """Syncs that ended well and had a plan: what was planned, and what came. The newest first."""
    names = ["at", "environment", "stream", "planned_rows", "rows", "planned_requests", "requests"]
    has_plan = found["planned_rows"].notna() | found["planned_requests"].notna()
    return found.loc[has_plan & (found["result"] == _SUCCESS), names].iloc[::-1]


def plan_error(found: pd.DataFrame, of: str) -> PlanError:
    """How far plans of `rows` or `requests` were off, in syncs that ended well."""
    known = found[found["result"] == _SUCCESS].dropna(subset=[f"planned_{of}", of])
    planned, real = known[f"planned_{of}"], known[of]
    error, total = real - planned, planned.sum()
    return PlanError(
        plans=len(known),
        planned=int(total),
        real=int(real.sum()),
        signed=float(error.sum() / total) if total else None,
        absolute=float(error.abs().sum() / total) if total else None,
        higher=int((error > 0).sum()),
        lower=int((error < 0).sum()),
    )


def rows_by_day(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of each stream on each day, UTC, of the runs that began on it."""
    days = found.assign(day=found["at"].dt.floor("D"))
    return days.groupby(["day", "stream"], observed=True, as_index=False)["rows"].sum()


def skipped_parts(history: History) -> pd.DataFrame:
    """What Sentry would not give: parts and runs of each stream and reason, the most first."""
    runs = history.runs.set_index("run_id")["started_at"]
    found = history.skipped.astype("object")
    found = found.assign(at=pd.to_datetime(found["run_id"].map(runs), utc=True))
    parts = found.groupby(["stream", "reason"], as_index=False).agg(
        parts=("part", "nunique"),
        runs=("run_id", "nunique"),
        first_at=("at", "min"),
        last_at=("at", "max"),
        example=("part", "last"),
    )
    return parts.sort_values(["parts", "stream"], ascending=[False, True])
