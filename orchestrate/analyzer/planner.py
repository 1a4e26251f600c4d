"""What reuse was to a run: our planner's mode, or whether dbt Cloud ran the job state-aware."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import pandas as pd

from orchestrate.analyzer.classes import NodeClass

# Of a job (environment, name) whether dbt Cloud reuses what did not change; None: nobody tells.
StateAware = Mapping[tuple[str, str], bool | None]
_BUILDING = ("build", "retry", "run")
_UNFINISHED = ("running", "killed")


class Planner(str, enum.Enum):
    """What the reuse planner was to a run with dbt."""

    ON = "on"
    SHADOW = "shadow"  # it planned, and everything was built all the same
    OFF = "off"
    UNKNOWN = "unknown"  # the run ended, or stands, before it could have told


MODES = tuple(mode.value for mode in Planner)


def planners(
    runs: pd.DataFrame,
    invocations: pd.DataFrame,
    nodes: pd.DataFrame,
    decisions: pd.DataFrame,
    state_aware: StateAware | None,
) -> pd.Series:
    """One of MODES for each run, None for those that built nothing with dbt.

    Args:
        runs: And the others: frames of a history.
        invocations: See there.
        nodes: See there.
        decisions: See there.
        state_aware: Of dbt Cloud's jobs as they are defined now; None where runs are our own.
    """
    built = invocations[invocations["command"].isin(_BUILDING)]
    reused = nodes[nodes["node_class"] == NodeClass.REUSED.value]
    on = {*decisions.loc[decisions["mode"] == Planner.ON.value, "run_id"], *reused["run_id"]}
    shadow = set(decisions.loc[decisions["mode"] == Planner.SHADOW.value, "run_id"])
    found = pd.Series(Planner.OFF.value, index=runs.index, dtype="object")
    if state_aware is not None:
        words = {True: Planner.ON.value, False: Planner.OFF.value, None: Planner.UNKNOWN.value}
        jobs = zip(runs["environment"], runs["job"], strict=True)
        told = [words[state_aware.get(job)] for job in jobs]
        found = pd.Series(told, index=runs.index, dtype="object")
    found = found.mask(runs["result"].isin(_UNFINISHED), Planner.UNKNOWN.value)
    found = found.mask(runs["run_id"].isin(shadow), Planner.SHADOW.value)
    found = found.mask(runs["run_id"].isin(on), Planner.ON.value)
    return found.where(runs["run_id"].isin({*built["run_id"], *on, *shadow}), None)
