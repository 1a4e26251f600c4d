"""The critical path of a run as a table: what each part of it was, and what share it took."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from orchestrate.tracing.critical_path import SegmentKind, critical_path
from orchestrate.tracing.model import Span

_COLUMNS = ["kind", "span", "unique_id", "after_seconds", "seconds", "share"]


def segments(spans: Sequence[Span]) -> pd.DataFrame:
    """The parts of the path, the longest first; their shares of the run add up to 1."""
    by_id = {span.span_id: span for span in spans}
    path = critical_path(spans)
    whole = sum(found.seconds for found in path)
    rows = [
        (
            found.kind.value,
            by_id[found.span_id].name,
            by_id[found.span_id].attributes.get("dbt.node.unique_id"),
            (found.started_us - path[0].started_us) / 1_000_000,
            found.seconds,
            found.seconds / whole,
        )
        for found in path
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def kinds(path: pd.DataFrame) -> pd.DataFrame:
    """Parts, seconds and share of each kind of part, all of them, in the order of their enum."""
    sums = path.groupby("kind").agg(
        parts=("kind", "size"), seconds=("seconds", "sum"), share=("share", "sum")
    )
    names = [kind.value for kind in SegmentKind]
    return sums.reindex(names, fill_value=0).rename_axis("kind").reset_index()
