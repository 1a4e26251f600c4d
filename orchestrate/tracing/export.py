"""Deliver ended runs to the collector that OTEL_* variables name: kept until they have arrived.

A run that is under way is never touched, so nothing here can slow or fail one. What a collector
does not take stays in the ledger and goes out with the next delivery, for a week. Spans carry ids
that are functions of what they tell, so that a collector which was sent one twice (this process
died between the answer and the note of it) can know it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrate.ledger import queries
from orchestrate.ledger.model import Delivery, Record, SentSpan
from orchestrate.ledger.store import Ledger
from orchestrate.tracing.attributes import resource
from orchestrate.tracing.settings import LOGS, TRACES, Target, targets
from orchestrate.tracing.spans import span_id_at, spans

if TYPE_CHECKING:
    from orchestrate.tracing.otlp import Sender

KEPT_DAYS = 7
MOST_RUNS = 1000
LONGEST_S = 60.0

_WAITING = """
select run_id
from pipeline_run
where
    result is not null
    and coalesce(ended_us, heard_us) >= ?
    and not exists (
        select 1
        from delivery
        where delivery.run_id = pipeline_run.run_id and delivery.kind = ?
    )
order by coalesce(ended_us, heard_us), run_id
"""

Say = Callable[[str], object]


class Outcome(NamedTuple):
    """How many runs went out of a kind, and how many still wait."""

    kind: str
    delivered: int
    waiting: int


def deliver(
    ledger: Ledger,
    environ: Mapping[str, str],
    now_us: int,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Send the ended runs of the last week that have not gone out, oldest first.

    Ends with the first failure, after MOST_RUNS, or where LONGEST_S have passed and a run is
    through: a collector that hangs costs one timeout. One line is said of what went wrong.

    Args:
        ledger: Where runs come from, and what has gone out is noted.
        environ: OTEL_* variables; those for the SDK alone are read from the process's own.
        now_us: Now, microseconds since 1970.
        say: Takes a line for a person.
        clock: Seconds that pass.

    Raises:
        LedgerError: If the ledger can't be read or written. Trouble with the network never raises.
    """
    found, complaints = targets(environ)
    for complaint in complaints:
        say(f"WARN  Not sent: {complaint}")
    if not found:
        return []
    try:
        from orchestrate.tracing import otlp  # noqa: F401, PLC0415
    except ImportError as error:
        say(
            f"WARN  Not sent: {found[0].variable} is set, but {error.name} is not installed here. "
            "Install opentelemetry-exporter-otlp-proto-http beside it, or unset the variable."
        )
        return []
    with _alone(ledger.path) as alone:
        if not alone:
            return []
        outcomes: list[Outcome] = []
        down: set[str] = set()
        until = clock() + LONGEST_S
        for target in found:
            waiting = _waiting(ledger, target.kind, now_us)
            tour = _Tour(target, environ)
            # What is down for the one kind is not asked for the other.
            if waiting and target.origin not in down:
                tour.go(ledger, waiting[:MOST_RUNS], now_us, lambda: clock() < until)
                for line in tour.lines(len(waiting) - tour.delivered):
                    say(line)
            if tour.trouble:
                down.add(target.origin)
            outcomes.append(Outcome(target.kind, tour.delivered, len(waiting) - tour.delivered))
        return outcomes


class _Tour:
    """One kind's way through the runs that wait, as far as it gets."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self.target = target
        self.environ = environ
        self.delivered = 0
        self.trouble = ""  # what ended it
        self.refused: list[str] = []  # what was said of runs that may be at fault themselves
        self.rejected = (0, "")

    def go(
        self, ledger: Ledger, run_ids: Sequence[str], now_us: int, goes_on: Callable[[], bool]
    ) -> None:
        from orchestrate.tracing.otlp import NotSent, Sender  # noqa: PLC0415

        try:
            sender = Sender(self.target)
        except NotSent as error:
            self.trouble = str(error)
            return
        try:
            for run_id in run_ids:
                if not goes_on():
                    break
                try:
                    items = self._send(sender, ledger, queries.record(ledger, run_id))
                except NotSent as error:
                    if not error.about_content:
                        self.trouble = str(error)
                        break
                    # It must not hold up the others for a week.
                    self.refused.append(str(error))
                    continue
                kind = self.target.kind
                with ledger.writing():
                    ledger.save(
                        [Delivery(run_id=run_id, kind=kind, delivered_us=now_us, items=items)]
                    )
                    if kind == TRACES:
                        ledger.execute("delete from sent_span where run_id = ?", [run_id])
                self.delivered += 1
            self.rejected = sender.rejected
        finally:
            sender.close()

    def _send(self, sender: Sender, ledger: Ledger, record: Record) -> int:
        """Send what has not gone out of a run. Returns how many spans or lines it has.

        Raises:
            NotSent: If a part did not arrive. Spans that did are noted.
        """
        run, described = record.run, resource(record, self.environ)
        if self.target.kind == LOGS:
            lines = [(event, span_id_at(record, event.at_us)) for event in record.logs]
            sender.logs(described, run.trace_id, lines)
            return len(lines)
        if not sender.wants(run.trace_id):
            return 0
        sent = {row.span_id for row in ledger.rows(SentSpan, "run_id = ?", [run.run_id])}
        all_spans = spans(record)
        left = [span for span in all_spans if span.span_id not in sent]
        for part in sender.spans(described, left):
            if len(part) < len(left):
                with ledger.writing():
                    ledger.save(SentSpan(run_id=run.run_id, span_id=span.span_id) for span in part)
        return len(all_spans)

    def lines(self, waiting: int) -> Iterator[str]:
        """What a person should know."""
        kind, place = self.target.kind, self.target.shown
        wait = "1 run waits and goes" if waiting == 1 else f"{waiting:,} runs wait and go"
        if self.trouble:
            yield (
                f"WARN  {kind.capitalize()} not sent: {place} {self.trouble}. {wait} out at the "
                "next call."
            )
        if self.refused:
            yield (
                f"WARN  {kind.capitalize()} of {len(self.refused)} run(s) not sent: {place} "
                f"{self.refused[-1]}. They are tried again for {KEPT_DAYS} days."
            )
        if self.rejected[0]:
            count, reason = self.rejected
            yield f"WARN  {place} rejected {count} of the {kind} that it was sent: {reason}"


def _waiting(ledger: Ledger, kind: str, now_us: int) -> list[str]:
    since_us = now_us - KEPT_DAYS * 86_400_000_000
    return [run_id for (run_id,) in ledger.select(_WAITING, [since_us, kind])]


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether no other process delivers from this ledger: two would send the same runs."""
    with path.with_name(f"{path.name}-delivery").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
