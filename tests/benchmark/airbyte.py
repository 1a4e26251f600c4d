"""The tap beside Airbyte's source for Sentry, reading one project with event bodies.

The source (PyPI: airbyte-source-sentry) goes into an environment of its own, where its address is
changed from https to http; it is asked for all its streams that the tap has too. Rows are lost if
the world holds them for a stream and the reader does not write them: of the project's events,
issues and releases, the source's releases being those of the whole organization, and all projects.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmark import figures, process
from tests.benchmark.figures import Figure
from tests.benchmark.process import Run
from tests.benchmark.server import Server

REQUIREMENT = "airbyte-source-sentry==0.6.11"
STREAMS = ("events", "issues", "projects", "releases")
ALL = ("projects", "releases")  # of these the source reads those of the whole organization
PROJECT = "batch-worker"
EVENTS_AT_SCALE_1 = 2000  # of this project


@dataclass
class Read:
    """What one reader did."""

    requests: int
    refused: int
    run: Run
    lost: dict[str, int]

    def __str__(self) -> str:
        end = "" if self.run.exit_code == 0 else ", ended with an error"
        lost = ", ".join(f"{name} {rows}" for name, rows in self.lost.items() if rows) or "none"
        return (
            f"{self.requests} requests ({self.refused} refused), {self.run.wall_s:.1f} s, "
            f"{self.run.cpu_s:.1f} s CPU, rows lost: {lost}{end}"
        )


def measure(quick: bool) -> Iterator[Figure]:
    """Side by side on a small project, the same with refusals, and on a larger project."""
    setups = [
        ("400 events", 400, ()),
        ("400 events, every 10th answer a 429", 400, ("--fault", "TooManyRequests every=10")),
        ("1,500 events", 1500, ()),
    ]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "environment/bin/source-sentry")
        if problem := install(source.parent.parent):
            yield Figure(f"{REQUIREMENT} cannot be installed", problem)
            return
        for what, events, faults in setups[: 2 if quick else 3]:
            options = ("--scale", str(events / EVENTS_AT_SCALE_1), "--latency-ms", "50", *faults)
            with Server(*options) as server:
                server.ask("floor", streams=[*STREAMS])
                theirs = read_by_source(server, source, Path(name))
                ours = read_by_tap(server)
            yield Figure(f"{what}, Airbyte's source", str(theirs))
            yield Figure(f"{what}, tap", str(ours))
            if theirs.run.exit_code == 0:
                yield Figure(f"{what}, tap / Airbyte's source", ratios(ours, theirs))


def ratios(ours: Read, theirs: Read) -> str:
    """What one reader needed, as parts of what the other did."""
    return (
        f"requests {ours.requests / theirs.requests:.2f}, "
        f"wall {ours.run.wall_s / theirs.run.wall_s:.2f}, "
        f"CPU {ours.run.cpu_s / theirs.run.cpu_s:.2f}"
    )


def install(environment: Path) -> str:
    """Install the source. Returns what went wrong, empty if nothing did."""
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = subprocess.run(
        [environment / "bin/python", "-m", "pip", "install", "--quiet", REQUIREMENT],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if pip.returncode:
        errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")]
        return (errors or ["pip failed"])[0][:200]
    [manifest] = environment.glob("lib/*/site-packages/source_sentry/manifest.yaml")
    manifest.write_text(manifest.read_text().replace('url_base: "https:', 'url_base: "http:'))
    return ""


def read_by_source(server: Server, source: Path, folder: Path) -> Read:
    """One run of the source, from nothing."""
    config = folder / "config.json"
    settings = {
        "auth_token": "airbyte",
        "hostname": server.base_url.removeprefix("http://"),
        "organization": "acme-shop",
        "project": PROJECT,
    }
    config.write_text(json.dumps(settings))
    output, catalog = folder / "output.jsonl", folder / "catalog.json"
    process.timed([source, "discover", "--config", config], output)
    [found] = [m["catalog"] for m in messages(output) if m["type"] == "CATALOG"]
    chosen = [
        {"stream": s, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        for s in found["streams"]
        if s["name"] in STREAMS
    ]
    catalog.write_text(json.dumps({"streams": chosen}))
    server.ask("counts")  # begin anew
    run = process.timed([source, "read", "--config", config, "--catalog", catalog], output)
    for message in messages(output):
        if message["type"] == "RECORD":
            record = message["record"]
            run.keys.setdefault(record["stream"], set()).add(str(record["data"]["id"]))
    rows = {name: rows for name, (rows, _) in server.ask("floor", streams=ALL).items()}
    return _read(server, run, {**_held(server), **rows})


def read_by_tap(server: Server) -> Read:
    """One run of the tap, from nothing."""
    run = process.tap(
        server.base_url, STREAMS, projects=[PROJECT], fetch_event_details=True, rate_limit=100
    )
    return _read(server, run, {**_held(server), "projects": 1})


def messages(output: Path) -> Iterator[dict[str, Any]]:
    """The messages among what a source printed."""
    with output.open() as lines:
        yield from (json.loads(line) for line in lines if line.startswith("{"))


def _held(server: Server) -> dict[str, int]:
    held: dict[str, Any] = next(p for p in server.ask("projects") if p["slug"] == PROJECT)
    return {name: rows for name, rows in held.items() if name != "slug"}


def _read(server: Server, run: Run, held: dict[str, int]) -> Read:
    counts = server.ask("counts")
    lost = {name: max(0, rows - len(run.keys.get(name, ()))) for name, rows in held.items()}
    return Read(sum(counts["requests"].values()), counts["refused"], run, lost)


if __name__ == "__main__":
    figures.main(measure, __doc__)
