"""What was at work when: nodes, planning, calls of dbt, steps, each as spans within their run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from orchestrate.analyzer.classes import IDENTICAL, NodeClass
from orchestrate.analyzer.frames import COMMANDS
from orchestrate.analyzer.history import History

EXTRACT, BUILT, NO_OP, FAILED, UNDER_WAY = (
    "extract and load",
    "built and tested",
    "changed nothing",
    "failed",
    "under way",
)
DBT, PLANNING, MINIMUM, REQUESTS, OTHER = (
    "dbt itself",
    "planning reuse",
    "minimum charge",
    "Sentry requests",
    "starting and the rest",
)
PARTS = (EXTRACT, BUILT, NO_OP, FAILED, UNDER_WAY, DBT, PLANNING, MINIMUM, REQUESTS, OTHER)
PART = {part: place for place, part in enumerate(PARTS)}
# The part of a node by its class. What is skipped or reused does no work.
_NODE_PARTS = {
    NodeClass.SUCCESS.value: BUILT,
    NodeClass.NO_OP.value: NO_OP,
    NodeClass.ERROR.value: FAILED,
}
IDLE = (NodeClass.SKIPPED.value, NodeClass.REUSED.value, NodeClass.NOT_SELECTED.value)
STEP_KINDS = ("extract and load", "dbt", "other")
# What is inside of the other has the lower rank.
NODE_RANK, PLAN_RANK, INVOCATION_RANK, EXTRACT_RANK, STEP_RANK, RUN_RANK = range(6)
KIND_OF_RANK = np.array([1, 1, 1, 0, 2, 2])
_FAILED_RESULTS = ("failure", "timeout", "killed")
# A warehouse does not fall asleep between calls of dbt that follow each other so soon.
_AWAKE_US = 60_000_000
# With this command the planner learns what would be built.
_COMPILE = "compile"


def invocation_spans(history: History, runs: pd.DataFrame) -> pd.DataFrame:
    """The calls of dbt by run, in order, each with the `session` that a warehouse stays awake."""
    found = history.invocations.assign(run=places(history.invocations["run_id"], runs["run_id"]))
    found = found.sort_values(["run", "started_at"], kind="stable", ignore_index=True)
    found["start_us"] = microseconds(found["started_at"])
    found["end_us"] = microseconds(found["ended_at"].fillna(found["started_at"]))
    slept = found["start_us"] - found["end_us"].shift(fill_value=0) > _AWAKE_US
    found["session"] = (slept | (found["run"] != found["run"].shift())).cumsum() - 1
    return found


def node_spans(history: History, runs: pd.DataFrame, invocations: pd.DataFrame) -> pd.DataFrame:
    """The nodes in the order of the history, each with its part and where it ran."""
    nodes = history.nodes.reset_index(drop=True)
    place = places(nodes["invocation_id"], invocations["invocation_id"])
    run = invocations["run"].to_numpy()[place]
    # What is under way, or was killed, has worked until its call of dbt was last heard.
    last = invocations["end_us"].to_numpy()[place]
    parts = np.array([_part_of_class(kind) for kind in (*nodes["node_class"].cat.categories, None)])
    part = parts[nodes["node_class"].cat.codes]
    is_proven = (nodes["outcome"] == IDENTICAL) & (nodes["status"] == "success")
    return nodes.assign(
        run=run,
        session=invocations["session"].to_numpy()[place],
        environment=runs["environment"].array.take(run),
        job=runs["job"].array.take(run),
        target=invocations["target"].array.take(place),
        start_us=microseconds(nodes["started_at"]),
        end_us=np.where(nodes["ended_at"].isna(), last, microseconds(nodes["ended_at"])),
        part=np.where((part == PART[NO_OP]) & ~is_proven, PART[BUILT], part),
    )


def _part_of_class(kind: str | None) -> int:
    return PART[_NODE_PARTS.get(kind, UNDER_WAY)] if kind else PART[UNDER_WAY]


def planning_spans(history: History, runs: pd.DataFrame, invocations: pd.DataFrame) -> pd.DataFrame:
    """When the reuse planner was at work: calls of dbt that compile for it, or what comes before.

    A planner that is no call of dbt of its own begins with its step, and ends when dbt begins.
    """
    planned_runs = set(history.decisions["run_id"])
    is_planned = invocations["invocation_id"].isin(set(history.decisions["invocation_id"]))
    is_compile = (invocations["command"] == _COMPILE) & invocations["run_id"].isin(planned_runs)
    found = invocations[is_planned | is_compile]
    steps = history.steps.assign(run=places(history.steps["run_id"], runs["run_id"]))
    steps = steps.assign(step_us=microseconds(steps["started_at"]))[["run", "step_us"]]
    begun = pd.merge_asof(
        found.sort_values("start_us"),
        steps.sort_values("step_us"),
        left_on="start_us",
        right_on="step_us",
        by="run",
    )
    is_own = ~begun["command"].isin(COMMANDS)
    before = begun["step_us"].fillna(begun["start_us"]).astype("int64")
    return pd.DataFrame(
        {
            "run": begun["run"],
            "start_us": begun["start_us"].where(is_own, before),
            "end_us": begun["end_us"].where(is_own, begun["start_us"]),
            "session": begun["session"],
            "part": PART[PLANNING],
            "rank": PLAN_RANK,
        }
    )


def step_spans(history: History, runs: pd.DataFrame, run_end: np.ndarray) -> pd.DataFrame:
    """The steps; one that has no end lasts as long as its run (`run_end`, by its place)."""
    steps = history.steps.reset_index(drop=True)
    run = places(steps["run_id"], runs["run_id"])
    is_extract = steps["kind"] == "extract_load"
    failed = is_extract & steps["result"].isin(_FAILED_RESULTS)
    under_way = is_extract & steps["result"].isna()
    part = np.select(
        [failed, under_way, is_extract],
        [PART[FAILED], PART[UNDER_WAY], PART[EXTRACT]],
        PART[OTHER],
    )
    return pd.DataFrame(
        {
            "run": run,
            "start_us": microseconds(steps["started_at"]),
            "end_us": np.where(
                steps["ended_at"].isna(), run_end[run], microseconds(steps["ended_at"])
            ),
            "session": -1,
            "part": part,
            "rank": np.where(is_extract, EXTRACT_RANK, STEP_RANK),
        }
    )


def places(keys: pd.Series, wanted: pd.Series) -> np.ndarray:
    """Where each key stands in the wanted ones, which have each of them once."""
    categories = pd.Categorical(keys)
    places = pd.Index(wanted.astype("object")).get_indexer(categories.categories)
    found: np.ndarray = np.asarray(places)[categories.codes]
    return found


def microseconds(instants: pd.Series) -> np.ndarray:
    """Microseconds since 1970; 0 where there is no instant."""
    known = instants.dt.as_unit("us").fillna(pd.Timestamp(0, unit="us", tz="UTC"))
    found: np.ndarray = known.astype("int64").to_numpy()
    return found
