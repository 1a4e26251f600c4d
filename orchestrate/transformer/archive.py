"""dbt overwrites its artifacts; here each invocation's are kept, and that it began is kept first.

runs/<time>-<invocation id>/invocation.json   what runs, since when, where, how it ended, which
                                              manifest; without an end while it is under way
                            run_results.json, sources.json   where the command wrote them
runs/manifests/<hash>.json                    each different project once
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrate.ledger.dbt import manifests

ARTIFACTS = ("run_results.json", "sources.json")
DEFAULT_KEEP = 200


@dataclass(frozen=True)
class Invocation:
    """One call of dbt, begun. Times are UTC; ids of an outer run are there when it gave them."""

    invocation_id: str
    arguments: tuple[str, ...]
    started_at: datetime
    environment: str
    target: str
    host: str
    pid: int
    run_id: str | None = None
    traceparent: str | None = None


class Archive:
    """The folder of one invocation, below `runs`; `target` is where dbt writes.

    Every method raises OSError if the disk doesn't take it; the others can be called all the same.
    """

    def __init__(self, invocation: Invocation, target: Path, runs: Path) -> None:
        self.folder = runs / f"{invocation.started_at:%Y%m%dT%H%M%SZ}-{invocation.invocation_id}"
        self._invocation = invocation
        self._target = target
        self._runs = runs
        self._manifest: str | None = None

    def begin(self) -> None:
        """Write what is known before anything is done, for the case that nobody comes back."""
        self._write(None, None)

    def keep_manifest(self) -> None:
        """Keep what dbt wrote when it had read the project; done once, so it may be called again.

        Raises:
            OSError: If it can't be written.
            ValueError: If it is half written.
        """
        if self._manifest and (self._runs / self._manifest).exists():
            return
        text, manifest = _of(self._invocation, self._target / "manifest.json")
        if manifest is None:
            return
        kept = self._runs / "manifests" / f"{manifests.digest(manifest)}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            _replace(kept, text)
        self._manifest = kept.relative_to(self._runs).as_posix()
        self._write(None, None)

    def keep_artifacts(self) -> None:
        """Copy what this invocation wrote, before another one overwrites it.

        Raises:
            OSError: If it can't be written.
            ValueError: If it is half written.
        """
        self.keep_manifest()
        for artifact in ARTIFACTS:
            text, content = _of(self._invocation, self._target / artifact)
            if content is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                _replace(self.folder / artifact, text)

    def end(self, finished_at: datetime, exit_code: int) -> None:
        """Copy what is not copied yet; then say that it ended.

        Raises:
            OSError: If something can't be written. That it ended is still said, if possible.
            ValueError: If dbt left half a manifest; the same.
        """
        try:
            self.keep_artifacts()
        finally:
            self._write(finished_at, exit_code)

    def _write(self, finished_at: datetime | None, exit_code: int | None) -> None:
        facts = {
            "invocation_id": self._invocation.invocation_id,
            "arguments": list(self._invocation.arguments),
            "started_at": self._invocation.started_at.isoformat(),
            "finished_at": finished_at.isoformat() if finished_at else None,
            "exit_code": exit_code,
            "environment": self._invocation.environment,
            "target": self._invocation.target,
            "host": self._invocation.host,
            "pid": self._invocation.pid,
            "run_id": self._invocation.run_id,
            "traceparent": self._invocation.traceparent,
            "manifest": self._manifest,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        _replace(self.folder / "invocation.json", json.dumps(facts, indent=2).encode())


def drop_old(runs: Path, newest: int) -> None:
    """Forget all but the newest invocations, and the manifests that only those had.

    Raises:
        OSError: If one can't be read or deleted.
    """
    kept = sorted(path.parent for path in runs.glob("*/invocation.json"))
    for path in kept[: max(len(kept) - newest, 0)]:
        shutil.rmtree(path, ignore_errors=True)
    used = set()
    for path in kept[-newest:]:
        with suppress(ValueError):  # a disk that filled up or a machine that fell may leave a half
            used.add(json.loads((path / "invocation.json").read_bytes()).get("manifest"))
    for manifest in (runs / "manifests").glob("*.json"):
        if f"manifests/{manifest.name}" not in used:
            manifest.unlink()


def _of(invocation: Invocation, artifact: Path) -> tuple[bytes, dict[str, Any] | None]:
    """The file, if it is of this invocation: a failed one leaves an earlier one's behind."""
    try:
        text = artifact.read_bytes()
    except FileNotFoundError:
        return b"", None
    content = json.loads(text)
    try:
        is_of_it = content["metadata"]["invocation_id"] == invocation.invocation_id
    except (KeyError, TypeError):
        is_of_it = False
    return text, content if is_of_it else None


def _replace(path: Path, text: bytes) -> None:
    """Whoever reads sees the old file or the new one, never a half."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(text)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
