"""What a history's seconds were spent on, and their price: the frames that costs are counted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from orchestrate.analyzer import money
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.money import Rates
from orchestrate.analyzer.reports.cost.spans import (
    DBT,
    IDLE,
    INVOCATION_RANK,
    KIND_OF_RANK,
    MINIMUM,
    NODE_RANK,
    OTHER,
    PART,
    PARTS,
    PLAN_RANK,
    REQUESTS,
    RUN_RANK,
    STEP_KINDS,
    invocation_spans,
    microseconds,
    node_spans,
    places,
    planning_spans,
    step_spans,
)
from orchestrate.analyzer.threads import divide


@dataclass(frozen=True)
class Work:
    """Seconds of the wall clock and their price.

    `entries` has a row for all that was spent: `run` (its place in `runs`), `part`, `kind` (of the
    step), `seconds`, `cost`; `seconds` of a run add up to how long it took. `nodes` are those of
    the history in their order, with `seconds`, `cost`, `part`, `run`, `session` and where they ran.
    `sessions` are times that a warehouse would have been awake: `run`, `busy_seconds` and how many
    of those are `planning_seconds`.
    """

    runs: pd.DataFrame
    nodes: pd.DataFrame
    entries: pd.DataFrame
    sessions: pd.DataFrame
    rates: Rates
    currency: str


def work(history: History, choice: Choice) -> Work:
    """What a history's time was spent on, by the prices of a choice."""
    rates = money.rates(choice)
    runs = history.runs.reset_index(drop=True)
    begin = microseconds(runs["started_at"])
    end = begin + (runs["run_seconds"].fillna(0.0).to_numpy() * 1e6).round().astype("int64")
    invocations = invocation_spans(history, runs)
    nodes = node_spans(history, runs, invocations)
    at_work = nodes[~nodes["node_class"].isin(IDLE) & nodes["started_at"].notna()]
    spans = pd.concat(
        [
            at_work[["run", "start_us", "end_us", "session", "part"]].assign(rank=NODE_RANK),
            planning_spans(history, runs, invocations),
            invocations[["run", "start_us", "end_us", "session"]].assign(
                part=PART[DBT], rank=INVOCATION_RANK
            ),
            step_spans(history, runs, end),
            pd.DataFrame(
                {"run": range(len(runs)), "start_us": begin, "end_us": end, "session": -1}
            ).assign(part=PART[OTHER], rank=RUN_RANK),
        ],
        ignore_index=True,
    ).rename(columns={"run": "group"})
    place = spans["group"].to_numpy()
    spans["start_us"] = spans["start_us"].clip(begin[place], end[place])
    spans["end_us"] = spans["end_us"].clip(spans["start_us"], pd.Series(end[place]))
    spans["seconds"] = divide(spans)
    is_dbt = spans["rank"].isin((NODE_RANK, PLAN_RANK))
    spans["cost"] = spans["seconds"] * np.where(is_dbt, rates.dbt, rates.machine)
    # The nodes stand first.
    nodes["part"] = pd.Categorical.from_codes(nodes["part"].astype("int8"), categories=PARTS)
    for column in ("seconds", "cost"):
        nodes[column] = 0.0
        nodes.loc[at_work.index, column] = spans[column].to_numpy()[: len(at_work)]
    sessions = invocations.groupby("session")[["run"]].first()
    for name, rows in (("busy", is_dbt), ("planning", spans["rank"] == PLAN_RANK)):
        sums = spans[rows].groupby("session")["seconds"].sum()
        sessions[f"{name}_seconds"] = sums.reindex(sessions.index, fill_value=0.0)
    entries = spans.rename(columns={"group": "run"}).assign(kind=KIND_OF_RANK[spans["rank"]])
    entries = pd.concat(
        [
            entries[["run", "part", "kind", "seconds", "cost"]],
            _minimum(sessions, rates),
            _requests(history, runs, rates),
        ],
        ignore_index=True,
    )
    for name, words in (("part", PARTS), ("kind", STEP_KINDS)):
        entries[name] = pd.Categorical.from_codes(entries[name].astype("int8"), categories=words)
    return Work(runs, nodes, entries, sessions, rates, choice.currency)


def _minimum(sessions: pd.DataFrame, rates: Rates) -> pd.DataFrame:
    """What is billed beyond what was busy. It takes no time."""
    if not rates.has_minimum:
        return pd.DataFrame({"run": pd.Series(dtype="int64"), "part": pd.Series(dtype="int64")})
    more = money.billed(sessions["busy_seconds"]) - sessions["busy_seconds"]
    return pd.DataFrame(
        {
            "run": sessions["run"],
            "part": PART[MINIMUM],
            "kind": 1,
            "seconds": 0.0,
            "cost": more * rates.dbt,
        }
    )


def _requests(history: History, runs: pd.DataFrame, rates: Rates) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": places(history.requests["run_id"], runs["run_id"]),
            "part": PART[REQUESTS],
            "kind": 0,
            "seconds": 0.0,
            "cost": history.requests["requests"].fillna(0) * rates.request,
        }
    )
