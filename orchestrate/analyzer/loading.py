"""A ledger as frames: SQLite's rows, some runs at a time, so that millions of nodes have room."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd

from orchestrate.analyzer.classes import classify
from orchestrate.analyzer.frames import QUERIES, frame, table
from orchestrate.analyzer.history import History
from orchestrate.analyzer.planner import StateAware, planners
from orchestrate.ledger.meltano.schedules import Schedule
from orchestrate.ledger.model import ManifestNode
from orchestrate.ledger.store import Ledger

Progress = Callable[[int, int], object]

_CHUNK_RUNS = 250
_DAY_US = 86_400_000_000
_MANIFESTS = 64  # that many stay in memory


def load(
    path: Path,
    *,
    days: int,
    now_us: int,
    schedules: Sequence[Schedule] = (),
    state_aware: StateAware | None = None,
    progress: Progress = lambda _done, _total: None,
) -> History:
    """The runs of a time, and all their parts.

    Args:
        path: The ledger's file.
        days: How far back from now; 0 for all there is.
        now_us: This instant, microseconds since 1970.
        schedules: Those of meltano.yml: the runs of their jobs count as scheduled.
        state_aware: Which jobs of dbt Cloud reuse; None where the runs are our own.
        progress: Told how many of the runs are read, of how many.

    Raises:
        LedgerError: If the file can't be read.
    """
    since_us = now_us - days * _DAY_US if days else 0
    with Ledger(path) as ledger, _without_collecting():
        runs = frame([table("runs", ledger.select(QUERIES["runs"], [since_us]))])
        parts = [name for name in QUERIES if name != "runs"]
        # A frame without rows has its columns all the same.
        chunks = {name: [table(name, [])] for name in parts}
        for first in range(0, len(runs), _CHUNK_RUNS):
            chunk = json.dumps(runs["run_id"].iloc[first : first + _CHUNK_RUNS].tolist())
            for name in parts:
                chunks[name].append(table(name, ledger.select(QUERIES[name], [chunk])))
            progress(min(first + _CHUNK_RUNS, len(runs)), len(runs))
        frames = {name: frame(chunks.pop(name)) for name in parts}
        environments = ledger.select(
            "select distinct coalesce(environment, '') from pipeline_run order by 1"
        )
        jobs = ledger.select("select distinct job from pipeline_run order by 1")
        ((total_runs,),) = ledger.select("select count(*) from pipeline_run")
    scheduled = {schedule.job for schedule in schedules}
    runs["job_type"] = [
        job_type(trigger, job, scheduled)
        for trigger, job in zip(runs["trigger"], runs["job"], strict=True)
    ]
    frames["nodes"] = _told(frames["nodes"], frames["decisions"], frames["invocations"])
    runs["planner"] = planners(
        runs, frames["invocations"], frames["nodes"], frames["decisions"], state_aware
    )
    return History(
        now=pd.Timestamp(now_us, unit="us", tz="UTC"),
        path=path,
        runs=runs,
        **frames,
        schedules=tuple(schedules),
        manifest=partial(manifest, path),
        environments=tuple(name for (name,) in environments),
        jobs=tuple(name for (name,) in jobs),
        total_runs=total_runs,
        state_aware=state_aware,
    )


def job_type(trigger: str, job: str, scheduled: Collection[str]) -> str:
    """What kind of job a run is of: one of `choice.JobType`.

    Args:
        trigger: Who started the run: MELTANO_JOB_TRIGGER, or dbt Cloud's job type.
        job: What was asked to run.
        scheduled: The jobs that have a schedule.
    """
    if trigger in {"ci", "merge", "scheduled"}:
        return trigger
    return "scheduled" if trigger == "schedule" or job in scheduled else "other"


@lru_cache(maxsize=_MANIFESTS)
def manifest(path: Path, manifest_hash: str) -> pd.DataFrame:
    """The nodes and sources of a project as it was; no rows where the ledger lacks it.

    Raises:
        LedgerError: If the file can't be read.
    """
    names = [name for name in ManifestNode.__struct_fields__ if name != "manifest_hash"]
    with Ledger(path) as ledger:
        found = ledger.rows(ManifestNode, "manifest_hash = ?", [manifest_hash])
    return pd.DataFrame(
        [[getattr(node, name) for name in names] for node in found], columns=names, dtype="object"
    )


def version(path: Path) -> tuple[int, ...]:
    """Differs when there is something new in the ledger: what was loaded before is out of date.

    Raises:
        LedgerError: If the file can't be read.
    """
    with Ledger(path) as ledger:
        # Each transaction of the collector writes how far it has read.
        ((runs, heard_us, places),) = ledger.select(
            "select count(*), max(heard_us), (select sum(offset) from source_file) "
            "from pipeline_run"
        )
    return runs, heard_us or 0, places or 0


def _told(nodes: pd.DataFrame, decisions: pd.DataFrame, invocations: pd.DataFrame) -> pd.DataFrame:
    """The nodes, with what the planner said of them before, and with their class."""
    keys, told = ["run_id", "unique_id"], ["mode", "decision", "reason", "outcome"]
    if decisions.empty:
        nodes = nodes.assign(**dict.fromkeys(told))
    else:
        by_call = _planned_by(invocations, set(decisions["invocation_id"]))
        said = decisions[["invocation_id", "unique_id", *told]].astype("object")
        said = said.rename(columns={"invocation_id": "planned_by"})
        nodes = nodes.assign(planned_by=nodes["invocation_id"].astype("object").map(by_call))
        nodes = nodes.merge(said, on=["planned_by", "unique_id"], how="left")
        # Contents were compared once: of a node that was built again, the first build.
        built = nodes["status"] == "success"
        again = nodes[built].duplicated(["planned_by", "unique_id"])
        nodes.loc[again.index[again], "outcome"] = None
        nodes = nodes.drop(columns="planned_by")
    # As in `model.sentry.fct_traces`.
    packages = nodes["unique_id"].map(lambda unique_id: unique_id.split(".")[1])
    return nodes.assign(
        **{name: nodes[name].astype("category") for name in (*keys, *told)},
        package=packages.astype("category"),
        node_class=classify(nodes["status"], nodes["outcome"]),
    )


def _planned_by(invocations: pd.DataFrame, planning: Collection[str]) -> pd.Series:
    """By call of dbt, the planner's call that came last before it in its run, on its target."""
    calls = invocations[["invocation_id", "run_id", "target", "started_at"]].astype(
        dict.fromkeys(("invocation_id", "run_id", "target"), "object")
    )
    is_plan = calls["invocation_id"].isin(planning)
    calls = calls.assign(is_build=~is_plan).sort_values(["started_at", "is_build"], kind="stable")
    plans = calls["invocation_id"].where(~calls["is_build"])
    found = plans.groupby([calls["run_id"], calls["target"]]).ffill()
    return pd.Series(found.array, index=calls["invocation_id"].array)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Millions of rows hold no cycles; looking for some takes longer than reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
