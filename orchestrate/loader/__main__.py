"""`target-duckdb-launcher --config FILE`: Singer messages from standard input into DuckDB."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb

from orchestrate import warehouse
from orchestrate.loader import patches, reporting
from orchestrate.loader.errors import LoadError, StoppedError
from orchestrate.loader.messages import Messages
from orchestrate.loader.refusals import explain
from orchestrate.loader.reporting import LOGGER

LOCK_WAIT_SECONDS = 10
DRAIN_SECONDS = 3
_LEFT_BEHIND = re.compile(r"tmp_[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}|tmp_[0-9a-f]{32}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="target-duckdb-launcher", description=__doc__)
    parser.add_argument("-c", "--config", required=True, help="file of settings, as JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        patches.check_version()
        config = read_config(Path(arguments.config))
        load(config)
    except (LoadError, warehouse.WarehouseError) as error:
        reporting.set_up()
        LOGGER.error(str(error))
        drain(sys.stdin.fileno())
    except BrokenPipeError:
        LOGGER.error("Nobody reads the state any more. All rows are stored; run again.")
        # Python would complain about the closed pipe once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (StoppedError, KeyboardInterrupt) as stop:
        code = getattr(stop, "exit_code", 130)
        LOGGER.warning("Stopped. The next run goes on after the last state that was handed out.")
        return int(code)
    else:
        return 0
    return 1


def read_config(path: Path) -> dict[str, Any]:
    """The settings, checked.

    Raises:
        LoadError: Naming the setting, what is wrong with it and what it may be.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"Cannot read the settings in {path}: {error}") from error
    file = config.get("path") or config.get("filepath") if isinstance(config, dict) else None
    if not isinstance(file, str) or re.match(r"\w{2,}:", file):
        raise LoadError("Setting filepath is missing: name the local file of the warehouse.")
    schema = config.get("default_target_schema")
    if not isinstance(schema, str) or not schema.strip():
        raise LoadError("Setting default_target_schema is missing: name a schema, as in sentry.")
    if schema.strip().lower() == Path(file).stem.lower():
        raise LoadError(
            f"Setting default_target_schema is {schema!r} like the file {Path(file).name}: DuckDB "
            "could not tell schema and file apart. Name it otherwise, as in sentry."
        )
    rows = config.get("batch_size_rows", 1)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise LoadError(f"Setting batch_size_rows is {rows!r}: it must be a whole number above 0.")
    # With false a crash in a first run loses rows: the first STATE counts as stored, whole.
    return {**config, "flush_all_streams": True}


def load(config: dict[str, Any]) -> None:
    """Store everything on standard input. STATE goes to standard output after its rows are in.

    Raises:
        LoadError: If something can't be stored; nothing of its batch is then.
        WarehouseError: If the file can't be opened.
    """
    import target_duckdb  # noqa: PLC0415  (its import sets up logging, which ours replaces)

    reporting.set_up()
    report = reporting.Report()
    patches.apply(report)
    messages = Messages(sys.stdin.buffer)
    with _open(config) as (connection, folder):
        try:
            for name, value in config.get("settings", {}).items():
                connection.execute(f"SET {name} = '{value}'")
            target_duckdb.persist_lines(connection, {**config, "temp_dir": str(folder)}, messages)
        except duckdb.Error as error:
            raise LoadError(explain(error, "prepare the tables")) from error
        except (BrokenPipeError, LoadError):
            raise
        except Exception as error:
            raise LoadError(f"Cannot load: {warehouse.one_line(error)}") from error
        # Its own last STATE is older when no row came after the one that followed it.
        target_duckdb.emit_state(messages.last_state)
        try:
            connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            raise LoadError(explain(error, "tidy the warehouse")) from error
    report.finished()
    if messages.cut:
        raise LoadError(
            "The tap ended in the middle of a message. All rows before it are stored; run again."
        )


def drain(source: int, seconds: float = DRAIN_SECONDS) -> None:
    """Read and forget what is still under way, at most for so long.

    Meltano writes to us what a finished tap left; were we gone, it would end in a traceback.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([source], [], [], left)
        if not ready or not os.read(source, 1 << 20):
            return


@contextlib.contextmanager
def _open(config: dict[str, Any]) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """The warehouse without what a killed run left behind, and a folder for files of this run."""
    file = Path(config.get("path") or config["filepath"]).absolute()
    connection = warehouse.connect(file, wait_seconds=LOCK_WAIT_SECONDS, say=LOGGER.warning)
    # We alone hold the file, so nobody else can be using the folder.
    folder = Path(config.get("temp_dir") or file.parent) / f".{file.name}.loading"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise LoadError(explain(error, "make a folder for batches")) from error
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not temporary"
        ).fetchall()
        for schema, table in tables:
            if _LEFT_BEHIND.fullmatch(table):
                connection.execute(f'drop table "{schema}"."{table}"')
        yield connection, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(duckdb.Error):
            connection.close()


def _stop(number: int, _: FrameType | None) -> None:
    raise StoppedError(number)


if __name__ == "__main__":
    sys.exit(main())
