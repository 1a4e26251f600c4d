"""One invocation of dbt in the ledger: what was known, heard and found of it, merged and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestrate.ledger.dbt import nodes as dbt_nodes
from orchestrate.ledger.dbt import runs as dbt_runs
from orchestrate.ledger.dbt.archive import Found
from orchestrate.ledger.dbt.artifacts import UnreadableError
from orchestrate.ledger.dbt.events import Heard, command_of
from orchestrate.ledger.dbt.project import manifest_rows
from orchestrate.ledger.model import (
    DbtInvocation,
    FreshnessResult,
    Manifest,
    NodeRun,
    PipelineRun,
    Result,
    ReuseDecision,
    Row,
)
from orchestrate.ledger.processes import Gone
from orchestrate.ledger.store import Ledger

Say = Callable[[str], object]
# As shells and Docker say that a signal ended a process.
_SIGNALLED = frozenset({130, 137, 143})


class Saved(NamedTuple):
    """The invocation as it is in the ledger now, and whether anything of it is new."""

    invocation: DbtInvocation
    is_news: bool


def save(
    ledger: Ledger,
    invocation_id: str,
    heard: Heard | None,
    found: Found | None,
    *,
    environment: str | None,
    is_gone: Gone,
    say: Say,
) -> Saved:
    """Merge what is said of an invocation into the ledger; call it inside of `Ledger.writing`.

    Args:
        ledger: Where to. It knows the invocation already, or something was heard or found.
        invocation_id: Which.
        heard: What new events say.
        found: What artifacts say.
        environment: Where it runs, if nothing says another.
        is_gone: Whether a process can't be running any more.
        say: Takes a line for people if its manifest can't be read.
    """
    known = ledger.rows(DbtInvocation, "invocation_id = ?", [invocation_id])
    known_nodes = {
        node.unique_id: node for node in ledger.rows(NodeRun, "invocation_id = ?", [invocation_id])
    }
    row = _begun(known, heard, found, invocation_id)
    if row.result is Result.KILLED and row.exit_code is None:  # as it looked; judged again
        row.result = row.ended_us = None
    if row.error == dbt_nodes.error(known_nodes.values()):
        row.error = None
    nodes = dbt_nodes.merged(
        known_nodes,
        heard,
        found.nodes if found else {},
        artifacts_are_known=row.exit_code is not None,
    )
    if heard:
        _hear(row, heard)
    if found:
        _find(row, found)
        if found.manifest and _keep_manifest(ledger, found.manifest, found.manifest_hash, say):
            row.manifest_hash = found.manifest_hash
    row.environment = row.environment or environment
    row.command = row.command or command_of(row.arguments)
    if heard or found:
        run_id = (found and found.facts.run_id) or (heard and heard.run_id) or None
        row.run_id = dbt_runs.run_of(ledger, run_id, invocation_id, row.started_us)
    if row.result is None and _is_gone(ledger, row, found, is_gone):
        row.result, row.ended_us = Result.KILLED, row.heard_us
    dbt_nodes.conclude(ledger, row, nodes)
    if row.result is Result.FAILURE:
        row.error = row.error or dbt_nodes.error(nodes.values())
    if row.command == "retry":
        row.retries = _retried(ledger, row)
    changed: list[Row] = [node for key, node in nodes.items() if node != known_nodes.get(key)]
    changed += _freshness(ledger, heard, found, invocation_id)
    changed += _reuse(ledger, found, invocation_id)
    if [row] != known:
        changed.append(row)
    ledger.save(changed)
    if changed:
        dbt_runs.tell_run(
            ledger,
            row.run_id,
            traceparent=found.facts.traceparent if found else heard.traceparent if heard else None,
            host=found.facts.host if found else None,
            pid=found.facts.pid if found else None,
        )
    return Saved(row, bool(changed))


def result_of(exit_code: int) -> Result:
    """Dbt's exit codes are 0, 1 and 2; a signal's are negative, or more than 128 in a shell."""
    if exit_code == 0:
        return Result.SUCCESS
    return Result.KILLED if exit_code < 0 or exit_code in _SIGNALLED else Result.FAILURE


def _begun(
    known: list[DbtInvocation], heard: Heard | None, found: Found | None, invocation_id: str
) -> DbtInvocation:
    sources = [one for one in (*known, heard, found) if one]
    started_us = min(one.started_us for one in sources)
    heard_us = max(one.heard_us for one in sources)
    if known:
        return msgspec.structs.replace(known[0], started_us=started_us, heard_us=heard_us)
    return DbtInvocation(
        invocation_id=invocation_id, run_id="", started_us=started_us, heard_us=heard_us
    )


def _hear(row: DbtInvocation, heard: Heard) -> None:
    """Fill what is missing; an end that was archived stays."""
    row.arguments = row.arguments or heard.arguments or []
    row.target = row.target or heard.target
    row.threads = row.threads or heard.threads
    row.dbt_version = row.dbt_version or heard.dbt_version
    row.parsed_us = row.parsed_us or heard.parsed_us
    row.error = heard.error or row.error
    if heard.ended_us is not None and row.exit_code is None:
        row.ended_us = heard.ended_us
        row.result = Result.SUCCESS if heard.success else Result.FAILURE


def _find(row: DbtInvocation, found: Found) -> None:
    facts = found.facts
    if facts.arguments:
        row.arguments = facts.arguments
        row.command = command_of(facts.arguments)
    row.environment = facts.environment or row.environment
    row.target = facts.target or row.target
    row.dbt_version = found.dbt_version or row.dbt_version
    if found.ended_us is not None:
        row.ended_us, row.exit_code = found.ended_us, facts.exit_code
        row.result = result_of(facts.exit_code or 0)


def _keep_manifest(ledger: Ledger, manifest: Path, manifest_hash: str, say: Say) -> bool:
    """Save the manifest unless it is there. Returns False if it is not what it should be."""
    if ledger.rows(Manifest, "manifest_hash = ?", [manifest_hash]):
        return True
    try:
        ledger.save(list(manifest_rows(manifest, manifest_hash)))
    except FileNotFoundError:  # only the newest are kept
        return True
    except UnreadableError as error:
        say(f"{error}. What depends on what is not known of its invocations.")
        return False
    return True


def _freshness(
    ledger: Ledger, heard: Heard | None, found: Found | None, invocation_id: str
) -> list[FreshnessResult]:
    """What is new of sources: artifacts know more of them than events."""
    if not (heard and heard.freshness) and not (found and found.freshness):
        return []
    known = {
        row.unique_id: row
        for row in ledger.rows(FreshnessResult, "invocation_id = ?", [invocation_id])
    }
    rows = (heard.freshness if heard else {}) | known | (found.freshness if found else {})
    return [row for key, row in rows.items() if row != known.get(key)]


def _reuse(ledger: Ledger, found: Found | None, invocation_id: str) -> list[ReuseDecision]:
    """What is new of decisions to reuse."""
    if not (found and found.reuse):
        return []
    known = ledger.rows(ReuseDecision, "invocation_id = ?", [invocation_id])
    return [row for row in found.reuse.values() if row not in known]


def _is_gone(ledger: Ledger, row: DbtInvocation, found: Found | None, is_gone: Gone) -> bool:
    """Whether nobody will end it: by its own process, else by what is known of its run."""
    if found and found.facts.pid is not None:
        return is_gone(found.facts.host, found.facts.pid, row.started_us, row.heard_us)
    runs = ledger.rows(PipelineRun, "run_id = ?", [row.run_id])
    if not runs:
        return is_gone(None, None, row.started_us, row.heard_us)
    [run] = runs
    heard_us = max(run.heard_us, row.heard_us)
    return run.result is not None or is_gone(run.host, run.pid, run.started_us, heard_us)


def _retried(ledger: Ledger, row: DbtInvocation) -> str | None:
    """What a `dbt retry` goes on from: the newest failure before it."""
    found = ledger.select(
        "select invocation_id from dbt_invocation where environment is ? and result = ? "
        "and started_us < ? order by started_us desc limit 1",
        [row.environment, Result.FAILURE.value, row.started_us],
    )
    return str(found[0][0]) if found else None
