"""The tap as a process: what it wrote, how long it took, what CPU and memory it used."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.project import ROOT

_CALLERS = itertools.count(1)


@dataclass
class Run:
    """One run of a program that writes Singer messages. Bytes are those of its standard output."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    output_bytes: int = 0
    state_bytes: int = 0
    records: Counter[str] = field(default_factory=Counter)
    keys: dict[str, set[str]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class _Message(msgspec.Struct):
    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw()
    value: msgspec.Raw = msgspec.Raw()
    key_properties: list[str] = []


def timed(command: Sequence[str | Path], stdout: Path) -> Run:
    """Run a program to its end. Its log goes beside its output, as `.log`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TAP_SENTRY_")}
    with stdout.open("wb") as output, stdout.with_suffix(".log").open("wb") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors, env=kept)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = used.ru_utime + used.ru_stime
    return Run(process.returncode, wall_s, cpu_s, used.ru_maxrss / 1024)


def timed_python(arguments: Sequence[str | Path], stdout: Path) -> Run:
    """A run of this Python that has to end well.

    Raises:
        RuntimeError: If it fails; the end of its log is the message.
    """
    run = timed([sys.executable, *arguments], stdout)
    if run.exit_code:
        log = stdout.with_suffix(".log").read_text()[-3000:]
        raise RuntimeError(f"{arguments} ended with {run.exit_code}:\n{log}")
    return run


def catalog() -> dict[str, Any]:
    """What `--discover` prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalog.json")
        timed_python(["-m", "tap_sentry", "--discover"], path)
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def default_streams() -> list[str]:
    """The streams that a user gets who selects nothing."""
    return [
        entry["tap_stream_id"]
        for entry in catalog()["streams"]
        if _of_stream(entry).get("selected-by-default")
    ]


def tap(
    base_url: str,
    streams: Collection[str],
    *,
    state: dict[str, Any] | None = None,
    later_s: float = 0,
    with_keys: bool = True,
    **config: Any,
) -> Run:
    """One run of the tap.

    Args:
        base_url: The server to read.
        streams: Those to select.
        state: Where an earlier run ended.
        later_s: How far the tap's clock goes ahead.
        with_keys: Whether to keep the records' keys, which takes memory.
        config: Settings. The token is another one in each run: Sentry counts by caller.

    Raises:
        RuntimeError: If the tap fails.
    """
    module = ["tests.benchmark.later", str(later_s)] if later_s else ["tap_sentry"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        discovered = catalog()
        for entry in discovered["streams"]:
            _of_stream(entry)["selected"] = entry["tap_stream_id"] in streams
        token = f"sntryu_{next(_CALLERS):064x}"
        files = {
            "config": {"base_url": base_url, "api_token": token, **config},
            "catalog": discovered,
            "state": state or {},
        }
        options: list[str | Path] = []
        for option, value in files.items():
            (folder / f"{option}.json").write_text(json.dumps(value))
            options += [f"--{option}", folder / f"{option}.json"]
        output = folder / "output.jsonl"
        run = timed_python(["-m", *module, *options], output)
        read(output, run, with_keys=with_keys)
        return run


def read(output: Path, run: Run, *, with_keys: bool) -> None:
    """Fill in what the tap's messages say."""
    decoder = msgspec.json.Decoder(_Message)
    key_names: dict[str, list[str]] = {}
    with output.open("rb") as lines:
        for line in lines:
            run.output_bytes += len(line)
            message = decoder.decode(line)
            if message.type == "RECORD":
                run.records[message.stream] += 1
                if with_keys:
                    record = msgspec.json.decode(message.record)
                    key = "/".join(str(record[name]) for name in key_names[message.stream])
                    run.keys.setdefault(message.stream, set()).add(key)
            elif message.type == "SCHEMA":
                key_names[message.stream] = message.key_properties
            elif message.type == "STATE":
                run.state_bytes += len(line)
                run.state = msgspec.json.decode(message.value)


def _of_stream(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(m["metadata"] for m in entry["metadata"] if not m["breadcrumb"])
    return found
