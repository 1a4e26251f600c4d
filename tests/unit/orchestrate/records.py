"""Records of invented runs, worked out by hand: what the ledger might know of them.

Seconds count from NOON. Threads, times and dependencies are as dbt would have them with two
threads: a node begins when what it needs is done and a thread is free.
"""

from __future__ import annotations

from orchestrate.ledger import identity
from orchestrate.ledger.model import (
    DbtInvocation,
    FreshnessResult,
    LogEvent,
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

NOON_US = 1_795_176_000_000_000  # 2026-11-20 12:00 UTC
RUN_ID = "01a1ffd7-5639-7d5b-969c-4958b9dbe0c3"
EARLIER_RUN_ID = "01a1ffd6-0000-7d5b-969c-4958b9dbe0c3"
INVOCATION_ID = "e1700d59-9c39-4d72-969d-f2fdeb88fcb3"
MANIFEST_HASH = "bc53b71e35be932a204759532eaf5d6c32df86e31b983cbf26c48152dbce45e5"
DATABASE_ERROR = """Database Error in model dim_release (models/dim_release.sql)
  Binder Error: Referenced column "secret_column" not found in FROM clause!

  LINE 4: select secret_column from releases
                 ^
  compiled code at target/run/sentry/models/dim_release.sql"""


def at(seconds: float) -> int:
    """The instant so many seconds after NOON."""
    return NOON_US + round(seconds * 1_000_000)


def run(run_id: str = RUN_ID, **fields: object) -> PipelineRun:
    """A run that began at NOON, with all its facts."""
    trace_id = identity.trace_id(run_id)
    facts: dict[str, object] = {
        "environment": "demo",
        "job": "tap-sentry target-duckdb dbt:build",
        "planned_steps": ["tap-sentry target-duckdb", "dbt:build"],
        "arguments": ["run", "tap-sentry", "target-duckdb", "dbt:build"],
        "trigger": "cli",
        "host": "worker-1",
        "pid": 18191,
        "branch": "main",
        "revision": "55d7fe2c43333c09922a29db2e160875f34e0a56",
        "started_us": at(0),
        "heard_us": at(60),
        "ended_us": at(60),
        "result": Result.SUCCESS,
    }
    return PipelineRun(
        run_id=run_id,
        trace_id=trace_id,
        span_id=identity.span_id(trace_id, run_id),
        **(facts | fields),  # type: ignore[arg-type]
    )


def manifest() -> list[ManifestNode]:
    """A diamond: two sources, staged, joined, parted into two facts, joined again in a mart."""
    dependencies = {
        "source.sentry.sentry.issues": [],
        "source.sentry.sentry.events": [],
        "source.sentry.sentry.projects": [],
        "seed.sentry.team_names": [],
        "model.sentry.stg_issues": ["source.sentry.sentry.issues"],
        "model.sentry.stg_events": ["source.sentry.sentry.events"],
        "model.sentry.stg_projects": ["source.sentry.sentry.projects"],
        "model.sentry.int_activity": ["model.sentry.stg_issues", "model.sentry.stg_events"],
        "model.sentry.dim_project": ["model.sentry.stg_projects"],
        "model.sentry.dim_release": ["model.sentry.stg_events"],
        "model.sentry.mart_release": ["model.sentry.dim_release"],
        "model.sentry.fct_activity": ["model.sentry.int_activity", "model.sentry.dim_project"],
        "model.sentry.fct_errors": ["model.sentry.int_activity"],
        "model.sentry.mart_health": [
            "model.sentry.fct_activity",
            "model.sentry.fct_errors",
            "seed.sentry.team_names",
        ],
        "test.sentry.not_null_stg_issues": ["model.sentry.stg_issues"],
        "test.sentry.accepted_stg_events": ["model.sentry.stg_events"],
        "test.sentry.unique_mart_health": ["model.sentry.mart_health"],
        "unit_test.sentry.int_activity.counts": ["model.sentry.int_activity"],
    }
    return [described(unique_id, found) for unique_id, found in dependencies.items()]


def described(unique_id: str, depends_on: list[str]) -> ManifestNode:
    """A node of the manifest."""
    kind, _, *_, name = unique_id.split(".")
    ephemeral = name == "stg_projects"
    return ManifestNode(
        manifest_hash=MANIFEST_HASH,
        unique_id=unique_id,
        resource_type=kind,
        name=name,
        package="sentry",
        schema="main",
        identifier=name,
        path=f"models/{name}.sql",
        owner="Data platform",
        tags=["nightly"] if kind == "model" else [],
        depends_on=depends_on,
        config={"materialized": "ephemeral" if ephemeral else "table"},
    )


def node(unique_id: str, begin: float | None, end: float | None, **fields: object) -> NodeRun:
    """A node between two instants in seconds; the first fifth of it is compilation."""
    kind, _, *_, name = unique_id.split(".")
    compiled = None if begin is None or end is None else begin + (end - begin) / 5
    facts: dict[str, object] = {
        "invocation_id": INVOCATION_ID,
        "resource_type": kind,
        "name": name,
        "relation": None if "test" in kind else f'"warehouse"."main"."{name}"',
        "materialized": {"model": "table", "seed": "seed"}.get(kind, "test"),
        "status": "pass" if "test" in kind else "success",
        "thread": "Thread-1 (worker)",
        "message": "" if "test" in kind else "OK",
        "statements": 4,
        "statement_s": 0.25,
        "code_hash": "0" * 64,
    }
    times = {
        "started_us": begin,
        "ended_us": end,
        "compile_started_us": begin if compiled else None,
        "compile_ended_us": compiled,
        "execute_started_us": compiled,
        "execute_ended_us": end if compiled else None,
    }
    instants = {name: None if value is None else at(value) for name, value in times.items()}
    return NodeRun(
        unique_id=unique_id,
        **(facts | instants | fields),  # type: ignore[arg-type]
    )


def nodes() -> list[NodeRun]:
    """The manifest's nodes in a `dbt build` from 35 to 55 s, in the order in which they ended."""
    second = {"thread": "Thread-2 (worker)"}
    failed = {
        "status": "fail",
        "failures": 3,
        "message": "Got 3 results, configured to fail if != 0",
    }
    warned = {
        "status": "warn",
        "failures": 1,
        "message": "Got 1 result, configured to warn if != 0",
    }
    broken = {"status": "error", "message": DATABASE_ERROR}
    skipped = {"status": "skipped", "thread": None, "message": None}
    return [
        node("seed.sentry.team_names", 35, 36, rows_affected=3),
        node("model.sentry.stg_issues", 35, 37, **second, materialized="view"),
        node("test.sentry.not_null_stg_issues", 37, 37.5, **second, failures=0),
        node("model.sentry.stg_events", 36.5, 38.5, materialized="view"),
        node("test.sentry.accepted_stg_events", 38.5, 39, **second, **warned),
        node("unit_test.sentry.int_activity.counts", 39.25, 39.5, materialized="unit"),
        node("model.sentry.dim_release", 39, 40, **second, **broken),
        node("model.sentry.mart_release", None, None, **skipped),
        node("model.sentry.dim_project", 40, 42, **second, rows_affected=6),
        node("model.sentry.int_activity", 39.5, 44),
        node("model.sentry.fct_errors", 44, 46, **second),
        node("model.sentry.fct_activity", 44, 50, materialized="incremental"),
        node("model.sentry.mart_health", 50, 54),
        node("test.sentry.unique_mart_health", 54, 55, **second, **failed),
    ]


def invocation(**fields: object) -> DbtInvocation:
    """A `dbt build` from 32 to 58 s."""
    facts: dict[str, object] = {
        "run_id": RUN_ID,
        "started_us": at(32),
        "heard_us": at(58),
        "ended_us": at(58),
        "command": "build",
        "arguments": ["build"],
        "environment": "demo",
        "target": "warehouse",
        "threads": 2,
        "dbt_version": "1.11.16",
        "exit_code": 0,
        "result": Result.SUCCESS,
        "manifest_hash": MANIFEST_HASH,
    }
    return DbtInvocation(invocation_id=INVOCATION_ID, **(facts | fields))  # type: ignore[arg-type]


def demo_like() -> Record:
    """Four streams, one held back by 429s and one not whole; then dbt, where a test fails."""
    previous = run(EARLIER_RUN_ID, started_us=at(-3600), heard_us=at(-3500), ended_us=at(-3500))
    return Record(
        run=run(result=Result.FAILURE, error="Run invocation could not be completed"),
        previous=previous,
        steps=[
            Step(
                run_id=RUN_ID,
                position=0,
                name="tap-sentry target-duckdb",
                kind="extract_load",
                state_id="demo:tap-sentry-to-target-duckdb",
                started_us=at(1),
                ended_us=at(30),
                result=Result.SUCCESS,
            ),
            Step(
                run_id=RUN_ID,
                position=1,
                name="dbt:build",
                kind="command",
                started_us=at(31),
                ended_us=at(59),
                result=Result.FAILURE,
                error="`dbt build` failed with exit code: 1",
            ),
        ],
        streams=[
            stream("events", 3, 9, rows=120, planned_rows=120, planned_requests=3),
            stream("issues", 9, 24, rows=250),
            stream("organization", 24, 25, rows=1),
            stream("projects", 25, 28, rows=6),
        ],
        requests=[
            _requests("organization issues", requests=7, retries=2, waited_s=6.5),
            _requests("organization events", requests=3),
            _requests("rate_limit", waited_s=1.5),
        ],
        retries=[
            _retry(1, 12, "429 Too Many Requests", 2.5),
            _retry(2, 15, "429 Too Many Requests", 4.0),
        ],
        skipped=[
            _skipped("events", "project payments", "403: the token lacks event:read"),
            _skipped("workflows", "", "404: the plan has no workflows"),
        ],
        invocations=[
            invocation(result=Result.FAILURE, exit_code=1, error="3 nodes did not succeed")
        ],
        nodes=nodes(),
        manifest_nodes=manifest(),
        logs=[
            log(1, 0.5, "info", "meltano", "Run started"),
            log(2, 12, "warning", "tap-sentry", "429 Too Many Requests, again in 2.5 s"),
            log(3, 59, "error", "meltano", "Block run completed"),
            log(4, 59.5, "error", "meltano", "Run invocation could not be completed"),
        ],
    )


def stream(name: str, begin: float, end: float | None, **fields: object) -> StreamSync:
    """A stream of the first step between two instants in seconds."""
    facts: dict[str, object] = {
        "rows": 0,
        "requests": 3,
        "started_us": at(begin),
        "ended_us": None if end is None else at(end),
        "bookmark_us": at(-60),
        "result": Result.SUCCESS,
    }
    facts |= fields
    facts.setdefault("stored_rows", facts["rows"])
    return StreamSync(run_id=RUN_ID, position=0, stream=name, **facts)  # type: ignore[arg-type]


def log(number: int, second: float, level: str, source: str, text: str) -> LogEvent:
    """A line of the run's log."""
    return LogEvent(
        run_id=RUN_ID, number=number, at_us=at(second), level=level, source=source, text=text
    )


def _requests(
    endpoint: str, requests: int = 0, retries: int = 0, waited_s: float = 0.0
) -> RequestTotal:
    return RequestTotal(
        run_id=RUN_ID,
        position=0,
        endpoint=endpoint,
        requests=requests,
        retries=retries,
        waited_s=waited_s,
    )


def _retry(number: int, second: float, reason: str, wait_s: float) -> Retry:
    return Retry(
        run_id=RUN_ID,
        position=0,
        number=number,
        at_us=at(second),
        endpoint="organization issues",
        reason=reason,
        wait_s=wait_s,
    )


def _skipped(stream: str, part: str, reason: str) -> SkippedPart:
    return SkippedPart(run_id=RUN_ID, position=0, stream=stream, part=part, reason=reason)


def killed() -> Record:
    """The same, ended by SIGKILL at 43 s: three nodes done, two at work, nothing said since."""
    record = demo_like()
    record.run = run(ended_us=None, heard_us=at(43), result=Result.KILLED)
    record.steps[1].ended_us = None
    record.steps[1].result = Result.KILLED
    record.steps[1].error = None
    record.invocations = [
        invocation(ended_us=None, heard_us=at(43), exit_code=None, result=Result.KILLED)
    ]
    at_work = {"model.sentry.dim_project", "model.sentry.int_activity"}
    record.nodes = [found for found in nodes() if (found.started_us or at(99)) < at(43)]
    for found in record.nodes:
        if found.unique_id in at_work:
            found.ended_us = found.execute_ended_us = None
            found.status, found.message = "killed", None
    record.logs = record.logs[:2]
    return record


def only_dbt() -> Record:
    """A `dbt build` of its own, without Meltano: the invocation is the run, without a step."""
    trace_id = identity.trace_id(INVOCATION_ID)
    return Record(
        run=PipelineRun(
            run_id=INVOCATION_ID,
            trace_id=trace_id,
            span_id=identity.span_id(trace_id, INVOCATION_ID),
            job="dbt build",
            environment="demo",
            arguments=["build"],
            started_us=at(32),
            heard_us=at(58),
            ended_us=at(58),
            result=Result.SUCCESS,
        ),
        invocations=[invocation(run_id=INVOCATION_ID)],
        nodes=[found for found in nodes() if found.status in {"success", "pass"}],
        manifest_nodes=manifest(),
    )


def retried() -> Record:
    """A `dbt retry` of what failed in the invocation of `demo_like`, in a run of its own."""
    record = only_dbt()
    identifier = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    trace_id = identity.trace_id(identifier)
    record.run.run_id, record.run.trace_id = identifier, trace_id
    record.run.span_id = identity.span_id(trace_id, identifier)
    found = record.invocations[0]
    found.invocation_id, found.run_id, found.command = identifier, identifier, "retry"
    found.retries = INVOCATION_ID
    record.retried = {INVOCATION_ID: identity.trace_id(RUN_ID)}
    record.nodes = [node("model.sentry.dim_release", 35, 36, invocation_id=identifier)]
    return record


def freshness() -> Record:
    """`dbt source freshness`: one source fresh, one older than it may be."""
    record = only_dbt()
    record.run.job = "dbt source freshness"
    found = record.invocations[0]
    found.command, found.result, found.exit_code = "source freshness", Result.FAILURE, 1
    record.run.result = Result.FAILURE
    sources = {"issues": ("pass", 600.0), "events": ("error", 400_000.0)}
    record.nodes = [
        node(f"source.sentry.sentry.{name}", 35 + place, 36 + place, status=status, message=None)
        for place, (name, (status, _)) in enumerate(sources.items())
    ]
    record.freshness = [
        FreshnessResult(
            invocation_id=INVOCATION_ID,
            unique_id=f"source.sentry.sentry.{name}",
            status=status,
            max_loaded_at_us=at(37) - round(age_s * 1_000_000),
            snapshotted_at_us=at(37),
            age_s=age_s,
            warn_after_s=86_400.0,
            error_after_s=172_800.0,
        )
        for name, (status, age_s) in sources.items()
    ]
    return record
