"""The wall clock, divided among what runs at the same time.

Two threads that work for one second cost one second of the machine, not two: each instant is
divided, so that all shares of a group add up to the time in which any of it ran.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def divide(spans: pd.DataFrame) -> pd.Series:
    """Seconds of the wall clock that fall to each span.

    At each instant the clock of a group belongs to its running spans of the lowest rank, to each
    of them an equal part: what is inside of another (a node in a call of dbt in a run) takes what
    it lasts, and leaves the rest to that.

    Args:
        spans: One row each: `group`, `start_us` and `end_us` as whole microseconds with the end
            not before the start, and `rank`, all as whole numbers.

    Returns:
        With the index of the spans. A span without length has none.
    """
    count = len(spans)
    begin, end = spans["start_us"].to_numpy("int64"), spans["end_us"].to_numpy("int64")
    instants = np.concatenate([begin, end])
    groups = np.tile(spans["group"].to_numpy("int64"), 2)
    ranks = np.tile(spans["rank"].to_numpy("int64"), 2)
    changes = np.repeat(np.array([1, -1]), count)
    # A stable order: of one span the beginning stays before the end.
    order = np.lexsort((instants, groups))
    place = np.empty(2 * count, dtype="int64")
    place[order] = np.arange(2 * count)
    instants, groups = instants[order], groups[order]
    changes, sorted_ranks = changes[order], ranks[order]
    lasting = np.zeros(2 * count)
    if count:
        lasting[:-1] = np.where(groups[1:] == groups[:-1], np.diff(instants), 0) / 1e6
    seconds = np.zeros(count)
    taken = np.zeros(2 * count, dtype="bool")
    for rank in np.unique(ranks):
        running = np.cumsum(np.where(sorted_ranks == rank, changes, 0))
        each = np.where((running > 0) & ~taken, lasting / np.maximum(running, 1), 0.0)
        # What a span of this rank would have got from the first instant on to each other.
        got = np.concatenate([[0.0], np.cumsum(each)])
        mine = np.flatnonzero(ranks[:count] == rank)
        seconds[mine] = got[place[count + mine]] - got[place[mine]]
        taken |= running > 0
    return pd.Series(seconds, index=spans.index)
