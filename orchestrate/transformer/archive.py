"""dbt overwrites its artifacts; here each invocation's are kept.

runs/<time>-<invocation id>/invocation.json   what ran, when, how it ended, which manifest
                            run_results.json, sources.json   where the command wrote them
runs/manifests/<hash>.json                    each different project once
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ARTIFACTS = ("run_results.json", "sources.json")
DEFAULT_KEEP = 200


@dataclass(frozen=True)
class Invocation:
    """One call of dbt. Times are UTC; the ids of an outer run are there when it gave them."""

    invocation_id: str
    arguments: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    exit_code: int
    environment: str
    run_id: str | None = None
    traceparent: str | None = None


def keep(invocation: Invocation, target: Path, runs: Path, *, newest: int = DEFAULT_KEEP) -> Path:
    """Copy what this invocation wrote to `target` and drop all but the newest invocations.

    Raises:
        OSError: If the copy can't be written. Nothing half is left then.
    """
    name = f"{invocation.started_at:%Y%m%dT%H%M%SZ}-{invocation.invocation_id}"
    partial, final = runs / f".{name}", runs / name
    partial.mkdir(parents=True)
    try:
        for artifact in ARTIFACTS:
            if _written_by(invocation, target / artifact):
                shutil.copyfile(target / artifact, partial / artifact)
        manifest = None
        if _written_by(invocation, target / "manifest.json"):
            manifest = _keep_manifest(target / "manifest.json", runs)
        facts = {
            "invocation_id": invocation.invocation_id,
            "arguments": list(invocation.arguments),
            "started_at": invocation.started_at.isoformat(),
            "finished_at": invocation.finished_at.isoformat(),
            "exit_code": invocation.exit_code,
            "environment": invocation.environment,
            "run_id": invocation.run_id,
            "traceparent": invocation.traceparent,
            "manifest": manifest,
        }
        (partial / "invocation.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
        partial.rename(final)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _drop_old(runs, newest)
    return final


def _written_by(invocation: Invocation, artifact: Path) -> bool:
    """Whether the file is of this invocation: a failed one leaves an earlier one's behind."""
    try:
        metadata = json.loads(artifact.read_bytes())["metadata"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(metadata["invocation_id"] == invocation.invocation_id)


def _keep_manifest(manifest: Path, runs: Path) -> str:
    """Store it unless an equal one is there. Returns its path within `runs`."""
    text = manifest.read_bytes()
    content = _without_times(json.loads(text))
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    kept = runs / "manifests" / f"{digest}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_bytes(text)
        partial.replace(kept)
    return kept.relative_to(runs).as_posix()


def _without_times(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the project says, without when dbt read it and what times it compiled in."""
    content = {name: part for name, part in manifest.items() if name != "metadata"}
    for part in content.values():
        for node in part.values() if isinstance(part, dict) else ():
            if isinstance(node, dict):
                node.pop("created_at", None)
                node.pop("compiled_code", None)
    return content


def _drop_old(runs: Path, newest: int) -> None:
    kept = sorted(path for path in runs.iterdir() if (path / "invocation.json").is_file())
    kept = [path for path in kept if not path.name.startswith(".")]
    for path in kept[: max(len(kept) - newest, 0)]:
        shutil.rmtree(path, ignore_errors=True)
    used = set()
    for path in kept[-newest:]:
        used.add(json.loads((path / "invocation.json").read_bytes())["manifest"])
    for manifest in (runs / "manifests").glob("*"):
        if f"manifests/{manifest.name}" not in used:
            manifest.unlink()
