"""Nodes of a project as they are configured: what dbt was told of each, and which are looked at."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from orchestrate.analyzer.choice import Choice, ChoiceError
from orchestrate.analyzer.classes import BUILT_TYPES, CLASSES, TEST_TYPES
from orchestrate.analyzer.reports.freshness import seconds

KINDS = (*BUILT_TYPES, "source", *TEST_TYPES)
# What can have a freshness that is declared.
FRESH_KINDS = ("model", "source")
EPHEMERAL = "ephemeral"
_LIMITS = ("warn_after", "error_after", "build_after")
_COLUMNS = (
    "unique_id",
    "name",
    "resource_type",
    "package",
    "owner",
    "tags",
    "folder",
    "materialized",
    "contract",
    "warn_after_seconds",
    "error_after_seconds",
    "build_after_seconds",
    "updates_on",
)
_NAMED = 3  # names that a message cites


def configured(project: pd.DataFrame) -> pd.DataFrame:
    """Models, seeds, snapshots, sources and tests of a manifest, a row each.

    `warn_after` and `error_after` are the declared limits of an age; `build_after` is how long
    after a build the next may come at the earliest. What is not declared is None.
    """
    listed = project[project["resource_type"].isin(KINDS)]
    rows = [_row(node) for node in listed.to_dict("records")]
    found = pd.DataFrame(rows, columns=list(_COLUMNS), dtype="object")
    return found.astype({f"{name}_seconds": "float64" for name in _LIMITS})


def has_freshness(nodes: pd.DataFrame) -> pd.Series:
    """Which of the configured nodes declare a limit of their age, or how often to build them."""
    return nodes[[f"{name}_seconds" for name in _LIMITS]].notna().any(axis=1)


def options(nodes: pd.DataFrame) -> dict[str, list[str]]:
    """What a filter may name, by the choice's field."""
    return {
        "package": _different(nodes["package"]),
        "owner": _different(nodes["owner"]),
        "tag": _different(nodes["tags"].explode()),
        "node_class": list(CLASSES),
    }


def looked_at(nodes: pd.DataFrame, choice: Choice) -> pd.Series:
    """Which of the nodes the filters leave. They have a `node_class`, besides what is configured.

    Raises:
        ChoiceError: If a filter names what no node has.
    """
    for name, there in options(nodes).items():
        for wanted in getattr(choice, name):
            if wanted not in there:
                may = ", ".join(map(repr, there)) or "nothing yet"
                raise ChoiceError(f"{name} is {wanted!r}: no node has it. It may be {may}.")
    keep = nodes["name"].str.contains(choice.search, case=False, regex=False).astype(bool)
    for name in ("package", "owner", "node_class"):
        if wanted := getattr(choice, name):
            keep &= nodes[name].isin(wanted)
    if choice.tag:
        keep &= nodes["tags"].map(lambda tags: not set(tags).isdisjoint(choice.tag)).astype(bool)
    return keep


def find(nodes: pd.DataFrame, text: str) -> str:
    """The unique id of the node that has this name or unique id.

    Raises:
        ChoiceError: If there is none, or more than one.
    """
    if (nodes["unique_id"] == text).any():
        return text
    found = nodes.loc[nodes["name"] == text, "unique_id"]
    if len(found) == 1:
        return str(found.iloc[0])
    if found.empty:
        near = difflib.get_close_matches(text, nodes["name"].unique(), n=_NAMED)
        hint = f"Near it are {', '.join(near)}." if near else "The nodes' table lists all names."
        raise ChoiceError(f"model is {text!r}: no node of the newest project is named so. {hint}")
    raise ChoiceError(
        f"model is {text!r}: {len(found)} nodes are named so. Give one of these unique ids: "
        f"{', '.join(sorted(found))}."
    )


def cited(names: list[str]) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def tested(project: pd.DataFrame) -> pd.DataFrame:
    """Which node each test looks at, as `test_id` and `unique_id`; one may look at several."""
    tests = project[project["resource_type"].isin(TEST_TYPES)]
    pairs = tests[["unique_id", "depends_on"]].explode("depends_on").dropna()
    return pairs.set_axis(["test_id", "unique_id"], axis=1).reset_index(drop=True)


def _row(node: Mapping[str, Any]) -> dict[str, Any]:
    config, kind = node["config"], node["resource_type"]
    freshness = config.get("freshness") or {}
    contract = config.get("contract") or {}
    return {
        **{name: node[name] for name in ("unique_id", "name", "package", "owner", "tags")},
        "resource_type": kind,
        "folder": str(PurePosixPath(node["path"]).parent) if node["path"] else None,
        "materialized": config.get("materialized"),
        "contract": bool(contract.get("enforced")) if kind == "model" else None,
        **{f"{name}_seconds": seconds(freshness.get(name)) for name in _LIMITS},
        "updates_on": (freshness.get("build_after") or {}).get("updates_on"),
    }


def _different(values: pd.Series) -> list[str]:
    return sorted(set(values.dropna()))
