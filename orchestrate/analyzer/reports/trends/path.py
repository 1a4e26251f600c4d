"""Which work decided when runs ended, over many runs: nodes, taps, and what is neither.

Steps of a run follow each other, and so do its calls of dbt; in a call, nodes overlap. There the
path is walked backwards from the node that ended last: before it came the node that it reads, or a
test of that node, or the node before it on its thread, whichever ended last. Only `trace` has the
details of a single run, such as the writing of artifacts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from orchestrate.analyzer.classes import TEST_TYPES
from orchestrate.analyzer.history import History

_MOST_NODES = 200_000  # those of the newest runs: older ones no longer decide
_EXTRACT_LOAD = "extract_load"
_TOLERANCE_US = 2_000  # dbt goes on a moment before it notes down the end


def path(history: History) -> pd.DataFrame:
    """The nodes on the critical path of each call of dbt: rows of `nodes` that decided its end.

    Args:
        history: Of the runs in question. Nodes that have no begin or end decide nothing.

    Returns:
        Their `run_id`, `invocation_id`, `unique_id`, `name`, `resource_type` and `node_seconds`;
        the index is that of `history.nodes`.
    """
    names = ["run_id", "invocation_id", "unique_id", "name", "resource_type", "node_seconds"]
    nodes = history.nodes.dropna(subset=["started_at", "ended_at"])
    nodes = nodes[nodes["node_seconds"] > 0]
    nodes = nodes.assign(
        call=pd.factorize(nodes["invocation_id"])[0], node=pd.factorize(nodes["unique_id"])[0]
    ).sort_values(["call", "ended_at", "started_at"], kind="stable")
    if nodes.empty:
        return nodes[names]
    before = _before(history, nodes)
    here = np.flatnonzero(nodes["call"].to_numpy() != np.append(nodes["call"].to_numpy()[1:], -1))
    found = [here]
    while here.size:
        here = before[here]
        here = here[here >= 0]
        found.append(here)
    return nodes.iloc[np.sort(np.concatenate(found))][names]


def _before(history: History, nodes: pd.DataFrame) -> npt.NDArray[np.int64]:
    """By a node's place the place of the node that it waited for last; -1 where there is none."""
    frame = pd.DataFrame(
        {
            "place": np.arange(len(nodes)),
            "call": nodes["call"].to_numpy(),
            "node": nodes["node"].to_numpy(),
            "thread": nodes["thread"].astype("object").to_numpy(),
            "began": nodes["started_at"].astype("int64").to_numpy(),
            "ended": nodes["ended_at"].astype("int64").to_numpy(),
        }
    )
    on_thread = frame.sort_values(["call", "thread", "began"], kind="stable")
    by_thread = on_thread.groupby(["call", "thread"])["place"].shift()
    pairs = pd.DataFrame({"place": on_thread["place"], "waited_for": by_thread}).dropna()
    upstream = frame[["call", "node", "place"]].merge(_edges(history, nodes), on=["call", "node"])
    upstream = upstream.merge(
        frame[["call", "node", "place"]].rename(columns={"node": "parent", "place": "waited_for"}),
        on=["call", "parent"],
    )
    pairs = pd.concat([pairs, upstream[["place", "waited_for"]]]).astype("int64")
    ended, began = frame["ended"].to_numpy(), frame["began"].to_numpy()
    waited_for, place = pairs["waited_for"].to_numpy(), pairs["place"].to_numpy()
    pairs = pairs[ended[waited_for] <= began[place] + _TOLERANCE_US]
    # A path that goes on only to what ended earlier must end itself.
    pairs = pairs[pairs["waited_for"] < pairs["place"]]
    last = pairs.groupby("place")["waited_for"].max()
    found = np.full(len(nodes), -1, dtype="int64")
    found[last.index.to_numpy()] = last.to_numpy()
    return found


def _edges(history: History, nodes: pd.DataFrame) -> pd.DataFrame:
    """For each call and node what it waits for there: nodes that it reads, and their tests."""
    numbers = dict(zip(nodes["unique_id"].astype("object"), nodes["node"], strict=True))
    calls = nodes[["invocation_id", "call"]].drop_duplicates()
    hashes = history.invocations.set_index("invocation_id")["manifest_hash"].astype("object")
    calls["manifest"] = calls["invocation_id"].astype("object").map(hashes)
    edges = []
    for manifest_hash in calls["manifest"].dropna().unique():
        project = history.manifest(str(manifest_hash))
        reads = project[["unique_id", "depends_on", "resource_type"]].explode("depends_on")
        reads["node"], reads["parent"] = (
            reads[name].map(numbers) for name in ("unique_id", "depends_on")
        )
        known = reads.dropna(subset=["node", "parent"])
        is_unit = known["resource_type"] == "unit_test"
        is_test = known["resource_type"].isin(TEST_TYPES)
        plain = known.loc[~is_unit, ["node", "parent"]]
        # What reads a node waits for its tests; a model for its unit tests, and these for what the
        # model waits for.
        before = pd.concat([plain, _through(known.loc[~is_test], known.loc[is_test])])
        units = known.loc[is_unit, ["node", "parent"]]
        of_units = units.merge(before, left_on="parent", right_on="node", suffixes=("", "_model"))
        both = pd.concat(
            [
                before,
                units.set_axis(["parent", "node"], axis=1),
                of_units[["node", "parent_model"]].set_axis(["node", "parent"], axis=1),
            ]
        )
        edges.append(both.drop_duplicates().assign(manifest=manifest_hash))
    if not edges:
        return pd.DataFrame({name: pd.Series(dtype="int64") for name in ("call", "node", "parent")})
    found = calls[["call", "manifest"]].merge(pd.concat(edges), on="manifest")
    return found[["call", "node", "parent"]].astype("int64")


def _through(readers: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Readers of nodes with the tests of these nodes, which they wait for."""
    found = readers[["node", "parent"]].merge(
        tests[["node", "parent"]], on="parent", suffixes=("", "_test")
    )
    return found[["node", "node_test"]].set_axis(["node", "parent"], axis=1)


def newest(history: History) -> History:
    """The newest runs that have ended, as many as hold 200,000 node runs."""
    runs = history.runs[history.runs["result"] != "running"]
    runs = runs.sort_values("started_at", ascending=False, kind="stable")
    counts = history.nodes.groupby("run_id", observed=True).size()
    by_id = pd.Series(counts.to_numpy(), index=counts.index.astype("object"))
    held = runs["run_id"].astype("object").map(by_id).fillna(0).cumsum()
    kept = runs[held <= _MOST_NODES]
    return history if len(kept) == len(history.runs) else history.of(kept["run_id"])


def deciding(history: History) -> pd.DataFrame:
    """What decided the end of these runs, the most first; `seconds` add up to those of the runs.

    A tap with its target decides by all of its time, a node by what it takes on the path. Waiting
    of nodes, the starting of dbt and of Meltano and whatever nothing tells of is `other`.
    `share` is of the time of all these runs.
    """
    total = float(history.runs["run_seconds"].sum())
    steps = history.steps[history.steps["kind"] == _EXTRACT_LOAD]
    steps = steps.assign(
        kind="tap and target",
        seconds=(steps["ended_at"] - steps["started_at"]).dt.total_seconds(),
    ).dropna(subset=["seconds"])
    nodes = path(history).rename(columns={"resource_type": "kind", "node_seconds": "seconds"})
    names = ["kind", "name", "run_id", "seconds"]
    parts = pd.concat([steps[names].astype({"run_id": "object"}), nodes[names]]).astype(
        {"kind": "object", "name": "object", "run_id": "object"}
    )
    found = (
        parts.groupby(["kind", "name"])
        .agg(runs=("run_id", "nunique"), seconds=("seconds", "sum"))
        .reset_index()
    )
    other = total - float(found["seconds"].sum())
    if total > 0 and other > 0:
        rest = ("other", "starting, waiting, ending", len(history.runs), other)
        found.loc[len(found)] = list(rest)
    found["share"] = found["seconds"] / total if total > 0 else np.nan
    return found.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)
