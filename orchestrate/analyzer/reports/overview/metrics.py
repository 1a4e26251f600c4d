"""The numbers of the overview."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from orchestrate.analyzer.goals import COVERAGE_GOAL, REUSE_GOAL
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Metric, Unit
from orchestrate.analyzer.reports.slo import State, loads
from orchestrate.analyzer.statistics import Rate, rate
from orchestrate.ledger.model import FAILED

_IN_TIME = (State.OK.value, State.IDLE.value)
JUDGED = (*_IN_TIME, State.LATE.value)


@dataclass(frozen=True)
class Found:
    """What the overview has counted, `recent` newest first.

    `promised` is what has to be fresh, `elsewhere` what is in environments where nothing has to.
    """

    history: History
    recent: pd.DataFrame
    promised: pd.DataFrame
    elsewhere: pd.DataFrame
    coverage: pd.DataFrame
    tests: pd.DataFrame
    reuse: Rate | None
    shadow: Rate | None
    opportunities: pd.DataFrame

    @property
    def declared(self) -> int:
        """How many models and sources have a limit or a cadence of their own."""
        return int((self.coverage["has_limit"] | self.coverage["cadence_seconds"].notna()).sum())


def metrics(found: Found) -> list[Metric]:
    """The numbers on top, the most urgent first."""
    history, runs, now = found.history, found.history.runs, found.history.now
    last = found.recent.iloc[0]
    ended = runs[runs["result"] != "running"]
    succeeded = rate(int((ended["result"] == "success").sum()), len(ended))
    # A stream may be newer than the newest row of its table, and dbt Cloud has no streams.
    ages = pd.concat([found.promised, found.elsewhere])
    loaded = pd.concat([loads(history)["loaded_at"], ages["loaded_at"]]).max()
    bookmark = history.streams["bookmark_at"].max()
    models = found.promised[found.promised["kind"] != "source"]
    judged = models[models["state"].isin(JUDGED)]
    in_time = rate(int(judged["state"].isin(_IN_TIME).sum()), len(judged))
    where = ", ".join(sorted(set(models["environment"]) - {""})) or "no environment"
    others = len(models) - len(judged)
    more = f"; {others:,} more have none, or nobody can say" if others else ""
    covered = rate(found.declared, len(found.coverage))
    failing = int(found.tests["status"].isin(FAILED).sum())
    heard_at = last["started_at"] + pd.to_timedelta(last["run_seconds"], unit="s")
    return [
        Metric(
            name="Last run",
            value=str(last["result"]),
            unit=Unit.TEXT,
            help=f"{last['job']}, begun {last['started_at']:%Y-%m-%d %H:%M} UTC. "
            f"{last['cause'] or ''}".strip(),
        ),
        Metric(
            name="Since last run",
            value=(now - heard_at).total_seconds(),
            unit=Unit.SECONDS,
            help="Time since its end, or since it was last heard of.",
        ),
        _share("Success rate", succeeded, "runs that ended"),
        Metric(
            name="Data age",
            value=_since(loaded, now),
            unit=Unit.SECONDS,
            help="Time since a stream last stored rows, or dbt found rows in a source that new.",
        ),
        Metric(
            name="Newest bookmark",
            value=_since(bookmark, now),
            unit=Unit.SECONDS,
            help="Age of the instant up to which a stream is complete, of the one furthest ahead.",
        ),
        _share("Models within SLO", in_time, f"models and snapshots with a limit ({where}){more}"),
        _share(
            "Reuse rate",
            found.reuse,
            "times that a model, seed or snapshot was reused or built; skipped ones are neither",
            REUSE_GOAL,
        ),
        _share(
            "Freshness declared",
            covered,
            "models and sources of the newest project have a limit or a cadence of their own",
            COVERAGE_GOAL,
        ),
        Metric(
            name="Failing tests",
            value=failing if len(found.tests) else None,
            help=f"Of {len(found.tests):,} last verdicts: {found.tests['unique_id'].nunique():,} "
            "tests, each in every environment and target where it is still there.",
        ),
        _share(
            "Planner's errors",
            found.shadow,
            "reuses judged in the shadow were wrong; 95 % sure to lie between the bounds",
            is_bounded=True,
        ),
    ]


def _share(
    name: str,
    found: Rate | None,
    of: str,
    goal: float | None = None,
    *,
    is_bounded: bool = False,
) -> Metric:
    counted = f"{found.part:,} of {found.whole:,}" if found else "Unknown: 0 of 0"
    return Metric(
        name=name,
        value=found.share if found else None,
        unit=Unit.SHARE,
        help=f"{counted} {of}.",
        goal=goal,
        low=found.low if found and is_bounded else None,
        high=found.high if found and is_bounded else None,
    )


def _since(instant: pd.Timestamp, now: pd.Timestamp) -> float | None:
    return None if pd.isna(instant) else (now - instant).total_seconds()
