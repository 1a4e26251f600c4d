"""Brings runs of dbt Cloud into a ledger: each once, those under way again.

Runs are saved oldest first, each in a transaction of its own: a fetch that is broken off leaves
whole runs, and the next one asks only for the others.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec
import requests

from orchestrate.dbt_cloud import discovery, jobs
from orchestrate.dbt_cloud.answers import Run
from orchestrate.dbt_cloud.artifacts import Downloaded, Manifests, download, folder_of
from orchestrate.dbt_cloud.client import MOST_PARALLEL, Client
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.jobs import Job
from orchestrate.dbt_cloud.listing import environments, known_runs, runs_since, still_open
from orchestrate.dbt_cloud.runs import artifact, notes, run_row, save_invocation, step_rows
from orchestrate.dbt_cloud.settings import Settings
from orchestrate.ledger.dbt.imports import found_in
from orchestrate.ledger.instants import microseconds
from orchestrate.ledger.store import Ledger

DEFAULT_DAYS = 30.0
_DAY_US = 86_400_000_000
_MOST_DAYS = 36_525
# Runs that are downloaded ahead of the one to be saved, for each thread.
_AHEAD = 2

Progress = Callable[[int, int], object]


class Fetched(msgspec.Struct, kw_only=True):
    """What a fetch did, in runs; `reused` are nodes of which only the Discovery API knew that.

    `incomplete` are the ids of runs of which artifacts could not be had. `problems` are lines for
    people about that and all else that was missing and did not stop the work.
    """

    new: int = 0
    already_known: int = 0
    under_way: int = 0
    incomplete: list[str] = []
    reused: int = 0
    jobs: list[Job] = []
    problems: list[str] = []


def fetch(
    ledger: Ledger,
    settings: Settings,
    *,
    days: float = DEFAULT_DAYS,
    since: datetime | None = None,
    job_ids: Collection[int] = (),
    parallel: int = MOST_PARALLEL,
    progress: Progress | None = None,
    session: requests.Session | None = None,
    sleep: Callable[[float], object] | None = None,
    now_s: Callable[[], float] = time.time,
) -> Fetched:
    """Bring what is new of the runs that were created in a window up to now.

    Args:
        ledger: Where to; it belongs to this account alone.
        settings: Whom to ask, and as whom.
        days: How long the window is.
        since: When it begins, instead of `days`; UTC if it names no offset.
        job_ids: Only runs of these jobs, of all by default.
        parallel: Runs that are downloaded at once, 1 to 10.
        progress: Is called with how many runs are done, of how many.
        session: A session of requests.
        sleep: Waits some seconds.
        now_s: Epoch seconds.

    Raises:
        DbtCloudError: If dbt Cloud refuses, or can't be had after several attempts.
        LedgerError: If the ledger can't be written.
    """
    if not 1 <= parallel <= MOST_PARALLEL:
        raise DbtCloudError(f"Runs are fetched 1 to {MOST_PARALLEL} at once, not {parallel}.")
    if not 0 < days <= _MOST_DAYS:
        raise DbtCloudError(
            f"The window is more than 0 and at most {_MOST_DAYS} days, not {days:g}."
        )
    since_us = microseconds(since) if since else round(now_s() * 1e6 - days * _DAY_US)
    known = known_runs(ledger)
    with Client(settings, session, sleep=sleep, now_s=now_s) as client:
        named = {one.id: one.name for one in environments(client)}
        fetched = Fetched(jobs=jobs.defined(client, named))
        jobs.save(ledger.path, fetched.jobs)
        listed = runs_since(client, since_us, job_ids)
        fetched.already_known = sum(known.get(run_id, False) for run_id in listed)
        wanted = {run_id: run for run_id, run in listed.items() if not known.get(run_id)}
        open_ids = {run_id for run_id, has_ended in known.items() if not has_ended}
        wanted |= still_open(client, sorted(open_ids - listed.keys()), fetched.problems)
        runs = [wanted[run_id] for run_id in sorted(wanted)]
        tell = progress or (lambda *_: None)
        tell(0, len(runs))
        # Closed at once when the work is stopped, so that its threads are.
        with closing(_downloaded(ledger, client, runs, parallel)) as arriving:
            for done, downloaded in enumerate(arriving, start=1):
                with ledger.writing():
                    problems = _save(ledger, downloaded, named)
                _count(fetched, downloaded.run, problems)
                tell(done, len(runs))
        _reuse(ledger, client, fetched)
    return fetched


def _downloaded(
    ledger: Ledger, client: Client, runs: list[Run], parallel: int
) -> Generator[Downloaded]:
    """What there is of the runs, in their order; of each it is gone when the next is asked for."""
    known = Manifests(ledger)
    with (
        tempfile.TemporaryDirectory(prefix="dbt-cloud-") as folder,
        ThreadPoolExecutor(parallel) as pool,
    ):
        calls = (
            pool.submit(download, client, run, Path(folder, str(run.id)), known) for run in runs
        )
        try:
            for downloaded in _in_order(calls, parallel * _AHEAD):
                yield downloaded
                shutil.rmtree(downloaded.folder, ignore_errors=True)
        except BaseException:
            client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_order(calls: Iterable[Future[Downloaded]], ahead: int) -> Iterator[Downloaded]:
    """The results in the order of the calls, of which only so many are begun ahead."""
    calls = iter(calls)
    begun = deque(islice(calls, ahead))
    while begun:
        yield begun.popleft().result()
        begun.extend(islice(calls, 1))


def _save(ledger: Ledger, downloaded: Downloaded, named: Mapping[int, str]) -> list[str]:
    """Save a run with all that it left. Returns lines about what could not be had."""
    run, problems = downloaded.run, list(downloaded.problems)
    row = run_row(run, named)
    ledger.save([row, *step_rows(run)])
    places = {folder_of(downloaded.folder, step): step for step in run.run_steps or ()}
    for found in found_in(downloaded.folder, row.environment, problems):
        step = places.pop(found.folder)
        manifest = downloaded.manifests.get(step.index)
        if manifest:
            found.manifest, found.manifest_hash = manifest.path, manifest.digest
        save_invocation(ledger, run, step, found, problems)
    problems += [
        f"Step {step.index} ({step.name}) left no {artifact(step)} of its own."
        for folder, step in places.items()
        if folder.is_dir()
    ]
    ledger.save(notes(run, problems))
    return problems


def _count(fetched: Fetched, run: Run, problems: list[str]) -> None:
    if not run.has_ended:
        fetched.under_way += 1
        return
    fetched.new += 1
    if problems:
        fetched.incomplete.append(str(run.id))
        fetched.problems += [f"Run {run.id}: {problem}" for problem in problems]


def _reuse(ledger: Ledger, client: Client, fetched: Fetched) -> None:
    """Ask the Discovery API, which not every plan has: what it refuses is a problem to tell."""
    environment_id = client.settings.environment_id
    if environment_id is None:
        return
    try:
        models = list(discovery.models(client, environment_id))
    except DbtCloudError as error:
        fetched.problems.append(f"Of reuse only artifacts tell: {error}")
        return
    with ledger.writing():
        fetched.reused = discovery.save_reused(ledger, models)
