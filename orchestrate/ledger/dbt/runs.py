"""Which pipeline run an invocation of dbt belongs to; without one, it is a run of its own."""

from __future__ import annotations

from orchestrate.ledger import identity
from orchestrate.ledger.model import DbtInvocation, PipelineRun, Result, Step
from orchestrate.ledger.queries import GIVEN_ID
from orchestrate.ledger.store import Ledger

_STEPS = ["dbt"]
_WORST_FIRST = (None, Result.KILLED, Result.FAILURE, Result.SUCCESS)


def run_of(ledger: Ledger, run_id: str | None, invocation_id: str, started_us: int) -> str:
    """The id of the run that an invocation belongs to, which need not be in the ledger yet.

    Of runs that were given the same id it is the newest that was under way when dbt started.
    """
    if not run_id:
        return invocation_id
    found = ledger.select(
        f"select run_id from pipeline_run where {GIVEN_ID} "  # noqa: S608
        "and started_us <= ?2 order by started_us desc limit 1",
        [run_id, started_us],
    )
    return str(found[0][0]) if found else run_id


def tell_run(
    ledger: Ledger, run_id: str, *, traceparent: str | None, host: str | None, pid: int | None
) -> None:
    """Save the run of which only dbt tells, with a step for each invocation; not another's run.

    Args:
        ledger: Where the invocations are already.
        run_id: The run's id.
        traceparent: What the invocation was given, if it was; None keeps what is known.
        host: Where dbt runs, None keeps what is known.
        pid: The number of its process, None keeps what is known.
    """
    known = ledger.rows(PipelineRun, "run_id = ?", [run_id])
    if known and not is_told_by_dbt(known[0]):
        return
    invocations = ledger.rows(
        DbtInvocation, "run_id = ?", [run_id], "order by started_us, invocation_id"
    )
    if known and not traceparent:
        trace_id, span_id = known[0].trace_id, known[0].span_id
        parent_span_id = known[0].parent_span_id
    else:
        parent = identity.parent(traceparent)
        trace_id = parent.trace_id if parent else identity.trace_id(run_id)
        span_id = identity.span_id(trace_id, run_id)
        # Within a run of Meltano, of which nothing else is left, the parent is that run itself.
        is_itself = parent is None or parent.span_id == span_id
        parent_span_id = None if is_itself or parent is None else parent.span_id
    results = {invocation.result for invocation in invocations}
    result = next(one for one in _WORST_FIRST if one in results)
    run = PipelineRun(
        run_id=run_id,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        started_us=min(invocation.started_us for invocation in invocations),
        heard_us=max(invocation.heard_us for invocation in invocations),
        environment=invocations[0].environment,
        job=" ".join(_job(one.arguments) for one in invocations),
        planned_steps=list(_STEPS),
        arguments=invocations[0].arguments,
        host=host or (known[0].host if known else None),
        pid=pid or (known[0].pid if known else None),
        ended_us=max(one.ended_us or 0 for one in invocations) if result else None,
        result=result,
        error=next((one.error for one in invocations if one.error), None),
    )
    steps = [
        Step(
            run_id=run_id,
            position=position,
            name=f"dbt:{invocation.command}",
            kind="command",
            started_us=invocation.started_us,
            ended_us=invocation.ended_us,
            result=invocation.result,
            error=invocation.error,
        )
        for position, invocation in enumerate(invocations)
    ]
    ledger.save([run, *steps])


def is_told_by_dbt(run: PipelineRun) -> bool:
    """Whether it was made here: the arguments of a run of Meltano are Meltano's."""
    return run.planned_steps == _STEPS and run.job.startswith(_job(run.arguments))


def _job(arguments: list[str]) -> str:
    return " ".join(["dbt", *arguments])
