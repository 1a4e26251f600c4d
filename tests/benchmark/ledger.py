"""How fast the run ledger reads what runs leave and answers people, and how large it grows."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from logging import makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from orchestrate.ledger.collect import collect
from orchestrate.ledger.model import NodeRun, PipelineRun, Row, SourceFile
from orchestrate.ledger.store import Ledger
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.benchmark.ledger_files import NODES, Left, multiply, of
from tests.benchmark.process import Run, timed_python

MB = 1_000_000
MINUTE_US = 60_000_000
BACKUPS, MELTANO_MB, DBT_MB, ARCHIVED = 5, 20, 10, 200  # logging.yaml, dbt's launcher
# What the system tells of an ended process counts the one that began it too.
AND_PEAK = """
from orchestrate.observe.__main__ import main
main()
print(open("/proc/self/status").read())
"""


def measure(quick: bool) -> Iterator[Figure]:
    """Reading much at once; then reading a little, and asking, beside many runs."""
    few, many = (100, 1_000) if quick else (1_000, 10_000)
    with tempfile.TemporaryDirectory() as name:
        left = Left(Path(name, "templates"))
        yield from _small_runs(Path(name, "small"), left, many)
        yield from _full_disk(Path(name, "full"), left, 0.1 if quick else 1)
        for runs, asking_s in ((few, 1), (many, 2)):
            yield from _beside(Path(name, str(runs)), left, runs, asking_s)


def _small_runs(output: Path, left: Left, runs: int) -> Iterator[Figure]:
    log = output / "logs/meltano.jsonl"
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.writelines(of(left.small, at) for at in range(runs))
    with Ledger(output / "ledger.db") as ledger:
        took_s = _collect_s(ledger, output)
        _expect(ledger, PipelineRun, runs)
    lines = left.small.count(b"\n")
    yield at_most(f"{runs:,} runs of {lines} lines, read", took_s, runs / 1_000, "{:.1f} s")
    yield Figure("the same by the second", f"{runs / took_s:,.0f} runs")


def _full_disk(output: Path, left: Left, share: float) -> Iterator[Figure]:
    archived = round(ARCHIVED * share)
    dbt = output / "demo/dbt"
    for path, text, most_mb in (
        (output / "logs/meltano.jsonl", left.meltano, MELTANO_MB * share),
        (dbt / "logs/dbt.log", left.events, DBT_MB * share),
    ):
        count = round((BACKUPS + 1) * most_mb * MB / len(text))
        # The newest of each are of the same runs.
        numbers = range(10_000 - count, 10_000)
        _rotate(path, (of(text, at) for at in numbers), round(most_mb * MB))
    for at in range(10_000 - archived, 10_000):
        left.archive(output, at)
    run = timed_python(["-c", AND_PEAK, "--output", str(output), "runs"], output / "runs.txt")
    peak_kb = int((output / "runs.txt").read_text().rpartition("VmHWM:")[2].split()[0])
    with Ledger(output / "ledger.db") as ledger:
        _expect(ledger, NodeRun, archived * len(NODES))
    size = sum(path.stat().st_size for path in (*output.glob("logs/*"), *dbt.rglob("*.*")))
    told = f"all that is kept, {size / MB:.0f} MB, {archived} invocations of dbt"
    yield at_most(f"{told}, read", run.wall_s, 20 * share, "{:.1f} s")
    yield at_most(f"{told}, peak", peak_kb / 1024, 500, "{:.0f} MB")


def _beside(output: Path, left: Left, runs: int, asking_s: float) -> Iterator[Figure]:
    name = f"beside {runs:,} runs"
    with Ledger(output / "ledger.db") as ledger:
        left.leave(output, 0)
        collect(ledger, output)
        multiply(ledger, runs, MINUTE_US)
        with ledger.writing():
            # Folders that are gone are remembered until the ledger is pruned.
            ledger.save(
                SourceFile(fingerprint=f"{at:064x}", path="output/demo/dbt/runs/gone", offset=1)
                for at in range(runs - ARCHIVED)
            )
        for at in range(max(runs - ARCHIVED, 1), runs):
            left.archive(output, at)
        collect(ledger, output)
        ((pages, page_size),) = ledger.select(
            "select page_count, page_size from pragma_page_count, pragma_page_size"
        )
        new_s, nothing_s = [], []
        for at in range(runs, runs + 5):
            left.leave(output, at)
            new_s.append(_collect_s(ledger, output))
            nothing_s.append(_collect_s(ledger, output))
        _expect(ledger, NodeRun, (runs + 5) * len(NODES))
    yield at_most(f"{name}: one more, read", _ms(new_s), 250, "{:.0f} ms")
    yield at_most(f"{name}: nothing to read", _ms(nothing_s), 30, "{:.1f} ms")
    for command in ("runs", "show"):
        wall_s = statistics.median(_observe(output, command).wall_s for _ in range(3))
        yield at_most(f"{name}: `observe {command}`", wall_s, asking_s, "{:.2f} s")
    yield Figure(f"{name}: ledger on the disk", f"{pages * page_size / runs / 1000:.0f} KB a run")


def _rotate(path: Path, texts: Iterable[bytes], most: int) -> None:
    """Write lines as Meltano and dbt do, into files of so many bytes."""
    path.parent.mkdir(parents=True)
    log = RotatingFileHandler(path, maxBytes=most, backupCount=BACKUPS)
    for text in texts:
        for line in text.decode().splitlines():
            log.emit(makeLogRecord({"msg": line}))
    log.close()


def _collect_s(ledger: Ledger, output: Path) -> float:
    began = time.perf_counter()
    collect(ledger, output)
    return time.perf_counter() - began


def _observe(output: Path, command: str) -> Run:
    """The program as a person calls it: it reads what is new first."""
    arguments = ["-m", "orchestrate.observe", "--output", str(output), command]
    return timed_python(arguments, output / f"{command}.txt")


def _expect(ledger: Ledger, table: type[Row], rows: int) -> None:
    found = ledger.select(f"select count(*) from {table.TABLE}")[0][0]  # noqa: S608
    if found != rows:
        raise RuntimeError(f"{table.TABLE} has {found} rows, not {rows}")


def _ms(times_s: list[float]) -> float:
    return statistics.median(times_s) * 1000


if __name__ == "__main__":
    figures.main(measure, __doc__)
