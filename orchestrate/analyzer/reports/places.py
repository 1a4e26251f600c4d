"""Where dbt works, an environment and a target of it: the project and the results that hold there.

The same node in two places is two tables, each with its own age and its own results.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from orchestrate.analyzer.history import History

PLACE = ["environment", "target"]


def invocations(history: History) -> pd.DataFrame:
    """The calls of dbt, oldest first; `environment` is that of the run, as streams have it."""
    columns = ["invocation_id", "run_id", "target", "started_at", "manifest_hash"]
    found = history.invocations[columns].astype(
        {name: "object" for name in columns if name != "started_at"}
    )
    environments = history.runs.set_index("run_id")["environment"].astype("object")
    found["environment"] = environments.reindex(found["run_id"]).to_numpy()
    return found.sort_values("started_at", kind="stable", ignore_index=True)


def places(history: History) -> pd.DataFrame:
    """Every place with the hash of the project that dbt read there last, None where none tells."""
    found = invocations(history)
    # `last` passes over what is missing.
    newest = found.groupby(PLACE, sort=True)["manifest_hash"].last().reset_index()
    return newest.astype("object").where(newest.notna(), None)


def newest(history: History, nodes: pd.DataFrame) -> pd.DataFrame:
    """Of some of a history's nodes the last result in each place.

    Its instant `at` is when the node began, or when its invocation did where it never began.
    """
    calls = invocations(history)
    names = nodes["invocation_id"].astype("category")
    order = pd.Series(np.arange(len(calls)), index=calls["invocation_id"])
    by_category = order.reindex(names.cat.categories).to_numpy()
    position = (
        by_category[names.cat.codes.to_numpy()] if len(nodes) else np.array([], dtype="int64")
    )
    rows = nodes.assign(position=position).sort_values("position", kind="stable")
    place = calls.groupby(PLACE).ngroup().to_numpy()
    rows["place"] = place[rows["position"].to_numpy(dtype="int64")]
    rows = rows.drop_duplicates(["place", "unique_id"], keep="last")
    told = calls.iloc[rows["position"].to_numpy(dtype="int64")].reset_index(drop=True)
    rows = rows.drop(columns=["place", "position"]).reset_index(drop=True)
    rows[PLACE] = told[PLACE]
    rows["unique_id"] = rows["unique_id"].astype("object")
    rows["at"] = rows["started_at"].fillna(told["started_at"])
    return rows


def project(history: History, manifest_hash: str | None) -> pd.DataFrame:
    """The nodes of a project by their unique ids; no rows where none is known."""
    return history.manifest(manifest_hash or "").set_index("unique_id", drop=False)
