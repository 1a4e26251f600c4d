"""The projects that dbt has read, and what became other from one to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from orchestrate.analyzer.choice import Choice, ChoiceError
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Metric, Report, Table, Tone
from orchestrate.analyzer.reports.models.configured import cited

DIGITS = 12
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_FIELDS = ("depends_on", "tags", "owner", "package", "schema", "identifier", "path")
# Keys of the config that say again what a field of the node says.
_TWICE = frozenset({"tags", "schema"})
_SQL = "compiled SQL"
_COLUMNS = ["change", "name", "resource_type", "what", "before", "after", "unique_id"]


def report(history: History, choice: Choice) -> Report:
    """The manifests of the window, and how two of them differ; nothing of them where there is one.

    Raises:
        ChoiceError: If the choice names none of them, or more than one.
    """
    known = manifests(history)
    table = Table(
        title="Manifests",
        frame=known.assign(manifest=known["manifest"].str[:DIGITS]),
        help="The projects that dbt read in this window; equal ones have one hash",
    )
    pair = _pair(known, choice)
    if pair is None:
        text = f"All {int(known['runs'].sum()):,} runs of dbt in this window read the same project."
        insights = [Insight(Tone.NOTE, text)] if len(known) else []
        return Report(page="models", insights=insights, tables={"manifests": table})
    other, one = pair
    lacking = [name for name in pair if history.manifest(name).empty]
    if lacking:
        text = (
            f"The ledger does not hold the nodes of manifest {lacking[0][:DIGITS]}: with what it "
        )
        insights = [Insight(Tone.WARNING, f"{text}compares can't be told.")]
        return Report(page="models", insights=insights, tables={"manifests": table})
    sql = _sql(history, other, one)
    changes = differences(history.manifest(other), history.manifest(one), sql)
    return Report(
        page="models",
        metrics=list(_metrics(changes, sql)),
        insights=[_insight(known, changes, other, one)],
        tables={
            "changes": Table(
                title=f"From {other[:DIGITS]} to {one[:DIGITS]}",
                frame=changes,
                help="The compiled SQL differs where, on a target that both were used on, no run "
                "of one compiled what a run of the other did. That of an incremental model differs "
                "between its first build and later ones, too.",
            ),
            "manifests": table,
        },
    )


def manifests(history: History) -> pd.DataFrame:
    """The manifests of the window, the one used last first: when, by how many runs and where."""
    used = history.invocations.dropna(subset=["manifest_hash"])
    found = used.groupby("manifest_hash", observed=True).agg(
        first_used_at=("started_at", "min"),
        last_used_at=("started_at", "max"),
        runs=("run_id", "nunique"),
        environments=("environment", lambda names: sorted(set(names))),
    )
    found = found.rename_axis("manifest").reset_index().astype({"manifest": "object"})
    return found.sort_values("last_used_at", ascending=False, ignore_index=True)


def differences(before: pd.DataFrame, after: pd.DataFrame, sql: pd.Series) -> pd.DataFrame:
    """What differs between two manifests: a row for each node that came or went, and each change.

    Args:
        before: The nodes of a manifest.
        after: Those of another.
        sql: By unique id, whether the compiled SQL differs, of nodes where that is known.
    """
    old, new = (
        {node["unique_id"]: node for node in frame.to_dict("records")} for frame in (before, after)
    )
    rows: list[dict[str, Any]] = []
    for unique_id in sorted({*old, *new}):
        node = new.get(unique_id) or old[unique_id]
        told = {name: node[name] for name in ("name", "resource_type", "unique_id")}
        if unique_id not in old or unique_id not in new:
            rows.append({"change": ADDED if unique_id in new else REMOVED, **told})
            continue
        for what, was, became in _changed(old[unique_id], new[unique_id]):
            rows.append({"change": CHANGED, **told, "what": what, "before": was, "after": became})
        if sql.get(unique_id, default=False):
            rows.append({"change": CHANGED, **told, "what": _SQL})
    found = pd.DataFrame(rows, columns=_COLUMNS, dtype="object")
    place = found["change"].map({ADDED: 0, REMOVED: 1, CHANGED: 2})
    return found.loc[place.sort_values(kind="stable").index].reset_index(drop=True)


def _changed(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in _FIELDS:
        was, became = old[name], new[name]
        if isinstance(was, list):
            # What it reads, in another order, is the same.
            was, became = sorted(was), sorted(became)
        if was != became:
            yield name, _text(was), _text(became)
    for key in sorted({*old["config"], *new["config"]} - _TWICE):
        was, became = old["config"].get(key), new["config"].get(key)
        if was != became:
            yield f"config: {key}", _text(was), _text(became)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _pair(known: pd.DataFrame, choice: Choice) -> tuple[str, str] | None:
    """The manifest to compare with and the one that is looked at, None without two."""
    names = list(known["manifest"])
    one = _named(names, "manifest", choice.manifest) if choice.manifest else None
    other = (
        _named(names, "other_manifest", choice.other_manifest) if choice.other_manifest else None
    )
    one = one or next((name for name in names if name != other), None)
    other = other or next((name for name in names if name != one), None)
    return None if one is None or other is None or one == other else (other, one)


def _named(names: list[str], field: str, text: str) -> str:
    found = [name for name in names if name.startswith(text)]
    if len(found) == 1:
        return found[0]
    there = cited([name[:DIGITS] for name in found or names]) or "none"
    if found:
        raise ChoiceError(f"{field} is {text!r}: {len(found)} begin so. Give more digits: {there}.")
    raise ChoiceError(
        f"{field} is {text!r}: no run of this window used it. There are {there}; --days 0 looks at "
        "all runs."
    )


def _sql(history: History, other: str, one: str) -> pd.Series:
    """By unique id, whether two manifests had it compiled to other SQL on one and the same target.

    Nodes that no run compiled in both are left out.
    """
    used = history.invocations[history.invocations["manifest_hash"].isin([other, one])]
    used = used[["invocation_id", "manifest_hash", "environment", "target"]].astype("object")
    codes = history.nodes["invocation_id"].isin(used["invocation_id"])
    codes &= history.nodes["code_hash"].notna()
    kept = history.nodes.loc[codes, ["invocation_id", "unique_id", "code_hash"]]
    # Numbers instead of texts: millions of rows are told apart in no time.
    places = {name: n for n, name in enumerate(used["invocation_id"])}
    of_category = kept["invocation_id"].cat.categories.map(places).to_numpy(dtype="float64")
    taken = of_category[kept["invocation_id"].cat.codes].astype(np.int64)
    places_of = used[["environment", "target"]].apply(tuple, axis=1)
    told = pd.DataFrame(
        {
            "unique_id": kept["unique_id"].cat.codes.to_numpy(),
            "code_hash": kept["code_hash"].cat.codes.to_numpy(),
            "where": pd.factorize(places_of)[0][taken],
            "is_new": (used["manifest_hash"] == one).to_numpy()[taken],
        }
    ).drop_duplicates()
    keys = ["unique_id", "where"]
    both = told[~told["is_new"]].merge(told[told["is_new"]], on=keys, suffixes=("_old", "_new"))
    both["is_same"] = both["code_hash_old"] == both["code_hash_new"]
    differs = ~both.groupby(keys)["is_same"].any()
    by_node = differs.groupby("unique_id").any()
    return by_node.set_axis(kept["unique_id"].cat.categories.take(by_node.index).astype("object"))


def _metrics(changes: pd.DataFrame, sql: pd.Series) -> Iterator[Metric]:
    for name, change in (("Added", ADDED), ("Removed", REMOVED), ("Changed", CHANGED)):
        found = changes.loc[changes["change"] == change, "unique_id"]
        yield Metric(name=f"{name} nodes", value=found.nunique())
    known = f"{len(sql):,} nodes were compiled with both on one target" if len(sql) else None
    yield Metric(
        name="Other SQL",
        value=int(sql.sum()) if len(sql) else None,
        help=known or "No node was compiled with both on one target",
    )


def _insight(known: pd.DataFrame, changes: pd.DataFrame, other: str, one: str) -> Insight:
    when = known.set_index("manifest")["first_used_at"]
    counts = changes.drop_duplicates(["change", "unique_id"]).groupby("change").size()
    parts = [f"{counts.get(change, 0):,} {change}" for change in (ADDED, REMOVED, CHANGED)]
    return Insight(
        Tone.NOTE,
        f"From manifest {other[:DIGITS]} (first used {when[other]:%Y-%m-%d %H:%M} UTC) to "
        f"{one[:DIGITS]} (first used {when[one]:%Y-%m-%d %H:%M} UTC): {', '.join(parts)}.",
    )
