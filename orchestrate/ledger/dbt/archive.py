"""The folders that the launcher keeps, one per invocation of dbt (orchestrate/transformer)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from orchestrate.ledger.dbt.artifacts import (
    Reuses,
    RunResults,
    Sources,
    UnreadableError,
    freshness,
    node_runs,
    read,
    reuse_decisions,
    reused_nodes,
)
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import FreshnessResult, NodeRun, ReuseDecision, SourceFile
from orchestrate.ledger.store import Ledger

# What SourceFile.offset says of a folder: read once and for all, or never ended by its process.
_READ, _GIVEN_UP, _BROKEN = 1, 0, -1
ARTIFACTS: dict[str, type[RunResults | Sources]] = {
    "run_results.json": RunResults,
    "sources.json": Sources,
}
# Which nodes were reused, by the launcher.
REUSE = "reuse.json"


class Facts(msgspec.Struct):
    """invocation.json; what an earlier version of the launcher did not write is None."""

    invocation_id: str
    started_at: str
    arguments: list[str] = []
    finished_at: str | None = None
    exit_code: int | None = None
    environment: str | None = None
    target: str | None = None
    host: str | None = None
    pid: int | None = None
    run_id: str | None = None
    traceparent: str | None = None
    manifest: str | None = None


class Found(msgspec.Struct):
    """What artifacts say of one invocation. `heard_us` is when the folder was written last."""

    folder: Path
    facts: Facts
    started_us: int
    heard_us: int
    ended_us: int | None = None
    dbt_version: str | None = None
    nodes: dict[str, NodeRun] = {}
    freshness: dict[str, FreshnessResult] = {}
    reuse: dict[str, ReuseDecision] = {}
    manifest: Path | None = None
    manifest_hash: str = ""

    def add(self, artifact: RunResults | Sources | Reuses) -> None:
        """Take over the rows of an artifact."""
        if isinstance(artifact, Reuses):
            rows_of_reuse = reuse_decisions(artifact, self.facts.invocation_id)
            self.reuse = {row.unique_id: row for row in rows_of_reuse}
            for node in reused_nodes(artifact, self.facts.invocation_id):
                self.nodes.setdefault(node.unique_id, node)
            return
        self.dbt_version = artifact.metadata.dbt_version or self.dbt_version
        rows = (
            node_runs(artifact, self.facts.invocation_id)
            if isinstance(artifact, RunResults)
            else freshness(artifact, self.facts.invocation_id)
        )
        for row in rows:
            if isinstance(row, NodeRun):
                self.nodes[row.unique_id] = row
            elif isinstance(row, FreshnessResult):
                self.freshness[row.unique_id] = row


class Folders:
    """The folders below `runs` that are worth reading, and which of them need no reading again.

    Args:
        ledger: Remembers what has been read.
        runs: The folder that they are in; it need not exist.
        say: Takes a line for people about each file that can't be read, once.
    """

    def __init__(self, ledger: Ledger, runs: Path, say: Callable[[str], object]) -> None:
        self._ledger = ledger
        self._runs = runs
        self._say = say

    def new(self, heard: set[str]) -> Iterator[Found]:
        """Those that ended since, those under way, and those given up of which there is news."""
        paths = {
            _fingerprint(path.parent): path for path in sorted(self._runs.glob("*/invocation.json"))
        }
        offsets = dict(
            self._ledger.select(
                "select fingerprint, offset from source_file "
                "where fingerprint in (select value from json_each(?))",
                [json.dumps(list(paths))],
            )
        )
        for fingerprint, path in paths.items():
            known = offsets.get(fingerprint)
            if known == _READ:
                continue
            try:
                found = _found(path, self._say)
            except FileNotFoundError:  # removed meanwhile, as one of the oldest
                continue
            except UnreadableError as error:
                if known != _BROKEN:
                    self._say(f"{error}. Of this invocation only dbt's log tells.")
                    self._remember(path.parent, _BROKEN)
                continue
            is_news = found.ended_us is not None or found.facts.invocation_id in heard
            if known != _GIVEN_UP or is_news:
                yield found

    def done(self, found: Found, *, is_killed: bool) -> None:
        """Remember that an invocation ended, or that nobody will end it."""
        if found.ended_us is not None or is_killed:
            self._remember(found.folder, _GIVEN_UP if found.ended_us is None else _READ)

    def _remember(self, folder: Path, offset: int) -> None:
        fingerprint = _fingerprint(folder)
        self._ledger.save([SourceFile(fingerprint=fingerprint, path=str(folder), offset=offset)])


def _fingerprint(folder: Path) -> str:
    """Its name holds time and id of the invocation, so it is the same wherever the folder is."""
    return hashlib.sha256(folder.name.encode()).hexdigest()


def _found(path: Path, say: Callable[[str], object]) -> Found:
    """What an invocation.json and the artifacts beside it say.

    Raises:
        FileNotFoundError: If it is gone.
        UnreadableError: If it can't be read or says no time. A broken artifact is said instead.
    """
    written_us = path.stat().st_mtime_ns // 1000
    facts = read(path, Facts)
    started_us, ended_us = instant_us(facts.started_at), instant_us(facts.finished_at)
    if started_us is None:
        raise UnreadableError(f"{path} can't be read: it names no time of its start")
    found = Found(path.parent, facts, started_us, ended_us or written_us, ended_us)
    if facts.manifest:
        found.manifest = path.parent.parent / facts.manifest
        found.manifest_hash = found.manifest.stem
    # What was reused is told last: dbt may have built more than was asked for.
    for name, kind in {**ARTIFACTS, REUSE: Reuses}.items():
        _add(found, path.with_name(name), kind, say)
    return found


def _add(
    found: Found,
    path: Path,
    kind: type[RunResults | Sources | Reuses],
    say: Callable[[str], object],
) -> None:
    try:
        found.add(read(path, kind))
    except FileNotFoundError:
        pass
    except UnreadableError as error:
        say(f"{error}. Of its nodes only dbt's log tells.")
