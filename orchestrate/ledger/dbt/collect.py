"""What dbt leaves below output/<environment>/dbt, merged into the ledger.

Artifacts are the last word, events fill what artifacts do not have: in whichever order, and
however often, the two are read, the rows are equal.
"""

from __future__ import annotations

import logging
from pathlib import Path

from orchestrate.ledger import files
from orchestrate.ledger.dbt import invocations as dbt_invocations
from orchestrate.ledger.dbt.archive import Folders
from orchestrate.ledger.dbt.events import Heard, hear
from orchestrate.ledger.dbt.invocations import Say
from orchestrate.ledger.model import Result
from orchestrate.ledger.processes import Gone
from orchestrate.ledger.store import Ledger

_LOG = logging.getLogger(__name__)


def collect(ledger: Ledger, folder: Path, is_gone: Gone, *, say: Say = _LOG.warning) -> set[str]:
    """Read what dbt wrote since the last time; call it inside of `Ledger.writing`.

    Args:
        ledger: Where to. Runs of Meltano should be in it already, as far as there are logs.
        folder: output/<environment>/dbt, with `logs/dbt.log` and `runs`; nothing of it need exist.
        is_gone: Whether a process can't be running any more.
        say: Takes a line for people about each file that can't be read, once.

    Returns:
        The ids of the pipeline runs of which there was news.
    """
    environment = folder.parent.name
    heard: dict[str, Heard] = {}
    with files.opened(folder / "logs/dbt.log") as logs:
        for log in logs:
            hear(files.new_lines(ledger, log), heard)
    folders = Folders(ledger, folder / "runs", say)
    found = {one.facts.invocation_id: one for one in folders.new(set(heard))}
    started = {one.invocation_id: one.started_us for one in heard.values()}
    started |= {name: one.started_us for name, one in found.items()}
    open_ones = ledger.select(
        "select invocation_id, started_us from dbt_invocation "
        "where result is null and environment = ?",
        [environment],
    )
    touched = set()
    # The oldest first, since a retry names what failed before it.
    for _, name in sorted((start, name) for name, start in (dict(open_ones) | started).items()):
        saved = dbt_invocations.save(
            ledger,
            name,
            heard.get(name),
            found.get(name),
            environment=environment,
            is_gone=is_gone,
            say=say,
        )
        if name in found:
            is_killed = saved.invocation.result is Result.KILLED
            folders.done(found[name], is_killed=is_killed)
        if saved.is_news:
            touched.add(saved.invocation.run_id)
    return touched
