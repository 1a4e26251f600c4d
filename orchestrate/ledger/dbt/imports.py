"""Invocations of dbt from before the ledger, or from elsewhere: any folder of dbt's artifacts.

https://docs.getdbt.com/reference/artifacts/run-results-json (schemas 4 to 6)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from orchestrate.ledger.dbt import invocations as dbt_invocations
from orchestrate.ledger.dbt import manifests
from orchestrate.ledger.dbt.archive import ARTIFACTS, Facts, Found
from orchestrate.ledger.dbt.artifacts import Metadata, UnreadableError, read
from orchestrate.ledger.dbt.events import arguments_of
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import FAILED, DbtInvocation
from orchestrate.ledger.store import Ledger

_COMMANDS = {"freshness": ["source", "freshness"], "generate": ["docs", "generate"]}


class Imported(NamedTuple):
    """Invocations that are in the ledger now, that were before, and lines about bad files."""

    invocations: int
    already_known: int
    unreadable: list[str]


class _Status(msgspec.Struct):
    status: str = ""


class _Head(msgspec.Struct):
    """What is the same in run_results.json and sources.json."""

    metadata: Metadata
    elapsed_time: float | None = None
    args: dict[str, Any] | None = None
    results: list[_Status] = []


class _Artifact(NamedTuple):
    path: Path
    head: _Head
    started_us: int


def import_artifacts(ledger: Ledger, folder: Path, environment: str | None) -> Imported:
    """Read every run_results.json and sources.json below a folder, with the manifest beside it.

    Call it inside of `Ledger.writing`. An invocation that the ledger has is left as it is, so a
    folder may be imported again.

    Args:
        ledger: Where to.
        folder: Any tree, as of `target` folders or of `run_<id>` folders of dbt Cloud.
        environment: Where the invocations count as run, None if that is not known.
    """
    unreadable: list[str] = []
    found = _artifacts(folder, unreadable)
    new = {
        invocation_id: artifacts
        for invocation_id, artifacts in found.items()
        if not ledger.rows(DbtInvocation, "invocation_id = ?", [invocation_id])
    }
    saved = 0
    for one in _read(new, environment, unreadable):
        dbt_invocations.save(
            ledger,
            one.facts.invocation_id,
            None,
            one,
            environment=environment,
            is_gone=_never,
            say=unreadable.append,
        )
        saved += 1
    return Imported(saved, len(found) - len(new), unreadable)


def found_in(folder: Path, environment: str | None, unreadable: list[str]) -> list[Found]:
    """What the artifacts below a folder say of each invocation, the oldest first; nothing is saved.

    An artifact that several folders hold counts once, for the first of them by name. A line about
    each bad file is added to `unreadable`.
    """
    return list(_read(_artifacts(folder, unreadable), environment, unreadable))


def _never(*_: object) -> bool:
    return False


def _artifacts(folder: Path, unreadable: list[str]) -> dict[str, list[_Artifact]]:
    """The artifacts below a folder by their invocations."""
    found: dict[str, list[_Artifact]] = {}
    for name in ARTIFACTS:
        for path in sorted(folder.rglob(name)):
            try:
                artifact = _artifact(path)
            except (FileNotFoundError, UnreadableError) as error:  # noqa: PERF203
                unreadable.append(str(error))
            else:
                found.setdefault(artifact.head.metadata.invocation_id or "", []).append(artifact)
    return found


def _read(
    artifacts: dict[str, list[_Artifact]], environment: str | None, unreadable: list[str]
) -> Iterator[Found]:
    # The oldest first, since a retry names what failed before it.
    for invocation_id, ones in sorted(artifacts.items(), key=lambda item: item[1][0].started_us):
        try:
            yield _found(invocation_id, ones, environment, unreadable)
        except (FileNotFoundError, UnreadableError) as error:  # noqa: PERF203
            unreadable.append(str(error))


def _artifact(path: Path) -> _Artifact:
    head = read(path, _Head)
    metadata = head.metadata
    written_us = instant_us(metadata.generated_at)
    if not metadata.invocation_id or written_us is None:
        raise UnreadableError(f"{path} can't be read: it names no invocation or no time")
    started_us = instant_us(metadata.invocation_started_at)
    if started_us is None:  # dbt before 1.9
        started_us = written_us - round((head.elapsed_time or 0) * 1e6)
    return _Artifact(path, head, started_us)


def _found(
    invocation_id: str, artifacts: list[_Artifact], environment: str | None, unreadable: list[str]
) -> Found:
    head, started_us = artifacts[0].head, artifacts[0].started_us
    heads = [artifact.head for artifact in artifacts]
    is_failed = any(result.status in FAILED for one in heads for result in one.results)
    ended_us = max(instant_us(one.metadata.generated_at) or 0 for one in heads)
    env = head.metadata.env or {}
    facts = Facts(
        invocation_id=invocation_id,
        started_at="",
        arguments=_arguments(artifacts[0]),
        exit_code=int(is_failed),
        environment=environment,
        target=_text((head.args or {}).get("target")),
        run_id=_text(env.get("MELTANO_RUN_ID")),
        traceparent=_text(env.get("TRACEPARENT")),
    )
    folder = artifacts[0].path.parent
    found = Found(folder, facts, started_us, ended_us, ended_us)
    for artifact in artifacts:
        found.add(read(artifact.path, ARTIFACTS[artifact.path.name]))
    manifest = folder / "manifest.json"
    try:
        found.manifest_hash = manifests.digest(json.loads(manifest.read_bytes()))
        found.manifest = manifest
    except FileNotFoundError:
        pass
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        unreadable.append(f"{manifest} can't be read: {error}")
    return found


def _arguments(artifact: _Artifact) -> list[str]:
    args = artifact.head.args or {}
    which = _text(args.get("which")) or _text(args.get("rpc_method"))
    if which is None:
        which = "freshness" if artifact.path.name == "sources.json" else "build"
    return arguments_of(args.get("invocation_command")) or _COMMANDS.get(which, [which])


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
