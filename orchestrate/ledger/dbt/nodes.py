"""What events and artifacts say of the nodes of one invocation, as one row each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from orchestrate.ledger.dbt.artifacts import blank
from orchestrate.ledger.dbt.events import Heard
from orchestrate.ledger.model import (
    FAILED,
    KILLED,
    DbtInvocation,
    ManifestNode,
    NodeRun,
    Result,
)
from orchestrate.ledger.store import Ledger

_BECAUSE = "skipped because "
_TOLD = (
    *("relation", "materialized", "status", "thread"),
    *("compile_started_us", "compile_ended_us", "execute_started_us", "execute_ended_us"),
    *("message", "failures", "rows_affected", "code_hash"),
)


def merged(
    known: Mapping[str, NodeRun],
    heard: Heard | None,
    found: Mapping[str, NodeRun],
    *,
    artifacts_are_known: bool,
) -> dict[str, NodeRun]:
    """The nodes by id, of what the ledger has, what was heard since and what artifacts say now.

    Args:
        known: The ledger's; not changed.
        heard: Of new events.
        found: Of artifacts.
        artifacts_are_known: Whether the ledger's were made of artifacts already: then events only
            fill what is missing.
    """
    nodes = {unique_id: msgspec.structs.replace(node) for unique_id, node in known.items()}
    for node in nodes.values():
        if node.status == KILLED:  # as it looked; that is judged again
            node.status = node.ended_us = None
        if (node.message or "").startswith(_BECAUSE):
            node.message = None
    for other in heard.nodes.values() if heard else ():
        node = nodes.setdefault(other.unique_id, blank(other.invocation_id, other.unique_id))
        node.statements += other.statements
        node.statement_s = round(node.statement_s + other.statement_s, 6)
        _take_over(node, other, only_missing=artifacts_are_known)
    for other in found.values():
        node = nodes.setdefault(other.unique_id, blank(other.invocation_id, other.unique_id))
        _take_over(node, other)
    return nodes


def conclude(ledger: Ledger, invocation: DbtInvocation, nodes: Mapping[str, NodeRun]) -> None:
    """Fill in what follows from all the rest: ends of killed nodes, why others were skipped."""
    if invocation.result is Result.KILLED:
        for node in nodes.values():
            if node.started_us is not None and node.ended_us is None and node.status is None:
                node.status, node.ended_us = KILLED, invocation.ended_us
    undone = any(node.materialized is None or node.status == "skipped" for node in nodes.values())
    if undone and invocation.manifest_hash:
        declared = {
            node.unique_id: node
            for node in ledger.rows(ManifestNode, "manifest_hash = ?", [invocation.manifest_hash])
        }
        for node in nodes.values():
            if node.materialized is None and node.unique_id in declared:
                node.materialized = declared[node.unique_id].config.get("materialized")
        _say_why_skipped(nodes, declared)


def error(nodes: Iterable[NodeRun]) -> str | None:
    """What a person should read of the nodes that failed; None if none did."""
    failed = sorted(
        (node for node in nodes if node.status in FAILED),
        key=lambda node: (node.ended_us or 0, node.unique_id),
    )
    if not failed:
        return None
    first = f"{failed[0].unique_id}: {failed[0].message or failed[0].status}"
    return first if len(failed) == 1 else f"{len(failed)} nodes failed, first {first}"


def _take_over(node: NodeRun, other: NodeRun, *, only_missing: bool = False) -> None:
    for name in _TOLD:
        value = getattr(other, name)
        if value is not None and not (only_missing and getattr(node, name) is not None):
            setattr(node, name, value)
    # The events begin before the first phase and end after the last one.
    node.started_us = min(_known(node.started_us, other.started_us), default=None)
    node.ended_us = max(_known(node.ended_us, other.ended_us), default=None)


def _known(*instants: int | None) -> list[int]:
    return [instant for instant in instants if instant is not None]


def _say_why_skipped(nodes: Mapping[str, NodeRun], declared: Mapping[str, ManifestNode]) -> None:
    """Dbt does not say it: find the first failure of an ancestor, or of a test of an ancestor."""
    failed = sorted(
        (node for node in nodes.values() if node.status in FAILED),
        key=lambda node: (node.ended_us or 0, node.unique_id),
    )
    for node in nodes.values():
        if node.status != "skipped" or node.message:
            continue
        needed = {node.unique_id} | _ancestors(node.unique_id, declared)
        for cause in failed:
            tested = _parents(cause.unique_id, declared) if "test" in cause.resource_type else []
            if cause.unique_id in needed or needed.intersection(tested):
                node.message = f"{_BECAUSE}{cause.unique_id} ended with {cause.status}"
                break


def _parents(unique_id: str, declared: Mapping[str, ManifestNode]) -> Collection[str]:
    return declared[unique_id].depends_on if unique_id in declared else []


def _ancestors(unique_id: str, declared: Mapping[str, ManifestNode]) -> set[str]:
    found: set[str] = set()
    open_ids = [unique_id]
    while open_ids:
        new = [parent for parent in _parents(open_ids.pop(), declared) if parent not in found]
        found.update(new)
        open_ids.extend(new)
    return found
