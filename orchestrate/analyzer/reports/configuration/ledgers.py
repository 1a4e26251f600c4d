"""The ledgers that can be looked at, and what lies in the folders of environments."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd

from orchestrate.analyzer.sources import LOCAL, Source
from orchestrate.ledger.store import Ledger, LedgerError

_MEGABYTE = 1_000_000
_WAREHOUSE = "*.duckdb"

_FACTS = "select count(*), min(started_us), max(started_us) from pipeline_run"
_ENVIRONMENTS = """
    select coalesce(environment, ''), count(*), max(started_us) from pipeline_run group by 1
"""
# A planner's invocation comes before those that build what it planned, in the same run.
_NEWEST_BUILD = """
    select dbt_version, (
        select mode from reuse_decision inner join dbt_invocation as planned using (invocation_id)
        where planned.run_id = newest.run_id limit 1
    )
    from dbt_invocation as newest where command = 'build' order by started_us desc limit 1
"""


class Looked(msgspec.Struct, kw_only=True):
    """A ledger: what is in it, or in one line why that can't be told. Sizes are bytes."""

    name: str
    path: str
    size: int | None = None
    runs: int | None = None
    first_at: pd.Timestamp | None = None
    newest_at: pd.Timestamp | None = None
    schema_version: int | None = None
    dbt_version: str | None = None
    reuse: str | None = None  # mode of the newest build
    by_environment: list[tuple[str, int, pd.Timestamp | None]] = []
    problem: str | None = None
    is_missing: bool = False


def look(source: Source, output: Path) -> Looked:
    """Open a ledger and count. One that is missing is not made."""
    found = Looked(name=source.name, path=_shown(source.path, output))
    if not source.path.exists():
        found.is_missing = True
        how = "Run the pipeline" if source.name == LOCAL else "Fetch from dbt Cloud"
        found.problem = f"Ledger {source.name} is not there yet ({found.path}). {how} to fill it."
        return found
    try:
        found.size = source.path.stat().st_size
        with Ledger(source.path) as ledger:
            ((found.runs, first_us, newest_us),) = ledger.select(_FACTS)
            ((found.schema_version,),) = ledger.select("pragma user_version")
            newest = ledger.select(_NEWEST_BUILD)
            environments = ledger.select(_ENVIRONMENTS)
    except (LedgerError, OSError) as error:
        found.problem = f"Ledger {source.name} does not answer: {error}"
        return found
    found.first_at, found.newest_at = _at(first_us), _at(newest_us)
    found.by_environment = [(name, runs, _at(at_us)) for name, runs, at_us in environments]
    for dbt_version, mode in newest:
        found.dbt_version, found.reuse = dbt_version, mode or "off"
    return found


def table(found: list[Looked]) -> pd.DataFrame:
    """A row for each ledger."""
    rows = [
        (
            ledger.name,
            ledger.path,
            ledger.problem is None,
            ledger.runs,
            ledger.first_at,
            ledger.newest_at,
            None if ledger.size is None else ledger.size / _MEGABYTE,
            ledger.schema_version,
        )
        for ledger in found
    ]
    names = ["ledger", "path", "answers", "runs", "first_run_at", "newest_run_at", "megabytes"]
    return _timed(pd.DataFrame(rows, columns=[*names, "schema_version"]))


def environments(found: Looked, output: Path) -> pd.DataFrame:
    """A row for each environment that the ledger knows or that has a folder of dbt's."""
    known = {name: (runs, at) for name, runs, at in found.by_environment}
    folders = {path.parent.name for path in output.glob("*/dbt")} if found.name == LOCAL else set()
    rows = []
    for name in sorted({*known, *folders}):
        runs, newest_at = known.get(name, (0, None))
        folder = output / name
        local = bool(name) and name in folders
        rows.append(
            (
                name or None,
                runs,
                newest_at,
                _megabytes(folder) if local else None,
                _megabytes(folder / "published") if local else None,
                len(list(folder.glob("dbt/runs/*/invocation.json"))) if local else None,
                len(list(folder.glob("dbt/runs/manifests/*.json"))) if local else None,
            )
        )
    names = ["environment", "runs", "newest_run_at", "warehouse_megabytes", "published_megabytes"]
    return _timed(pd.DataFrame(rows, columns=[*names, "kept_invocations", "kept_projects"]))


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same, with instants as instants also where none is known."""
    instants = [name for name in frame.columns if name.endswith("_at")]
    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True) for name in instants})


def _megabytes(folder: Path) -> float | None:
    sizes = [path.stat().st_size for path in folder.glob(_WAREHOUSE)]
    return sum(sizes) / _MEGABYTE if sizes else None


def _shown(path: Path, output: Path) -> str:
    """As a person in the project's folder writes it."""
    root = output.parent
    return str(path.relative_to(root) if path.is_relative_to(root) else path.name)


def _at(instant_us: int | None) -> pd.Timestamp | None:
    return None if instant_us is None else pd.Timestamp(instant_us, unit="us", tz="UTC")
