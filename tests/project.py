"""The Meltano project in a folder of its own, as a user has it after a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parent.parent
MELTANO = Path(sys.executable).parent / "meltano"


_NOT_OF_A_USER = (
    "ANALYZER_", "DBT_", "MELTANO_", "OBSERVE_", "OTEL_", "PYTEST_", "TAP_SENTRY_", "TRACEPARENT",
)  # fmt: skip
# Columns that say nothing of when a row was read or loaded.
_LASTING = "columns(c -> c not like '%_sdc_%' and c <> 'fullpassat')"


@dataclass
class Project:
    """A copy of the project; `output/` is its own, the plugins are installed once."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "output/demo/warehouse.duckdb"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Meltano, begun."""
        return subprocess.Popen(
            [MELTANO, *arguments],
            cwd=self.folder,
            env={**_clean_environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def meltano(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Meltano, run to its end; what it printed is in `stdout`."""
        process = self.start(*arguments, **environment)
        printed, _ = process.communicate(timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode, printed)

    def reset(self) -> None:
        """Forget data and state, as a user does who deletes `output/`."""
        shutil.rmtree(self.folder / "output", ignore_errors=True)

    def tables(self, schema: str = "sentry") -> dict[str, list[tuple[Any, ...]]]:
        """All rows of each table, sorted, without the times at which they were read and loaded."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            names = connection.execute(
                "select table_name from information_schema.tables where table_schema = ?", [schema]
            ).fetchall()
            return {
                name: sorted(
                    connection.execute(
                        f"select {_LASTING} from {schema}.{name}"  # noqa: S608
                    ).fetchall(),
                    key=repr,
                )
                for (name,) in names
            }


def files() -> list[str]:
    """What git knows or would add, as paths below the root; nothing that a run left behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def copy(folder: Path) -> Project:
    """The project's files in a new folder."""
    for name in files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return Project(folder)


def _clean_environment() -> dict[str, str]:
    """This process's environment, without what would make Meltano act otherwise than a user's."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_OF_A_USER)
    } | {"NO_COLOR": "1"}
