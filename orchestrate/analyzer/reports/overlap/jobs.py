"""Jobs side by side: what each builds and how often, what they share, what to do about it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.overlap.builds import KEY, NEEDED, REDUNDANT, UNKNOWN, VERDICTS

# So much of what can be told must be redundant before a job is proposed to do without it.
_ALMOST_ALL = 0.9
# A job covers another where it runs this many times as often.
_COVERS = 2.0
# Redundant machine seconds a day.
_PRIORITIES = ((600.0, "high"), (60.0, "medium"), (0.0, "low"))
_MOST_JOBS = 20


def inventory(history: History, built: pd.DataFrame) -> pd.DataFrame:
    """Each job of each environment: its type, its cadence (the median between two begins), ..."""
    runs = history.runs.sort_values("started_at")
    names = ["environment", "job"]
    groups = runs.groupby(names, observed=True)
    gap = groups["started_at"].diff().dt.total_seconds()
    frame = pd.DataFrame({"runs": groups.size(), "last_started_at": groups["started_at"].max()})
    frame.insert(0, "type", groups["job_type"].agg(lambda types: types.mode().iloc[0]))
    frame["every_seconds"] = gap.groupby([runs[name] for name in names], observed=True).median()
    of_run = runs.set_index("run_id")[names]
    targets = history.invocations[["run_id", "target"]].join(of_run, on="run_id")
    targets = targets[targets["target"] != ""].groupby(names, observed=True)["target"]
    frame["targets"] = targets.agg(lambda found: sorted(set(found)))
    frame["targets"] = [one if isinstance(one, list) else [] for one in frame["targets"]]
    by_job = built.groupby(names, observed=True)
    frame["relations"] = by_job["key"].nunique().reindex(frame.index, fill_value=0)
    frame["builds"] = by_job.size().reindex(frame.index, fill_value=0)
    frame["build_seconds"] = by_job["seconds"].sum().reindex(frame.index, fill_value=0.0)
    return frame.reset_index().astype({"environment": "object", "job": "object"})


def mapping(built: pd.DataFrame) -> pd.DataFrame:
    """Which job builds which relation."""
    groups = built.groupby([*KEY, "job"], observed=True)
    frame = groups.agg(
        name=("name", "last"), builds=("key", "size"), machine_seconds=("seconds", "sum")
    ).reset_index()
    return frame.astype(dict.fromkeys([*KEY, "job", "name"], "object"))


def relations(built: pd.DataFrame, rebuilt: pd.DataFrame) -> pd.DataFrame:
    """Relations that several jobs build, those with the most redundant time first."""
    groups = built.groupby("key")
    frame = groups[[*KEY, "name"]].last().astype("object")
    pairs = built[["key", "job"]].drop_duplicates()
    frame["jobs"] = pairs.groupby("key")["job"].agg(lambda jobs: sorted(map(str, jobs)))
    frame["builds"] = groups.size()
    frame = frame[frame["jobs"].str.len() > 1]
    for verdict in VERDICTS:
        rows = rebuilt[rebuilt["verdict"] == verdict].groupby("key")
        frame[verdict] = rows.size().reindex(frame.index, fill_value=0)
    redundant = rebuilt[rebuilt["verdict"] == REDUNDANT].groupby("key")[["seconds", "cost"]].sum()
    frame["redundant_seconds"] = redundant["seconds"].reindex(frame.index, fill_value=0.0)
    frame["redundant_cost"] = redundant["cost"].reindex(frame.index, fill_value=0.0)
    order = ["redundant_seconds", REDUNDANT, "builds"]
    return frame.sort_values(order, ascending=False, kind="stable").reset_index(drop=True)


def matrix(built: pd.DataFrame) -> pd.DataFrame:
    """How many relations two jobs both build; on the diagonal how many each builds in all.

    The jobs that share the most, `environment: job`, at most 20.
    """
    pairs = built[["key", "environment", "job"]].drop_duplicates()
    label = pairs["environment"].astype("object") + ": " + pairs["job"].astype("object")
    builds = pd.crosstab(label, pairs["key"])
    shared = builds @ builds.T
    others = shared.sum(axis=1) - np.diag(shared)
    names = others.sort_values(ascending=False, kind="stable").index[:_MOST_JOBS].sort_values()
    found = shared.loc[names, names]
    return found.set_axis(list(names), axis=1).rename_axis("job").reset_index()


def proposals(
    jobs: pd.DataFrame, built: pd.DataFrame, rebuilt: pd.DataFrame, span_days: float
) -> pd.DataFrame:
    """What to do about two jobs that build the same relations, the dearest first."""
    columns = [
        *("priority", "action", "proposal", "environment", "target", "job", "every_seconds"),
        *("other_job", "other_every_seconds", "shared_relations", *VERDICTS),
        *("redundant_seconds_per_day", "redundant_cost_per_day"),
    ]
    every = jobs.set_index(["environment", "job"])["every_seconds"]
    rows = []
    for (environment, target), built_here in built.groupby(KEY[:2], observed=True):
        here = rebuilt[(rebuilt["environment"] == environment) & (rebuilt["target"] == target)]
        keys = {
            str(job): set(group["key"]) for job, group in built_here.groupby("job", observed=True)
        }
        names = {tuple(sorted(pair)) for pair in zip(here["job"], here["before_job"], strict=True)}
        for pair in sorted(names):
            # Of jobs without a cadence nobody knows which runs more often.
            often, seldom = sorted(
                pair, key=lambda job: (np.nan_to_num(every[environment, job], nan=np.inf), job)
            )
            shared = keys[often] & keys[seldom]
            is_pair = here["job"].isin(pair) & here["before_job"].isin(pair)
            facts = _Facts(here[is_pair], often, seldom, every[environment], len(keys[seldom]))
            action, text = facts.proposal(len(shared))
            redundant = facts.redundant[["seconds", "cost"]].sum() / span_days
            seconds = float(redundant["seconds"])
            rows.append(
                [
                    *(_priority(seconds), action, text, environment, target),
                    *(often, every[environment, often], seldom, every[environment, seldom]),
                    *(len(shared), *(facts.counts[verdict] for verdict in VERDICTS)),
                    *(seconds, float(redundant["cost"])),
                ]
            )
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("redundant_seconds_per_day", ascending=False, ignore_index=True)


class _Facts:
    """What is known of two jobs that build the same relations.

    Args:
        rebuilt: The builds of one after the other.
        often: The job that runs more often.
        seldom: The other.
        every: How often each runs.
        relations: How many relations the other builds in all.
    """

    def __init__(
        self, rebuilt: pd.DataFrame, often: str, seldom: str, every: pd.Series, relations: int
    ) -> None:
        self._often, self._seldom, self._relations = often, seldom, relations
        self._every = every[often], every[seldom]
        self.redundant = rebuilt[rebuilt["verdict"] == REDUNDANT]
        self.counts = {name: int((rebuilt["verdict"] == name).sum()) for name in VERDICTS}
        after = rebuilt[rebuilt["job"] == seldom]
        self._seldom_counts = {name: int((after["verdict"] == name).sum()) for name in VERDICTS}

    def proposal(self, shared: int) -> tuple[str, str]:
        """An action in a word or two, and a sentence with its numbers."""
        often, seldom = (
            f"{job} ({self._cadence(every)})"
            for job, every in zip((self._often, self._seldom), self._every, strict=True)
        )
        counts = self.counts
        judged = counts[REDUNDANT] + counts[NEEDED]
        if not judged:
            return "measure", (
                f"Of none of {counts[UNKNOWN]:,} builds it is known whether it was needed: build "
                f"{often} and {seldom} with --reuse shadow, which compares contents."
            )
        if not counts[REDUNDANT]:
            return "keep both", (
                f"{often} and {seldom} share {shared:,} relations, and something upstream had "
                f"changed before each of {judged:,} builds that can be judged."
            )
        share = f"{counts[REDUNDANT]:,} of {judged:,} builds that can be judged"
        if self._is_covered():
            what = (
                "its dbt step"
                if shared == self._relations
                else f"the {shared:,} relations that both build"
            )
            return "leave out", (
                f"{often} covers {seldom}: leave {what} out of {self._seldom}. "
                f"{self._seldom_counts[REDUNDANT]:,} of its builds after {self._often} found "
                f"nothing new upstream, {self._seldom_counts[NEEDED]:,} did."
            )
        if self._is_alike() and counts[REDUNDANT] >= _ALMOST_ALL * judged:
            return "merge", (
                f"{often} and {seldom} run as often as each other and share {shared:,} relations: "
                f"make one job of them. {share} were redundant."
            )
        return "reuse", (
            f"Keep {often} and {seldom}, and build them with --reuse on: {share} were redundant, "
            f"{counts[NEEDED]:,} were needed."
        )

    def _is_covered(self) -> bool:
        fast, slow = self._every
        found = self._seldom_counts
        judged = found[REDUNDANT] + found[NEEDED]
        is_enough = judged > 0 and found[REDUNDANT] >= _ALMOST_ALL * judged
        return bool(is_enough and fast * _COVERS <= slow)

    def _is_alike(self) -> bool:
        fast, slow = self._every
        return bool(slow < fast * _COVERS)

    @staticmethod
    def _cadence(every_seconds: float) -> str:
        known = bool(np.isfinite(every_seconds))
        return f"every {formats.duration(every_seconds)}" if known else "ran once"


def _priority(seconds_per_day: float) -> str:
    if not seconds_per_day:
        return "none"
    return next(name for least, name in _PRIORITIES if seconds_per_day >= least)
