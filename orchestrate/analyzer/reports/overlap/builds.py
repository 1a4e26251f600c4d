"""Builds of one relation by several jobs, and whether the later one was needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from orchestrate.analyzer.classes import BUILT_TYPES, IDENTICAL, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.cost.spans import microseconds
from orchestrate.analyzer.reports.cost.work import Work
from orchestrate.ledger.model import KILLED, Result

REDUNDANT, NEEDED, UNKNOWN = "redundant", "needed", "unknown"
VERDICTS = (REDUNDANT, NEEDED, UNKNOWN)
# The same relation of the same database: other environments and targets have other files.
KEY = ["environment", "target", "relation"]
_CHANGED = "changed"
_VIEW = "view"
_Place = tuple[str, ...]


class _Spans(NamedTuple):
    """When something happened that may have changed rows: begins and ends, each in order."""

    begins: np.ndarray
    ends: np.ndarray

    def within(self, after: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Whether any of it lies, at least in part, between two instants."""
        begun = np.searchsorted(self.begins, before, side="left")
        over = np.searchsorted(self.ends, after, side="right")
        found: np.ndarray = begun > over
        return found


class _Events(NamedTuple):
    """What surely changed something (`changed`), and what may have (`doubtful`), by its place."""

    changed: Mapping[_Place, _Spans]
    doubtful: Mapping[_Place, _Spans]
    known: frozenset[_Place]


def builds(done: Work) -> pd.DataFrame:
    """The builds of relations, by key and then in their order.

    What was skipped, reused or failed has built nothing.
    """
    nodes = done.nodes
    good = nodes["node_class"].isin((NodeClass.SUCCESS.value, NodeClass.NO_OP.value))
    good &= nodes["status"] == "success"
    good &= nodes["resource_type"].isin(BUILT_TYPES)
    good &= nodes["relation"].notna() & nodes["started_at"].notna()
    found = nodes.loc[
        good,
        [
            *(*KEY, "job", "run_id", "invocation_id", "unique_id", "name", "materialized"),
            *("code_hash", "outcome", "start_us", "end_us", "seconds", "cost"),
        ],
    ]
    found = found.assign(key=found.groupby(KEY, observed=True).ngroup())
    return found.sort_values(["key", "start_us"], kind="stable", ignore_index=True)


def rebuilds(history: History, done: Work, built: pd.DataFrame) -> pd.DataFrame:
    """The builds that follow one of the same relation by another job, each with a verdict.

    `redundant` where nothing upstream changed in between: no stream stored rows for a source, no
    table was rebuilt with other contents, the SQL is the same. `unknown` where that can't be told.
    """
    before = built.shift()
    is_other = (built["key"] == before["key"]) & (
        built["job"].astype("object") != before["job"].astype("object")
    )
    found = built[is_other].assign(
        before_job=before.loc[is_other, "job"], after_us=before.loc[is_other, "start_us"]
    )
    if found.empty:
        return found.assign(verdict=pd.Series(dtype="object"))
    code = found["code_hash"].astype("object")
    code_before = before.loc[is_other, "code_hash"].astype("object")
    is_known = code.notna() & code_before.notna()
    changed = ((code != code_before) & is_known) | (found["outcome"] == _CHANGED)
    doubtful = ~is_known
    above_changed, above_doubtful = _above(history, found, _events(history, done))
    changed |= above_changed
    doubtful |= above_doubtful
    # That the contents came out as they were answers every doubt.
    doubtful &= found["outcome"] != IDENTICAL
    return found.assign(verdict=np.select([changed, doubtful], [NEEDED, UNKNOWN], REDUNDANT))


def _above(history: History, found: pd.DataFrame, events: _Events) -> tuple[np.ndarray, np.ndarray]:
    """Of each build, whether something upstream changed since the one before, or may have."""
    hashes = history.invocations.astype({"invocation_id": "object", "manifest_hash": "object"})
    by_invocation = hashes.set_index("invocation_id")["manifest_hash"]
    manifests = found["invocation_id"].astype("object").map(by_invocation).fillna("")
    place = pd.Series(range(len(found)), index=found.index)
    changed, doubtful = np.zeros(len(found), dtype="bool"), np.zeros(len(found), dtype="bool")
    after, before = found["after_us"].to_numpy("int64"), found["start_us"].to_numpy("int64")
    groups = place.groupby(
        [manifests, *(found[name].astype("object") for name in (*KEY[:2], "unique_id"))]
    )
    projects: dict[str, _Project] = {}
    for (manifest_hash, environment, target, unique_id), places in groups:
        rows = places.to_numpy()
        if manifest_hash not in projects:
            projects[manifest_hash] = _Project(history.manifest, manifest_hash)
        above = projects[manifest_hash].above(unique_id)
        if above is None:
            doubtful[rows] = True
            continue
        for stream, node in above:
            key = (environment, stream) if stream else (environment, target, node)
            if stream and key not in events.known:
                doubtful[rows] = True
            for kind, marks in ((events.changed, changed), (events.doubtful, doubtful)):
                if key in kind:
                    marks[rows] |= kind[key].within(after[rows], before[rows])
            if changed[rows].all():
                break
    return changed, doubtful


class _Project:
    """What is upstream of the nodes of a manifest."""

    def __init__(self, manifest: Callable[[str], pd.DataFrame], manifest_hash: str) -> None:
        found = manifest(manifest_hash)
        self._parents = dict(zip(found["unique_id"], found["depends_on"], strict=True))
        sources = found[found["resource_type"] == "source"]
        names = sources["identifier"].fillna(sources["name"]).str.lower()
        self._streams = dict(zip(sources["unique_id"], names, strict=True))

    def above(self, unique_id: str) -> list[tuple[str, str]] | None:
        """All that is upstream, as the stream of a source or else the node; None if unknown."""
        if unique_id not in self._parents:
            return None
        seen: set[str] = set()
        left = list(self._parents[unique_id])
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left.extend(self._parents.get(name, ()))
        # Streams first: where one stored rows, nothing else need be looked at.
        ordered = sorted(seen, key=lambda name: (name not in self._streams, name))
        return [(self._streams.get(name, ""), name) for name in ordered]


def _events(history: History, done: Work) -> _Events:
    streams, nodes = _streams(history, done), _built_nodes(done)
    has_rows = streams["stored_rows"] > 0
    is_good = streams["result"] == Result.SUCCESS.value
    in_streams, in_nodes = ["environment", "stream"], [*KEY[:2], "unique_id"]
    return _Events(
        changed=_spans(streams[has_rows], in_streams)
        | _spans(nodes[nodes["is_changed"]], in_nodes),
        doubtful=_spans(streams[~has_rows & ~is_good], in_streams)
        | _spans(nodes[nodes["is_doubtful"]], in_nodes),
        known=frozenset(zip(streams["environment"], streams["stream"], strict=True)),
    )


def _streams(history: History, done: Work) -> pd.DataFrame:
    """What was loaded into which environment, and when."""
    runs = done.runs.astype({"run_id": "object", "environment": "object"}).set_index("run_id")
    run_ids = history.streams["run_id"].astype("object")
    return pd.DataFrame(
        {
            "environment": run_ids.map(runs["environment"]),
            "stream": history.streams["stream"].astype("object").str.lower(),
            "stored_rows": history.streams["stored_rows"],
            "result": history.streams["result"].astype("object"),
            "start_us": microseconds(
                history.streams["started_at"].fillna(run_ids.map(runs["started_at"]))
            ),
            "end_us": microseconds(
                history.streams["ended_at"].fillna(run_ids.map(runs["heard_at"]))
            ),
        }
    )


def _built_nodes(done: Work) -> pd.DataFrame:
    """Builds, with whether they changed rows, or may have; a view has none, but its SQL."""
    nodes = done.nodes[done.nodes["resource_type"].isin(BUILT_TYPES)]
    nodes = nodes[nodes["started_at"].notna()].sort_values("start_us", kind="stable")
    names = [*KEY[:2], "unique_id"]
    code = nodes["code_hash"].cat.codes  # -1 is unknown
    before = code.groupby([nodes[name] for name in names], observed=True).shift(fill_value=-1)
    is_good = nodes["status"] == "success"
    has_other_code = (code != before) & (code >= 0) & (before >= 0)
    found = nodes[[*names, "start_us", "end_us"]]
    return found.assign(
        is_changed=is_good & ((nodes["outcome"] == _CHANGED) | has_other_code),
        is_doubtful=(is_good & nodes["outcome"].isna() & (nodes["materialized"] != _VIEW))
        | (nodes["status"] == KILLED)
        | nodes["status"].isna(),
    )


def _spans(found: pd.DataFrame, names: list[str]) -> dict[_Place, _Spans]:
    return {
        tuple(map(str, place)): _Spans(np.sort(group["start_us"]), np.sort(group["end_us"]))
        for place, group in found.groupby(names, observed=True)
    }
