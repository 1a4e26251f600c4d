"""The launchers installed as Meltano installs them, each in its own environment."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def install(extra: str, folder: Path, *more: str, name: str = "") -> Path:
    """An environment with `orchestrate[extra]` below the folder. Returns its `bin`.

    Made once, also when several test processes ask at the same time. With `more` in
    it than the plugin needs it has another name.
    """
    environment = folder / f"plugin-{name or extra}"
    with (folder / f"{environment.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / "ready").exists():
            shutil.rmtree(environment, ignore_errors=True)
            _install([*more, "--editable", f"{ROOT / 'orchestrate'}[{extra}]"], environment)
            (environment / "ready").touch()
    return environment / "bin"


def _install(requirements: list[str], environment: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    python = str(environment / "bin/python")
    # Bytecode matters: dbt without it takes twice as long to start.
    if uv:
        make = [uv, "venv", "--quiet", "--python", sys.executable]
        fill = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    else:
        make = [sys.executable, "-m", "venv"]
        fill = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*make, str(environment)], check=True)
    subprocess.run([*fill, *requirements], check=True)


@dataclass(frozen=True)
class Target:
    """One way to start target-duckdb, on a warehouse in a folder of its own."""

    command: Path
    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "output/warehouse.duckdb"

    def start(self, **settings: Any) -> subprocess.Popen[bytes]:
        """The target, waiting for messages; to be used in a `with`."""
        config = {
            "filepath": str(self.warehouse),
            "default_target_schema": "sentry",
            "batch_size_rows": 10_000,
            "flush_all_streams": True,
            "add_metadata_columns": True,
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config | settings))
        return subprocess.Popen(
            [self.command, "--config", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def load(self, messages: Iterable[dict[str, Any]], **settings: Any) -> Loaded:
        """All messages given, the target run to its end."""
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        return self.load_lines(lines, **settings)

    def load_lines(self, lines: bytes, **settings: Any) -> Loaded:
        with self.start(**settings) as process:
            states, log = process.communicate(lines, timeout=300)
        return Loaded(process.returncode, states.decode(), log.decode())


@dataclass(frozen=True)
class Loaded:
    """How a load ended, and what it printed."""

    exit_code: int
    printed: str
    log: str

    @property
    def states(self) -> list[Any]:
        return [json.loads(line) for line in self.printed.splitlines()]


def schema(
    stream: str, properties: dict[str, Any], keys: tuple[str, ...] = ("id",)
) -> dict[str, Any]:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys),
    }


def record(stream: str, **values: Any) -> dict[str, Any]:
    extracted = "2026-11-20T12:00:00+00:00"
    return {"type": "RECORD", "stream": stream, "record": values, "time_extracted": extracted}


def state(**bookmarks: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": {"bookmarks": bookmarks}}
