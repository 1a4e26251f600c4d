"""All nodes of the newest project: how they are configured and what became of them, by groups."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.classes import BUILT_TYPES, TEST_TYPES, NodeClass
from orchestrate.analyzer.goals import COVERAGE_GOAL, REUSE_GOAL
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Metric, Report, Table, Tone, Unit
from orchestrate.analyzer.reports.freshness import measured
from orchestrate.analyzer.reports.models.configured import (
    EPHEMERAL,
    FRESH_KINDS,
    KINDS,
    cited,
    configured,
    has_freshness,
    looked_at,
    tested,
)
from orchestrate.analyzer.reports.models.results import RECENT, results
from orchestrate.analyzer.reports.overview import tests_now
from orchestrate.ledger.model import FAILED

NOBODY = "(none)"  # the group of nodes that have no owner, no tag
_COLUMNS = [
    *("name", "node_class", "resource_type", "last_classes", "last_durations"),
    *("median_seconds", "p95_seconds", "last_seconds", "seconds", "last_built_at", "why"),
    *("tests", "failing_tests", "results", "reused", "decided", "rows_affected"),
    *("package", "owner", "tags", "folder", "materialized", "contract"),
    *("warn_after_seconds", "error_after_seconds", "build_after_seconds", "updates_on"),
    *("at", "status", "message", "unique_id"),
]
_LIMITS = ["warn_after_seconds", "error_after_seconds"]
_TROUBLES = [NodeClass.ERROR.value, NodeClass.SKIPPED.value]


def report(history: History, choice: Choice) -> Report:
    """What is said of the nodes that the filters leave.

    Raises:
        ChoiceError: If a filter names what no node has.
    """
    pairs, answers = tested(history.project), _answers(history)
    nodes = _described(history, pairs, answers)
    nodes = nodes[looked_at(nodes, choice)].reset_index(drop=True)
    found = [_group(name, part, pairs, answers) for name, part in groups(nodes, choice.group_by)]
    whole = _group("all", nodes, pairs, answers)
    grouped = Table(
        title=f"By {choice.group_by}",
        frame=pd.DataFrame(found, columns=list(whole)),
        help="Seconds are those of all nodes added up: more than the machine took where threads "
        "worked side by side. A node with two tags counts in both groups.",
        units={"coverage": Unit.SHARE, "reuse_rate": Unit.SHARE, "seconds": Unit.SECONDS},
    )
    return Report(
        page="models",
        metrics=list(_metrics(nodes, whole)),
        insights=list(_insights(history, nodes, answers)),
        tables={
            **({} if choice.group_by == "none" else {"groups": grouped}),
            "classes": Table(title="Last results", frame=_classes(nodes, choice.group_by)),
            "nodes": table(nodes, "Nodes of the newest project"),
        },
    )


def table(nodes: pd.DataFrame, title: str) -> Table:
    """A table of some of the nodes."""
    return Table(
        title=title,
        frame=nodes,
        help=f"The last {RECENT} results of each node, the oldest first: ✓ built, = built and "
        "identical, ↻ reused, – skipped after a failure, ✕ error, · under way; a source is "  # noqa: RUF001
        "looked at, not built. Median and p95 are of builds that went well. build_after is how "
        "long after a build the next may come, not how old a node may be.",
        units={name: Unit.SECONDS for name in nodes.columns if name.endswith("seconds")},
    )


def groups(nodes: pd.DataFrame, by: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The groups of nodes with their names; a node is in the group of each of its tags."""
    if by == "none":
        return
    column = "tags" if by == "tag" else by
    names = nodes[column].explode()
    for name, members in names.fillna(NOBODY).groupby(names.fillna(NOBODY)):
        yield str(name), nodes.loc[members.index.unique()]


def _described(history: History, pairs: pd.DataFrame, answers: pd.Series) -> pd.DataFrame:
    """Every node of the newest project, configured and with its results; the troubled first."""
    nodes = results(history, configured(history.project))
    # Where a manifest does not tell a source's limits, `dbt source freshness` did.
    looks = measured(history).groupby("unique_id")[_LIMITS].min()
    for name in _LIMITS:
        nodes[name] = nodes[name].fillna(nodes["unique_id"].map(looks[name]))
    by_node = pairs.assign(fails=pairs["test_id"].map(answers).astype("boolean"))
    by_node = by_node.groupby("unique_id")["fails"]
    nodes["tests"] = nodes["unique_id"].map(by_node.size()).fillna(0).astype("int64")
    # Of tests that nobody asked, it is unknown how many fail.
    failing = nodes["unique_id"].map(by_node.sum(min_count=1))
    nodes["failing_tests"] = failing.mask(nodes["tests"] == 0, 0).astype("Int64")
    order = pd.DataFrame(
        {
            "trouble": nodes["node_class"].map({word: n for n, word in enumerate(_TROUBLES)}),
            "failing": -nodes["failing_tests"],
            "kind": nodes["resource_type"].map({kind: n for n, kind in enumerate(KINDS)}),
            "name": nodes["name"],
        }
    ).sort_values(["trouble", "failing", "kind", "name"])
    return nodes.loc[order.index, _COLUMNS].reset_index(drop=True)


def _answers(history: History) -> pd.Series:
    """By unique id of each test that has answered, whether it fails in at least one place."""
    tests = tests_now(history)
    return tests["status"].isin(FAILED).groupby(tests["unique_id"]).any()


def _group(
    name: str, nodes: pd.DataFrame, pairs: pd.DataFrame, answers: pd.Series
) -> dict[str, object]:
    """What nodes come to together; `failing_tests` are the different ones on or among them."""
    built = nodes[nodes["resource_type"].isin(BUILT_TYPES)]
    is_built = nodes["materialized"] != EPHEMERAL
    fresh = nodes[nodes["resource_type"].isin(FRESH_KINDS) & is_built]
    asked = set(nodes["unique_id"])
    asked |= set(pairs.loc[pairs["unique_id"].isin(asked), "test_id"])
    answered = answers[answers.index.isin(asked)]
    has_tests = nodes["tests"].any() or nodes["resource_type"].isin(TEST_TYPES).any()
    declared, reused, decided = (
        has_freshness(fresh).sum(),
        built["reused"].sum(),
        built["decided"].sum(),
    )
    return {
        "group": name,
        "nodes": len(nodes),
        "seconds": nodes["seconds"].sum(min_count=1),
        "errors": int((built["node_class"] == NodeClass.ERROR.value).sum()),
        "failing_tests": int(answered.sum()) if len(answered) or not has_tests else None,
        "coverage": _share(declared, len(fresh)),
        "declared": int(declared),
        "declarable": len(fresh),
        "reuse_rate": _share(reused, decided),
        "reused": int(reused),
        "decided": int(decided),
    }


def _classes(nodes: pd.DataFrame, by: str) -> pd.DataFrame:
    """How many nodes ended so last in each group, or of each kind; the largest group first."""
    parts = list(groups(nodes, "resource_type" if by == "none" else by))
    counts = [
        (name, len(part), word, count)
        for name, part in parts
        for word, count in part.groupby(_words(part)).size().items()
    ]
    found = pd.DataFrame(counts, columns=["group", "size", "node_class", "nodes"])
    found = found.sort_values(["size", "group"], ascending=[False, True], ignore_index=True)
    return found.drop(columns="size")


def _words(nodes: pd.DataFrame) -> pd.Series:
    """The class of each node, or why it has none."""
    without = (nodes["materialized"] == EPHEMERAL).map({True: EPHEMERAL, False: "under way"})
    return nodes["node_class"].fillna(without)


def _metrics(nodes: pd.DataFrame, whole: dict[str, object]) -> Iterator[Metric]:
    kinds = nodes.groupby("resource_type").size().sort_values(ascending=False)
    yield Metric(
        name="Nodes",
        value=len(nodes),
        help=", ".join(f"{count:,} {kind}" for kind, count in kinds.items()),
    )
    buildable = nodes[nodes["resource_type"].isin(BUILT_TYPES) & nodes["node_class"].notna()]
    yield Metric(
        name="Not selected",
        value=int((buildable["node_class"] == NodeClass.NOT_SELECTED.value).sum()),
        help=f"Of {len(buildable):,} models, seeds and snapshots that are built, those that no run "
        "of this window asked for",
    )
    tests = int(nodes["resource_type"].isin(TEST_TYPES).sum())
    yield Metric(
        name="Failing tests",
        value=whole["failing_tests"],  # type: ignore[arg-type]
        help=f"By their last answer; {tests:,} tests are listed",
    )
    yield Metric(
        name="Freshness coverage",
        value=whole["coverage"],  # type: ignore[arg-type]
        unit=Unit.SHARE,
        goal=COVERAGE_GOAL,
        help=f"{whole['declared']:,} of {whole['declarable']:,} models and sources declare "
        "warn_after, error_after or build_after; ephemeral ones are left out",
    )
    yield Metric(
        name="Reuse rate",
        value=whole["reuse_rate"],  # type: ignore[arg-type]
        unit=Unit.SHARE,
        goal=REUSE_GOAL,
        help=f"{whole['reused']:,} of {whole['decided']:,} times a model, seed or snapshot was "
        "built (or failed) or reused; skipped ones do not count",
    )


def _insights(history: History, nodes: pd.DataFrame, answers: pd.Series) -> Iterator[Insight]:
    if nodes.empty:
        yield Insight(Tone.NOTE, "No node of the newest project is left. Choose fewer filters.")
        return
    built = nodes[nodes["resource_type"].isin(BUILT_TYPES)]
    broken = built[built["node_class"] == NodeClass.ERROR.value]
    if len(broken):
        yield Insight(
            Tone.BAD,
            f"{len(broken):,} of {len(built):,} models, seeds and snapshots ended in an error when "
            f"they ran last: {cited(list(broken['name']))}.",
        )
    tests = nodes[nodes["unique_id"].isin(answers.index[answers])]
    if len(tests):
        total = int(nodes["resource_type"].isin(TEST_TYPES).sum())
        yield Insight(
            Tone.BAD,
            f"{len(tests):,} of {total:,} tests fail: {cited(list(tests['name']))}.",
        )
    left = built[built["node_class"] == NodeClass.NOT_SELECTED.value]
    if len(left):
        yield Insight(
            Tone.NOTE,
            f"{len(left):,} of {len(built):,} models, seeds and snapshots were in none of the "
            f"{len(history.runs):,} runs of this window: {cited(list(left['name']))}.",
        )
    idle = built[(built["decided"] > 0) & (built["reused"] == 0)]
    if built["reused"].any() and len(idle):
        worst = idle.sort_values("seconds", ascending=False).iloc[0]
        yield Insight(
            Tone.NOTE,
            f"{len(idle):,} of {len(built):,} models, seeds and snapshots were built and never "
            f"reused; {worst['name']} took longest, {formats.duration(worst['seconds'])} in "
            f"{worst['decided']:,} runs.",
        )
    environments = sorted(set(history.runs["environment"]))
    if len(environments) > 1:
        yield Insight(
            Tone.NOTE,
            f"Results are of {len(environments)} environments together "
            f"({', '.join(one or 'none' for one in environments)}); the last one holds, wherever "
            "it was. Choose an environment to tell them apart.",
        )


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
