"""Meltano's JSON log -> runs, steps, streams, requests, log events.

The lines come from `orchestrate/logging.yaml`: Meltano's own, the plugins' with their fields, and
`Run started` of `orchestrate/meltano_run.py`. A run whose beginning was written without that line,
or has been rotated away, is put together from what there is.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from orchestrate.ledger import identity
from orchestrate.ledger.dbt.runs import is_told_by_dbt
from orchestrate.ledger.files import parsed
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.meltano import metrics
from orchestrate.ledger.meltano.open_run import COMMAND, EXTRACT_LOAD, OpenRun
from orchestrate.ledger.model import Delivery, PipelineRun, Result, Step
from orchestrate.ledger.queries import GIVEN_ID
from orchestrate.ledger.store import Ledger

_STATE_ID = re.compile(r"Running job with name '(?P<state_id>.+)' and run ID")
_STREAM = re.compile(r"Beginning sync of '(?P<stream>.+)' in ")
# How `meltano el` and `elt` end, which never say `Run completed`.
_COMPLETE, _FAILED = "Extract & load complete!", ("Extraction failed", "Loading failed")
# dbt's launcher writes words in place of levels: Meltano knows none of a utility's lines.
_WORDS = {"ERROR": "error", "WARN": "warning"}

Line = dict[str, Any]


class Reader:
    """Reads lines in their order, of several runs at once if need be, into an open ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: dict[str, OpenRun] = {}
        self._dry: set[str] = set()
        self.touched: set[str] = set()

    def read(self, text: bytes, *, may_be_copy: bool) -> None:
        """Take over what a line says; one that is no line of a run says nothing.

        In what may be the copy of a log, lines up to the newest known one of their run say nothing.
        """
        if b'"run_id"' not in text or (line := parsed(text)) is None:
            return
        at_us = instant_us(line.get("timestamp"))
        run_id, event = line.get("run_id"), str(line.get("event", ""))
        if at_us is None or not isinstance(run_id, str) or run_id in self._dry:
            return
        if event.startswith("Dry run, "):
            self._dry.add(run_id)
            self._open.pop(run_id, None)
            return
        if event == "Run started":
            open_run = self._begin(run_id, line, at_us)
        else:
            open_run = self._open.get(run_id) or self._go_on(run_id, at_us)
        if may_be_copy and at_us <= open_run.read_until_us:
            return
        open_run.hear(at_us)
        _read(open_run, line, event, at_us)
        if event == "Run completed":
            self._save(run_id)

    def close(self) -> None:
        """Save the runs that have not ended."""
        for run_id in list(self._open):
            self._save(run_id)

    def _save(self, run_id: str) -> None:
        open_run = self._open.pop(run_id)
        if open_run.looks_only and open_run.run.ended_us is not None:
            open_run.forget()
            return
        self._ledger.save(open_run.rows())
        if open_run.is_revived:  # what went out told of an end that was none
            self._ledger.execute("delete from delivery where run_id = ?", [open_run.run.run_id])
        if not open_run.looks_only:
            self.touched.add(open_run.run.run_id)

    def _known(self, run_id: str) -> list[PipelineRun]:
        """Runs that were given this id, oldest first; what only dbt told of one is told anew."""
        known = self._ledger.rows(PipelineRun, GIVEN_ID, [run_id], "order by started_us")
        for run in filter(is_told_by_dbt, known):
            for table in (PipelineRun, Step, Delivery):
                self._ledger.execute(
                    f"delete from {table.TABLE} where run_id = ?",  # noqa: S608
                    [run.run_id],
                )
        return [run for run in known if not is_told_by_dbt(run)]

    def _go_on(self, run_id: str, at_us: int) -> OpenRun:
        known = self._known(run_id)
        run = known[-1] if known else _without_beginning(run_id, at_us)
        self._open[run_id] = OpenRun(self._ledger, run, is_new=not known)
        return self._open[run_id]

    def _begin(self, run_id: str, line: Line, at_us: int) -> OpenRun:
        if run_id in self._open:
            self._save(run_id)
        known = self._known(run_id)
        repeated = [run for run in known if run.started_us >= at_us or run.heard_us >= at_us]
        # Lines before the beginning, of installing plugins, made a row of their own.
        unfinished = [run for run in known if run.pid is None and run.ended_us is None]
        if repeated or unfinished:
            run, is_new = (repeated or unfinished)[0], False
        else:
            name = f"{run_id}.{len(known) + 1}" if known else run_id
            run, is_new = _without_beginning(name, at_us), True
        if not repeated:
            _take_over(run, line)
        self._open[run_id] = OpenRun(self._ledger, run, is_new=is_new)
        return self._open[run_id]


def _without_beginning(run_id: str, at_us: int) -> PipelineRun:
    trace_id = identity.trace_id(run_id.partition(".")[0])
    return PipelineRun(
        run_id=run_id,
        trace_id=trace_id,
        span_id=identity.span_id(trace_id, run_id),
        started_us=at_us,
        heard_us=at_us,
    )


def _take_over(run: PipelineRun, line: Line) -> None:
    """What `Run started` tells of a run."""
    try:
        told = msgspec.convert(line, _Started, strict=False)
    except msgspec.ValidationError:  # a plugin's line that happens to say the same
        return
    run.job = f"{told.job} ({told.suffix})" if told.suffix else told.job
    run.planned_steps = [step.name for step in told.steps]
    run.environment, run.arguments, run.trigger = told.environment, told.arguments, told.trigger
    run.host, run.pid = told.host, told.pid
    run.branch, run.revision = told.branch, told.revision
    if ours := identity.parent(told.traceparent):
        run.trace_id, run.span_id = ours
    if outer := identity.parent(told.parent):
        run.parent_span_id = outer.span_id


class _PlannedStep(msgspec.Struct):
    name: str
    kind: str


class _Started(msgspec.Struct):
    """The fields of `Run started`."""

    job: str = ""
    suffix: str | None = None
    steps: list[_PlannedStep] = []
    environment: str | None = None
    arguments: list[str] = []
    trigger: str | None = None
    host: str | None = None
    pid: Annotated[int, msgspec.Meta(lt=2**31)] | None = None
    branch: str | None = None
    revision: str | None = None
    traceparent: str | None = None
    parent: str | None = None


def _read(run: OpenRun, line: Line, event: str, at_us: int) -> None:
    metric = metrics.told(line, event)
    if "stdio" in line:
        _read_plugin(run, line, event, metric, at_us)
    elif event == "Block run completed":
        kind = COMMAND if line.get("block_type") == "InvokerCommand" else EXTRACT_LOAD
        error = None if line.get("success") else str(line.get("err"))
        step = run.step(at_us, kind)
        run.end_step(step, at_us, metrics.number(line.get("duration_seconds")) or 0, error)
    elif event in {_COMPLETE, *_FAILED}:
        step = run.step(at_us, EXTRACT_LOAD)
        error = f"{event}: {line.get('message')}" if event in _FAILED else None
        run.end_step(step, at_us, (at_us - step.started_us) / 1e6, error)
        run.end(at_us, Result.FAILURE if error else Result.SUCCESS)
    elif event == "Run timed out":
        run.run.result = Result.TIMEOUT
    elif event == "Run completed":
        failed = run.run.result or Result.FAILURE
        run.end(at_us, Result.SUCCESS if line.get("status") == "success" else failed)
    elif found := _STATE_ID.match(event):
        run.step(at_us, EXTRACT_LOAD).state_id = found["state_id"]
        run.run.environment = run.run.environment or found["state_id"].partition(":")[0]
    if metric is None:
        _log(run, line, event, at_us)


def _read_plugin(
    run: OpenRun, line: Line, event: str, metric: dict[str, Any] | None, at_us: int
) -> None:
    step = run.step(at_us, COMMAND if line.get("cmd_type") == "command" else EXTRACT_LOAD)
    name = str(line.get("string_id") or line.get("name"))
    if name not in step.name.replace(":", " ").split():
        step.name = f"{step.name} {name}".strip()
    if metric is not None:
        metrics.read(run, step, metric, at_us)
    elif (rows := metrics.number(line.get("rows_so_far"))) is not None:
        run.stream(step, str(line.get("stream_name"))).stored_rows = int(rows)
    elif found := _STREAM.match(event):
        stream = run.stream(step, found["stream"])
        stream.started_us = stream.started_us or at_us


def _log(run: OpenRun, line: Line, event: str, at_us: int) -> None:
    level = str(line.get("level", "info"))
    source = str(line.get("string_id") or line.get("name") or "meltano")
    if level == "info" and source != "meltano":
        level = _WORDS.get(event.partition(" ")[0], level)
    run.log(at_us, level, source, f"{event}: {line['err']}" if line.get("err") else event)
