"""dbt in this process with its project read once, and the warehouse kept from others meanwhile."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import yaml

from orchestrate.reuse.contents import Cursor
from orchestrate.reuse.definitions import digest
from orchestrate.transformer.console import told
from orchestrate.transformer.paths import Paths

# What `build` shares with the commands that read and compile; the rest is of building alone.
_SHARED = ("--vars", "--target", "--profile", "--profiles-dir", "--project-dir", "--target-path")
# Nobody builds meanwhile: neither dbt's log nor its artifacts should look as if.
_UNSEEN = ("--log-level", "none", "--log-level-file", "none", "--no-write-json")
_COMPILED = frozenset({"model", "snapshot"})
_ENV_VARS = re.compile(r"env_var\(\s*\\*['\"](\w+)")
_SETTINGS = """
    select name, value
    from duckdb_settings()
    where name in (
        'Calendar', 'TimeZone', 'default_collation', 'default_null_order', 'default_order',
        'ieee_floating_point_ops', 'integer_division', 'lambda_syntax', 'old_implicit_casting',
        'order_by_non_integer_literal', 'preserve_insertion_order',
        'scalar_subquery_error_on_multiple_rows', 'search_path', 'file_search_path'
    )
    order by name
"""


class SessionError(Exception):
    """dbt could not do it; the message is its own, in one line."""


class Session:
    """A project, read by dbt and open in its warehouse.

    Args:
        arguments: Of the build.
        paths: Where things are.
        say: Takes warnings for people.

    Raises:
        SessionError: If an option lacks its value.
    """

    def __init__(
        self, arguments: Sequence[str], paths: Paths, say: Callable[[str], object]
    ) -> None:
        self._shared, self._variables = _shared(arguments)
        self._paths, self._say = paths, say
        self._handle: Any = None
        self._cursor: Any = None
        self.manifest: Any = None
        self.threads = 1

    def read(self) -> None:
        """Read the project.

        Raises:
            SessionError: If dbt can't, or the warehouse is none of DuckDB.
        """
        self.manifest = self._invoke("parse", (), [self._hear])
        if self.manifest.metadata.adapter_type != "duckdb":
            raise SessionError(f"the warehouse is {self.manifest.metadata.adapter_type}")

    def compile(self) -> None:
        """Compile the models and snapshots, as the warehouse is now.

        Raises:
            SessionError: If dbt can't.
        """
        kinds = [f"resource_type:{kind}" for kind in sorted(_COMPILED)]
        options = ("--indirect-selection", "empty", "--select", *kinds)
        try:
            self._invoke("compile", options, [], self.manifest)
        except SessionError:
            for node in self.manifest.nodes.values():
                _forget(node)
            raise

    def open(self) -> Cursor:
        """A cursor of the warehouse, which nobody else can open from now on until `close`.

        Raises:
            SessionError: If it can't be opened.
        """
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
        from dbt.adapters.factory import get_adapter_by_type  # noqa: PLC0415

        try:
            adapter = get_adapter_by_type("duckdb")
            self.threads = adapter.config.threads
            with adapter.connection_named("reuse"):
                _ = adapter.connections.get_thread_connection().handle
                self._environment = DuckDBConnectionManager.env()
                self._handle = self._environment.handle()
        except Exception as error:  # dbt's and DuckDB's, and of whatever plugin is set
            raise SessionError(" ".join(str(error).split())) from error
        self._cursor = self._environment.conn.cursor()
        cursor: Cursor = self._cursor
        return cursor

    def close(self) -> None:
        """Let others open the warehouse."""
        if self._handle is not None:
            self._cursor.close()
            self._handle.close()
            self._environment.close()
            self._handle = None
            gc.collect()

    def document(self) -> dict[str, dict[str, Any]]:
        """The manifest, as far as the planner looks at it."""
        manifest = self.manifest
        return {
            "nodes": {
                name: {"root_path": str(self._paths.project), **node.to_dict(omit_none=True)}
                for name, node in manifest.nodes.items()
            },
            "sources": {
                name: one.to_dict(omit_none=True) for name, one in manifest.sources.items()
            },
            "macros": {
                name: {
                    "name": one.name,
                    "package_name": one.package_name,
                    "macro_sql": one.macro_sql,
                }
                for name, one in manifest.macros.items()
            },
        }

    def settings(self) -> str:
        """A hash of the variables of the project, of the command line and of the environment."""
        path = self._paths.project / "dbt_project.yml"
        declared = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        # dbt knows only those that it came by when it read the project.
        texts = [one.macro_sql for one in self.manifest.macros.values()]
        texts += [json.dumps(node.to_dict(), default=str) for node in self.manifest.nodes.values()]
        names = {name for text in texts for name in _ENV_VARS.findall(text)}
        environment = {name: os.environ.get(name) for name in names}
        known = dict(self.manifest.env_vars)
        return digest([declared.get("vars"), self._variables, known, environment])

    def versions(self) -> str:
        """Of dbt and its adapter, with the settings of DuckDB by which SQL means something else."""
        from dbt.adapters.duckdb.__version__ import version  # noqa: PLC0415

        cursor = (
            self._handle.cursor()
        )  # as dbt's own threads have it, which set what the profile says
        cursor.execute(_SETTINGS)
        meaning = digest(cursor.fetchall())
        return f"{self.manifest.metadata.dbt_version} {version} {meaning}"

    def uncompile(self) -> None:
        """Let dbt compile anew what it builds: it would take what it compiled before."""
        for node in self.manifest.nodes.values():
            _forget(node)

    def begin(self, invocation_id: str) -> None:
        """Write the manifest as of this invocation, as if it had read the project itself."""
        from dbt.parser.manifest import write_manifest  # noqa: PLC0415

        self.manifest.metadata.invocation_id = invocation_id
        try:
            self._paths.target.mkdir(parents=True, exist_ok=True)
            write_manifest(self.manifest, str(self._paths.target))
        except OSError as error:
            self._say(f"WARN  The manifest is not written: {error}")

    def selected(self, names: Iterable[str], selectors: Mapping[str, str]) -> list[str]:
        """The options that select just these nodes, in dbt's own words."""
        chosen = sorted({selectors[name] for name in names}) or ["fqn:nothing.is.to.be.built"]
        return ["--select", *chosen, "--indirect-selection", "empty"]

    def _invoke(
        self,
        command: str,
        options: Sequence[str],
        callbacks: list[Callable[[Any], None]],
        manifest: Any = None,
    ) -> Any:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        done = dbtRunner(manifest=manifest, callbacks=callbacks).invoke(
            [command, *self._shared, *_UNSEEN, *options]
        )
        if done.exception or not done.success:
            failed = [one.message for one in getattr(done.result, "results", None) or ()]
            reason = str(done.exception or next(filter(None, failed), "it failed"))
            raise SessionError(" ".join(reason.split()))
        return done.result

    def _hear(self, event: Any) -> None:
        if event.info.level == "warn" and (line := told(event)):
            self._say(line)


def _forget(node: Any) -> None:
    if getattr(node, "compiled", False):
        node.compiled, node.compiled_code = False, None
        node.extra_ctes_injected, node.extra_ctes = False, []


def _shared(arguments: Sequence[str]) -> tuple[list[str], str]:
    """The arguments that every command understands, and the value of --vars among them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in _SHARED:
        names = ("-t", option) if option == "--target" else (option,)
        parser.add_argument(*names, dest=option)
    try:
        found = vars(parser.parse_known_args(arguments)[0])
    except argparse.ArgumentError as error:
        raise SessionError(str(error)) from error
    given = [text for option in _SHARED if found[option] for text in (option, found[option])]
    return given, str(found["--vars"] or "")
