"""What reuse has spared: only what was proven not to need a build, less what planning took."""

from __future__ import annotations

import numpy as np
import pandas as pd

from orchestrate.analyzer.classes import NodeClass
from orchestrate.analyzer.reports.cost.work import Work

PROVEN, DEFERRED, UNPROVEN = "proven", "deferred", "not proven"
KINDS = (PROVEN, DEFERRED, UNPROVEN)
# The planner's reasons (orchestrate/reuse/decisions.py). A minimum interval between two builds
# (`build_after`) is somebody's word that older rows will do; what gives no reason proves nothing.
_KINDS_OF_REASONS = {"unchanged": PROVEN, "build_after": DEFERRED}
BOUNDS = ("low", "middle", "high")
_QUANTILES = (0.25, 0.5, 0.75)
_PLACE = ["environment", "target", "unique_id"]


def reused(work: Work) -> pd.DataFrame:
    """The nodes that were reused, each with its kind and the seconds that it would have taken.

    Those are of the machine: the median of its good builds in the same environment and target,
    between their quartiles (`low`, `middle`, `high`); NaN where it was never built.
    """
    nodes = work.nodes
    is_reused = nodes["node_class"] == NodeClass.REUSED.value
    found = nodes.loc[is_reused, ["run", "session", *_PLACE, "name", "reason"]]
    kinds = found["reason"].astype("object").map(_KINDS_OF_REASONS).fillna(UNPROVEN)
    found = found.assign(kind=pd.Categorical(kinds, categories=KINDS))
    good = nodes["node_class"].isin((NodeClass.SUCCESS.value, NodeClass.NO_OP.value))
    was_built = good & nodes["node_seconds"].notna()
    was_built &= nodes["unique_id"].isin(found["unique_id"].unique())
    built = nodes.loc[was_built, [*_PLACE, "seconds"]]
    usual = built.groupby(_PLACE, observed=True)["seconds"].quantile(list(_QUANTILES)).unstack()
    usual = usual.reindex(columns=list(_QUANTILES)).set_axis(list(BOUNDS), axis=1)
    return found.join(usual, on=_PLACE)


def saved(work: Work, found: pd.DataFrame) -> pd.DataFrame:
    """By session and kind: nodes reused, those without usual seconds, seconds and money spared.

    Compared with a build of everything without a planner. What a warehouse bills for a minute at
    least is not spared by working for less of it: `proven` comes first, then the other kinds.
    """
    sessions, rates = work.sessions, work.rates
    frames = []
    so_far = dict.fromkeys(BOUNDS, _unplanned(work))
    for kind in KINDS:
        groups = found[found["kind"] == kind].groupby("session", observed=True)
        frame = pd.DataFrame({"run": sessions["run"], "kind": kind})
        frame["nodes"] = groups.size().reindex(sessions.index, fill_value=0)
        known = groups["middle"].count().reindex(sessions.index, fill_value=0)
        frame["unknown"] = frame["nodes"] - known
        for bound in BOUNDS:
            more = groups[bound].sum().reindex(sessions.index, fill_value=0.0)
            frame[f"{bound}_seconds"] = more
            frame[f"{bound}_money"] = rates.added(so_far[bound], more)
            so_far[bound] = so_far[bound] + more
        frames.append(frame[frame["nodes"] > 0])
    return pd.concat(frames, ignore_index=True)


def by_kind(spared: pd.DataFrame) -> pd.DataFrame:
    """The sums of `saved`, one row for each of KINDS; without bounds where none is known."""
    sums = spared.drop(columns="run").groupby("kind").sum().reindex(list(KINDS), fill_value=0)
    amounts = [f"{bound}_{unit}" for bound in BOUNDS for unit in ("seconds", "money")]
    is_unknown = (sums["nodes"] > 0) & (sums["nodes"] == sums["unknown"])
    sums[amounts] = sums[amounts].astype("float64").mask(is_unknown, np.nan)
    return sums


def planning(work: Work) -> pd.Series:
    """What planning has cost by session, beyond what the same builds without it are billed for."""
    return work.rates.added(_unplanned(work), work.sessions["planning_seconds"])


def _unplanned(work: Work) -> pd.Series:
    """The busy seconds without a planner, to the microsecond: what is 0 is not nearly 0."""
    return (work.sessions["busy_seconds"] - work.sessions["planning_seconds"]).round(6)
