"""Spans of dbt's nodes while dbt still runs, sent from a thread of its process.

Nothing that goes wrong here reaches dbt: no exception, no waiting, one line at the end. What was
not sent, `observe` delivers after the run, and leaves out what was: together they are the spans
that a delivery alone would have sent.

It runs where dbt is installed: what may be missing there is imported in the thread, once there is
something to send, and costs dbt no time at its start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrate.ledger import FILE
from orchestrate.tracing.settings import TRACES, Target, targets

if TYPE_CHECKING:
    from orchestrate.ledger.model import DbtInvocation, Record
    from orchestrate.ledger.store import Ledger
    from orchestrate.tracing.model import Span
    from orchestrate.tracing.otlp import Sender

    Collect = Callable[[Ledger], object]

# Each round reads what is new and puts the run together again: a fifth of a second of dbt's time.
PAUSE_S = 5.0
# A collector that is away is asked less and less often: all that has ended is put together anew.
LONGEST_PAUSE_S = 60.0

Say = Callable[[str], object]


def started(environ: Mapping[str, str], output: Path, say: Say) -> Live | None:
    """Live mode under way; None where traces go nowhere.

    Args:
        environ: OTEL_* variables.
        output: The folder that runs write to and the ledger lies in.
        say: Takes a line for a person.
    """
    target = next((found for found in targets(environ)[0] if found.kind == TRACES), None)
    if target is None:
        return None

    def collect(opened: Ledger) -> None:
        from orchestrate.ledger import collect as files  # noqa: PLC0415

        files.collect(opened, output)

    live = Live(target, output / FILE, collect, say)
    live.start()
    return live


class Live:
    """A thread that sends the nodes of one invocation that have ended, when it is woken.

    Args:
        target: Where traces go.
        ledger: The ledger's file, opened by the thread.
        collect: Brings the ledger up to date.
        say: Takes the line at the end, if something went wrong.
        pause_s: Seconds of rest after each round; more after one that came to nothing.
    """

    def __init__(
        self, target: Target, ledger: Path, collect: Collect, say: Say, pause_s: float = PAUSE_S
    ) -> None:
        self._target = target
        self._path = ledger
        self._collect = collect
        self._say = say
        self._pause_s = pause_s
        self._invocation_id = ""
        self._woken = threading.Event()
        self._ending = threading.Event()
        self._trouble = ""
        self._rejected = (0, "")
        self._thread = threading.Thread(target=self._run, name="live-traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hear(self, event: Any) -> None:
        """A callback for dbt's events: the thread looks when a node has ended."""
        if event.info.name == "NodeFinished":
            self.wake(event.info.invocation_id)

    def wake(self, invocation_id: str) -> None:
        """There is news of this invocation. Costs nothing."""
        self._invocation_id = invocation_id
        self._woken.set()

    def finish(self, seconds: float = 1.0) -> None:
        """One more round, and no more than this many seconds for it."""
        self._ending.set()
        self._woken.set()
        self._thread.join(seconds)
        trouble = self._trouble
        if self._thread.is_alive():
            trouble = f"{self._target.shown} had not answered after {seconds:g} s"
        if trouble:
            words = " ".join(trouble.split()).rstrip(".")
            self._say(
                f"WARN  Not all spans of nodes were sent while dbt ran: {words}. "
                "They go out after the run."
            )
        elif self._rejected[0]:
            count, reason = self._rejected
            self._say(f"WARN  {self._target.shown} rejected {count} spans of nodes: {reason}")

    def _run(self) -> None:
        self._woken.wait()
        # What the ledger's reader has to say would end up between dbt's lines.
        logging.getLogger("orchestrate").addHandler(logging.NullHandler())
        try:
            self._rounds()
        except ImportError as error:
            self._trouble = f"{error.name} is not installed beside dbt"
        except Exception as error:  # noqa: BLE001  (dbt must not hear of it)
            self._trouble = f"{type(error).__name__}: {error}"

    def _rounds(self) -> None:
        from orchestrate.ledger.store import Ledger  # noqa: PLC0415
        from orchestrate.tracing.otlp import NotSent, Sender  # noqa: PLC0415

        try:
            sender = Sender(self._target)
        except NotSent as error:
            self._trouble = f"{self._target.shown} {error}"
            return
        with closing(sender), Ledger(self._path) as ledger:
            is_last, pause_s = False, self._pause_s
            while not is_last:
                self._woken.wait()
                self._woken.clear()
                is_last = self._ending.is_set()
                self._collect(ledger)
                try:
                    self._send(sender, ledger)
                    pause_s = self._pause_s
                except NotSent as error:
                    self._trouble = f"{self._target.shown} {error}"
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._ending.wait(pause_s)

    def _send(self, sender: Sender, ledger: Ledger) -> None:
        from orchestrate.ledger import queries  # noqa: PLC0415
        from orchestrate.ledger.model import DbtInvocation, Delivery, SentSpan  # noqa: PLC0415
        from orchestrate.tracing.attributes import resource  # noqa: PLC0415

        found = ledger.rows(DbtInvocation, "invocation_id = ?", [self._invocation_id])
        if not found:
            return
        record = queries.record(ledger, found[0].run_id)
        run, of_run = record.run, "run_id = ?"
        # A run that has ended is no longer ours: it may be on its way as a whole.
        if run.result is not None or ledger.rows(Delivery, of_run, [run.run_id]):
            return
        if not sender.wants(run.trace_id):
            return
        sent = {row.span_id for row in ledger.rows(SentSpan, of_run, [run.run_id])}
        for part in sender.spans(resource(record), list(_ended(record, found[0], sent))):
            with ledger.writing():
                ledger.save(SentSpan(run_id=run.run_id, span_id=span.span_id) for span in part)
        self._trouble, self._rejected = "", sender.rejected


def _ended(record: Record, invocation: DbtInvocation, sent: Set[str]) -> Iterator[Span]:
    """The spans of nodes that won't change any more, without those that were sent."""
    from orchestrate.tracing.lineage import Lineage  # noqa: PLC0415
    from orchestrate.tracing.nodes import node_span_id, spans_of  # noqa: PLC0415

    lineage = Lineage(record, invocation)
    for unique_id, node in lineage.ran.items():
        # Links come from the manifest. What has no phases yet, hooks and skipped nodes, will be
        # corrected by artifacts.
        if node.execute_ended_us is None or unique_id not in lineage.described:
            continue
        if node_span_id(record.run.trace_id, invocation.invocation_id, unique_id) not in sent:
            yield from (span for span in spans_of(lineage, node) if span.span_id not in sent)
