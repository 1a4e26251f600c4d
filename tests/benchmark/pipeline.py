"""The README's command in a new folder: first, again, and the peak memory of its processes."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests import project
from tests.benchmark import figures
from tests.benchmark.figures import Figure

RUN = ("run", "tap-sentry", "target-duckdb", "dbt")


def measure(quick: bool) -> Iterator[Figure]:
    """Seconds of a first run, which installs the plugins, and of later ones."""
    runs = ["first, plugins installed on the way", "again, warm", "again, warm"]
    with tempfile.TemporaryDirectory() as folder:
        copied = project.copy(Path(folder))
        for name in runs[: 2 if quick else 3]:
            started = time.perf_counter()
            finished = copied.meltano(*RUN)
            seconds = time.perf_counter() - started
            if finished.returncode:
                sys.exit(finished.stdout)
            yield Figure(f"meltano run, {name}", f"{seconds:.1f} s")
    # The system tells the peak of all children so far: nothing may be measured before.
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield Figure("peak memory of its largest process", f"{peak_mb:,.0f} MB")


if __name__ == "__main__":
    figures.main(measure, __doc__)
