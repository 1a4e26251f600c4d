"""What a ledger tells of a time, as frames that every page counts in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.planner import StateAware
from orchestrate.ledger.meltano.schedules import Schedule


@dataclass(frozen=True)
class History:
    """Frames of runs and of their parts; `loading` lists their columns.

    Their names are those of `orchestrate.ledger.model`, but instants are `*_at` (UTC) and durations
    `*_seconds`; every frame has `run_id`. Texts that repeat are categories: group by them rather
    than `value_counts`, which lists those too that do not occur.

    `nodes` holds what dbt built, tested, left or reused; a run may have several invocations of dbt.
    `decisions` holds what the reuse planner said. `now` is the instant that ages are counted to,
    `path` is the ledger's file, `manifest` gives the nodes of a project by its hash. What may be
    chosen (`environments`, `jobs`) and `total_runs` are of the whole ledger, whatever the window.
    `state_aware` is of dbt Cloud's jobs, None where the runs are our own.
    """

    now: pd.Timestamp
    path: Path
    runs: pd.DataFrame
    steps: pd.DataFrame
    invocations: pd.DataFrame
    nodes: pd.DataFrame
    decisions: pd.DataFrame
    streams: pd.DataFrame
    requests: pd.DataFrame
    retries: pd.DataFrame
    skipped: pd.DataFrame
    freshness: pd.DataFrame
    schedules: tuple[Schedule, ...]
    manifest: Callable[[str], pd.DataFrame]
    environments: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    total_runs: int = 0
    state_aware: StateAware | None = None

    def of(self, run_ids: Iterable[str]) -> History:
        """The same, of these runs alone."""
        wanted = set(run_ids)
        return self._each(lambda frame: frame[frame["run_id"].isin(wanted)])

    def chosen(self, choice: Choice) -> History:
        """What a choice leaves: runs by environment, job, type, result, planner; dbt on its target.

        The window is not looked at: it was when the history was loaded.
        """
        keep = pd.Series(data=True, index=self.runs.index)
        for name, wanted in (
            ("environment", (choice.environment,) if choice.environment else ()),
            ("job", choice.job),
            ("job_type", choice.job_type),
            ("result", choice.result),
            ("planner", choice.planner),
        ):
            if wanted:
                keep &= self.runs[name].isin(wanted)
        if choice.target:
            on_target = self.invocations[self.invocations["target"] == choice.target]
            keep &= self.runs["run_id"].isin(on_target["run_id"])
        left = self if keep.all() else self.of(self.runs.loc[keep, "run_id"])
        if not choice.target:
            return left
        on_target = left.invocations[left.invocations["target"] == choice.target]
        wanted_ids = set(on_target["invocation_id"])
        return left._each(
            lambda frame: (
                frame[frame["invocation_id"].isin(wanted_ids)]
                if "invocation_id" in frame.columns
                else frame
            )
        )

    def span_days(self, days: int) -> float:
        """How many days its runs span, 1 or more: those of the window, fewer from its first run on.

        Args:
            days: The window's; 0 for all.
        """
        if self.runs.empty:
            return 1.0
        since = float((self.now - self.runs["started_at"].min()) / pd.Timedelta(days=1))
        return max(1.0, min(since, float(days or since)))

    @cached_property
    def newest_manifest(self) -> str | None:
        """The hash of the project that dbt read last, None where nothing tells it."""
        known = self.invocations.dropna(subset=["manifest_hash"])
        if known.empty:
            return None
        return str(known.loc[known["started_at"].idxmax(), "manifest_hash"])

    @cached_property
    def project(self) -> pd.DataFrame:
        """The nodes of the newest manifest, without rows where there is none."""
        return self.manifest(self.newest_manifest or "")

    def _each(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> History:
        changed = {
            field.name: change(frame).reset_index(drop=True)
            for field in fields(self)
            if isinstance(frame := getattr(self, field.name), pd.DataFrame)
        }
        return replace(self, **changed)
