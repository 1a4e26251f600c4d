"""The frames of a history: which of the ledger's columns they hold, and how rows become columns."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from orchestrate.ledger.model import REUSED

# Commands that build or test. Others list nodes too, and leave them alone.
COMMANDS = ("build", "retry", "run", "seed", "snapshot", "test")


class _Frame(NamedTuple):
    """Where a frame comes from: a table, what of it, which rows."""

    table: str
    columns: str
    where: str = "true"


_RUNS = _Frame(
    "pipeline_run",
    """run_id, coalesce(environment, '') as environment, job, coalesce(trigger, '') as trigger,
    coalesce(result, 'running') as result, branch, revision, started_us, ended_us, heard_us,
    (coalesce(ended_us, heard_us) - started_us) / 1e6 as run_s, error""",
)
_BY_RUN = {
    "steps": _Frame("step", "position, name, kind, result, started_us, ended_us, error"),
    "streams": _Frame(
        "stream_sync",
        """position, stream, result, started_us, ended_us, rows, stored_rows, requests,
        planned_rows, planned_requests, bookmark_us""",
    ),
    "requests": _Frame(
        "request_total",
        """position, endpoint, requests, retries, waited_s, answering_s, quota_requests,
        quota_window_s, quota_used""",
    ),
    "retries": _Frame("retry", "position, number, at_us, endpoint, reason, wait_s"),
    "skipped": _Frame("skipped_part", "position, stream, part, reason"),
    "invocations": _Frame(
        "dbt_invocation",
        """invocation_id, coalesce(environment, '') as environment, command, arguments,
        coalesce(target, '') as target, threads, dbt_version, manifest_hash,
        coalesce(result, 'running') as result, exit_code, started_us,
        coalesce(ended_us, heard_us) as ended_us, parsed_us, error""",
    ),
}
_BY_INVOCATION = {
    # What went well has messages that say nothing new.
    "nodes": _Frame(
        "node_run",
        """unique_id, resource_type, name, relation, materialized, status, thread, started_us,
        ended_us, (ended_us - started_us) / 1e6 as node_s, rows_affected, failures, code_hash,
        case when status not in ('success', 'pass', 'no-op') then message end as message""",
        f"command in ({', '.join(repr(name) for name in COMMANDS)}) or status = '{REUSED}'",
    ),
    "decisions": _Frame("reuse_decision", "unique_id, mode, decision, reason, detail, outcome"),
    "freshness": _Frame(
        "freshness_result",
        """unique_id, status, max_loaded_at_us, snapshotted_at_us, age_s, warn_after_s,
        error_after_s, error""",
    ),
}
# What is not text, an instant (`_us`) or a duration (`_s`).
_TYPES = {
    "arguments": pa.list_(pa.string()),
    "quota_used": pa.float64(),
    **dict.fromkeys(("position", "number", "threads", "exit_code"), pa.int64()),
    **dict.fromkeys(("rows", "stored_rows", "planned_rows", "rows_affected"), pa.int64()),
    **dict.fromkeys(("requests", "planned_requests", "retries"), pa.int64()),
    **dict.fromkeys(("quota_requests", "failures"), pa.int64()),
}


def _rows(frame: _Frame, key: str = "") -> str:
    return f"(select {key}{frame.columns} from {frame.table})"  # noqa: S608


# With `cross join` SQLite goes from the chosen runs to their parts, not through all there are.
_CHOSEN = "from (select value as run_id from json_each(?)) as chosen"
QUERIES = {
    "runs": f"select * from {_rows(_RUNS)} where started_us >= ? order by started_us",  # noqa: S608
    **{
        name: f"select part.* {_CHOSEN} cross join {_rows(frame, 'run_id, ')} as part "
        "using (run_id)"
        for name, frame in _BY_RUN.items()
    },
    **{
        name: f"select run_id, part.* {_CHOSEN} cross join dbt_invocation using (run_id) "
        f"cross join {_rows(frame, 'invocation_id, ')} as part using (invocation_id) "
        f"where {frame.where}"
        for name, frame in _BY_INVOCATION.items()
    },
}
_PREFIXES = {"runs": "", **dict.fromkeys(_BY_RUN, "run_id, ")}


def _names(name: str) -> list[str]:
    """The ledger's names of a frame's columns: what stands last in each of the expressions."""
    frame = {"runs": _RUNS, **_BY_RUN, **_BY_INVOCATION}[name]
    keys = _PREFIXES.get(name, "run_id, invocation_id, ")
    expressions = re.split(r",\s*(?![^(]*\))", keys + frame.columns)
    return [expression.split()[-1] for expression in expressions]


def table(name: str, found: Sequence[tuple[Any, ...]]) -> pa.Table:
    """What the query of that name found, column by column."""
    names = _names(name)
    columns: Sequence[Sequence[Any]] = list(zip(*found, strict=True)) or [()] * len(names)
    return pa.table({_shown(c): _array(c, v) for c, v in zip(names, columns, strict=True)})


def _array(column: str, values: Sequence[Any]) -> pa.Array:
    if column == "arguments":
        values = [json.loads(value) for value in values]
    kind = _TYPES.get(column)
    if column.endswith("_us"):
        kind = pa.timestamp("us", tz="UTC")
    elif column.endswith("_s"):
        kind = pa.float64()
    # Of a text that repeats, every different one is kept once.
    return pa.array(values, kind) if kind else pa.array(values, pa.string()).dictionary_encode()


def _shown(column: str) -> str:
    if column.endswith("_s"):
        return f"{column[:-2]}_seconds"
    if not column.endswith("_us"):
        return column
    name = column[:-3]
    return name if name.rpartition("_")[2] == "at" else f"{name}_at"


def frame(tables: Sequence[pa.Table]) -> pd.DataFrame:
    joined: pd.DataFrame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
    return joined
