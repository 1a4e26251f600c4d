"""Where histories come from: the ledger of the runs here, and those filled from dbt Cloud."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from orchestrate.analyzer import loading
from orchestrate.analyzer.choice import Choice, ChoiceError
from orchestrate.analyzer.history import History
from orchestrate.analyzer.loading import Progress
from orchestrate.analyzer.planner import StateAware
from orchestrate.dbt_cloud import jobs
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.ledger import FILE
from orchestrate.ledger.collect import collect
from orchestrate.ledger.meltano.schedules import Schedule, schedules
from orchestrate.ledger.store import Ledger, LedgerError

LOCAL = "local"
# dbt Cloud's ledgers, one for each account.
CLOUD_FOLDER = "dbt_cloud"


class Source(NamedTuple):
    """A ledger that can be looked at."""

    name: str
    path: Path


def sources(output: Path) -> dict[str, Source]:
    """The ledgers below the project's folder `output`, by their names; `local` comes first."""
    others = sorted((output / CLOUD_FOLDER).glob("*.db"))
    found = [
        Source(LOCAL, output / FILE),
        *(Source(f"{CLOUD_FOLDER}/{path.stem}", path) for path in others),
    ]
    return {source.name: source for source in found}


def source(output: Path, name: str) -> Source:
    """The ledger of that name.

    Raises:
        ChoiceError: If there is none.
    """
    found = sources(output)
    if name not in found:
        raise ChoiceError(f"source is {name!r}: there is no such ledger. It may be {_or(found)}.")
    return found[name]


def collect_new(output: Path) -> str | None:
    """Read what runs left since the last time. Returns why that can't be done, None if it could."""
    try:
        with Ledger(output / FILE) as ledger:
            collect(ledger, output)
    except LedgerError as error:
        return str(error)
    return None


def known_schedules(output: Path) -> tuple[Schedule, ...]:
    """Those of the project that `output` lies in; none where meltano.yml can't be read."""
    try:
        return tuple(schedules(output.parent))
    except LedgerError:
        return ()


def state_aware(found: Source) -> StateAware | None:
    """Which jobs of dbt Cloud reuse what did not change, as it told last; None of the runs here.

    Raises:
        LedgerError: If what it told can't be read.
    """
    if found.name == LOCAL:
        return None
    try:
        return {
            (job.environment or "", job.name): job.is_state_aware for job in jobs.read(found.path)
        }
    except DbtCloudError as error:
        raise LedgerError(str(error)) from None


def history(
    output: Path,
    choice: Choice,
    *,
    now_us: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> History:
    """What a choice looks at: its window of its ledger, and in it the runs that it names.

    Raises:
        ChoiceError: If it names a ledger that is not there, or a run or job that is nowhere in it.
        LedgerError: If the ledger can't be read.
    """
    found = source(output, choice.source)
    loaded = loading.load(
        found.path,
        days=choice.days,
        now_us=time.time_ns() // 1000 if now_us is None else now_us,
        schedules=known_schedules(output),
        state_aware=state_aware(found),
        progress=progress,
    )
    check(loaded, choice)
    return loaded.chosen(choice)


def check(loaded: History, choice: Choice) -> None:
    """See that what is chosen exists: a slip of the pen must not look like an empty history.

    Raises:
        ChoiceError: If it names an environment or a job that the ledger does not have.
    """
    for name, wanted, there in (
        ("environment", (choice.environment,) if choice.environment else (), loaded.environments),
        ("job", choice.job, loaded.jobs),
    ):
        for one in wanted:
            if one not in there:
                raise ChoiceError(f"{name} is {one!r}: no run has it. It may be {_or(there)}.")


def _or(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing yet"
