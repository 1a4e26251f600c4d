"""Tests that come and go while the code stays the same, and tests that fail since an instant.

Results are compared in one place, an environment and a target of dbt, in the order of time. The
code is the same where the whole project is (its manifest's hash), or, where nobody knows that, the
test's compiled SQL. A warning counts as a failure here: the test found something.
"""

from __future__ import annotations

import pandas as pd

from orchestrate.analyzer import statistics
from orchestrate.analyzer.classes import BUILT_TYPES, TEST_TYPES, NodeClass
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports.places import PLACE, invocations, places, project
from orchestrate.ledger.model import FAILED

_PASSED = ("pass", "success")
_FOUND = (*sorted(FAILED), "warn")
# After these a table may hold other rows than before.
_CHANGING = (NodeClass.SUCCESS.value, NodeClass.ERROR.value)
_TEST = [*PLACE, "unique_id"]
_FLAKY = [
    "test",
    *PLACE,
    "executions",
    "failed",
    "share_failed",
    "low",
    "high",
    "flips",
    "flips_same_input",
    "last_failed",
    "last_seen",
    "unique_id",
]
_FAILING = [
    "test",
    *PLACE,
    "status",
    "since",
    "executions_since",
    "change",
    "last_seen",
    "unique_id",
]


def executions(history: History) -> pd.DataFrame:
    """Each result of the tests that failed at all, by test and place, oldest first.

    `code` is what tells one version from another, None where nothing does; `flipped` is whether it
    passed before and now does not, or the other way round, with the same code.
    """
    nodes = history.nodes
    tests = nodes[
        nodes["resource_type"].isin(TEST_TYPES) & nodes["status"].isin([*_PASSED, *_FOUND])
    ]
    ever_failed = tests.loc[tests["status"].isin(_FOUND), "unique_id"]
    tests = tests[tests["unique_id"].isin(ever_failed)]
    frame = _placed(history, tests, ["unique_id", "name", "status", "code_hash"])
    frame["code"] = frame["manifest_hash"].fillna(frame["code_hash"])
    frame["failed"] = frame["status"].isin(_FOUND)
    frame = frame.sort_values([*_TEST, "at"], kind="stable", ignore_index=True)
    before = frame.groupby(_TEST)[["failed", "code"]].shift()
    frame["is_first"] = before["failed"].isna()
    frame["same_code"] = before["code"].notna() & (before["code"] == frame["code"])
    frame["flipped"] = frame["same_code"] & (before["failed"] != frame["failed"])
    return frame


def _placed(history: History, nodes: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Nodes with their place, their instant `at` and the manifest's hash, as plain texts."""
    calls = invocations(history).set_index("invocation_id")
    told = nodes["invocation_id"].astype("object")
    frame = nodes[names].astype("object")
    for name in (*PLACE, "manifest_hash"):
        frame[name] = told.map(calls[name])
    begun = calls["started_at"].reindex(told).set_axis(nodes.index)
    frame["at"] = nodes["started_at"].fillna(begun)
    return frame


def flaky(history: History, tests: pd.DataFrame) -> pd.DataFrame:
    """Tests that passed and failed by turns with the same code, the most flips first.

    One turn is no flake: the test fails since then, or what it found was repaired. `low` and `high`
    bound the share that failed with 95 % confidence. `flips_same_input` are the flips between which
    the planner proved that the rows tested were the same; None where a test reads what it does not
    know.

    Args:
        history: Whence `tests` are.
        tests: As `executions` gives them.
    """
    flips = tests.groupby(_TEST)["flipped"].transform("sum")
    kept = tests[flips >= 2]
    if kept.empty:
        return pd.DataFrame(columns=_FLAKY)
    same_input = _same_input(history, kept)
    kept = kept.assign(
        proven=(same_input & kept["flipped"]).where(same_input.notna() | ~kept["flipped"]),
        failed_at=kept["at"].where(kept["failed"]),
    )
    frame = (
        kept.groupby(_TEST)
        .agg(
            test=("name", "last"),
            executions=("failed", "size"),
            failed=("failed", "sum"),
            flips=("flipped", "sum"),
            flips_same_input=(
                "proven",
                _known_sum,
            ),
            last_failed=("failed_at", "max"),
            last_seen=("at", "max"),
        )
        .reset_index()
    )
    rates = [
        statistics.rate(int(failed), int(whole))
        for failed, whole in zip(frame["failed"], frame["executions"], strict=True)
    ]
    for name in ("share", "low", "high"):
        column = "share_failed" if name == "share" else name
        frame[column] = [getattr(one, name) for one in rates]
    frame["flips_same_input"] = frame["flips_same_input"].astype("Int64")
    return frame.sort_values(
        ["flips", "share_failed"], ascending=False, kind="stable", ignore_index=True
    )[_FLAKY]


def _known_sum(values: pd.Series) -> int | None:
    return None if values.isna().any() else int(values.sum())


def _same_input(history: History, tests: pd.DataFrame) -> pd.Series:
    """Whether all that a test reads held the same rows as the time before; None where unknown."""
    parents = []
    for place in places(history).itertuples(index=False):
        nodes = project(history, place.manifest_hash)
        reads = nodes.loc[nodes.index.isin(tests["unique_id"]), ["unique_id", "depends_on"]]
        reads = reads.explode("depends_on", ignore_index=True).dropna()
        parents.append(reads.assign(environment=place.environment, target=place.target))
    edges = pd.concat(parents).rename(columns={"depends_on": "parent"})
    built = history.nodes[
        history.nodes["resource_type"].isin(BUILT_TYPES)
        & history.nodes["unique_id"].isin(edges["parent"])
    ]
    versions = _placed(history, built, ["unique_id", "node_class"]).sort_values("at", kind="stable")
    versions["changes"] = versions["node_class"].isin(_CHANGING) | versions["node_class"].isna()
    versions["version"] = versions.groupby(_TEST)["changes"].cumsum().astype("float64")
    versions = versions.rename(columns={"unique_id": "parent"})
    asked = tests.reset_index(names="place").merge(edges, on=_TEST, how="left")
    keys = [*PLACE, "parent"]
    seen = pd.merge_asof(
        asked.astype(dict.fromkeys(keys, "object")).sort_values("at", kind="stable"),
        versions[[*keys, "at", "version"]].astype(dict.fromkeys(keys, "object")),
        on="at",
        by=keys,
    )
    # Versions only rise: their sum is the same only where each of them is.
    state = seen.groupby("place")["version"].agg(lambda told: told.sum(skipna=False))
    before = state.groupby([tests.loc[state.index, name] for name in _TEST]).shift()
    same: pd.Series = (state == before).astype("object").where(state.notna() & before.notna(), None)
    return same.reindex(tests.index).astype("boolean")


def failing(history: History, tests: pd.DataFrame) -> pd.DataFrame:
    """Tests that failed the last time and are still in the project, the longest first.

    `since` is the first failure after the last time that it passed. `change` is what is known of
    what lies between: whether the project is another.

    Args:
        history: Whence `tests` are.
        tests: As `executions` gives them.
    """
    there = {
        (place.environment, place.target): set(project(history, place.manifest_hash).index)
        for place in places(history).itertuples(index=False)
        if place.manifest_hash
    }
    last_passed = tests["at"].where(~tests["failed"]).groupby([tests[name] for name in _TEST])
    streak = tests[~(tests["at"] <= last_passed.transform("max"))]
    rows = []
    for (environment, target, unique_id), found in streak.groupby(_TEST):
        known = there.get((environment, target))
        if known and unique_id not in known:
            continue
        first, last = found.iloc[0], found.iloc[-1]
        change = "none: the same project passed before" if first["same_code"] else "the project"
        if first["is_first"]:
            change = "not known: it failed the first time too"
        place = (environment, target, last["status"])
        rows.append((last["name"], *place, first["at"], len(found), change, last["at"], unique_id))
    frame = pd.DataFrame(rows, columns=_FAILING)
    return frame.sort_values("since", kind="stable", ignore_index=True)
