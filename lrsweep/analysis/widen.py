"""The rates beyond an edge: which to add, and the grid that has them, as a sweep file takes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrsweep.vocabulary import written

LEAST_STEP = 0.25
"""Decades: rates beyond an edge are proposed in the grid's own steps, but in none below this, and none above one."""


def beyond(grid: Sequence[float]) -> list[float]:
    """The rates that continue a grid by its own last step for about a decade; a grid of one downwards by 10.

    >>> beyond([0.01, 0.0316228, 0.1]), beyond([4.0, 2.0, 1.0]), beyond([0.003, 1.0])
    ([0.316228, 1.0], [0.5, 0.25, 0.125], [10.0])
    """
    # Rates are rounded, so the more steps it is measured over the better.
    start, n = (grid[0], len(grid) - 1) if _even(grid) else (grid[-2:][0], 1)
    decades = math.log10(grid[-1] / start) / n if len(grid) > 1 else -1.0
    step = math.copysign(min(max(abs(decades), LEAST_STEP), 1.0), decades)
    return [_tidy(grid[-1] * 10 ** (step * i)) for i in range(1, round(1 / abs(step)) + 1)]


def widened(rates: Sequence[float], low: bool, high: bool) -> str:
    """All rates and those beyond the lowest, the highest or both, in the sweep file's words.

    Every rate is in it to the last digit, so that a sweep over it trains only the new ones.

    >>> widened([0.1, 0.0316228, 0.01], low=False, high=True), widened([0.01, 0.1, 0.5], low=False, high=True)
    ('{log: [0.01, 1], num: 5}', '[0.01, 0.1, 0.5, 2.5]')
    """
    tried = sorted(rates)
    grid = [*(reversed(beyond(tried[::-1])) if low else ()), *tried, *(beyond(tried) if high else ())]
    if _even(grid):
        return f"{{log: [{written(grid[0])}, {written(grid[-1])}], num: {len(grid)}}}"
    return f"[{', '.join(map(written, grid))}]"


def _even(grid: Sequence[float]) -> bool:
    """Whether the grid is one that is even in the logarithm."""
    return len(grid) > 2 and [*map(_tidy, np.geomspace(grid[0], grid[-1], len(grid)).tolist())] == [*grid]


def _tidy(rate: float) -> float:
    """To six significant digits, as the grids of a sweep file."""
    return float(f"{rate:.6g}")
