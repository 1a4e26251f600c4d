"""How old data may be, as a dbt project declares it: limits and cadences, own and inherited.

A limit is `warn_after` or `error_after`, declared on a node itself, else the tightest of the
sources that it rests on. `build_after` is no limit but a cadence: the least time between builds.
https://docs.getdbt.com/reference/resource-configs/freshness
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.places import PLACE, invocations

COVERED = ("model", "source")
_PERIOD_SECONDS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


def seconds(told: object) -> float | None:
    """Of dbt's {count, period}; None where either is missing or no such thing."""
    if not isinstance(told, Mapping):
        return None
    count, period = told.get("count"), _PERIOD_SECONDS.get(str(told.get("period")))
    return count * period if isinstance(count, (int, float)) and period else None


def limit(config: Mapping[str, Any]) -> float | None:
    """How old a node's data may be, in seconds: the first of its limits; None without any."""
    told = config.get("freshness")
    if not isinstance(told, Mapping):
        return None
    found = [seconds(told.get(name)) for name in ("warn_after", "error_after")]
    return min((one for one in found if one is not None), default=None)


def cadence(config: Mapping[str, Any]) -> float | None:
    """The least time between two builds of a model, in seconds; None where none is declared."""
    told = config.get("freshness")
    return seconds(told.get("build_after")) if isinstance(told, Mapping) else None


def sources_above(nodes: pd.DataFrame) -> dict[str, frozenset[str]]:
    """The sources that each node of a project rests on, however far above; of a source itself."""
    parents: dict[str, list[str]] = dict(zip(nodes["unique_id"], nodes["depends_on"], strict=True))
    found: dict[str, frozenset[str]] = {}
    waiting = list(parents)
    while waiting:
        name = waiting[-1]
        # Set before its parents are asked, so that a circle ends.
        if name not in found:
            found[name] = frozenset([name]) if name.startswith("source.") else frozenset()
            waiting += [one for one in parents[name] if one in parents and one not in found]
            continue
        waiting.pop()
        found[name] = found[name].union(*(found.get(one, frozenset()) for one in parents[name]))
    return found


def limits(nodes: pd.DataFrame, measured: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """Seconds that nodes' data may be old, and where that is declared: `declared`, or a source.

    Args:
        nodes: Of a project.
        measured: Limits of sources that `dbt source freshness` named, where a manifest has none.
    """
    own = {name: limit(config) for name, config in zip(nodes.index, nodes["config"], strict=True)}
    own |= {name: told for name, told in measured.items() if own.get(name) is None and name in own}
    found = {}
    for name, above in sources_above(nodes).items():
        declared = own[name]
        if declared is not None:
            found[name] = (declared, "declared")
            continue
        inherited = [(told, one) for one in sorted(above) if (told := own.get(one)) is not None]
        if inherited:
            tightest, source = min(inherited)
            found[name] = (tightest, f"source {source.rpartition('.')[2]}")
    return found


def measured(history: History) -> pd.DataFrame:
    """What `dbt source freshness` said last of each source in each place."""
    calls = invocations(history).set_index("invocation_id")
    found = history.freshness.assign(
        **{
            name: calls[name].reindex(history.freshness["invocation_id"].astype("object")).array
            for name in (*PLACE, "started_at")
        }
    )
    found = found.sort_values("started_at", kind="stable")
    found = found.drop_duplicates([*PLACE, "unique_id"], keep="last")
    found["limit_seconds"] = found[["warn_after_seconds", "error_after_seconds"]].min(axis=1)
    return found.astype({"unique_id": "object"})


def coverage(history: History) -> pd.DataFrame:
    """The models and sources of the newest project: whether each has a limit or cadence of its own.

    Nothing is built of ephemeral models: they are left out.
    """
    nodes = history.project.set_index("unique_id", drop=False)
    told = measured(history).dropna(subset=["limit_seconds"])
    own = limits(nodes, told.groupby("unique_id")["limit_seconds"].min().to_dict())
    ephemeral = nodes["config"].map(lambda config: config.get("materialized")) == "ephemeral"
    rows = nodes[nodes["resource_type"].isin(COVERED) & ~ephemeral]
    return pd.DataFrame(
        {
            "kind": rows["resource_type"].astype("object"),
            "name": rows["name"].astype("object"),
            "package": rows["package"].astype("object"),
            "has_limit": [own.get(name, (0, ""))[1] == "declared" for name in rows.index],
            "cadence_seconds": rows["config"].map(cadence).astype("float64"),
        }
    ).reset_index(drop=True)
