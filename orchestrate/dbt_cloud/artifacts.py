"""What the steps of a run left, downloaded into a folder for the ledger's own readers.

`?step=` gives what was in dbt's folder `target` after that step, files of earlier steps among them:
which of them is whose, the invocation ids inside tell.
https://docs.getdbt.com/dbt-cloud/api-v2 (Retrieve Run Artifact)
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from orchestrate.dbt_cloud.answers import CANCELLED, RELATED, Run, RunStep
from orchestrate.dbt_cloud.client import Client
from orchestrate.dbt_cloud.errors import BrokenAnswerError
from orchestrate.dbt_cloud.runs import arguments, artifact, run_row
from orchestrate.ledger.dbt import manifests
from orchestrate.ledger.store import Ledger

_MANIFEST = "manifest.json"
_DAY_US = 86_400_000_000
# Some manifests are tens of megabytes, and many times that while they are read.
_READING = threading.Lock()
_KNOWN = """
select r.arguments, r.branch, r.revision, r.started_us, i.arguments, i.manifest_hash
from pipeline_run as r
inner join dbt_invocation as i using (run_id)
inner join manifest using (manifest_hash)
"""

# What makes a project's manifest: revision and branch; the arguments of the run's row and of dbt;
# and the day, since environment variables of dbt Cloud may change without any of these.
Key = tuple[str, ...]


class Kept(NamedTuple):
    """A manifest: its hash, and where it was downloaded to; not read if the ledger has the hash."""

    digest: str
    path: Path


class Downloaded(NamedTuple):
    """What there is of a run; `problems` are lines about what could not be had."""

    run: Run
    folder: Path
    manifests: dict[int, Kept]
    problems: list[str]


class Manifests:
    """Manifests that are known, so that each is downloaded once; for several threads at once.

    Args:
        ledger: What earlier fetches brought, read once.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._kept: dict[Key, Kept] = {}
        for of_run, branch, revision, started_us, of_dbt, digest in ledger.select(_KNOWN):
            key = _key(json.loads(of_run), branch, revision, started_us, json.loads(of_dbt))
            if key:
                self._kept[key] = Kept(digest, Path(digest))
        self._locks: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, key: Key | None, load: Callable[[], Kept | None]) -> Kept | None:
        """The manifest of that key, loaded if it is not known; of no key it is never known."""
        if key is None:
            return load()
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key) or load()
            if kept:
                self._kept[key] = kept
            return kept


def download(client: Client, run: Run, folder: Path, known: Manifests) -> Downloaded:
    """What the steps of a run left, each in a folder of its own.

    Args:
        client: Whom to ask.
        run: Which. Of one under way nothing is asked, of one without steps its details are.
        folder: Where to; made if there is something.
        known: Manifests that need not be downloaded.

    Raises:
        DbtCloudError: As the client; an artifact that is missing or broken is a problem instead.
    """
    if run.has_ended and not run.run_steps:
        run = client.data(f"runs/{run.id}/", Run, {"include_related": RELATED})
    downloaded = Downloaded(run, folder, {}, [])
    if not run.has_ended:
        return downloaded
    row = run_row(run, {})
    for step in run.run_steps or ():
        name = artifact(step)
        place = folder_of(folder, step)
        if name is None or step.started_at is None:
            continue
        if not _has_come(client, downloaded, step, place / name):
            continue
        manifest = known.of(
            _key(row.arguments, row.branch, row.revision, row.started_us, arguments(step)),
            partial(_manifest, client, downloaded, step),
        )
        if manifest:
            downloaded.manifests[step.index] = manifest
    return downloaded


def folder_of(folder: Path, step: RunStep) -> Path:
    """Where the artifact of a step is; those of later steps come later by name."""
    return folder / f"{step.index:04d}"


def _key(
    of_run: list[str], branch: str | None, revision: str | None, started_us: int, of_dbt: list[str]
) -> Key | None:
    if revision is None:
        return None
    return (str(started_us // _DAY_US), revision, branch or "", *of_run, "dbt", *of_dbt)


def _has_come(client: Client, downloaded: Downloaded, step: RunStep, path: Path) -> bool:
    """Whether a file of a step is there now; if it is not, why is a problem."""
    try:
        body = client.artifact(downloaded.run.id, path.name, step.index)
    except BrokenAnswerError as error:
        downloaded.problems.append(str(error))
        return False
    if body is None:
        why = "the step was cancelled" if step.status == CANCELLED else "it expired or never was"
        downloaded.problems.append(f"Step {step.index} ({step.name}) has no {path.name}: {why}.")
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return True


def _manifest(client: Client, downloaded: Downloaded, step: RunStep) -> Kept | None:
    """The manifest of a step, not beside its artifact: the readers would take it for another."""
    path = folder_of(downloaded.folder, step) / "project" / _MANIFEST
    if not _has_come(client, downloaded, step, path):
        return None
    with _READING:
        try:
            return Kept(manifests.digest(json.loads(path.read_bytes())), path)
        except (ValueError, AttributeError, RecursionError) as error:
            downloaded.problems.append(
                f"Step {step.index} ({step.name}): {_MANIFEST} can't be read: {error}"
            )
            return None
