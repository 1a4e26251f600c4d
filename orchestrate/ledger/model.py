"""The ledger's nouns: one class per table, one field per column.

Instants are whole microseconds since 1970 in UTC (`*_us`), None where nothing tells; durations are
seconds (`*_s`). Lists and objects are stored as JSON. The fields named in a class's KEY tell one
row from another, so that reading the same thing twice gives the same rows.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import msgspec


class Result(str, enum.Enum):
    """How a run, a step, a stream or a dbt invocation ended; None while it is under way."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"  # Meltano's --timeout ended it
    KILLED = "killed"  # its process is gone without a word


# dbt's words for a node that failed; `killed` is ours.
KILLED = "killed"
# Ours too: not built, since what is there is what a build would make (ReuseDecision tells why).
REUSED = "reused"
FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
# dbt's kinds of node that test others.
TESTS = frozenset({"test", "unit_test"})


class Row(msgspec.Struct, kw_only=True):
    """A row of the table TABLE."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]


class PipelineRun(Row):
    """One `meltano run`, or one call of dbt outside of any: then its invocation id is the run id.

    `job` is what was asked to run, as typed; runs of one job in one environment follow each other.
    A run id that Meltano is given a second time gets `.2` behind it. `heard_us` is the newest line.
    """

    TABLE = "pipeline_run"
    KEY = ("run_id",)

    run_id: str
    trace_id: str
    span_id: str
    started_us: int
    heard_us: int
    environment: str | None = None
    job: str = ""
    planned_steps: list[str] = []
    arguments: list[str] = []
    trigger: str | None = None
    host: str | None = None
    pid: int | None = None
    branch: str | None = None
    revision: str | None = None
    parent_span_id: str | None = None
    ended_us: int | None = None
    result: Result | None = None
    error: str | None = None


class Step(Row):
    """One block of a run: a pair of tap and target (`extract_load`), or a plugin's `command`."""

    TABLE = "step"
    KEY = ("run_id", "position")

    run_id: str
    position: int
    name: str
    kind: str
    started_us: int
    state_id: str | None = None
    ended_us: int | None = None
    result: Result | None = None
    error: str | None = None


class StreamSync(Row):
    """One stream in one step: rows that the tap wrote and the target stored, requests, the plan.

    `bookmark_us` is how far the stream is complete: the earliest bookmark of its parts.
    """

    TABLE = "stream_sync"
    KEY = ("run_id", "position", "stream")

    run_id: str
    position: int
    stream: str
    started_us: int | None = None
    ended_us: int | None = None
    rows: int = 0
    stored_rows: int = 0
    requests: int | None = None
    planned_rows: int | None = None
    planned_requests: int | None = None
    bookmark_us: int | None = None
    result: Result | None = None


class RequestTotal(Row):
    """Requests of one step to one family of endpoints, retries among them, seconds held back.

    The family `rate_limit` stands for the tap's own limit, which holds back but asks nothing.
    `answering_s` is from the requests to their answers, all added up. Sentry allows
    `quota_requests` in `quota_window_s`; `quota_used` is the largest share (0..1) of a window that
    was used up, by whoever has the same token. None where the server tells no limits.
    """

    TABLE = "request_total"
    KEY = ("run_id", "position", "endpoint")

    run_id: str
    position: int
    endpoint: str
    requests: int = 0
    retries: int = 0
    waited_s: float = 0.0
    answering_s: float = 0.0
    quota_requests: int | None = None
    quota_window_s: float | None = None
    quota_used: float | None = None


class Retry(Row):
    """A request that is asked again: why, and after how long a wait."""

    TABLE = "retry"
    KEY = ("run_id", "position", "number")

    run_id: str
    position: int
    number: int
    at_us: int
    endpoint: str
    reason: str
    wait_s: float


class SkippedPart(Row):
    """A stream, or a part of it, that Sentry would not give."""

    TABLE = "skipped_part"
    KEY = ("run_id", "position", "stream", "part")

    run_id: str
    position: int
    stream: str
    part: str
    reason: str


class LogEvent(Row):
    """A line of the run's log for people, from Meltano or a plugin (`source`). No METRIC lines."""

    TABLE = "log_event"
    KEY = ("run_id", "number")

    run_id: str
    number: int
    at_us: int
    level: str
    source: str
    text: str


class DbtInvocation(Row):
    """One call of dbt. `retries` is the failed invocation that a `dbt retry` goes on from.

    `parsed_us` is when dbt had read its project, as far as its event log was there to be read.
    """

    TABLE = "dbt_invocation"
    KEY = ("invocation_id",)

    invocation_id: str
    run_id: str
    started_us: int
    heard_us: int
    command: str = ""
    arguments: list[str] = []
    environment: str | None = None
    target: str | None = None
    threads: int | None = None
    dbt_version: str | None = None
    ended_us: int | None = None
    exit_code: int | None = None
    result: Result | None = None
    error: str | None = None
    manifest_hash: str | None = None
    retries: str | None = None
    parsed_us: int | None = None


class NodeRun(Row):
    """A node (model, test, seed, snapshot, hook ...) in one invocation. `status` is dbt's word.

    `killed` is ours: begun, and its process gone. `code_hash` is of the compiled SQL. Statements
    are what was sent to the warehouse for it, as far as dbt's event log was there to be read.
    """

    TABLE = "node_run"
    KEY = ("invocation_id", "unique_id")

    invocation_id: str
    unique_id: str
    resource_type: str
    name: str
    relation: str | None = None
    materialized: str | None = None
    status: str | None = None
    thread: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    compile_started_us: int | None = None
    compile_ended_us: int | None = None
    execute_started_us: int | None = None
    execute_ended_us: int | None = None
    message: str | None = None
    failures: int | None = None
    rows_affected: int | None = None
    code_hash: str | None = None
    statements: int = 0
    statement_s: float = 0.0


class ReuseDecision(Row):
    """What the reuse planner decided about a node of one invocation, and whether it was right.

    `mode` is `on` or `shadow` (everything is built all the same, to see), `decision` is `build` or
    `reuse`, `reason` one of the codes of orchestrate/reuse/decisions.py, `detail` a sentence.
    Contents are fingerprints of the node's rows before and after. `outcome` is `identical` or
    `changed` where the node was built, None where it was not, or it has no rows of its own.
    """

    TABLE = "reuse_decision"
    KEY = ("invocation_id", "unique_id")

    invocation_id: str
    unique_id: str
    mode: str
    decision: str
    reason: str
    detail: str = ""
    definition_hash: str | None = None
    content_before: str | None = None
    content_after: str | None = None
    outcome: str | None = None


class FreshnessResult(Row):
    """How old a source was found to be, and how old it may be."""

    TABLE = "freshness_result"
    KEY = ("invocation_id", "unique_id")

    invocation_id: str
    unique_id: str
    status: str
    max_loaded_at_us: int | None = None
    snapshotted_at_us: int | None = None
    age_s: float | None = None
    warn_after_s: float | None = None
    error_after_s: float | None = None
    error: str | None = None


class Manifest(Row):
    """A dbt project as it was: equal projects share one."""

    TABLE = "manifest"
    KEY = ("manifest_hash",)

    manifest_hash: str
    project: str
    adapter: str | None = None
    dbt_version: str | None = None
    generated_us: int | None = None


class ManifestNode(Row):
    """A node or source of a manifest. `depends_on` holds unique ids; `config` is dbt's."""

    TABLE = "manifest_node"
    KEY = ("manifest_hash", "unique_id")

    manifest_hash: str
    unique_id: str
    resource_type: str
    name: str
    package: str
    schema: str | None = None
    identifier: str | None = None
    path: str | None = None
    owner: str | None = None
    tags: list[str] = []
    depends_on: list[str] = []
    config: dict[str, Any] = {}


class Delivery(Row):
    """What of a run has gone out: `kind` is traces, logs, or a check-in of a schedule."""

    TABLE = "delivery"
    KEY = ("run_id", "kind")

    run_id: str
    kind: str
    delivered_us: int
    items: int


class SentSpan(Row):
    """A span that went out while its run was under way; forgotten when the run is delivered."""

    TABLE = "sent_span"
    KEY = ("run_id", "span_id")

    run_id: str
    span_id: str


class ForgottenTotal(Row):
    """What runs that have left the ledger add to a metric that only grows."""

    TABLE = "forgotten_total"
    KEY = ("metric", "labels")

    metric: str
    labels: list[str] = []
    value: float = 0.0


class SourceFile(Row):
    """How far a file has been read. `fingerprint` stays when the file is renamed or copied."""

    TABLE = "source_file"
    KEY = ("fingerprint",)

    fingerprint: str
    path: str
    offset: int


TABLES: tuple[type[Row], ...] = (
    PipelineRun,
    Step,
    StreamSync,
    RequestTotal,
    Retry,
    SkippedPart,
    LogEvent,
    DbtInvocation,
    NodeRun,
    ReuseDecision,
    FreshnessResult,
    Manifest,
    ManifestNode,
    Delivery,
    SentSpan,
    ForgottenTotal,
    SourceFile,
)


class Record(msgspec.Struct, kw_only=True):
    """All that the ledger knows of one run."""

    run: PipelineRun
    previous: PipelineRun | None = None  # of the same job and environment
    repeats: PipelineRun | None = None  # the earlier one that was given the same id
    cause: str | None = None  # what broke, in one line
    usual_s: float | None = None  # how long good runs of the job took before it
    rows_before: dict[str, int] = {}  # of each stream, in the last good run of the job before it
    steps: list[Step] = []
    streams: list[StreamSync] = []
    fed_before: list[StreamSync] = []  # the newest of earlier runs, for each of dbt's sources
    fed_traces: dict[str, str] = {}  # their run ids, to their trace ids
    requests: list[RequestTotal] = []
    retries: list[Retry] = []
    skipped: list[SkippedPart] = []
    invocations: list[DbtInvocation] = []
    retried: dict[str, str] = {}  # what `retries` of the invocations name, to its trace id
    nodes: list[NodeRun] = []
    freshness: list[FreshnessResult] = []
    manifests: list[Manifest] = []  # of the invocations
    manifest_nodes: list[ManifestNode] = []
    logs: list[LogEvent] = []
