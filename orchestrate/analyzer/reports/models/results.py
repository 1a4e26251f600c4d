"""What became of the nodes of a project: the last result of each, how long it takes, its tests."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer.classes import NodeClass, classify
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.models.configured import EPHEMERAL

RECENT = 20
# In the last results; the sign without a class stands for what is under way.
SYMBOLS = {
    NodeClass.SUCCESS.value: "✓",
    NodeClass.ERROR.value: "✕",
    NodeClass.SKIPPED.value: "–",  # noqa: RUF001
    NodeClass.REUSED.value: "↻",
    NodeClass.NO_OP.value: "=",
}
UNDER_WAY = "·"
GOOD = (NodeClass.SUCCESS.value, NodeClass.NO_OP.value)
# Classes of nodes that were at work: what they took is work that was done.
AT_WORK = (*GOOD, NodeClass.ERROR.value)
# Of these, `reused` is a share; skipped ones were neither built nor reused.
DECIDED = (*AT_WORK, NodeClass.REUSED.value)
_TAKEN = [
    "unique_id",
    "run_id",
    "invocation_id",
    "node_class",
    "status",
    "started_at",
    "ended_at",
    "node_seconds",
    "rows_affected",
    "message",
    "mode",
    "decision",
    "reason",
]


def in_order(history: History, unique_ids: pd.Series) -> pd.DataFrame:
    """The results of these nodes as they came, oldest first. `at` is when, whatever became of it.

    A node that nobody began (skipped, reused) has the instant at which its invocation began.
    """
    wanted = history.nodes["unique_id"].isin(unique_ids)
    nodes = history.nodes.loc[wanted, _TAKEN]
    invocations = history.invocations.sort_values("started_at", kind="stable")
    began = pd.Series(invocations["started_at"].array, index=invocations["invocation_id"].array)
    places = pd.Series(range(len(began)), index=began.index)
    categories, codes = nodes["invocation_id"].cat.categories, nodes["invocation_id"].cat.codes
    place = places.reindex(categories).array.take(codes)
    instants = began.reindex(categories).array.take(codes)
    at = nodes["ended_at"].fillna(nodes["started_at"]).fillna(pd.Series(instants, nodes.index))
    order = pd.Series(place, nodes.index).argsort(kind="stable")
    return nodes.assign(at=at).iloc[order].reset_index(drop=True)


def results(history: History, nodes: pd.DataFrame) -> pd.DataFrame:
    """For each configured node, in their order: its class and its last result, durations, tests.

    Durations are of builds that went well, of all the window; the lists of the last ones begin with
    the oldest, and have those that failed too. `not selected` is what could be built and no run
    asked for; an ephemeral model is never built, and has no class.
    """
    done = in_order(history, nodes["unique_id"])
    by_node = {"by": "unique_id", "observed": True}
    well = done[done["node_class"].isin(GOOD)]
    built = well.drop_duplicates("unique_id", keep="last").set_index("unique_id")
    quantiles = well.groupby(**by_node)["node_seconds"].quantile([0.5, 0.95]).unstack()
    worked = done[done["node_class"].isin(AT_WORK) & done["node_seconds"].notna()]
    durations = worked.groupby(**by_node).tail(RECENT).groupby(**by_node)["node_seconds"].agg(list)
    recent = done.groupby(**by_node).tail(RECENT)
    signs = recent["node_class"].astype("object").map(SYMBOLS).fillna(UNDER_WAY)
    symbols = signs.groupby(recent["unique_id"], observed=True).agg("".join)
    looks = _looks(history, nodes)
    last = pd.concat([_last(history, done), _last_looks(looks)])
    columns = {
        **{name: last[name] for name in ("node_class", "status", "at", "message", "why")},
        "last_built_at": built["ended_at"],
        "last_seconds": built["node_seconds"],
        "median_seconds": quantiles.get(0.5, pd.Series(dtype="float64")),
        "p95_seconds": quantiles.get(0.95, pd.Series(dtype="float64")),
        "rows_affected": built["rows_affected"],
        "results": pd.concat([frame.groupby(**by_node).size() for frame in (done, looks)]),
        "seconds": worked.groupby(**by_node)["node_seconds"].sum(),
        "reused": done[done["node_class"] == NodeClass.REUSED.value].groupby(**by_node).size(),
        "decided": done[done["node_class"].isin(DECIDED)].groupby(**by_node).size(),
        "last_durations": durations,
        "last_classes": symbols,
    }
    found = pd.DataFrame(
        {
            name: column.set_axis(column.index.astype("object")).reindex(nodes["unique_id"])
            for name, column in columns.items()
        }
    ).set_axis(nodes.index)
    never = nodes["materialized"] == EPHEMERAL
    has_none = found["at"].isna() & ~never
    found["node_class"] = (
        found["node_class"].astype("object").mask(has_none, NodeClass.NOT_SELECTED.value)
    )
    for name in ("results", "reused", "decided"):
        found[name] = found[name].fillna(0).astype("int64")
    found["last_classes"] = found["last_classes"].fillna("")
    found["last_durations"] = [
        one if isinstance(one, list) else [] for one in found["last_durations"]
    ]
    return nodes.join(found)


def _last(history: History, done: pd.DataFrame) -> pd.DataFrame:
    """The last result of each node, by its unique id, with why it was built or reused."""
    last = done.drop_duplicates("unique_id", keep="last").astype(
        {"unique_id": "object", "run_id": "object"}
    )
    keys = ["run_id", "unique_id"]
    said = history.decisions[history.decisions["run_id"].isin(last["run_id"])]
    said = said.drop_duplicates(keys, keep="last")[[*keys, "detail"]].astype("object")
    last = last.merge(said, on=keys, how="left").set_index("unique_id")
    texts = last[["mode", "decision", "reason", "detail", "message", "node_class"]]
    why = [_why(*row) for row in texts.astype("object").itertuples(index=False, name=None)]
    return last.assign(why=pd.Series(why, index=last.index, dtype="object"))


def _why(mode: object, decision: object, reason: object, detail: object, *told: object) -> object:
    """Why a node was built or reused, None where nobody said."""
    if not isinstance(reason, str):
        message, node_class = told
        return message if node_class == NodeClass.REUSED.value else None
    sentence = f"{reason}: {detail}" if isinstance(detail, str) and detail else reason
    if mode == "shadow":
        return f"{sentence} (shadow: it would {decision})"
    return sentence


def _looks(history: History, nodes: pd.DataFrame) -> pd.DataFrame:
    """What was found of the freshness of sources, oldest first."""
    sources = nodes.loc[nodes["resource_type"] == "source", "unique_id"]
    looks = history.freshness[history.freshness["unique_id"].isin(sources)]
    return looks.sort_values("snapshotted_at", kind="stable", na_position="first")


def _last_looks(looks: pd.DataFrame) -> pd.DataFrame:
    """The last look at each source, as if it were a result."""
    last = looks.drop_duplicates("unique_id", keep="last").astype({"unique_id": "object"})
    last = last.set_index("unique_id")
    outcome = pd.Series(None, index=last.index, dtype="object")
    return last.assign(
        node_class=classify(last["status"], outcome),
        at=last["snapshotted_at"],
        message=last["error"],
        why=None,
    )
