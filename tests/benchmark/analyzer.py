"""How long the analyzer takes to load a ledger, and each page to say what it says."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from streamlit.testing.v1 import AppTest

from orchestrate.analyzer import loading, sitemap
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.sitemap import PAGES
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.ledger_files import NODES
from tests.benchmark.metrics import hourly
from tests.project import ROOT

Found = TypeVar("Found")


def measure(quick: bool) -> Iterator[Figure]:
    """A ledger of hourly runs: a month of it, all of it, each page; then the app when warm."""
    runs = 1_000 if quick else 10_000
    with tempfile.TemporaryDirectory() as name:
        output = Path(name, "output")
        now_us = hourly(output, runs) * 1_000_000
        ledger = f"ledger of {runs:,} runs of {len(NODES)} nodes"

        def load(days: int) -> History:
            return loading.load(output / "ledger.db", days=days, now_us=now_us)

        load(1)  # what is imported and cached by the first is not asked of the second
        month, took_s = _timed(lambda: load(30))
        yield at_most(f"{ledger}: 30 days loaded", took_s, 2, "{:.2f} s")
        for page in PAGES:
            if page == "configuration":
                continue
            _, took_s = _timed(lambda page=page: sitemap.report(page, month, Choice()))  # type: ignore[misc]
            yield at_most(f"page {page} of these {len(month.nodes):,} nodes", took_s, 1, "{:.2f} s")
        everything, took_s = _timed(lambda: load(0))
        nodes = len(everything.nodes)
        yield Figure(f"{ledger}: all {nodes:,} nodes loaded, once", f"{took_s:.1f} s")
        del everything
        os.environ["ANALYZER_OUTPUT_PATH"] = str(output)
        app = AppTest.from_file(str(ROOT / "orchestrate/analyzer/app/layouts/extraction.py"))
        app.default_timeout = 300
        app.query_params["days"] = "0"
        _, took_s = _timed(app.run)
        yield Figure("page extraction of all runs in the app, first", f"{took_s:.1f} s")
        _, took_s = _timed(app.run)
        yield at_most("the same, warm", took_s, 2, "{:.2f} s")


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


if __name__ == "__main__":
    figures.main(measure, __doc__)
