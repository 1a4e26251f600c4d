"""A run of Meltano as far as its log has been read: rows that change until it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrate.ledger.model import (
    LogEvent,
    PipelineRun,
    RequestTotal,
    Result,
    Retry,
    Row,
    SkippedPart,
    Step,
    StreamSync,
)
from orchestrate.ledger.store import Ledger

EXTRACT_LOAD, COMMAND = "extract_load", "command"
_KILLED = re.compile(r"exit code: (-\d+|130|137|143)\b")


class OpenRun:
    """What the ledger knows of a run, to be changed by further lines and saved again.

    Args:
        ledger: Where rows of earlier readings are.
        run: Its row.
        is_new: Whether the ledger has nothing of it yet.
    """

    def __init__(self, ledger: Ledger, run: PipelineRun, *, is_new: bool) -> None:
        def rows(table: type[Any]) -> list[Any]:
            return [] if is_new else ledger.rows(table, "run_id = ?", [run.run_id])

        self.run = run
        self._ledger = ledger
        self.read_until_us = -1 if is_new else run.heard_us
        self.steps: list[Step] = sorted(rows(Step), key=lambda step: step.position)
        streams: list[StreamSync] = rows(StreamSync)
        self._streams = {(row.position, row.stream): row for row in streams}
        totals: list[RequestTotal] = rows(RequestTotal)
        self._totals = {(row.position, row.endpoint): row for row in totals}
        self._counts: dict[type[Row], int] = {t: len(rows(t)) for t in (Retry, LogEvent)}
        self._added: list[Row] = []
        self.is_revived = False

    def rows(self) -> Iterator[Row]:
        """The rows to save."""
        yield self.run
        yield from self.steps
        yield from self._streams.values()
        yield from self._totals.values()
        yield from self._added

    @property
    def looks_only(self) -> bool:
        """Whether it does nothing but look at runs, as `meltano run observe:collect` does.

        Called every few minutes, such runs would be most of the ledger and tell nothing. While one
        is under way its row must stay: it says what its further lines belong to.
        """
        names = {step.partition(":")[0] for step in self.run.planned_steps}
        return names == {"observe"}

    def forget(self) -> None:
        """Leave nothing of it in the ledger."""
        for table in (PipelineRun, Step, LogEvent):
            self._ledger.execute(
                f"delete from {table.TABLE} where run_id = ?",  # noqa: S608
                [self.run.run_id],
            )

    def hear(self, at_us: int) -> None:
        """A line was written then. A run that was taken for killed is alive after all."""
        self.run.heard_us = max(self.run.heard_us, at_us)
        if self.run.result == Result.KILLED and self.run.ended_us is not None:
            self.is_revived = True
            self.run.ended_us = self.run.result = self.run.error = None
            for row in self._parts():
                if row.result == Result.KILLED:
                    row.ended_us = row.result = None

    def step(self, at_us: int, kind: str) -> Step:
        """The step under way; where there is none, the next one begins."""
        if self.steps and self.steps[-1].ended_us is None:
            return self.steps[-1]
        position = len(self.steps)
        before_us = self.steps[-1].ended_us if self.steps else None
        step = Step(
            run_id=self.run.run_id,
            position=position,
            name=self.run.planned_steps[position] if position < len(self.run.planned_steps) else "",
            kind=kind,
            # Between two steps Meltano does nothing; before the first it may install plugins.
            started_us=before_us or at_us,
        )
        self.steps.append(step)
        return step

    def end_step(self, step: Step, at_us: int, seconds: float, error: str | None) -> None:
        """The step is over, well where there is no error."""
        step.started_us, step.ended_us = at_us - round(seconds * 1e6), at_us
        step.error = error
        if error is None:
            step.result = Result.SUCCESS
        else:
            step.result = Result.KILLED if _KILLED.search(error) else Result.FAILURE
        for stream in self._streams.values():
            if stream.position == step.position and stream.ended_us is None:
                stream.ended_us = at_us
                stream.result = stream.result or step.result

    def end(self, at_us: int, result: Result) -> None:
        """The run is over, and what was under way with it."""
        self.run.ended_us, self.run.result = at_us, result
        for row in self._parts():
            if row.ended_us is None:
                row.ended_us, row.result = at_us, result
        failed = [step for step in self.steps if step.result != Result.SUCCESS]
        if failed and result != Result.SUCCESS:
            self.run.error = f"{failed[0].name}: {failed[0].error or result.value}"

    def stream(self, step: Step, name: str) -> StreamSync:
        """The stream's row in a step."""
        key = (step.position, name)
        if key not in self._streams:
            row = StreamSync(run_id=self.run.run_id, position=step.position, stream=name)
            self._streams[key] = row
        return self._streams[key]

    def total(self, step: Step, endpoint: str) -> RequestTotal:
        """The row of a family of endpoints in a step."""
        key = (step.position, endpoint)
        if key not in self._totals:
            row = RequestTotal(run_id=self.run.run_id, position=step.position, endpoint=endpoint)
            self._totals[key] = row
        return self._totals[key]

    def retry(self, step: Step, at_us: int, endpoint: str, reason: str, wait_s: float) -> None:
        """One more request is asked again."""
        row = Retry(
            run_id=self.run.run_id,
            position=step.position,
            number=self._number(Retry),
            at_us=at_us,
            endpoint=endpoint,
            reason=reason,
            wait_s=wait_s,
        )
        self._added.append(row)

    def skip(self, step: Step, stream: str, part: str, reason: str) -> None:
        """One more part is left out."""
        row = SkippedPart(
            run_id=self.run.run_id, position=step.position, stream=stream, part=part, reason=reason
        )
        self._added.append(row)

    def log(self, at_us: int, level: str, source: str, text: str) -> None:
        """One more line for people."""
        row = LogEvent(
            run_id=self.run.run_id,
            number=self._number(LogEvent),
            at_us=at_us,
            level=level,
            source=source,
            text=text,
        )
        self._added.append(row)

    def _parts(self) -> list[Step | StreamSync]:
        return [*self.steps, *self._streams.values()]

    def _number(self, table: type[Row]) -> int:
        self._counts[table] += 1
        return self._counts[table]
