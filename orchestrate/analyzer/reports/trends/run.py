"""One run: who worked when on which thread of dbt; and what is other than in another run."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.trends.path import path

_LAST = "last"
_FEWEST_DIGITS = 4
# What differs by less is noise.
_NOTABLE_SHARE, _NOTABLE_SECONDS = 0.1, 0.1
_BARS = [
    "thread",
    "name",
    "resource_type",
    "node_class",
    "started_at",
    "ended_at",
    "seconds",
    "is_critical",
    "invocation_id",
]
# Nodes of two packages may share a name.
_KEYS = ["kind", "name", "unique_id"]


def find(runs: pd.DataFrame, asked: str, field: str = "run") -> str:
    """The id of the run that a person means: `last`, an id, its beginning, or its end.

    The beginning of its last eight digits will do as well, as for `observe`.

    Args:
        runs: Those of a history.
        asked: Four digits or more.
        field: Of the choice: the error names it.

    Raises:
        ChoiceError: If there is none or more than one.
    """
    ids = runs["run_id"].astype("object")
    if asked == _LAST:
        if ids.empty:
            raise ChoiceError(f"{field} is 'last': no run is left by the window and the filters.")
        return str(ids[runs["started_at"].idxmax()])
    if (ids == asked).any():
        return asked
    found = [
        run_id
        for run_id in ids
        if run_id.startswith(asked) or run_id.endswith(asked) or run_id[-8:].startswith(asked)
    ]
    if len(asked) >= _FEWEST_DIGITS and len(found) == 1:
        return str(found[0])
    if len(asked) >= _FEWEST_DIGITS and found:
        raise ChoiceError(
            f"{field} is {asked!r}: {len(found)} runs have that. Give more of its digits."
        )
    raise ChoiceError(
        f"{field} is {asked!r}: no run of the window and the filters has it. It may be 'last', or "
        f"{_FEWEST_DIGITS} or more digits of an id."
    )


def before(runs: pd.DataFrame, run_id: str) -> str | None:
    """The run of the same job and environment that began last before a run; None without one."""
    runs = runs.astype({"run_id": "object"}).set_index("run_id")
    run = runs.loc[run_id]
    earlier = runs[
        (runs["environment"] == run["environment"])
        & (runs["job"] == run["job"])
        & (runs["started_at"] < run["started_at"])
    ]
    return None if earlier.empty else str(earlier["started_at"].idxmax())


def bars(run: History) -> pd.DataFrame:
    """When each node of a run was at work on which thread, and whether it decided the end.

    Args:
        run: A history of one run. Nodes that have no begin or end have no bar.
    """
    nodes = run.nodes.dropna(subset=["started_at", "ended_at"])
    nodes = nodes[nodes["node_seconds"] > 0]
    frame = nodes.assign(
        thread=nodes["thread"].astype("object").fillna("not told"),
        seconds=nodes["node_seconds"],
        is_critical=nodes.index.isin(path(run).index),
    )
    return frame.sort_values(["started_at", "thread"], kind="stable")[_BARS].reset_index(drop=True)


def idle(run: History, worked: pd.DataFrame) -> float | None:
    """The share of its threads' time that dbt left unused, from the first node to the last.

    Threads are those that dbt was given; None where no node has a begin and an end.

    Args:
        run: A history of one run.
        worked: As `bars` gives it.
    """
    given = run.invocations.set_index("invocation_id")["threads"]
    busy, there = 0.0, 0.0
    for invocation_id, nodes in worked.groupby("invocation_id", observed=True):
        told = given.get(invocation_id)
        threads = nodes["thread"].nunique() if told is None or pd.isna(told) else told
        begun, ended = nodes["started_at"].min(), nodes["ended_at"].max()
        there += float(threads) * (ended - begun).total_seconds()
        busy += float(nodes["seconds"].sum())
    return max(1 - busy / there, 0.0) if there > 0 else None


def difference(run: History, other: History) -> pd.DataFrame:
    """Steps and nodes of a run and of the one that it is compared with, the largest change first.

    `change` is slower, faster, new, gone, other class or same; by less than a tenth, or than a
    tenth of a second, nothing is slower or faster. Of a node that several calls of dbt had, the
    last one counts.
    """
    now, then = (
        pd.DataFrame(_timed(one), columns=[*_KEYS, "seconds", "class"]) for one in (run, other)
    )
    frame = now.merge(then, on=_KEYS, how="outer", suffixes=("", "_before"), indicator=True)
    frame = frame.rename(columns={"seconds_before": "before_seconds"})
    seconds = frame["seconds"].astype("float64"), frame["before_seconds"].astype("float64")
    frame["change_seconds"] = seconds[0] - seconds[1]
    large = frame["change_seconds"].abs()
    notable = (large >= _NOTABLE_SECONDS) & (large >= _NOTABLE_SHARE * seconds[1])
    is_other = frame["class"].notna() & (frame["class"] != frame["class_before"])
    frame["change"] = is_other.map({True: "other class", False: "same"})
    frame.loc[notable & (frame["change_seconds"] > 0), "change"] = "slower"
    frame.loc[notable & (frame["change_seconds"] < 0), "change"] = "faster"
    frame.loc[frame["_merge"] == "left_only", "change"] = "new"
    frame.loc[frame["_merge"] == "right_only", "change"] = "gone"
    weight = large.fillna(seconds[0]).fillna(seconds[1]).fillna(0.0)
    order = pd.DataFrame({"kind": frame["kind"] != "run", "weight": -weight})
    names = ["kind", "name", "change", "before_seconds", "seconds", "change_seconds"]
    place = order.sort_values(["kind", "weight"], kind="stable").index
    return frame.loc[place, [*names, "class_before", "class", "unique_id"]].reset_index(drop=True)


def _timed(run: History) -> Iterator[tuple[str, str, str, float | None, str | None]]:
    """Kind, name, unique id, seconds and class of the run, of its steps and of its nodes."""
    for row in run.runs.itertuples():
        yield "run", str(row.job), "", row.run_seconds, str(row.result)
    steps = run.steps
    seconds = (steps["ended_at"] - steps["started_at"]).dt.total_seconds()
    steps = steps.assign(seconds=seconds).astype({"result": "object"})
    # A run may have the same step twice.
    for name, found in steps.groupby("name", observed=True):
        last = found.iloc[-1]
        result = None if pd.isna(last["result"]) else str(last["result"])
        yield "step", str(name), "", found["seconds"].sum(min_count=1), result
    nodes = run.nodes.drop_duplicates("unique_id", keep="last")
    for node in nodes.astype({"node_class": "object"}).itertuples():
        kind = None if pd.isna(node.node_class) else str(node.node_class)
        names = str(node.resource_type), str(node.name), str(node.unique_id)
        yield *names, node.node_seconds, kind


def extracted(run: History, other: History) -> pd.DataFrame:
    """Rows and requests of each stream of both runs, the largest change of rows first."""
    numbers = ["rows", "stored_rows", "requests"]
    now, then = (
        one.streams.astype({"stream": "object"}).groupby("stream")[numbers].sum(min_count=1)
        for one in (run, other)
    )
    frame = now.merge(then, how="outer", on="stream", suffixes=("", "_before")).astype("Int64")
    frame["change_rows"] = frame["rows"] - frame["rows_before"]
    size = frame["change_rows"].fillna(frame["rows"]).fillna(frame["rows_before"]).abs()
    names = [f"{name}{when}" for name in numbers for when in ("_before", "")]
    place = size.sort_values(ascending=False, kind="stable").index
    return frame.loc[place, [*names, "change_rows"]].reset_index(names="stream")
