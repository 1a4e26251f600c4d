"""A plan and what came of it, as lines for people and as a document for the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from orchestrate.reuse.decisions import BUILD, REUSE, Decision, Reason

FILE = "reuse.json"
OFF, SHADOW, ON = "off", "shadow", "on"
MODES = (OFF, SHADOW, ON)
IDENTICAL, CHANGED = "identical", "changed"


class Told(msgspec.Struct, kw_only=True):
    """One node in the document; the fields of the ledger's ReuseDecision."""

    unique_id: str
    decision: str
    reason: str
    detail: str
    definition_hash: str | None = None
    content_before: str | None = None
    content_after: str | None = None
    outcome: str | None = None


class Document(msgspec.Struct, kw_only=True):
    """reuse.json, beside the artifacts of the invocation that was planned."""

    mode: str
    nodes: list[Told]


def document(
    mode: str,
    decisions: Mapping[str, Decision],
    *,
    definitions: Mapping[str, str],
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    outcomes: Mapping[str, str],
) -> Document:
    """The plan with what came of it; each of the last three by unique id, where it is known."""
    return Document(
        mode=mode,
        nodes=[
            Told(
                unique_id=name,
                decision=made.decision,
                reason=made.reason.value,
                detail=made.detail,
                definition_hash=definitions.get(name),
                content_before=before.get(name),
                content_after=after.get(name),
                outcome=outcomes.get(name),
            )
            for name, made in decisions.items()
        ],
    )


def write(folder: Path, found: Document) -> None:
    """Write the document into the folder of an invocation.

    Raises:
        OSError: If the disk doesn't take it.
    """
    partial = folder / f".{FILE}.partial"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    partial.replace(folder / FILE)


def summary(decisions: Iterable[Decision], saved_seconds: float) -> str:
    """One line about a build that reused nodes."""
    made = list(decisions)
    reused = [one for one in made if one.decision == REUSE]
    within = sum(one.reason is Reason.BUILD_AFTER for one in reused)
    parts = f"{len(reused) - within} unchanged, {within} within build_after"
    return (
        f"Reuse: {len(made) - len(reused)} of {len(made)} nodes to build, {len(reused)} reused "
        f"({parts}), about {saved_seconds:.1f} s saved"
    )


def first(building: int, waiting: int) -> str:
    """One line about the first of several invocations."""
    return f"Reuse: {building} nodes to build first; {waiting} wait to see whether they must be"


def score(decisions: Iterable[Decision], outcomes: Mapping[str, str]) -> str:
    """One line about a build in which nothing was reused, to see what would have been wrong."""
    made = list(decisions)
    reused = [one.unique_id for one in made if one.decision == REUSE]
    wrong = sorted(name for name in reused if outcomes.get(name) == CHANGED)
    named = f" ({', '.join(wrong[:5])})" if wrong else ""
    return (
        f"Reuse planner: {len(reused)} of {len(made)} nodes would have been reused, "
        f"{len(wrong)} wrongly{named}"
    )


def explained(decisions: Mapping[str, Decision], names: Mapping[str, str]) -> str:
    """The plan as a table: what is built first, and why each."""
    ordered = sorted(decisions.values(), key=lambda one: one.decision != BUILD)
    width = max((len(names[one.unique_id]) for one in ordered), default=0)
    return "\n".join(
        f"{names[one.unique_id]:<{width}}  {one.decision:<5}  {one.reason.value:<12}  {one.detail}"
        for one in ordered
    )


def explained_json(decisions: Mapping[str, Decision]) -> str:
    """The plan as a JSON list, for programs."""
    found: list[dict[str, Any]] = [
        {
            "unique_id": one.unique_id,
            "decision": one.decision,
            "reason": one.reason.value,
            "detail": one.detail,
        }
        for one in decisions.values()
    ]
    return json.dumps(found, indent=2)
