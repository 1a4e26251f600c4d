"""Every attribute name that our spans carry, in one table; and what says who sends them.

Names of OpenTelemetry's conventions where they have one, our own under `dbt.`, `singer.` (tap and
target), `meltano.` and `link.`. Numbers of our own say their unit, or they are counts.
https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/
https://opentelemetry.io/docs/specs/semconv/db/database-spans/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from orchestrate.ledger.model import Record

SERVICE_NAME = "tap-sentry-pipeline"
_TEXT_LIMIT = 2_000
_QUOTED_SQL = re.compile(r"\s*(LINE \d+:.*|\^[\^~]*)\s*")  # as DuckDB and PostgreSQL quote it


class Attribute(NamedTuple):
    """What an attribute's value is: of which type, what it means."""

    type: type
    meaning: str


OURS = ("dbt.", "link.", "meltano.", "singer.")

REGISTRY: dict[str, Attribute] = {
    # Who sends it: the resource.
    "service.name": Attribute(str, "the pipeline, or what OTEL_SERVICE_NAME says"),
    "service.version": Attribute(str, "commit of the project that ran"),
    "deployment.environment.name": Attribute(str, "Meltano's environment"),
    "host.name": Attribute(str, "the machine"),
    # A run, and its tasks: steps, streams, dbt's invocations and nodes.
    "cicd.pipeline.name": Attribute(str, "what was asked to run"),
    "cicd.pipeline.run.id": Attribute(str, "Meltano's run id; dbt's invocation id outside of it"),
    "cicd.pipeline.action.name": Attribute(str, "RUN"),
    "cicd.pipeline.result": Attribute(str, "success, failure, timeout, or error: it was killed"),
    "cicd.pipeline.task.name": Attribute(str, "name of the step"),
    "cicd.pipeline.task.run.id": Attribute(str, "run id and position of the step"),
    "cicd.pipeline.task.run.result": Attribute(str, "as of a run; a node may be `skip` as well"),
    "cicd.worker.name": Attribute(str, "the machine"),
    "vcs.ref.head.name": Attribute(str, "branch of the project"),
    "vcs.ref.head.revision": Attribute(str, "commit of the project"),
    "process.pid": Attribute(int, "of Meltano"),
    "process.exit.code": Attribute(int, "of dbt"),
    "thread.name": Attribute(str, "thread of dbt that the node ran in"),
    "code.file.path": Attribute(str, "file of the node, in the dbt project"),
    # Why not.
    "error.type": Attribute(str, "dbt's status, killed, timeout, exit_code_<n> or _OTHER"),
    "exception.type": Attribute(str, "dbt's class of error, as `Database Error`"),
    "exception.message": Attribute(str, "what dbt says, without SQL"),
    # The warehouse.
    "db.system.name": Attribute(str, "duckdb, postgresql, or dbt's name of another"),
    "db.namespace": Attribute(str, "database and schema, with | between"),
    "db.collection.name": Attribute(str, "the relation that the node builds"),
    "db.operation.name": Attribute(str, "the statement that builds or tests, where known"),
    # Meltano.
    "meltano.run.planned_steps": Attribute(list, "the steps asked for, in order"),
    "meltano.run.trigger": Attribute(str, "who started it, from MELTANO_JOB_TRIGGER"),
    "meltano.step.kind": Attribute(str, "extract_load or command"),
    "meltano.step.position": Attribute(int, "of the step in the run, from 0"),
    "meltano.state_id": Attribute(str, "where Meltano keeps the bookmarks"),
    "meltano.log.level": Attribute(str, "warning, error or critical"),
    "meltano.log.source": Attribute(str, "the plugin that wrote the line, or meltano"),
    "meltano.log.text": Attribute(str, "the line, without SQL"),
    "meltano.log.dropped": Attribute(int, "lines more than a span takes as events"),
    # Tap and target.
    "singer.stream": Attribute(str, "name of the stream"),
    "singer.rows": Attribute(int, "rows that the tap wrote"),
    "singer.stored_rows": Attribute(int, "rows that the target stored"),
    "singer.planned_rows": Attribute(int, "rows that the plan expected"),
    "singer.planned_requests": Attribute(int, "requests that the plan expected"),
    "singer.requests": Attribute(int, "requests of stream, step or endpoint, retries among them"),
    "singer.retries": Attribute(int, "requests asked again"),
    "singer.waited_s": Attribute(float, "seconds held back by limits; threads add up"),
    "singer.bookmark_us": Attribute(int, "how far the stream is complete, microseconds of 1970"),
    "singer.endpoint": Attribute(str, "family of endpoints"),
    "singer.retry.reason": Attribute(str, "why a request is asked again"),
    "singer.retry.wait_s": Attribute(float, "seconds until it is"),
    "singer.skipped.part": Attribute(str, "what of a stream Sentry would not give"),
    "singer.skipped.reason": Attribute(str, "why not"),
    # dbt.
    "dbt.invocation.id": Attribute(str, "dbt's id of one call"),
    "dbt.command": Attribute(str, "build, source freshness ..."),
    "dbt.target": Attribute(str, "target of the profile"),
    "dbt.threads": Attribute(int, "nodes at a time"),
    "dbt.version": Attribute(str, "of dbt-core"),
    "dbt.manifest.hash": Attribute(str, "the project as it was"),
    "dbt.node.unique_id": Attribute(str, "dbt's id of a node"),
    "dbt.node.name": Attribute(str, "name of the node"),
    "dbt.node.resource_type": Attribute(str, "model, test, seed, snapshot, source ..."),
    "dbt.node.materialized": Attribute(str, "table, view, incremental ..."),
    "dbt.node.status": Attribute(str, "dbt's word: success, pass, warn, fail, skipped ..."),
    "dbt.node.owner": Attribute(str, "owner of the node's group"),
    "dbt.node.tags": Attribute(list, "tags of the node"),
    "dbt.node.awaited_tests": Attribute(list, "tests that held the node back until they ended"),
    "dbt.node.failures": Attribute(int, "rows that a test found"),
    "dbt.node.rows_affected": Attribute(int, "rows written, where the adapter tells"),
    "dbt.node.statements": Attribute(int, "statements sent to the warehouse"),
    "dbt.node.statement_s": Attribute(float, "seconds that they took"),
    "dbt.freshness.status": Attribute(str, "pass, warn, error or runtime error"),
    "dbt.freshness.age_s": Attribute(float, "age of the source's newest row"),
    "dbt.freshness.warn_after_s": Attribute(float, "age that is worth a warning"),
    "dbt.freshness.error_after_s": Attribute(float, "age that is an error"),
    # Links.
    "link.type": Attribute(str, "data, previous (run of the job) or retry"),
    "link.upstream.id": Attribute(str, "unique id of the node or source, id of the run or call"),
    "link.upstream.status": Attribute(str, "how the other ended"),
}


def known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that have a value: not those of None, of no text and of no items."""
    return {name: value for name, value in attributes.items() if value not in (None, "", [])}


def first_line(text: str | None) -> str:
    """What a message says first; empty for none."""
    return next(iter((text or "").strip().splitlines()), "")[:_TEXT_LIMIT].strip()


def without_sql(text: str | None) -> str:
    """A message without the lines that quote a statement: those may hold data."""
    lines = [line for line in (text or "").splitlines() if not _QUOTED_SQL.fullmatch(line)]
    return "\n".join(line for line in lines if line.strip())[:_TEXT_LIMIT].strip()


def resource(record: Record, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Who sends the spans of a run: the same for all of them.

    OTEL_RESOURCE_ATTRIBUTES adds to it and wins over it, OTEL_SERVICE_NAME over that.
    https://opentelemetry.io/docs/languages/sdk-configuration/general/
    """
    run = record.run
    pairs = environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    given = {
        name.strip(): unquote(value.strip())
        for name, sign, value in (pair.partition("=") for pair in pairs)
        if sign and name.strip()
    }
    own = {
        "service.name": SERVICE_NAME,
        "service.version": run.revision,
        "deployment.environment.name": run.environment,
        "host.name": run.host,
    }
    name = environ.get("OTEL_SERVICE_NAME") or given.get("service.name")
    return known({**own, **given, "service.name": name or SERVICE_NAME})
