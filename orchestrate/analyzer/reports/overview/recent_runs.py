"""The newest runs, each with what broke first in it."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.trends.failures import gist
from orchestrate.ledger.model import FAILED, KILLED

RECENT = 60
_BROKEN = (*sorted(FAILED), KILLED)


def recent_runs(history: History, with_dbt: pd.DataFrame) -> pd.DataFrame:
    """The last RECENT runs, newest first.

    Args:
        history: What they are of.
        with_dbt: The `planner` of runs with dbt, by `run_id`.
    """
    found = history.runs.sort_values("started_at", ascending=False, kind="stable").head(RECENT)
    columns = ["started_at", "environment", "job", "job_type", "result", "run_seconds", "run_id"]
    found = found[[*columns, "error"]].astype(dict.fromkeys(("run_id", "error"), "object"))
    planner = with_dbt.set_index("run_id")["planner"].reindex(found["run_id"])
    broken = found[~found["result"].isin(["success", "running"])]
    told = _causes(history.of(broken["run_id"]))
    errors = broken.dropna(subset=["error"]).set_index("run_id")["error"]
    causes = [told.get(name) or errors.get(name) for name in found["run_id"]]
    return pd.DataFrame(
        {
            **{name: found[name] for name in columns[:-1]},
            "planner": planner.to_numpy(),
            "cause": pd.Series(causes, index=found.index, dtype="object"),
            "run_id": found["run_id"],
        }
    ).reset_index(drop=True)


def _causes(broken: History) -> dict[str, str]:
    """What broke first in each of some runs: a node, else dbt itself, else a step."""
    nodes = broken.nodes[broken.nodes["status"].isin(_BROKEN)].sort_values("ended_at")
    causes: dict[str, str] = {}
    calls, steps = (
        frame.dropna(subset=["error"]).sort_values("started_at")
        for frame in (broken.invocations, broken.steps)
    )
    for frame, kind, name, message in (
        (nodes, nodes["resource_type"], "name", "message"),
        (calls, "dbt", "command", "error"),
        (steps, "step", "name", "error"),
    ):
        parts = frame.assign(kind=kind)[["run_id", "kind", name, message]].astype("object")
        for run_id, found in parts.groupby("run_id", sort=False):
            _, what, named, told = found.iloc[0]
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            causes.setdefault(str(run_id), f"{what} {named}: {_said(told)}{more}")
    return causes


def _said(message: object) -> str:
    return gist("" if pd.isna(message) else str(message))
