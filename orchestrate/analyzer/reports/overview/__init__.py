"""Health in ten seconds: the last runs, freshness, reuse, failing tests, who uses the planner."""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.classes import BUILT_TYPES, CLASSES, TEST_TYPES, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.planner import MODES
from orchestrate.analyzer.report import Report, Table, Unit
from orchestrate.analyzer.reports import freshness
from orchestrate.analyzer.reports.overview import adoption
from orchestrate.analyzer.reports.overview.adoption import COVERAGE
from orchestrate.analyzer.reports.overview.insights import insights
from orchestrate.analyzer.reports.overview.metrics import Found, metrics
from orchestrate.analyzer.reports.overview.recent_runs import recent_runs
from orchestrate.analyzer.reports.places import PLACE, newest, places, project
from orchestrate.analyzer.reports.slo import slo
from orchestrate.ledger.model import FAILED

_VERDICTS = ("pass", "warn", "reused", *sorted(FAILED))
_KINDS = {"data": BUILT_TYPES, "tests": TEST_TYPES}


def report(history: History, choice: Choice) -> Report:
    """All of the page. Freshness is judged where runs come by schedule, if they do anywhere."""
    if history.runs.empty:
        return Report(
            page="overview",
            empty="No run is in this window. Run the pipeline, for instance `meltano run "
            "tap-sentry target-duckdb dbt`, or look further back with `--days 0`.",
        )
    with_dbt = adoption.dbt_runs(history)
    jobs = adoption.jobs(history, choice.days)
    ages = slo(history)
    is_promised = ages["environment"].isin(_promised(history))
    found = Found(
        history=history,
        recent=recent_runs(history, with_dbt),
        promised=ages[is_promised],
        elsewhere=ages[~is_promised],
        coverage=freshness.coverage(history),
        tests=tests_now(history),
        reuse=adoption.reuse_rate(history),
        shadow=adoption.shadow_errors(history),
        opportunities=adoption.opportunities(history, jobs, choice.days),
    )
    return Report(
        page="overview",
        metrics=metrics(found),
        insights=insights(found),
        tables={
            "runs": Table(
                title="Last runs",
                frame=found.recent,
                help="What broke first is the cause. Planner: what the reuse planner was to it.",
                units={"run_seconds": Unit.SECONDS},
            ),
            "slo": Table(
                title="Freshness of models and sources",
                frame=ages,
                help="All environments; judged above are those with scheduled runs, if any. "
                "Age counts from when a model last held all there was: its last good build, or a "
                "proof that a build would change nothing. Idle: older than its limit, but a "
                "build would bring nothing new. The cadence (build_after) is a least time between "
                "builds, no limit.",
                units=dict.fromkeys(
                    ("age_seconds", "limit_seconds", "cadence_seconds"), Unit.SECONDS
                ),
            ),
            "jobs": _jobs(jobs),
            "opportunities": Table(
                title="Jobs worth the reuse planner",
                frame=found.opportunities,
                help="Node seconds that a perfect reuse would have saved in a day; threads work at "
                "a time, so the clock saves less. High from "
                f"{formats.duration(adoption.HIGH_SECONDS)} a day on, medium from "
                f"{formats.duration(adoption.MEDIUM_SECONDS)} on.",
                units=dict.fromkeys(
                    ("saved_node_seconds_per_day", "node_seconds_per_day"), Unit.SECONDS
                ),
            ),
            "adoption_by_type": Table(
                title="Use of the reuse planner by type of job",
                frame=adoption.by(with_dbt, ["job_type"]),
                help="Runs that built with dbt. The share leaves out runs of which it is unknown.",
                units={"share_on": Unit.SHARE},
            ),
            "coverage_of_jobs": _coverage_of_jobs(jobs),
            "coverage": _coverage(found.coverage),
            "cadence": _cadence(found.coverage),
            "classes": Table(
                title="What became of the nodes",
                frame=classes_now(history),
                help="Nodes: by their last result in each environment and target; not selected "
                "are those of the project without one in this window. Results: all of the window.",
                units={"share": Unit.SHARE, "node_seconds": Unit.SECONDS},
            ),
            "failing_tests": Table(
                title="Tests that do not pass now",
                frame=found.tests[found.tests["status"].isin([*FAILED, "warn"])].reset_index(
                    drop=True
                ),
                help="The last verdict of each test that is still in the project.",
            ),
        },
    )


def tests_now(history: History) -> pd.DataFrame:
    """The last verdict on each test in each place, of those still in the project there."""
    nodes = history.nodes
    asked = nodes[nodes["resource_type"].isin(TEST_TYPES) & nodes["status"].isin(_VERDICTS)]
    found = newest(history, asked)
    still = pd.Series(data=True, index=found.index)
    for place in places(history).itertuples(index=False):
        known = project(history, place.manifest_hash).index
        if len(known):
            here = (found["environment"] == place.environment) & (found["target"] == place.target)
            still &= ~here | found["unique_id"].isin(known)
    columns = ["name", *PLACE, "status", "failures", "at", "message", "unique_id"]
    found = found.loc[still, columns].sort_values(["status", "name"], ignore_index=True)
    return found.astype({"name": "object", "status": "object", "message": "object"})


def classes_now(history: History) -> pd.DataFrame:
    """Nodes by class, what holds data apart from tests: as they are now, and all results."""
    nodes = history.nodes
    rows = []
    for kind, types in _KINDS.items():
        kept = nodes[nodes["resource_type"].isin(types)]
        now = newest(history, kept)
        results = kept.groupby("node_class", observed=False).size()
        seconds = kept.groupby("node_class", observed=False)["node_seconds"].sum()
        counts = now.groupby("node_class", observed=False).size().to_dict()
        counts[NodeClass.NOT_SELECTED.value] = _unasked(history, now, types)
        whole = sum(counts.values())
        rows += [
            [kind, one, counts[one], counts[one] / whole, int(results[one]), float(seconds[one])]
            for one in CLASSES
            if whole
        ]
    columns = ["kind", "node_class", "nodes", "share", "results", "node_seconds"]
    return pd.DataFrame(rows, columns=columns)


def _unasked(history: History, now: pd.DataFrame, types: tuple[str, ...]) -> int:
    """How many nodes of the places' projects had no result."""
    unasked = 0
    for place in places(history).itertuples(index=False):
        nodes = project(history, place.manifest_hash)
        ephemeral = nodes["config"].map(lambda config: config.get("materialized")) == "ephemeral"
        known = nodes.index[nodes["resource_type"].isin(types) & ~ephemeral]
        here = now[(now["environment"] == place.environment) & (now["target"] == place.target)]
        unasked += len(set(known) - set(here["unique_id"]))
    return unasked


def _promised(history: History) -> list[str]:
    """The environments where data has to be fresh: where runs come by schedule, else all."""
    runs = history.runs
    scheduled = runs.loc[runs["job_type"] == "scheduled", "environment"].unique().tolist()
    return sorted(scheduled or runs["environment"].unique().tolist())


def _jobs(jobs: pd.DataFrame) -> Table:
    columns = [*adoption.JOB, "planner", "coverage", "runs", "runs_per_day", "last_at"]
    columns += ["last_result", "success_rate", "median_seconds", "dbt_runs", *MODES, "share_on"]
    return Table(
        title="Jobs",
        frame=jobs[[*columns, "models", "with_limit"]],
        help="Planner: as in the newest run that tells. On, shadow, off: runs with dbt.",
        units={
            "success_rate": Unit.SHARE,
            "median_seconds": Unit.SECONDS,
            "share_on": Unit.SHARE,
        },
    )


def _coverage_of_jobs(jobs: pd.DataFrame) -> Table:
    named = jobs.groupby("coverage")["job"].agg(list)
    runs = jobs.groupby("coverage")["runs"].sum()
    rows = [
        [one, len(named.get(one, [])), int(runs.get(one, 0)), meaning, named.get(one, [])]
        for one, meaning in COVERAGE.items()
    ]
    return Table(
        title="Planner and freshness by job",
        frame=pd.DataFrame(rows, columns=["coverage", "jobs", "runs", "meaning", "names"]),
        help="The planner as in the job's newest run that tells; freshness where at least one of "
        "its models, or a source it rests on, has a limit or a cadence.",
    )


def _coverage(coverage: pd.DataFrame) -> Table:
    found = coverage.assign(has_cadence=coverage["cadence_seconds"].notna())
    found["declared"] = found["has_limit"] | found["has_cadence"]
    found = found.groupby("kind", as_index=False).agg(
        nodes=("name", "size"),
        with_limit=("has_limit", "sum"),
        with_cadence=("has_cadence", "sum"),
        declared=("declared", "sum"),
    )
    return Table(
        title="Freshness declared by kind",
        frame=found.assign(share=found["declared"] / found["nodes"]),
        help="Limits (warn_after, error_after) or cadence (build_after) on the node itself.",
        units={"share": Unit.SHARE},
    )


def _cadence(coverage: pd.DataFrame) -> Table:
    models = coverage[coverage["kind"] == "model"]
    found = models.groupby("cadence_seconds", dropna=False).size().rename("models").reset_index()
    found.insert(0, "cadence", [_cadence_of(seconds) for seconds in found["cadence_seconds"]])
    return Table(
        title="Build cadence of models (build_after)",
        frame=found,
        help="The least time between two builds, as declared; it is no limit to the data's age.",
        units={"cadence_seconds": Unit.SECONDS},
    )


def _cadence_of(seconds: float) -> str:
    return "none" if pd.isna(seconds) else formats.duration(seconds)
