"""Where the level of a sequence changed: by ranks, so that one wild value moves nothing.

The likeliest place is where Mann and Whitney's U of what is before and behind it is largest, for
its deviation. Where fewer than one in a hundred shuffled sequences have a larger one anywhere, the
sequence is parted, and both parts are searched again: binary segmentation. Then each place is
sought again between its neighbours, and those that chance would make are dropped.

Pettitt, Appl. Stat. 28 (1979), 126; Scott and Knott, Biometrics 30 (1974), 507. Shuffling takes the
values for independent: where each leans on the one before, changes look surer than they are. A
drift gives a stair of changes: see whether there is a `statistics.trend`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEVEL = 0.01
_SHORTEST = 4
_SHUFFLES, _AT_ONCE, _SEED = 999, 111, 7
_MOST_MOVES = 50

_Array = npt.NDArray[np.float64]


class ChangePoint(NamedTuple):
    """`place` is the first value of the new level; the medians are of the levels on both sides."""

    place: int
    before: float
    after: float
    p: float


def change_points(values: npt.ArrayLike, shortest: int = _SHORTEST) -> list[ChangePoint]:
    """Where the level of a sequence changed for good, oldest first.

    Args:
        values: In their order. What is not known is left out; places count it all the same.
        shortest: No level is shorter than that, in known values.
    """
    all_values = np.asarray(values, dtype=float)
    places = np.flatnonzero(np.isfinite(all_values))
    known = all_values[places]
    # Always shuffled alike, so that the same values have the same change points.
    search = _Search(known, shortest, np.random.default_rng(_SEED))
    cuts = search.settled(sorted(search.cuts(0, known.size)))
    edges = [0, *(place for place, _ in cuts), known.size]
    levels = [float(np.median(known[a:b])) for a, b in itertools.pairwise(edges) if b > a]
    return [
        ChangePoint(int(places[place]), before, after, p)
        for (place, p), before, after in zip(cuts, levels[:-1], levels[1:], strict=True)
    ]


class _Cut(NamedTuple):
    place: int
    p: float


class _Search(NamedTuple):
    """For changes in values; no level is shorter than `shortest`."""

    values: _Array
    shortest: int
    shuffle: np.random.Generator

    def cuts(self, begin: int, end: int) -> Iterator[_Cut]:
        """Where a part of the values is cut, and where both of its parts are."""
        found = self.likeliest(begin, end)
        if found:
            yield found
            yield from self.cuts(begin, found.place)
            yield from self.cuts(found.place, end)

    def settled(self, cuts: list[_Cut]) -> list[_Cut]:
        """The same cuts, each where it is likeliest between its neighbours, if it still is one.

        The first cut through a stair may lie on a step of it: it was made before the others.
        """
        for _ in range(_MOST_MOVES):
            edges = [0, *(cut.place for cut in cuts), self.values.size]
            again = [self.likeliest(a, b) for a, b in zip(edges, edges[2:], strict=False)]
            moved = next(
                (n for n, cut in enumerate(again) if not cut or cut.place != cuts[n].place), None
            )
            if moved is None:
                break
            found = again[moved]
            cuts = [*cuts[:moved], *([found] if found else []), *cuts[moved + 1 :]]
        return cuts

    def likeliest(self, begin: int, end: int) -> _Cut | None:
        """The likeliest place of a change in a part of the values, unless chance makes it."""
        count = end - begin
        if count < 2 * self.shortest:
            return None
        ranks = _ranks(self.values[begin:end])
        sizes = np.arange(self.shortest, count - self.shortest + 1)
        here = _scores(ranks[None, :], sizes)[0]
        larger = 0
        for _ in range(_SHUFFLES // _AT_ONCE):
            shuffled = self.shuffle.permuted(np.tile(ranks, (_AT_ONCE, 1)), axis=1)
            # Rounding must not part what is the same.
            larger += int((_scores(shuffled, sizes).max(axis=1) >= here.max() - 1e-9).sum())
        p = (1 + larger) / (1 + _SHUFFLES)
        return _Cut(begin + int(sizes[np.argmax(here)]), p) if p < LEVEL else None


def _scores(rows: _Array, sizes: npt.NDArray[np.int64]) -> _Array:
    """By row, how much lower or higher the ranks up to each size are than those behind it."""
    count = rows.shape[1]
    sums = np.cumsum(rows, axis=1)[:, sizes - 1]
    found: _Array = np.abs(2 * sums - sizes * (count + 1)) / np.sqrt(sizes * (count - sizes))
    return found


def _ranks(values: _Array) -> _Array:
    """1 for the smallest; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: _Array = (last - counts + 1 + last) / 2
    return mean_ranks[places]
