"""From the files that runs leave to the ledger: what is new, in one transaction."""

from __future__ import annotations

from pathlib import Path

from orchestrate.ledger.dbt import collect as dbt
from orchestrate.ledger.files import is_known, new_lines, opened
from orchestrate.ledger.meltano.log import Reader
from orchestrate.ledger.meltano.open_run import OpenRun
from orchestrate.ledger.model import DbtInvocation, LogEvent, PipelineRun, Result
from orchestrate.ledger.processes import Gone, is_gone
from orchestrate.ledger.store import Ledger


def collect(ledger: Ledger, output: Path, *, gone: Gone = is_gone) -> set[str]:
    """Read what was written since the last time.

    Args:
        ledger: Where to.
        output: The project's folder `output`, with `logs/meltano.jsonl` and `<environment>/dbt`.
        gone: Whether a process can't be running any more.

    Returns:
        The ids of the runs of which there was news.

    Raises:
        LedgerError: If a log can't be read or the ledger not written; nothing counts as read then.
    """
    with ledger.writing():
        reader = Reader(ledger)
        with opened(output / "logs/meltano.jsonl") as logs:
            for log in logs:
                is_new = not is_known(ledger, log)
                for line in new_lines(ledger, log):
                    reader.read(line, may_be_copy=is_new)
        reader.close()
        touched = reader.touched
        for folder in sorted(output.glob("*/dbt")):
            touched |= dbt.collect(ledger, folder, gone)
        touched |= _seal(ledger, gone)
    return touched


def _seal(ledger: Ledger, gone: Gone) -> set[str]:
    """End the runs whose process ended without a word."""
    sealed = set()
    for run in ledger.rows(PipelineRun, "ended_us is null"):
        if not gone(run.host, run.pid, run.started_us, run.heard_us):
            continue
        if ledger.rows(DbtInvocation, "run_id = ? and ended_us is null", [run.run_id]):
            continue  # Meltano is gone, the dbt that it began is still at work
        open_run = OpenRun(ledger, run, is_new=False)
        if open_run.looks_only:
            open_run.forget()
            continue
        last = ledger.rows(
            LogEvent,
            "run_id = ? and source = 'meltano'",
            [run.run_id],
            "order by number desc limit 1",
        )
        if last and last[0].level in {"error", "critical"}:
            open_run.end(run.heard_us, Result.FAILURE)
            run.error = last[0].text
        else:
            open_run.end(run.heard_us, Result.KILLED)
            run.error = run.error or "Its process was gone before the first step."
        ledger.save(open_run.rows())
        sealed.add(run.run_id)
    return sealed
