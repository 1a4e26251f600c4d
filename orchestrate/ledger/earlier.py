"""What earlier runs say of one: what is usual, what it repeats, what fed it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from orchestrate.ledger.model import PipelineRun, StreamSync
from orchestrate.ledger.store import Ledger

_GOOD_RUNS = 10
_FEWEST_GOOD_RUNS = 3
# For each source that dbt knows in a run: the newest sync, by a run before it in its environment,
# that had come to its end when the run began. What was killed may not have been stored.
_FED_BEFORE = """
select (
    select s.rowid
    from stream_sync as s
    inner join step using (run_id, position)
    inner join pipeline_run using (run_id)
    where
        s.stream = source.name collate nocase
        and s.ended_us <= ?1
        and s.result = 'success'
        and step.ended_us <= ?1
        and step.result != 'killed'
        and pipeline_run.environment is ?2
        and pipeline_run.run_id != ?3
    order by s.ended_us desc
    limit 1
)
from (
    select distinct coalesce(identifier, name) as name
    from manifest_node
    where
        resource_type = 'source'
        and manifest_hash in (select manifest_hash from dbt_invocation where run_id = ?3)
) as source
"""


def previous(ledger: Ledger, run: PipelineRun) -> PipelineRun | None:
    found = ledger.rows(
        PipelineRun,
        "environment is ? and job = ? and started_us < ?",
        [run.environment, run.job, run.started_us],
        "order by started_us desc limit 1",
    )
    return found[0] if found else None


def repeats(ledger: Ledger, run: PipelineRun) -> PipelineRun | None:
    base, dot, number = run.run_id.partition(".")
    if not dot:
        return None
    earlier = base if number == "2" else f"{base}.{int(number) - 1}"
    found = ledger.rows(PipelineRun, "run_id = ?", [earlier])
    return found[0] if found else None


def good_runs(ledger: Ledger, run: PipelineRun) -> list[PipelineRun]:
    """The newest good runs of the same job before a run, newest first."""
    return ledger.rows(
        PipelineRun,
        "environment is ? and job = ? and started_us < ? and result = 'success'",
        [run.environment, run.job, run.started_us],
        f"order by started_us desc limit {_GOOD_RUNS}",
    )


def usual_s(good: Sequence[PipelineRun]) -> float | None:
    """Their median time; None where they are too few to call anything usual."""
    times = [(run.ended_us - run.started_us) / 1e6 for run in good if run.ended_us is not None]
    return statistics.median(times) if len(times) >= _FEWEST_GOOD_RUNS else None


def rows_of(ledger: Ledger, run: PipelineRun) -> dict[str, int]:
    text = "select stream, sum(rows) from stream_sync where run_id = ? group by stream"
    return dict(ledger.select(text, [run.run_id]))


def fed_before(ledger: Ledger, run: PipelineRun) -> list[StreamSync]:
    """The syncs by earlier runs that filled the sources which dbt knows in this one."""
    values = [run.started_us, run.environment, run.run_id]
    return ledger.rows(StreamSync, f"rowid in ({_FED_BEFORE})", values, "order by stream")


def traces(ledger: Ledger, syncs: Sequence[StreamSync]) -> dict[str, str]:
    """The trace ids of the runs that these streams were synced in."""
    text = (
        "select run_id, trace_id from pipeline_run where run_id in (select value from json_each(?))"
    )
    return dict(ledger.select(text, [json.dumps([found.run_id for found in syncs])]))
