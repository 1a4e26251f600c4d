"""How old the data of each model and source is, how old it may be, and whether that matters."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from orchestrate.analyzer.classes import NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.freshness import cadence, limits, measured, sources_above
from orchestrate.analyzer.reports.places import newest, places, project

AGEING = ("model", "snapshot", "source")
# Reused since nothing had changed; of all else that was reused nobody proved that it is current.
_PROVEN = "unchanged"
_BUILT = (NodeClass.SUCCESS.value, NodeClass.NO_OP.value)
_COLUMNS = {
    "kind": "object",
    "name": "object",
    "environment": "object",
    "target": "object",
    "state": "object",
    "age_seconds": "float64",
    "limit_seconds": "float64",
    "limit_from": "object",
    "current_at": "datetime64[us, UTC]",
    "built_at": "datetime64[us, UTC]",
    "reused_at": "datetime64[us, UTC]",
    "loaded_at": "datetime64[us, UTC]",
    "cadence_seconds": "float64",
    "materialized": "object",
    "unique_id": "object",
}


class State(str, enum.Enum):
    """Whether a model or source is as fresh as it should be, the worst first."""

    LATE = "late"  # older than its limit, and there is newer data upstream
    UNKNOWN = "unknown"  # nobody knows its age, or whether anything upstream moved
    IDLE = "idle"  # older than its limit, but building it would bring nothing new
    OK = "ok"
    NO_LIMIT = "no limit"


def loads(history: History) -> pd.DataFrame:
    """When each stream last stored rows in each environment: `stream` in small letters."""
    found = history.streams[history.streams["stored_rows"] > 0]
    runs = history.runs.set_index("run_id")
    # A run that is gone stored its rows at the latest when it was last heard of.
    heard = runs["started_at"] + pd.to_timedelta(runs["run_seconds"], unit="s").dt.as_unit("us")
    run_ids = found["run_id"].astype("object")
    stored = pd.DataFrame(
        {
            "environment": runs["environment"].astype("object").reindex(run_ids).to_numpy(),
            "stream": [name.lower() for name in found["stream"]],
            "loaded_at": found["ended_at"].fillna(heard.reindex(run_ids).set_axis(found.index)),
        }
    )
    return stored.groupby(["environment", "stream"], as_index=False)["loaded_at"].max()


def slo(history: History) -> pd.DataFrame:
    """Every model, snapshot and source of every place, with its age, its limit and its State.

    `current_at` is when a model last held all that there was: when its last good build began, or
    when the planner proved that a build would change nothing. Of a source it is its newest load.
    `loaded_at` is the newest load of what is upstream.
    """
    kept = history.nodes[history.nodes["resource_type"].isin(AGEING)]
    reused = kept["node_class"] == NodeClass.REUSED.value
    results = {
        "built_at": newest(history, kept[kept["node_class"].isin(_BUILT)]),
        "reused_at": newest(history, kept[reused]),
        "proven_at": newest(history, kept[reused & (kept["reason"] == _PROVEN)]),
    }
    stored, told = loads(history), measured(history)
    found = [
        _of_place(history, place._asdict(), results, stored, told)
        for place in places(history).itertuples(index=False)
    ]
    rows = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(_COLUMNS))
    rows = rows.astype(_COLUMNS)[list(_COLUMNS)]
    worst = rows["state"].map({state.value: place for place, state in enumerate(State)})
    return (
        rows.assign(worst=worst)
        .sort_values(["worst", "age_seconds"], ascending=[True, False], kind="stable")
        .drop(columns="worst")
        .reset_index(drop=True)
    )


def _of_place(
    history: History,
    place: Mapping[str, Any],
    results: Mapping[str, pd.DataFrame],
    stored: pd.DataFrame,
    told: pd.DataFrame,
) -> pd.DataFrame:
    nodes = project(history, place["manifest_hash"])
    told = _here(told, place).set_index("unique_id")
    streams = stored[stored["environment"] == place["environment"]].set_index("stream")
    may_be_old = limits(nodes, told["limit_seconds"].dropna().to_dict())
    above = sources_above(nodes)
    materialized = nodes["config"].map(lambda config: config.get("materialized"))
    rows = nodes[nodes["resource_type"].isin(AGEING) & (materialized != "ephemeral")]
    names = rows["unique_id"]
    loaded = _loaded(nodes[nodes["resource_type"] == "source"], streams["loaded_at"], told)
    newest_above = pd.Series(
        [
            max((loaded[one] for one in above[name] if one in loaded), default=None)
            for name in names
        ],
        index=rows.index,
        dtype="datetime64[us, UTC]",
    )
    at = {
        kind: _here(frame, place).set_index("unique_id")["at"].reindex(rows.index)
        for kind, frame in results.items()
    }
    is_source = rows["resource_type"] == "source"
    current_at = at["built_at"].where(
        ~(at["proven_at"] > at["built_at"]) & at["built_at"].notna(), at["proven_at"]
    )
    current_at = current_at.mask(is_source, newest_above)
    frame = pd.DataFrame(
        {
            "kind": rows["resource_type"],
            "name": rows["name"],
            "environment": place["environment"],
            "target": place["target"],
            "age_seconds": (history.now - current_at).dt.total_seconds(),
            "limit_seconds": [may_be_old.get(name, (math.nan, None))[0] for name in names],
            "limit_from": [may_be_old.get(name, (math.nan, None))[1] for name in names],
            "current_at": current_at,
            "built_at": at["built_at"],
            "reused_at": at["reused_at"],
            "loaded_at": newest_above,
            "cadence_seconds": rows["config"].map(cadence),
            "materialized": materialized[rows.index],
            "unique_id": names,
        }
    )
    rests_on = names.map(lambda name: len(above[name]) > 0)
    return frame.assign(state=_states(frame, is_source, rests_on))


def _here(frame: pd.DataFrame, place: Mapping[str, Any]) -> pd.DataFrame:
    return frame[
        (frame["environment"] == place["environment"]) & (frame["target"] == place["target"])
    ]


def _loaded(sources: pd.DataFrame, streams: pd.Series, told: pd.DataFrame) -> dict[str, Any]:
    """The newest load of each source: a stream of its table's name, or what dbt measured."""
    found = {}
    for source in sources.itertuples():
        instants = [
            streams.get(str(source.identifier or source.name).lower()),
            told["max_loaded_at"].get(source.unique_id),
        ]
        known = [one for one in instants if one is not None and not pd.isna(one)]
        if known:
            found[source.unique_id] = max(known)
    return found


def _states(frame: pd.DataFrame, is_source: pd.Series, rests_on: pd.Series) -> pd.Series:
    is_old = frame["age_seconds"] > frame["limit_seconds"]
    moved = frame["loaded_at"] > frame["current_at"]
    # A view shows what it reads; without sources there is nothing that could move.
    is_still = (frame["materialized"] == "view") | ~rests_on
    is_told = frame["loaded_at"].notna()
    state = pd.Series(State.OK.value, index=frame.index)
    state = state.mask(is_old & (is_source | moved), State.LATE.value)
    state = state.mask(is_old & ~is_source & ~moved & is_told, State.IDLE.value)
    state = state.mask(is_old & ~is_source & ~is_told, State.UNKNOWN.value)
    state = state.mask(is_old & ~is_source & is_still, State.IDLE.value)
    state = state.mask(frame["age_seconds"].isna(), State.UNKNOWN.value)
    return state.mask(frame["limit_seconds"].isna(), State.NO_LIMIT.value)
