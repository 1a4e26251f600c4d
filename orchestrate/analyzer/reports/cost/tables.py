"""The tables of the page "cost": the same money by part, day, model, job, run, class and size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from orchestrate.analyzer import money
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.classes import CLASSES
from orchestrate.analyzer.report import Table, Unit
from orchestrate.analyzer.reports.cost.savings import BOUNDS, PROVEN
from orchestrate.analyzer.reports.cost.spans import (
    DBT,
    FAILED,
    NO_OP,
    OTHER,
    PARTS,
    REQUESTS,
    STEP_KINDS,
)
from orchestrate.analyzer.reports.cost.work import Work

_MONEY, _SECONDS, _SHARE = Unit.MONEY, Unit.SECONDS, Unit.SHARE
_SPENT = {
    "cost": _MONEY,
    "cost_per_run": _MONEY,
    "cost_per_day": _MONEY,
    "failed_cost": _MONEY,
    "changed_nothing_cost": _MONEY,
    "requests_cost": _MONEY,
    "proven_saving": _MONEY,
    "machine_seconds": _SECONDS,
    "thread_seconds": _SECONDS,
    "saved_seconds": _SECONDS,
    "seconds_per_build": _SECONDS,
    "share": _SHARE,
    "share_of_cost": _SHARE,
}


def parts(done: Work) -> Table:
    """Where the wall clock of all runs went; its seconds add up to it."""
    sums = done.entries.groupby("part", observed=False)[["seconds", "cost"]].sum()
    sums = sums[(sums["seconds"] > 0) | (sums["cost"] > 0)]
    frame = pd.DataFrame(
        {
            "part": sums.index.astype("object"),
            "machine_seconds": sums["seconds"],
            "share": _share(sums["seconds"]),
            "cost": sums["cost"],
            "share_of_cost": _share(sums["cost"]),
        }
    )
    return _table(
        "Where the time goes",
        frame,
        "Each second of a run belongs to one part, divided among the nodes that run in it; the "
        f"seconds add up to the wall clock of the runs. {DBT!r} is dbt without a node at work: "
        f"reading the project, hooks, artifacts; {OTHER!r} is Meltano and other steps.",
    )


def days(done: Work, spared: pd.DataFrame, now: pd.Timestamp) -> Table:
    """Cost by the UTC day on which a run began, days without runs too."""
    began = done.runs["started_at"].dt.floor("D")
    every = pd.date_range(began.min(), max(now.floor("D"), began.max()), freq="D", name="day")
    costs = _by_run(done)
    # Parts that cost nothing anywhere would be empty columns.
    costs = costs.loc[:, costs.sum() > 0].groupby(began).sum().reindex(every, fill_value=0.0)
    proven = _proven_money(done, spared).groupby(began).sum().reindex(every, fill_value=0.0)
    frame = pd.DataFrame({"day": every}).assign(
        runs=began.groupby(began).size().reindex(every, fill_value=0).to_numpy(),
        cost=costs.sum(axis=1).to_numpy(),
        proven_saving=proven.to_numpy(),
        is_complete=(every > began.min()) & (every < now.floor("D")),
    )
    by_part = costs.reset_index(drop=True)
    found = _table("By day", pd.concat([frame, by_part], axis=1), "Runs by the day they began.")
    found.units.update(dict.fromkeys(by_part.columns, _MONEY))
    return found


def models(done: Work, reused: pd.DataFrame) -> Table:
    """Nodes by what they cost, the dearest first."""
    nodes = done.nodes
    nodes = nodes.assign(
        is_build=nodes["seconds"] > 0,
        failed_cost=nodes["cost"].where(nodes["part"] == FAILED, 0.0),
        changed_nothing_cost=nodes["cost"].where(nodes["part"] == NO_OP, 0.0),
    )
    groups = nodes.groupby("unique_id", observed=True)
    frame = groups[
        ["is_build", "seconds", "node_seconds", "cost", "failed_cost", "changed_nothing_cost"]
    ].sum()
    # Categories of two frames that are not the same can't be looked up in each other.
    frame.index = frame.index.astype("object")
    frame = frame.rename(
        columns={
            "is_build": "builds",
            "seconds": "machine_seconds",
            "node_seconds": "thread_seconds",
        }
    ).astype({"builds": "int64"})
    told = nodes.drop_duplicates("unique_id", keep="last").astype({"unique_id": "object"})
    told = told.set_index("unique_id")
    frame.insert(0, "name", told["name"].reindex(frame.index))
    frame.insert(1, "type", told["resource_type"].reindex(frame.index))
    frame["seconds_per_build"] = frame["machine_seconds"] / frame["builds"].replace(0, np.nan)
    frame["share_of_cost"] = (
        frame["cost"] / done.entries["cost"].sum() if frame["cost"].any() else np.nan
    )
    proven = reused[reused["kind"] == PROVEN].astype({"unique_id": "object"}).groupby("unique_id")
    frame["saved_seconds"] = proven["middle"].sum(min_count=1).reindex(frame.index)
    frame = frame.sort_values("cost", ascending=False, kind="stable").reset_index()
    return _table(
        "By model and test",
        frame,
        "Machine seconds are the wall clock, divided among the nodes that ran at the same time; "
        "thread seconds are how long each took. Share is of the cost of all runs. Saved seconds "
        "are of proven reuse, before planning is subtracted.",
    )


def jobs(done: Work, spared: pd.DataFrame, span_days: float) -> Table:
    """Runs of one job in one environment."""
    frame = runs(done, spared).frame.assign(runs=1)
    names = ["runs", "machine_seconds", "cost", "failed_cost", "changed_nothing_cost"]
    groups = frame.groupby(["environment", "job", "type"], observed=True)
    sums = groups[[*names, "proven_saving"]].sum().reset_index()
    sums.insert(6, "cost_per_run", sums["cost"] / sums["runs"])
    sums.insert(7, "cost_per_day", sums["cost"] / span_days)
    return _table(
        "By job",
        sums.sort_values("cost", ascending=False, ignore_index=True),
        "Proven saving is before planning is subtracted, which is a part of the cost.",
    )


def runs(done: Work, spared: pd.DataFrame) -> Table:
    """Each run, the newest first."""
    costs = _by_run(done)
    told = ["run_id", "environment", "job", "job_type", "result", "started_at", "run_seconds"]
    frame = (
        done.runs[told]
        .rename(columns={"job_type": "type", "run_seconds": "machine_seconds"})
        .assign(
            cost=costs.sum(axis=1),
            failed_cost=costs[FAILED],
            changed_nothing_cost=costs[NO_OP],
            requests_cost=costs[REQUESTS],
            proven_saving=_proven_money(done, spared),
        )
    )
    return _table("By run", frame.iloc[::-1].reset_index(drop=True))


def classes(done: Work) -> Table:
    """Nodes by what became of them."""
    groups = done.nodes.groupby("node_class", observed=False)
    frame = groups[["seconds", "node_seconds", "cost"]].sum()
    frame.insert(0, "nodes", groups.size())
    frame = frame.reindex(list(CLASSES)).rename(
        columns={"seconds": "machine_seconds", "node_seconds": "thread_seconds"}
    )
    # The seconds of what did no work are of no thread.
    frame.loc[frame["machine_seconds"] == 0, "thread_seconds"] = 0.0
    frame = frame.reset_index().astype({"node_class": "object"})
    return _table("By class", frame[frame["nodes"] > 0].reset_index(drop=True))


def steps(done: Work) -> Table:
    """Kinds of steps: what is in a call of dbt belongs to its step."""
    entries = done.entries.assign(
        failed_cost=done.entries["cost"].where(done.entries["part"] == FAILED, 0.0)
    )
    groups = entries.groupby("kind", observed=False)
    frame = groups[["seconds", "cost", "failed_cost"]].sum().reindex(list(STEP_KINDS))
    frame.insert(0, "runs", groups["run"].nunique())
    frame["share_of_cost"] = _share(frame["cost"])
    frame = frame.rename(columns={"seconds": "machine_seconds"}).reset_index()
    return _table(
        "By kind of step",
        frame.astype({"kind": "object"}),
        f"{STEP_KINDS[0].capitalize()} has Sentry's requests in it, dbt the planner.",
    )


def savings(kinds: pd.DataFrame) -> Table:
    """What was reused, and what that spared, by how sure it is that no build was needed."""
    frame = kinds.reset_index().astype({"kind": "object"})
    found = _table(
        "Reuse",
        frame.rename(columns={f"{bound}_money": f"{bound}_saving" for bound in BOUNDS}),
        "Before planning is subtracted. Seconds are those that the nodes usually take; unknown are "
        "nodes never built in the window. Of a warehouse, what is billed for a minute at least is "
        "not spared by working less of it.",
    )
    found.units.update({f"{bound}_seconds": _SECONDS for bound in BOUNDS})
    found.units.update({f"{bound}_saving": _MONEY for bound in BOUNDS})
    return found


def sizes(done: Work, choice: Choice) -> Table:
    """What the window would have cost on a warehouse of each size."""
    busy = done.sessions["busy_seconds"]
    seconds = float(money.billed(busy).sum())
    rest = float(done.entries["seconds"].sum() - busy.sum()) * done.rates.machine
    rest += float(done.entries.loc[done.entries["part"] == REQUESTS, "cost"].sum())
    size = pd.Series(money.CREDITS_PER_HOUR)
    frame = pd.DataFrame(
        {
            "size": size.index,
            "credits_per_hour": size.to_numpy(),
            "billed_seconds": seconds,
            "credits": seconds / money.HOUR_SECONDS * size.to_numpy(),
        }
    )
    frame["dbt_cost"] = frame["credits"] * choice.credit
    frame["total_cost"] = frame["dbt_cost"] + rest
    frame["chosen"] = frame["size"] == choice.warehouse_size
    found = _table(
        "What if: Snowflake warehouse sizes",
        frame,
        "The same seconds on each size, 60 s at least each time a warehouse resumes: a larger one "
        "costs less than shown where it is quicker. The rest of a run is the machine's.",
    )
    found.units.update({"billed_seconds": _SECONDS, "dbt_cost": _MONEY, "total_cost": _MONEY})
    return found


def _by_run(done: Work) -> pd.DataFrame:
    """Money by run (its place) and part."""
    codes = done.entries["part"].cat.codes.to_numpy("int64")
    place = done.entries["run"].to_numpy("int64") * len(PARTS) + codes
    sums = np.bincount(place, done.entries["cost"], minlength=len(done.runs) * len(PARTS))
    return pd.DataFrame(sums.reshape(len(done.runs), len(PARTS)), columns=list(PARTS))


def _proven_money(done: Work, spared: pd.DataFrame) -> pd.Series:
    proven = spared[spared["kind"] == PROVEN].groupby("run")["middle_money"].sum()
    return proven.reindex(range(len(done.runs)), fill_value=0.0)


def _share(numbers: pd.Series) -> pd.Series:
    total = numbers.sum()
    return numbers / total if total else numbers * np.nan


def _table(title: str, frame: pd.DataFrame, text: str = "") -> Table:
    units = {name: unit for name, unit in _SPENT.items() if name in frame.columns}
    return Table(title=title, frame=frame.reset_index(drop=True), help=text, units=units)
