"""What the page `trace` says of a run in sentences, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from orchestrate.analyzer.formats import duration, share
from orchestrate.analyzer.report import Insight, Tone
from orchestrate.ledger.model import Record, Result
from orchestrate.tracing.critical_path import SegmentKind

_SLOW = 1.5  # times as long as usual
_MUCH = 0.1  # of the run
_NAMED = 3


def insights(record: Record, path: pd.DataFrame) -> list[Insight]:
    """How it ended, how long it took and why, what was missing."""
    return [*_end(record), *_duration(record), *_path(path), *_missing(record)]


def _end(record: Record) -> Iterator[Insight]:
    run = record.run
    if run.result is None:
        yield Insight(
            Tone.NOTE,
            f"The run is under way, or nobody has looked since: it was last heard of after "
            f"{duration((run.heard_us - run.started_us) / 1e6)}.",
        )
    elif run.result is not Result.SUCCESS:
        cause = record.cause or run.error or "nothing tells why"
        yield Insight(Tone.BAD, f"The run ended with {run.result.value}: {' '.join(cause.split())}")


def _duration(record: Record) -> Iterator[Insight]:
    run = record.run
    if run.ended_us is None or not record.usual_s:
        return
    took = (run.ended_us - run.started_us) / 1e6
    times = took / record.usual_s
    is_slow = times >= _SLOW
    yield Insight(
        Tone.WARNING if is_slow else Tone.NOTE,
        f"It took {duration(took)}, {times:.2f} times as long as good runs of the job usually do "
        f"({duration(record.usual_s)}).",
    )


def _path(path: pd.DataFrame) -> Iterator[Insight]:
    if path.empty:
        return
    work = path[path["kind"] == SegmentKind.WORK.value]
    if len(work):
        longest = ", ".join(
            f"{row.span} {duration(row.seconds)} ({share(row.share)})"
            for row in work.head(_NAMED).itertuples()
        )
        yield Insight(
            Tone.NOTE,
            f"What decided its end was work for {share(work['share'].sum())} of its time; "
            f"longest: {longest}.",
        )
    for kind, text in (
        (SegmentKind.WAIT_FOR_THREAD, "the end waited for a free thread: more threads may help"),
        (SegmentKind.OVERHEAD, "was overhead: starting programs, reading the project, writing"),
    ):
        part = path[path["kind"] == kind.value]
        if part["share"].sum() >= _MUCH:
            yield Insight(
                Tone.NOTE,
                f"{duration(part['seconds'].sum())} ({share(part['share'].sum())}) {text}.",
            )


def _missing(record: Record) -> Iterator[Insight]:
    if record.skipped:
        first = record.skipped[0]
        yield Insight(
            Tone.WARNING,
            f"Sentry would not give {_counted(len(record.skipped), 'part')}, one of them "
            f"{first.stream} {first.part}".rstrip()
            + f": {first.reason}.",
        )
    empty = [
        f"{stream.stream} ({record.rows_before[stream.stream]:,} before)"
        for stream in record.streams
        if not stream.rows and record.rows_before.get(stream.stream)
    ]
    if empty:
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        yield Insight(
            Tone.NOTE,
            f"{_counted(len(empty), 'stream')} gave no rows, and did in the good run before: "
            f"{', '.join(empty[:_NAMED])}{more}.",
        )


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
