"""Who uses the reuse planner, what it did for them, and what it would do for the others."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer.classes import BUILT_TYPES, IDENTICAL, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.planner import MODES, Planner
from orchestrate.analyzer.reports.freshness import cadence, limits, measured
from orchestrate.analyzer.reports.places import invocations, project
from orchestrate.analyzer.statistics import Rate, rate

JOB = ["environment", "job", "job_type"]
_SHADOW_HINT = "build it once with DBT_REUSE=shadow to see"
_CLOUD_HINT = "switch state-aware orchestration on for it in dbt Cloud to see"
# Node seconds a day from which on it is worth somebody's time.
HIGH_SECONDS, MEDIUM_SECONDS = 600.0, 60.0
_BUILT = (NodeClass.SUCCESS.value, NodeClass.NO_OP.value, NodeClass.ERROR.value)
COVERAGE = {
    "both": "reuses what is proven current, and has limits by which it can be seen to be late",
    "planner only": "reuses, but nothing says how old its data may be",
    "freshness only": "its age can be judged, but it builds everything each time",
    "neither": "builds everything each time, and nothing says how old its data may be",
    "unknown": "no run came far enough to tell whether the planner is used",
    "no dbt": "builds nothing: there is nothing to reuse",
}


def dbt_runs(history: History) -> pd.DataFrame:
    """The runs that built with dbt, oldest first, with what the planner was to them."""
    runs = history.runs[history.runs["planner"].notna()]
    columns = ["run_id", *JOB, "planner"]
    return runs[[*columns, "started_at"]].astype(dict.fromkeys(columns, "object"))


def by(runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """How many runs with dbt had the planner on, in the shadow, off; share of those that tell."""
    counted = runs.groupby([*keys, "planner"]).size().unstack("planner", fill_value=0)
    counted = counted.reindex(columns=list(MODES), fill_value=0).reset_index()
    counted.columns.name = None
    told = counted[list(MODES[:3])].sum(axis=1)
    counted.insert(len(keys), "runs", told + counted[Planner.UNKNOWN.value])
    return counted.assign(share_on=(counted[Planner.ON.value] / told).where(told > 0))


def reuse_rate(history: History) -> Rate | None:
    """The share of nodes that were reused, of those reused or built; skipped ones are neither."""
    kept = history.nodes[history.nodes["resource_type"].isin(BUILT_TYPES)]
    reused = int((kept["node_class"] == NodeClass.REUSED.value).sum())
    return rate(reused, reused + int(kept["node_class"].isin(_BUILT).sum()))


def shadow_errors(history: History) -> Rate | None:
    """Of the nodes that the planner would have reused in the shadow, those whose content changed.

    All were built, so it shows; None where nothing was judged.
    """
    would = history.decisions
    would = would[(would["mode"] == Planner.SHADOW.value) & (would["decision"] == "reuse")]
    judged = would[would["outcome"].notna()]
    return rate(int((judged["outcome"] != IDENTICAL).sum()), len(judged))


def jobs(history: History, days: int) -> pd.DataFrame:
    """Every job with its runs, the planner's part in them now, and its limits of freshness."""
    runs = history.runs.astype(dict.fromkeys((*JOB, "run_id", "result"), "object"))
    ended = runs["result"] != "running"
    runs = runs.assign(
        succeeded=runs["result"] == "success",
        ended=ended,
        seconds=runs["run_seconds"].where(ended),
    )
    found = (
        runs.assign(number=_numbers(history, runs))
        .groupby(JOB)
        .agg(
            number=("number", "first"),
            runs=("run_id", "size"),
            last_at=("started_at", "max"),
            last_result=("result", "last"),
            median_seconds=("seconds", "median"),
            succeeded=("succeeded", "sum"),
            ended=("ended", "sum"),
        )
        .reset_index()
    )
    found["runs_per_day"] = found["runs"] / history.span_days(days)
    found["success_rate"] = (found["succeeded"] / found["ended"]).where(found["ended"] > 0)
    with_dbt = dbt_runs(history)
    told = by(with_dbt, JOB).rename(columns={"runs": "dbt_runs"})
    found = found.merge(told, on=JOB, how="left")
    found[["dbt_runs", *MODES]] = found[["dbt_runs", *MODES]].fillna(0).astype("int64")
    known = with_dbt[with_dbt["planner"] != Planner.UNKNOWN.value]
    now = known.groupby(JOB)["planner"].last().rename("planner").reset_index()
    found = found.merge(now, on=JOB, how="left").merge(_limited(history), on="number", how="left")
    found[["models", "with_limit"]] = found[["models", "with_limit"]].fillna(0).astype("int64")
    found["planner"] = found["planner"].fillna(Planner.UNKNOWN.value)
    found["coverage"] = [
        _coverage(row.dbt_runs, row.planner, row.with_limit) for row in found.itertuples()
    ]
    return found.sort_values(["runs", "job"], ascending=[False, True], ignore_index=True)


def opportunities(history: History, everything: pd.DataFrame, days: int) -> pd.DataFrame:
    """The jobs without the planner, by the node seconds a day that a perfect reuse would save.

    `measured` where runs in the shadow compared contents: what was built and came out identical.
    Else `estimated`, by the share of nodes reused where the planner is on. Else unknown.

    Args:
        history: What the jobs are of.
        everything: What `jobs` gave for it.
        days: The window's; 0 for all.
    """
    listed = everything[(everything["dbt_runs"] > 0) & (everything["planner"] != Planner.ON.value)]
    kept = history.nodes[history.nodes["resource_type"].isin(BUILT_TYPES)]
    kept = kept.assign(job_number=_numbers(history, kept))
    planner = dbt_runs(history).set_index("run_id")["planner"]
    kept = kept.assign(planner=kept["run_id"].astype("object").map(planner))
    built = kept[kept["node_class"].isin(_BUILT[:2])]
    busy = built.groupby("job_number")["node_seconds"].sum()
    shadow = built[(built["planner"] == Planner.SHADOW.value) & built["outcome"].notna()]
    same = shadow[shadow["outcome"] == IDENTICAL]
    same_seconds = same.groupby("job_number")["node_seconds"].agg(["sum", "size"])
    compared = shadow.groupby("job_number").agg(
        nodes=("unique_id", "size"), runs=("run_id", "nunique")
    )
    on = kept[kept["planner"] == Planner.ON.value]
    reused = int((on["node_class"] == NodeClass.REUSED.value).sum())
    elsewhere = rate(reused, reused + int(on["node_class"].isin(_BUILT).sum()))
    covered = history.span_days(days)
    hint = _SHADOW_HINT if history.state_aware is None else _CLOUD_HINT
    rows = []
    for job in listed.itertuples():
        busy_seconds = float(busy.get(job.number, 0.0)) / covered
        saved, certainty, basis = None, "unknown", hint
        if job.number in compared.index:
            nodes, runs = compared.loc[job.number]
            found_same = job.number in same_seconds.index
            seconds, alike = same_seconds.loc[job.number] if found_same else (0.0, 0)
            saved = float(seconds) / runs * job.dbt_runs / covered
            certainty = "measured"
            basis = f"{alike:,.0f} of {nodes:,} builds in {runs:,} shadow runs changed nothing"
        elif elsewhere:
            saved, certainty = busy_seconds * elsewhere.share, "estimated"
            basis = (
                f"where the planner is on, {elsewhere.part:,} of {elsewhere.whole:,} nodes "
                "were reused"
            )
        rows.append(
            {
                **{name: getattr(job, name) for name in (*JOB, "planner")},
                "priority": _priority(saved),
                "saved_node_seconds_per_day": saved,
                "certainty": certainty,
                "basis": basis,
                "runs_per_day": job.dbt_runs / covered,
                "node_seconds_per_day": busy_seconds,
            }
        )
    columns = [*JOB, "planner", "priority", "saved_node_seconds_per_day", "certainty", "basis"]
    columns += ["runs_per_day", "node_seconds_per_day"]
    found = pd.DataFrame(rows, columns=columns)
    order = ["saved_node_seconds_per_day", "node_seconds_per_day"]
    found = found.astype(dict.fromkeys(["runs_per_day", *order], "float64"))
    return found.sort_values(order, ascending=False, ignore_index=True)


def _priority(saved: float | None) -> str:
    if saved is None:
        return "unknown"
    return "high" if saved >= HIGH_SECONDS else "medium" if saved >= MEDIUM_SECONDS else "low"


def _coverage(with_dbt: int, planner: object, with_limit: int) -> str:
    if not with_dbt:
        return "no dbt"
    if planner == Planner.UNKNOWN.value:
        return "unknown"
    if planner == Planner.ON.value:
        return "both" if with_limit else "planner only"
    return "freshness only" if with_limit else "neither"


def _limited(history: History) -> pd.DataFrame:
    """How many models each job has built or reused, and of how many it is said how old they may be.

    By the project that the job's newest run read; limits of sources count for what rests on them.
    """
    calls = invocations(history).dropna(subset=["manifest_hash"])
    hashes = calls.groupby(_numbers(history, calls))["manifest_hash"].last()
    told = measured(history).dropna(subset=["limit_seconds"])
    named = told.groupby("unique_id")["limit_seconds"].min().to_dict()
    limited = {}
    for manifest_hash in set(hashes):
        nodes = project(history, manifest_hash)
        paced = nodes.index[nodes["config"].map(cadence).notna()]
        limited[manifest_hash] = {*limits(nodes, named), *paced}
    models = history.nodes[history.nodes["resource_type"] == "model"]
    touched = models[["unique_id"]].assign(number=_numbers(history, models)).drop_duplicates()
    by_number = touched.groupby("number")["unique_id"]
    rows = [
        [number, len(names), len(limited.get(hashes.get(number), set()) & set(names))]
        for number, names in by_number
    ]
    return pd.DataFrame(rows, columns=["number", "models", "with_limit"])


def _numbers(history: History, frame: pd.DataFrame) -> pd.Series:
    """The number of the job that each row's run is of: `jobs` has the same."""
    number = history.runs.groupby(JOB, observed=True).ngroup()
    by_run = pd.Series(number.to_numpy(), index=history.runs["run_id"].astype("object"))
    return frame["run_id"].astype("category").map(by_run).astype("int64")
