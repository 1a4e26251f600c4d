"""A ledger's record of a run as spans: one trace, a tree of what contains what, links for the rest.

    RUN <job>                          server
      <step>                           a pair of tap and target, or a plugin's command
        sync <stream>                  of extract_load
        dbt <command>                  one invocation; of the run itself if there is no step
          parse                        dbt reads its project
          <resource type> <name>       a node: "model stg_issues"
            compile, execute

Names are of few values, as an operation and what it is done to; ids are attributes. A run is of
kind SERVER by the convention, everything else INTERNAL: what it stands for is a process of ours
or a library in it (DuckDB), no one call to a server.

Status: OK says that Meltano or dbt declared success. OpenTelemetry wants instrumentation of
libraries to leave that unset, and operators to decide; here the operator's own tools have. So
UNSET keeps a meaning: skipped, warned, no-one knows yet, and no verdict of its own (phases).
ERROR is for failed, timed out and killed, with `error.type`.

Times are true, but a parent lasts as long as its children. What has no end, ends with the last
word from its run. Links: `data` from a node to what it reads (the tap's stream for a source, of
an earlier run if this one did not sync it), `previous` to the job's run before, `retry` to what is
tried again.

https://opentelemetry.io/docs/specs/otel/trace/api/#set-status
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrate.ledger.model import (
    DbtInvocation,
    LogEvent,
    PipelineRun,
    Record,
    Result,
    SkippedPart,
    Step,
    StreamSync,
)
from orchestrate.tracing import events
from orchestrate.tracing.attributes import known
from orchestrate.tracing.model import Event, Kind, Link, Span
from orchestrate.tracing.nodes import (
    invocation_spans,
    over,
    step_span_id,
    stream_span_id,
)
from orchestrate.tracing.results import OTHER_ERROR, error_type, run_result, verdict


def spans(record: Record) -> list[Span]:
    """All spans of a run, parents before their children, the run's first."""
    return _Trace(record).spans()


def span_id_at(record: Record, at_us: int) -> str:
    """The span that an instant belongs to: the step at work then, or the run."""
    step = _Trace(record).step_at(at_us)
    return record.run.span_id if step is None else step_span_id(record.run, step.position)


class _Trace:
    """The spans of one record while they are made."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.run = record.run
        self.trace_id = record.run.trace_id
        self.last_us = record.run.ended_us or record.run.heard_us

    def spans(self) -> list[Span]:
        record, run = self.record, self.run
        steps = sorted(record.steps, key=lambda step: step.position)
        invocations = sorted(record.invocations, key=lambda found: found.started_us)
        homes = {found.invocation_id: self.step_at(found.started_us) for found in invocations}
        children: list[Span] = []
        for step in steps:
            children += self._step(
                step, [found for found in invocations if homes[found.invocation_id] is step]
            )
        for invocation in invocations:
            if homes[invocation.invocation_id] is None:
                children += invocation_spans(record, invocation, run.span_id)
        failed = next((step for step in steps if step.result not in {None, Result.SUCCESS}), None)
        reason = run.error or (failed.error if failed else None)
        logs, dropped = events.logs(self._lines(None))
        own = Span(
            trace_id=self.trace_id,
            span_id=run.span_id,
            parent_id=run.parent_span_id,
            name=f"RUN {run.job}".strip(),
            kind=Kind.SERVER,
            started_us=run.started_us,
            ended_us=max(run.started_us, self.last_us),
            **verdict(run.result, reason),
            attributes=known(
                {
                    "cicd.pipeline.name": run.job,
                    "cicd.pipeline.run.id": run.run_id,
                    "cicd.pipeline.action.name": "RUN",
                    "cicd.pipeline.result": run_result(run.result),
                    "cicd.worker.name": run.host,
                    "vcs.ref.head.name": run.branch,
                    "vcs.ref.head.revision": run.revision,
                    "process.pid": run.pid,
                    "meltano.run.planned_steps": run.planned_steps,
                    "meltano.run.trigger": run.trigger,
                    "meltano.log.dropped": dropped or None,
                    "error.type": _error_type(run.result, reason, children),
                }
            ),
            events=logs,
            links=[
                *_run_links(record.previous, "previous"),
                *_run_links(record.repeats, "retry"),
            ],
        )
        return over(own, children)

    def _step(self, step: Step, invocations: Iterable[DbtInvocation]) -> list[Span]:
        span_id = step_span_id(self.run, step.position)
        end = max(step.started_us, self._end(step))
        streams = [found for found in self.record.streams if found.position == step.position]
        skipped = [found for found in self.record.skipped if found.position == step.position]
        totals = [found for found in self.record.requests if found.position == step.position]
        synced = {stream.stream for stream in streams}
        logs, dropped = events.logs(self._lines(step))
        retries = [found for found in self.record.retries if found.position == step.position]
        children: list[Span] = []
        for stream in streams:
            parts = [part for part in skipped if part.stream == stream.stream]
            children.append(self._stream(stream, parts, step.started_us, end, span_id))
        children.sort(key=lambda span: (span.started_us, span.name))
        for invocation in invocations:
            children += invocation_spans(self.record, invocation, span_id)
        own = Span(
            trace_id=self.trace_id,
            span_id=span_id,
            parent_id=self.run.span_id,
            name=step.name or step.kind,
            started_us=step.started_us,
            ended_us=end,
            **verdict(step.result, step.error),
            attributes=known(
                {
                    "cicd.pipeline.task.name": step.name,
                    "cicd.pipeline.task.run.id": f"{step.run_id}/{step.position}",
                    "cicd.pipeline.task.run.result": run_result(step.result),
                    "meltano.step.kind": step.kind,
                    "meltano.step.position": step.position,
                    "meltano.state_id": step.state_id,
                    "meltano.log.dropped": dropped or None,
                    "singer.requests": sum(found.requests for found in totals) if totals else None,
                    "singer.retries": sum(found.retries for found in totals) if totals else None,
                    "singer.waited_s": sum(found.waited_s for found in totals) if totals else None,
                    "error.type": _error_type(step.result, step.error, children),
                }
            ),
            events=_by_time(
                [
                    *map(events.retry, retries),
                    *(events.requests(found, end) for found in totals),
                    *(events.skip(part, end) for part in skipped if part.stream not in synced),
                    *logs,
                ]
            ),
        )
        return over(own, children)

    def _end(self, step: Step) -> int:
        return self.last_us if step.ended_us is None else step.ended_us

    def _stream(
        self,
        stream: StreamSync,
        skipped: Iterable[SkippedPart],
        step_started_us: int,
        step_ended_us: int,
        parent_id: str,
    ) -> Span:
        begin = step_started_us if stream.started_us is None else stream.started_us
        end = step_ended_us if stream.ended_us is None else stream.ended_us
        return Span(
            trace_id=self.trace_id,
            span_id=stream_span_id(self.trace_id, stream),
            parent_id=parent_id,
            name=f"sync {stream.stream}",
            started_us=begin,
            ended_us=max(begin, end),
            **verdict(stream.result, None),
            attributes=known(
                {
                    "cicd.pipeline.task.run.result": run_result(stream.result),
                    "singer.stream": stream.stream,
                    "singer.rows": stream.rows,
                    "singer.stored_rows": stream.stored_rows,
                    "singer.requests": stream.requests,
                    "singer.planned_rows": stream.planned_rows,
                    "singer.planned_requests": stream.planned_requests,
                    "singer.bookmark_us": stream.bookmark_us,
                    "error.type": error_type(stream.result, None),
                }
            ),
            events=[events.skip(part, max(begin, end)) for part in skipped],
        )

    def _lines(self, home: Step | None) -> list[LogEvent]:
        """The log while a step was at work; None stands for the run: lines of no step."""
        return [line for line in self.record.logs if self.step_at(line.at_us) is home]

    def step_at(self, at_us: int) -> Step | None:
        """The step at work at an instant; None where there is none."""
        begun = [step for step in self.record.steps if step.started_us <= at_us <= self._end(step)]
        # The last line of a step may be the first instant of the next.
        return min(begun, key=lambda step: step.position, default=None)


def _error_type(result: Result | None, error: str | None, children: list[Span]) -> str | None:
    """The class of an error; that of the first child with one, if the message tells nothing."""
    own = error_type(result, error)
    if own == OTHER_ERROR:
        types = (span.attributes.get("error.type") for span in children)
        return next(filter(None, types), own)
    return own


def _by_time(found: Iterable[Event]) -> list[Event]:
    return sorted(found, key=lambda event: event.at_us)


def _run_links(run: PipelineRun | None, kind: str) -> Iterator[Link]:
    if run is not None:
        facts = {
            "link.type": kind,
            "link.upstream.id": run.run_id,
            "link.upstream.status": run_result(run.result),
        }
        yield Link(trace_id=run.trace_id, span_id=run.span_id, attributes=known(facts))
