"""`dbt-launcher [dbt's arguments]`: without arguments, `build`."""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import duckdb

from orchestrate.tracing import live
from orchestrate.transformer import archive, publication, summary
from orchestrate.transformer.console import Listener, is_short, say
from orchestrate.transformer.paths import SAMPLE_TARGET, WAREHOUSE_TARGET, Paths
from orchestrate.warehouse import WarehouseError, connect

LOCK_WAIT_SECONDS = 15
_OPENS_WAREHOUSE = frozenset(
    {"build", "clone", "docs", "retry", "run", "run-operation", "seed"}
    | {"show", "snapshot", "source", "test"}
)
# With one of these a build leaves parts as they were, and the parts may not fit together.
_PARTIAL = frozenset(
    {"-s", "--select", "-m", "--models", "--model", "--exclude", "--selector", "--empty"}
    | {"--resource-type", "--resource-types", "--exclude-resource-type", "--sample"}
    | {"--exclude-resource-types", "--event-time-start", "--event-time-end"}
)


def main() -> int:
    arguments = sys.argv[1:] or ["build"]
    target = target_of(arguments, os.environ)
    paths = Paths.of(os.environ, target)
    paths.give_to_dbt(os.environ)
    try:
        if arguments[0] in _OPENS_WAREHOUSE and target in {WAREHOUSE_TARGET, SAMPLE_TARGET}:
            connect(paths.warehouse, wait_seconds=LOCK_WAIT_SECONDS, say=say).close()
        code = run(arguments, paths, target)
        if code == 0 and arguments[0] == "build":
            if target == WAREHOUSE_TARGET:
                after_build(arguments, paths)
            else:
                say(f"Not published: the target is {target}, readers look at {WAREHOUSE_TARGET}.")
    except (WarehouseError, publication.PublicationError) as error:
        say(f"ERROR {error}")
        return 1
    return code


def target_of(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The target that dbt will take; what is wrong about the arguments is for dbt to say."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-t", "--target", default=environ.get("DBT_TARGET") or WAREHOUSE_TARGET)
    try:
        return str(parser.parse_known_args(arguments)[0].target)
    except argparse.ArgumentError:
        return WAREHOUSE_TARGET


def run(arguments: Sequence[str], paths: Paths, target: str) -> int:
    """Run dbt in this process, keep its artifacts. Returns dbt's own exit code."""
    short = is_short(arguments)
    if short:
        os.environ["DBT_LOG_LEVEL"] = "none"
    # dbt takes a second to import and reads its variables while it does.
    from dbt.cli.exceptions import DbtUsageException  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    # dbt makes hundreds of thousands of objects that stay: looking through them takes a tenth.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    record = Record(arguments, paths, target)
    listener = Listener(speaks=short, begun=record.begin, read=record.keep_manifest)
    sending = live.started(os.environ, paths.output, say)
    callbacks = [listener, sending.hear] if sending else [listener]
    result = dbtRunner(callbacks=callbacks).invoke(list(arguments))
    _let_go_of_warehouse()
    if sending:
        sending.finish()
    code = _exit_code(result)
    if isinstance(result.exception, DbtUsageException) or (result.exception and not listener.told):
        say(f"ERROR {result.exception}")
    if listener.invocation_id:
        record.end(code)
        if short:
            say(f"dbt {arguments[0]} ended with {code}, invocation {listener.invocation_id}")
    return code


class Record:
    """What stays of one invocation. A full disk must not turn a good build into a failed one."""

    def __init__(self, arguments: Sequence[str], paths: Paths, target: str) -> None:
        self._started_at = datetime.now(timezone.utc)
        self._arguments = tuple(arguments)
        self._paths = paths
        self._target = target
        self._archive: archive.Archive | None = None

    def begin(self, invocation_id: str) -> None:
        """Write that it runs; if that fails now, it is tried again later."""
        invocation = archive.Invocation(
            invocation_id,
            self._arguments,
            self._started_at,
            self._paths.environment,
            self._target,
            socket.gethostname(),
            os.getpid(),
            os.environ.get("MELTANO_RUN_ID"),
            os.environ.get("TRACEPARENT"),
        )
        self._archive = archive.Archive(invocation, self._paths.target, self._paths.runs)
        with suppress(OSError):
            self._archive.begin()

    def keep_manifest(self) -> None:
        """Keep the project as dbt has read it; if that fails now, it is tried again later."""
        if self._archive:
            with suppress(OSError, ValueError):
                self._archive.keep_manifest()

    def end(self, exit_code: int) -> None:
        """Keep the artifacts, or say in one line that they are not kept."""
        if not self._archive:
            return
        try:
            self._archive.end(datetime.now(timezone.utc), exit_code)
            newest = max(int(os.environ.get("DBT_KEEP_INVOCATIONS") or archive.DEFAULT_KEEP), 1)
            archive.drop_old(self._paths.runs, newest)
        except (OSError, ValueError) as error:
            say(f"WARN  Artifacts of this invocation are not kept: {error}")


def after_build(arguments: Sequence[str], paths: Paths) -> None:
    """Publish, then say what there is.

    Raises:
        PublicationError: If there is no new copy; the old one is untouched then.
        WarehouseError: If another process took the warehouse meanwhile.
    """
    partial = [
        name
        for name in arguments
        # A short option may have its value attached, as in -sdim_date.
        if name.split("=")[0] in _PARTIAL or name[:2] in _PARTIAL
    ]
    if partial:
        say(f"Not published: with {partial[0]} a part of the project was left as it was.")
        return
    manifest = json.loads((paths.target / "manifest.json").read_bytes())
    raw_tables = summary.raw_tables(manifest)
    with connect(paths.warehouse, wait_seconds=LOCK_WAIT_SECONDS, say=say) as connection:
        raw = list(summary.contents(connection, raw_tables))
        marts = {
            folder: list(summary.contents(connection, relations))
            for folder, relations in summary.marts(manifest).items()
        }
    if paths.published.exists():
        with duckdb.connect(str(paths.published), read_only=True) as connection:
            before = list(summary.contents(connection, raw_tables))
        publication.check_nothing_is_missing(before, raw, paths.shown(paths.published))
    size = publication.publish(paths.warehouse, paths.published)
    lines = [
        *summary.table({"raw table": raw, **{f"mart of {name}": m for name, m in marts.items()}}),
        f"Published {size / 1e6:.1f} MB",
        *summary.next_steps(paths, [row.relation for rows in marts.values() for row in rows]),
    ]
    say("\n".join(lines))


def _exit_code(result: Any) -> int:
    """As `dbt` itself: 1 when something failed, 2 when dbt could not go on."""
    if isinstance(result.exception, KeyboardInterrupt):
        return 130
    if result.exception is not None:
        return 2
    return 0 if result.success else 1


def _let_go_of_warehouse() -> None:
    """dbt-duckdb holds its connection until the process ends, with settings unlike ours."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

    DuckDBConnectionManager.close_all_connections()
    gc.collect()


if __name__ == "__main__":
    sys.exit(main())
