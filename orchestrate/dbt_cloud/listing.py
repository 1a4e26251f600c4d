"""Which runs there are: those of a window, to its end, and those that had not ended before."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from orchestrate.dbt_cloud.answers import RELATED, Environment, Run
from orchestrate.dbt_cloud.client import Client
from orchestrate.dbt_cloud.errors import DbtCloudError, MissingError
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.store import Ledger


def environments(client: Client) -> Iterator[Environment]:
    """The environments of the account. Version 3, since in version 2 the list is deprecated.

    Raises:
        DbtCloudError: As the client.
    """
    for page in client.pages("environments/", Environment, version=3):
        yield from page


def runs_since(client: Client, since_us: int, job_ids: Collection[int]) -> dict[int, Run]:
    """The runs that were created since then, by their ids; `job_ids` names their jobs, none: all.

    They are asked for newest first, to the first page that ends before the window: dbt Cloud names
    a filter `created_at__range`, but refused it in every form that somebody tried in 2025.

    Raises:
        DbtCloudError: As the client.
    """
    runs: dict[int, Run] = {}
    for job_id in job_ids or (None,):
        params: dict[str, str | int] = {"order_by": "-id", "include_related": RELATED}
        if job_id is not None:
            params["job_definition_id"] = job_id
        if client.settings.environment_id is not None:
            params["environment_id"] = client.settings.environment_id
        for page in client.pages("runs/", Run, params):
            created_us = [instant_us(run.created_at) or 0 for run in page]
            runs |= {
                run.id: run
                for run, at_us in zip(page, created_us, strict=True)
                if at_us >= since_us
            }
            if created_us[-1] < since_us:
                break
    return runs


def known_runs(ledger: Ledger) -> dict[int, bool]:
    """The ids of the runs in the ledger, to whether they have ended.

    Raises:
        DbtCloudError: If it holds runs that are not dbt Cloud's.
    """
    known = {}
    for run_id, has_ended in ledger.select("select run_id, result is not null from pipeline_run"):
        if not run_id.isdigit():
            raise DbtCloudError(
                f"{ledger.path} holds other runs than dbt Cloud's, {run_id} for one: name a ledger "
                "of its own."
            )
        known[int(run_id)] = bool(has_ended)
    return known


def still_open(client: Client, run_ids: Collection[int], problems: list[str]) -> dict[int, Run]:
    """Runs that were under way when they were fetched; one that is gone is a problem to tell.

    Raises:
        DbtCloudError: As the client.
    """
    runs = {}
    for run_id in run_ids:
        try:
            runs[run_id] = client.data(f"runs/{run_id}/", Run, {"include_related": RELATED})
        except MissingError:  # noqa: PERF203
            problems.append(f"Run {run_id}: it was under way, and dbt Cloud has it no more.")
    return runs
