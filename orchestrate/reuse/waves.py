"""What of a plan is built at once, and what is better decided when that is built.

A node that is built may come out as it was, and then nothing below it need be built. To wait for
that costs one more invocation of dbt, so it is done only where it is likely and saves more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrate.reuse.decisions import BUILD, Decision
from orchestrate.reuse.project import Project
from orchestrate.reuse.state import State


def later(
    decisions: Mapping[str, Decision], project: Project, state: State, threads: int
) -> frozenset[str]:
    """The nodes of a plan that are better decided after the others are built.

    Args:
        decisions: The plan, parents first.
        project: What it is of.
        state: What nodes usually take, and which came out as they were.
        threads: How many nodes are built at a time.
    """
    waiting: set[str] = set()
    for name, decision in decisions.items():
        node = project.nodes[name]
        # A test waits only for what waits, a view takes no longer than to decide about it.
        is_worth = not (node.is_test or node.is_view)
        if decision.awaits and all(
            one in waiting or (is_worth and _is_likely_the_same(one, state))
            for one in decision.awaits
        ):
            waiting.add(name)
    seconds = sum(state.nodes[name].seconds for name in waiting if name in state.nodes)
    if seconds / max(threads, 1) <= state.invocation_s:
        return frozenset()
    # What is built for another reason can't be built before what it reads.
    return frozenset(
        name
        for name in below(waiting, project)
        if name in decisions and decisions[name].decision == BUILD
    )


def below(names: Collection[str], project: Project) -> set[str]:
    """These nodes, and all that reads them however far."""
    found = set(names)
    for name, node in project.everything.items():
        if found.intersection(node.parents):
            found.add(name)
    return found


def kept_back(failed: Collection[str], project: Project) -> set[str]:
    """What dbt skips after failures: all below those nodes, and below what the tests test."""
    failed = [name for name in failed if name in project.everything]
    tested = {
        parent
        for name in failed
        if (node := project.everything[name]).is_test
        for parent in node.parents
    }
    broken = {name for name in failed if not project.everything[name].is_test}
    return (below(tested, project) - tested | below(broken, project)) - set(failed)


def _is_likely_the_same(name: str, state: State) -> bool:
    record = state.nodes.get(name)
    return record is not None and record.is_identical is True
