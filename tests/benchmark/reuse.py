"""The launcher's build with and without reuse: nothing new, then one new hour of events."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests import plugins
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.transform import load
from tests.project import ROOT

SPANS, EVENTS, DAYS = 2_000_000, 200_000, 30
HOURS_OF_A_DAY = 24
# The sample of product events would go on to the instant of the build: there is always news.
SETTLED = '{"sample_events_until": "2026-11-01 00:00:00"}'
NOTHING_NEW_SHARE_OF_PLAIN = 0.7
_REUSED = re.compile(r"Reuse: (\d+) of (\d+) nodes to build")


def build(launcher: Path, root: Path, mode: str) -> tuple[float, str]:
    """Seconds of one build, and which nodes were built, as far as it is told."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("DBT_")},
        "MELTANO_PROJECT_ROOT": str(root),
        "DBT_PROJECT_DIR": str(ROOT / "transform"),
        "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
    }
    started = time.perf_counter()
    done = subprocess.run(
        [launcher, "build", "--reuse", mode, "--vars", SETTLED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    told = _REUSED.findall(done.stdout)
    return seconds, f", {told[-1][0]} of {told[-1][1]} nodes built" if told else ""


def measure(quick: bool) -> Iterator[Figure]:
    """Seconds of builds that leave out more and more."""
    spans, events = (SPANS // 20, EVENTS // 20) if quick else (SPANS, EVENTS)
    a_day = spans // DAYS, events // DAYS
    with tempfile.TemporaryDirectory() as folder:
        launcher = plugins.install("transformer", Path(folder)) / "dbt-launcher"
        warehouse = Path(folder) / "output/demo/warehouse.duckdb"
        warehouse.parent.mkdir(parents=True)
        load(warehouse, range(DAYS), *a_day)
        full, _ = build(launcher, Path(folder), "off")
        plain, _ = build(launcher, Path(folder), "off")
        noting, _ = build(launcher, Path(folder), "on")
        nothing, nodes = build(launcher, Path(folder), "on")
        yield Figure(f"first build, {spans / 1e6:g} M spans, {events / 1e6:g} M events", _s(full))
        yield Figure("plain build, nothing new", _s(plain))
        yield Figure("reuse, nothing noted yet", _s(noting))
        yield Figure(f"reuse, nothing new{nodes}", _s(nothing))
        an_hour = [rows // HOURS_OF_A_DAY for rows in a_day]
        load(warehouse, range(DAYS, DAYS + 1), *an_hour)
        news, nodes = build(launcher, Path(folder), "on")
        yield Figure(f"reuse, one new hour{nodes}", _s(news))
        load(warehouse, range(DAYS + 1, DAYS + 2), *an_hour)
        plain_news, _ = build(launcher, Path(folder), "off")
        yield Figure("plain build, one new hour", _s(plain_news))
    yield at_most("nothing new, reuse / plain", nothing / plain, NOTHING_NEW_SHARE_OF_PLAIN)


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s"


if __name__ == "__main__":
    figures.main(measure, __doc__)
