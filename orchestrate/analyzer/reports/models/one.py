"""One node: its configuration, runs, tests, freshness, what it reads and what reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.classes import TEST_TYPES, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Metric, Report, Table, Tone, Unit
from orchestrate.analyzer.reports.models.configured import cited, configured, find, tested
from orchestrate.analyzer.reports.models.lineage import LEVELS, lineage
from orchestrate.analyzer.reports.models.results import in_order, results
from orchestrate.analyzer.reports.overview import tests_now
from orchestrate.analyzer.reports.places import PLACE
from orchestrate.analyzer.reports.trends.failures import gist
from orchestrate.ledger.model import FAILED

_RUN_COLUMNS = [
    *("at", "node_class", "status", "node_seconds", "rows_affected", "environment", "job"),
    *("mode", "decision", "reason", "message", "run_id"),
]


def report(history: History, choice: Choice) -> Report:
    """What is said of the node that was chosen; nothing where none was.

    Raises:
        ChoiceError: If there is no such node, or more than one.
    """
    if not choice.model:
        return Report(page="models")
    nodes = configured(history.project)
    unique_id = find(nodes, choice.model)
    node = results(history, nodes[nodes["unique_id"] == unique_id]).iloc[0]
    told = history.project[history.project["unique_id"] == unique_id].iloc[0]
    runs, tests, looks = (
        _runs(history, unique_id),
        _tests(history, unique_id),
        _looks(history, unique_id),
    )
    name, is_source = node["name"], node["resource_type"] == "source"
    results_of_it = (
        Table(
            title=f"{name}: freshness",
            frame=looks,
            units={one: Unit.SECONDS for one in looks.columns if one.endswith("_seconds")},
            help="How old its newest rows were whenever somebody looked, the newest first",
        )
        if is_source
        else Table(
            title=f"{name}: runs",
            frame=runs,
            units={"node_seconds": Unit.SECONDS},
            help="What became of it in the runs of this window, the newest first",
        )
    )
    tables = {
        "node_configuration": Table(
            title=f"{name}: configuration", frame=_configuration(node, told)
        ),
        "node_freshness" if is_source else "node_runs": results_of_it,
        "node_tests": Table(
            title=f"{name}: tests",
            frame=tests,
            help="Their last answers in each place; one that was skipped or reused gave it before",
        ),
        "node_lineage": Table(
            title=f"{name}: lineage",
            frame=lineage(history.project, unique_id),
            help=f"What it reads (levels below 0) and what reads it, {LEVELS} levels each way",
        ),
    }
    return Report(
        page="models",
        metrics=list(_metrics(history, node, tests, looks)),
        insights=[*_insights(history, node, tests, runs), *_age(node, looks)],
        tables=tables,
    )


def _configuration(node: pd.Series, told: pd.Series) -> pd.DataFrame:
    """Keys and values; those that dbt leaves empty are left out."""
    names = (
        "unique_id",
        "resource_type",
        "package",
        "owner",
        "tags",
        "schema",
        "identifier",
        "path",
    )
    values: dict[str, Any] = {name: told[name] for name in names}
    for name in ("warn_after_seconds", "error_after_seconds", "build_after_seconds"):
        if pd.notna(node[name]):
            values[name.removesuffix("_seconds")] = formats.duration(node[name])
    for name, value in told["config"].items():
        values.setdefault(name, value)
    shown = {
        name: _text(value) for name, value in values.items() if value not in (None, "", [], {})
    }
    return pd.DataFrame({"key": list(shown), "value": list(shown.values())}, dtype="object")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _runs(history: History, unique_id: str) -> pd.DataFrame:
    done = in_order(history, pd.Series([unique_id]))
    runs = history.runs[["run_id", "environment", "job"]]
    done["run_id"] = done["run_id"].astype("object")
    return (
        done.merge(runs.astype("object"), on="run_id", how="left")[_RUN_COLUMNS]
        .iloc[::-1]
        .reset_index(drop=True)
    )


def _tests(history: History, unique_id: str) -> pd.DataFrame:
    pairs = tested(history.project)
    names = pairs.loc[pairs["unique_id"] == unique_id, "test_id"]
    tests = history.project.loc[history.project["unique_id"].isin(names)]
    told = tests[["unique_id", "name", "resource_type"]].assign(
        severity=[config.get("severity") for config in tests["config"]]
    )
    said = tests_now(history).drop(columns="name")
    found = told.merge(said, on="unique_id", how="left")
    is_fine = ~found["status"].isin(FAILED)
    order = found.assign(is_fine=is_fine).sort_values(["is_fine", "name", *PLACE]).index
    columns = [
        *("name", "status", *PLACE, "at", "failures", "severity", "message", "resource_type"),
        "unique_id",
    ]
    return found.loc[order, columns].reset_index(drop=True)


def _looks(history: History, unique_id: str) -> pd.DataFrame:
    looks = history.freshness[history.freshness["unique_id"] == unique_id]
    columns = [
        *("snapshotted_at", "status", "age_seconds", "warn_after_seconds", "error_after_seconds"),
        *("max_loaded_at", "error", "run_id"),
    ]
    newest_first = looks.sort_values("snapshotted_at", ascending=False, kind="stable")
    return newest_first[columns].reset_index(drop=True)


def _metrics(
    history: History, node: pd.Series, tests: pd.DataFrame, looks: pd.DataFrame
) -> Iterator[Metric]:
    yield Metric(
        name="Last result",
        value=node["node_class"] if pd.notna(node["node_class"]) else None,
        unit=Unit.TEXT,
        help=f"dbt said {node['status']}" if pd.notna(node["status"]) else "dbt said nothing of it",
    )
    if node["resource_type"] == "source":
        yield Metric(
            name="Age of its newest rows",
            value=_since(history, looks["max_loaded_at"].max()),
            unit=Unit.SECONDS,
            help="Until now, of the newest rows that a look at its freshness has found",
        )
    else:
        yield Metric(
            name="Since it went well",
            value=_since(history, node["last_built_at"]),
            unit=Unit.SECONDS,
            help="Since it was last built, or, a test, passed",
        )
        for name, column in (
            ("Median duration", "median_seconds"),
            ("p95 duration", "p95_seconds"),
        ):
            yield Metric(
                name=name,
                value=None if pd.isna(node[column]) else float(node[column]),
                unit=Unit.SECONDS,
                help=f"Where it went well, among {node['results']:,} results of this window",
            )
    is_known = tests.empty or tests["status"].notna().any()
    if node["resource_type"] not in TEST_TYPES:
        yield Metric(
            name="Failing tests of it",
            value=_failing(tests)["unique_id"].nunique() if is_known else None,
            help=f"By their last answers; it has {tests['unique_id'].nunique():,} tests",
        )


def _insights(
    history: History, node: pd.Series, tests: pd.DataFrame, runs: pd.DataFrame
) -> Iterator[Insight]:
    name = node["name"]
    failing = list(dict.fromkeys(_failing(tests)["name"]))
    if failing:
        total = tests["unique_id"].nunique()
        text = f"{len(failing):,} of {total:,} tests of {name} fail: {cited(failing)}."
        yield Insight(Tone.BAD, text)
    failed = runs[runs["node_class"] == NodeClass.ERROR.value]
    if len(failed):
        newest = failed.iloc[0]
        said = f": {gist(newest['message'])}" if pd.notna(newest["message"]) else ""
        yield Insight(
            Tone.BAD if node["node_class"] == NodeClass.ERROR.value else Tone.WARNING,
            f"{name} failed in {len(failed):,} of {len(runs):,} results, last at "
            f"{newest['at']:%Y-%m-%d %H:%M} UTC{said}",
        )
    planned = history.decisions[history.decisions["unique_id"] == node["unique_id"]]
    if len(planned):
        began = history.invocations.set_index("invocation_id")["started_at"]
        at = planned["invocation_id"].astype("object").map(began)
        last, when = planned.loc[at.idxmax()], at.max()
        detail = f": {last['detail']}" if last["detail"] else ""
        mode = (
            ", in the shadow, so that it was built all the same" if last["mode"] == "shadow" else ""
        )
        yield Insight(
            Tone.NOTE,
            f"The planner decided at {when:%Y-%m-%d %H:%M} UTC to {last['decision']} {name}{mode}. "
            f"Its reason is {last['reason']}{detail}.",
        )
    if node["node_class"] == NodeClass.NOT_SELECTED.value:
        count = len(history.runs)
        yield Insight(Tone.NOTE, f"None of the {count:,} runs of this window asked for {name}.")


def _age(node: pd.Series, looks: pd.DataFrame) -> Iterator[Insight]:
    """What the last look at a source's freshness found."""
    if looks.empty or pd.isna(looks.at[0, "age_seconds"]):
        return
    last = looks.iloc[0]
    limits = [
        f"{name} is {formats.duration(last[f'{name}_seconds'])}"
        for name in ("warn_after", "error_after")
        if pd.notna(last[f"{name}_seconds"])
    ]
    yield Insight(
        {"pass": Tone.GOOD, "warn": Tone.WARNING}.get(last["status"], Tone.BAD),
        f"At the last look, {last['snapshotted_at']:%Y-%m-%d %H:%M} UTC, the newest rows of "
        f"{node['name']} were {formats.duration(last['age_seconds'])} old: {last['status']}"
        f"{' (' + ', '.join(limits) + ')' if limits else ''}.",
    )


def _failing(tests: pd.DataFrame) -> pd.DataFrame:
    return tests[tests["status"].isin(FAILED)]


def _since(history: History, at: Any) -> float | None:
    return None if pd.isna(at) else float((history.now - at).total_seconds())
