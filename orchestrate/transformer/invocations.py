"""One invocation of dbt in this process: its lines for people, its artifacts, its spans."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from orchestrate.tracing import live
from orchestrate.transformer import archive
from orchestrate.transformer.console import Listener, is_short, say
from orchestrate.transformer.paths import Paths


class Record:
    """What stays of one invocation. A full disk must not turn a good build into a failed one."""

    def __init__(self, arguments: Sequence[str], paths: Paths, target: str) -> None:
        self._started_at = datetime.now(timezone.utc)
        self._finished_at: datetime | None = None
        self._arguments = tuple(arguments)
        self._paths = paths
        self._target = target
        self._archive: archive.Archive | None = None

    @property
    def folder(self) -> Path | None:
        """Where it is kept; None as long as it has not begun."""
        return self._archive.folder if self._archive else None

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

    def keep_artifacts(self) -> None:
        """It is over: keep what it wrote; if that fails now, it is tried again at the end."""
        self._finished_at = datetime.now(timezone.utc)
        if self._archive:
            with suppress(OSError, ValueError):
                self._archive.keep_artifacts()

    def end(self, exit_code: int) -> None:
        """Keep the artifacts, or say in one line that they are not kept."""
        if not self._archive:
            return
        try:
            self._archive.end(self._finished_at or datetime.now(timezone.utc), exit_code)
            newest = max(int(os.environ.get("DBT_KEEP_INVOCATIONS") or archive.DEFAULT_KEEP), 1)
            archive.drop_old(self._paths.runs, newest)
        except (OSError, ValueError) as error:
            say(f"WARN  Artifacts of this invocation are not kept: {error}")


class Ended(NamedTuple):
    """How an invocation ended: dbt's exit code, its results if it got so far, what is kept."""

    code: int
    result: Any
    record: Record


def invoke(
    arguments: Sequence[str],
    paths: Paths,
    target: str,
    *,
    typed: Sequence[str] | None = None,
    manifest: Any = None,
    begun: Callable[[str], object] = lambda _: None,
    is_silent: bool = False,
) -> Ended:
    """Run dbt in this process; its record is still to be ended, its warehouse to be let go.

    Args:
        arguments: dbt's.
        paths: Where things are.
        target: The target's name.
        typed: What the user typed, if dbt is given something else.
        manifest: The project, if it is read already.
        begun: Told the invocation's id at its first event.
        is_silent: Whether people need not hear of it.
    """
    short = is_short(arguments)
    if short:
        os.environ["DBT_LOG_LEVEL"] = "none"
    # dbt takes a second to import and reads its variables while it does.
    from dbt.cli.exceptions import DbtUsageException  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    # dbt makes hundreds of thousands of objects that stay: looking through them takes a tenth.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    record = Record(arguments if typed is None else typed, paths, target)

    def begin(invocation_id: str) -> None:
        begun(invocation_id)
        record.begin(invocation_id)

    listener = Listener(speaks=short and not is_silent, begun=begin, read=record.keep_manifest)
    sending = live.started(os.environ, paths.output, say)
    callbacks = [listener, sending.hear] if sending else [listener]
    result = dbtRunner(manifest=manifest, callbacks=callbacks).invoke(list(arguments))
    if sending:
        sending.finish()
    code = _exit_code(result)
    if isinstance(result.exception, DbtUsageException) or (result.exception and not listener.told):
        say(f"ERROR {result.exception}")
    if listener.invocation_id:
        record.keep_artifacts()
        if short and not is_silent:
            say(f"dbt {arguments[0]} ended with {code}, invocation {listener.invocation_id}")
    return Ended(code, result.result, record)


def let_go_of_warehouse() -> None:
    """dbt-duckdb holds its connection until the process ends, with settings unlike ours."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

    DuckDBConnectionManager.close_all_connections()
    gc.collect()


def _exit_code(result: Any) -> int:
    """As `dbt` itself: 1 when something failed, 2 when dbt could not go on."""
    if isinstance(result.exception, KeyboardInterrupt):
        return 130
    if result.exception is not None:
        return 2
    return 0 if result.success else 1
