"""Estimates that say how sure they are: quantiles, rates, trends; of numpy alone.

SciPy (113 MB) has the trend too, and no more than that is needed of it; `change_points` are in a
library built on it, which does not tell whether chance made them. Trends go by ranks and medians:
a day that was ten times as slow counts as no more than a slow day. The tests take the values for
independent: those that lean on the ones before look surer than they are.
"""

from __future__ import annotations

import enum
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.ArrayLike
_Array = npt.NDArray[np.float64]

# The standard normal's quantile of 0.975: intervals hold the true value 19 times in 20.
Z95 = 1.959963984540054
TREND_LEVEL = 0.05
# Fewer points than that, and the normal approximation of Mann and Kendall's test does not hold.
# Gilbert, Statistical Methods for Environmental Pollution Monitoring (1987), section 16.4
FEWEST_POINTS = 10
# All pairs are compared: beyond so many points, neighbours are brought together first.
_MOST_POINTS = 1_000


class Rate(NamedTuple):
    """A share (0..1) of `whole`, and the interval that it lies in with 95 % confidence."""

    part: int
    whole: int
    share: float
    low: float
    high: float


class Direction(str, enum.Enum):
    """Where values go over time."""

    RISING = "rising"
    FALLING = "falling"
    UNCLEAR = "no clear trend"


class Trend(NamedTuple):
    """A slope per unit of time with its 95 % interval; `p` is how often chance alone does this."""

    points: int
    slope: float
    low: float
    high: float
    p: float

    @property
    def direction(self) -> Direction:
        """Rising or falling only where chance does it less than one time in twenty."""
        if self.p >= TREND_LEVEL or self.slope == 0:
            return Direction.UNCLEAR
        return Direction.RISING if self.slope > 0 else Direction.FALLING


def quantile(values: Values, share: float) -> float | None:
    """The value below which a share (0..1) of the known values lies, between two linearly.

    None where no value is known. https://numpy.org/doc/stable/reference/generated/numpy.quantile
    """
    known = _known(values)
    return float(np.quantile(known, share)) if known.size else None


def rate(part: int, whole: int) -> Rate | None:
    """A share with Wilson's interval, which holds for few cases and for none or all of them too.

    Wilson, J. Am. Stat. Assoc. 22 (1927), 209. None of none is unknown.
    """
    if whole <= 0:
        return None
    share, spread = part / whole, Z95**2 / whole
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    low = 0.0 if part == 0 else centre - half
    high = 1.0 if part == whole else centre + half
    return Rate(part, whole, share, low, high)


def trend(times: Values, values: Values) -> Trend | None:
    """Theil and Sen's slope of values over times, and Mann and Kendall's test of it.

    The slope is the median of those between all pairs. Sen, J. Am. Stat. Assoc. 63 (1968), 1379;
    Mann, Econometrica 13 (1945), 245.

    Args:
        times: Instants in any unit, such as days; none twice, any order.
        values: One for each; what is not known is left out.

    Returns:
        None with fewer than FEWEST_POINTS known values.
    """
    x, y = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[known], kind="stable")
    x, y = x[known][order], y[known][order]
    if x.size < FEWEST_POINTS:
        return None
    if x.size > _MOST_POINTS:
        x, y = (_together(column) for column in (x, y))
    count = x.size
    earlier, later = np.triu_indices(count, k=1)
    rises = y[later] - y[earlier]
    slopes = np.sort(rises / (x[later] - x[earlier]))
    score = float(np.sign(rises).sum())
    _, ties = np.unique(y, return_counts=True)
    variance = (_disorder(np.array([count])) - _disorder(ties)) / 18
    deviation = math.sqrt(variance)
    # A step towards 0, since scores are whole numbers.
    z = 0.0 if deviation == 0 else max(abs(score) - 1, 0) / deviation
    low = max(round((slopes.size - Z95 * deviation) / 2) - 1, 0)
    high = min(round((slopes.size + Z95 * deviation) / 2), slopes.size - 1)
    return Trend(
        points=count,
        slope=float(np.median(slopes)),
        low=float(slopes[low]),
        high=float(slopes[high]),
        p=math.erfc(z / math.sqrt(2)),
    )


def _disorder(sizes: npt.NDArray[np.int64]) -> float:
    """Kendall's n (n - 1) (2 n + 5) of groups that may be in any order."""
    return float((sizes * (sizes - 1) * (2 * sizes + 5)).sum())


def _together(values: _Array) -> _Array:
    parts = np.array_split(values, _MOST_POINTS)
    return np.array([np.median(part) for part in parts])


def _known(values: Values) -> _Array:
    found: _Array = np.asarray(values, dtype=float)
    known: Any = found[np.isfinite(found)]
    return known  # type: ignore[no-any-return]
