"""What people and programs ask the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrate.ledger import earlier
from orchestrate.ledger.causes import causes
from orchestrate.ledger.model import (
    FAILED,
    KILLED,
    TESTS,
    DbtInvocation,
    FreshnessResult,
    LogEvent,
    Manifest,
    ManifestNode,
    NodeRun,
    PipelineRun,
    Record,
    RequestTotal,
    Result,
    Retry,
    SkippedPart,
    Step,
    StreamSync,
)
from orchestrate.ledger.store import Ledger, LedgerError

# Runs that were given one id: the later ones have a number behind it. Both parts use the index.
GIVEN_ID = "(run_id = ?1 or run_id between ?1 || '.' and ?1 || '/')"

_OF_RUN = "run_id = ?"
_OF_INVOCATIONS = "invocation_id in (select invocation_id from dbt_invocation where run_id = ?)"
_MANIFESTS = "manifest_hash in (select manifest_hash from dbt_invocation where run_id = ?)"

# Parts are counted of the chosen runs only: a ledger holds millions of nodes.
_SUMMARIES = """
with chosen as materialized (
    select * from pipeline_run
    where
        (?1 is null or environment = ?1)
        and (?2 is null or job = ?2)
        and (?3 is null or coalesce(result, 'running') = ?3)
    order by started_us desc
    limit ?4
)

select
    run_id,
    environment,
    job,
    result,
    started_us,
    coalesce(ended_us, heard_us) as ended_us,
    error,
    (select count(*) from stream_sync as s where s.run_id = chosen.run_id) as streams,
    (select sum(rows) from stream_sync as s where s.run_id = chosen.run_id) as rows,
    (select sum(requests) from request_total as r where r.run_id = chosen.run_id) as requests,
    (select sum(retries) from request_total as r where r.run_id = chosen.run_id) as retries,
    (select count(*) from skipped_part as p where p.run_id = chosen.run_id) as skipped_parts,
    coalesce(nodes, 0) as nodes,
    coalesce(tests, 0) as tests,
    coalesce(failed, 0) as failed
from chosen
left join (
    select
        run_id,
        sum(resource_type not in (select value from json_each(?5))) as nodes,
        sum(resource_type in (select value from json_each(?5))) as tests,
        sum(status in (select value from json_each(?6))) as failed
    from dbt_invocation
    inner join node_run using (invocation_id)
    where run_id in (select run_id from chosen)
    group by run_id
) as nodes using (run_id)
order by started_us desc
"""

_LISTS = (json.dumps(sorted(TESTS)), json.dumps(sorted({*FAILED, KILLED})))


class Summary(msgspec.Struct, kw_only=True):
    """A run in one line. Rows and requests are None where nothing was extracted."""

    run_id: str
    environment: str | None
    job: str
    result: Result | None
    started_us: int
    ended_us: int
    error: str | None
    cause: str | None = None
    streams: int
    rows: int | None
    requests: int | None
    retries: int | None
    skipped_parts: int
    nodes: int
    tests: int
    failed: int


def summaries(
    ledger: Ledger,
    *,
    limit: int,
    environment: str | None = None,
    job: str | None = None,
    result: str | None = None,
) -> list[Summary]:
    """The newest runs, newest first. `result` may also be `running`."""
    found = ledger.select(_SUMMARIES, [environment, job, result, limit, *_LISTS])
    names = [name for name in Summary.__struct_fields__ if name != "cause"]
    listed = [msgspec.convert(dict(zip(names, row, strict=True)), Summary) for row in found]
    told = causes(ledger, {run.run_id: run.error for run in listed if _is_broken(run.result)})
    for run in listed:
        run.cause = told.get(run.run_id)
    return listed


def record(ledger: Ledger, run_id: str) -> Record:
    """All of one run.

    Raises:
        LedgerError: If the ledger has no such run.
    """
    run = ledger.rows(PipelineRun, _OF_RUN, [run_id])
    if not run:
        raise LedgerError(f"There is no run {run_id} in {ledger.path}. `observe runs` lists them.")
    by_run: Sequence[Any] = [run_id]
    invocations = ledger.rows(DbtInvocation, _OF_RUN, by_run, "order by started_us")
    retried = ledger.select(
        "select invocation_id, trace_id from dbt_invocation inner join pipeline_run using (run_id) "
        "where invocation_id in (select retries from dbt_invocation where run_id = ?)",
        by_run,
    )
    told = causes(ledger, {run_id: run[0].error} if _is_broken(run[0].result) else {})
    good = earlier.good_runs(ledger, run[0])
    fed_before = earlier.fed_before(ledger, run[0])
    return Record(
        run=run[0],
        previous=earlier.previous(ledger, run[0]),
        repeats=earlier.repeats(ledger, run[0]),
        cause=told.get(run_id),
        usual_s=earlier.usual_s(good),
        rows_before=earlier.rows_of(ledger, good[0]) if good else {},
        steps=ledger.rows(Step, _OF_RUN, by_run, "order by position"),
        streams=ledger.rows(StreamSync, _OF_RUN, by_run, "order by position, started_us, stream"),
        fed_before=fed_before,
        fed_traces=earlier.traces(ledger, fed_before),
        requests=ledger.rows(RequestTotal, _OF_RUN, by_run, "order by position, endpoint"),
        retries=ledger.rows(Retry, _OF_RUN, by_run, "order by number"),
        skipped=ledger.rows(SkippedPart, _OF_RUN, by_run, "order by position, stream, part"),
        invocations=invocations,
        retried=dict(retried),
        nodes=ledger.rows(NodeRun, _OF_INVOCATIONS, by_run, "order by started_us, unique_id"),
        freshness=ledger.rows(FreshnessResult, _OF_INVOCATIONS, by_run, "order by unique_id"),
        manifests=ledger.rows(Manifest, _MANIFESTS, by_run, "order by manifest_hash"),
        manifest_nodes=ledger.rows(ManifestNode, _MANIFESTS, by_run, "order by unique_id"),
        logs=ledger.rows(LogEvent, _OF_RUN, by_run, "order by number"),
    )


def find(ledger: Ledger, asked: str) -> str:
    """The id of the run that a person means: an id, its beginning or end, or `last`.

    The beginning of the eight digits that `observe runs` shows will do as well.

    Raises:
        LedgerError: If there is none or more than one.
    """
    if asked == "last":
        found = ledger.select("select run_id from pipeline_run order by started_us desc limit 1")
    else:
        found = ledger.select(
            "select run_id from pipeline_run where run_id = ?1 or ("
            "  length(?1) >= 4 and (substr(run_id, 1, length(?1)) = ?1"
            "    or substr(run_id, -length(?1)) = ?1 or substr(run_id, -8, length(?1)) = ?1)"
            ") order by run_id = ?1 desc, started_us desc",
            [asked],
        )
    exact = [run_id for (run_id,) in found if run_id == asked]
    if len(exact or found) == 1:
        return str((exact or found[0])[0])
    if not found:
        wanted = "any run yet" if asked == "last" else f"a run {asked}"
        raise LedgerError(f"The ledger {ledger.path} does not have {wanted}: see `observe runs`.")
    raise LedgerError(f"{asked} may be any of {len(found)} runs: give more digits of the id.")


def _is_broken(result: Result | None) -> bool:
    return result is not None and result != Result.SUCCESS
