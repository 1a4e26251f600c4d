"""What it costs a build of dbt to send its spans live: to a collector, to none, to one that hangs.

Seconds of `dbt build --target sample` by the launcher, in turns, against those with nothing set.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import plugins
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.otlp import Receiver, free_port
from tests.project import ROOT

RATIO = 1.1
OFF, TAKES, AWAY, HANGS = "nothing set", "a collector", "no collector there", "one that hangs"


def measure(quick: bool) -> Iterator[Figure]:
    """Medians of several turns."""
    rounds = 1 if quick else 4
    with tempfile.TemporaryDirectory() as folder:
        launcher = plugins.install("transformer", Path(folder)) / "dbt-launcher"
        build(launcher, Path(folder), {})  # the first one parses the project
        seconds: dict[str, list[float]] = {mode: [] for mode in (OFF, TAKES, AWAY, HANGS)}
        arrived = 0
        modes = deque(seconds)
        for _ in range(rounds):
            for mode in modes:
                with collector(mode) as (environment, receiver):
                    seconds[mode].append(build(launcher, Path(folder), environment))
                    if mode == TAKES and receiver:
                        arrived = len(receiver.spans)
            modes.rotate()  # each is once the first, once the last
    off = statistics.median(seconds[OFF])
    yield Figure("dbt build of the sample, nothing set", f"{off:.1f} s")
    yield Figure("spans that arrived while it ran", f"{arrived:,}")
    for mode in (TAKES, AWAY, HANGS):
        yield at_most(f"the same with {mode} / nothing set", _ratio(seconds[mode], off), RATIO)


@contextmanager
def collector(mode: str) -> Iterator[tuple[dict[str, str], Receiver | None]]:
    """The variables that lead to it."""
    if mode == OFF:
        yield {}, None
    elif mode == AWAY:
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}, None
    else:
        with Receiver() as receiver:
            if mode == HANGS:
                receiver.hang()
            yield {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}, receiver
            receiver.go_on()


def build(launcher: Path, folder: Path, environment: dict[str, str]) -> float:
    """Seconds of one build."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    began = time.perf_counter()
    subprocess.run(
        [launcher, "build", "--target", "sample"],
        env={
            **known,
            "MELTANO_PROJECT_ROOT": str(folder),
            "DBT_PROJECT_DIR": str(ROOT / "transform"),
            "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
            **environment,
        },
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def _ratio(taken: list[float], off: float) -> float:
    return statistics.median(taken) / off


if __name__ == "__main__":
    figures.main(measure, __doc__)
