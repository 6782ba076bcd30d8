"""The rates beyond an edge: which to add, and the grid that has them, as a sweep file takes it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from lrsweep.vocabulary import written

LEAST_STEP = 0.25
"""Decades: rates beyond an edge are proposed in the grid's own steps, but in none below this, and none above one."""

Side = Literal[-1, 1]
"""Below the rates tried, or above."""

BELOW: Side = -1
ABOVE: Side = 1

ALONE = 0.5
"""Decades from a rate that the file names alone to the next that extending adds."""

SAME = 1e-5
"""Decades that rates of six digits may differ by."""

ROUNDED = 3e-6
"""Decades that the step between two rates of six digits may be off."""


def beyond(grid: Sequence[float]) -> list[float]:
    """The rates that continue a grid by its own last step for about a decade; a grid of one downwards by 10.

    >>> beyond([0.01, 0.0316228, 0.1]), beyond([4.0, 2.0, 1.0]), beyond([0.003, 1.0])
    ([0.316228, 1.0], [0.5, 0.25, 0.125], [10.0])
    """
    return [*itertools.islice(onwards(grid), round(1 / abs(_step(grid, -1.0))))]


def onwards(grid: Sequence[float], alone: float = -1.0) -> Iterator[float]:
    """The rates that continue a grid by its own last step, as far as float32 reaches; a grid of one by a step `alone`.

    >>> [*itertools.islice(onwards([0.01, 0.0316228, 0.1]), 3)], [*itertools.islice(onwards([0.01], 0.5), 2)]
    ([0.316228, 1.0, 3.16228], [0.0316228, 0.1])
    """
    step, held = _step(grid, alone), np.finfo(np.float32)
    least, most = float(held.tiny), float(held.max)
    exponents = (math.log10(grid[-1]) + step * i for i in itertools.count(1))
    rates = (tidy(10**exponent) if exponent < 308 else math.inf for exponent in exponents)
    return itertools.takewhile(lambda rate: least <= rate <= most, rates)


def allowed(grid: Sequence[float], side: Side, most: float) -> Iterator[float]:
    """The rates that extending may add on a side of an ascending grid: its own steps, up to so many decades beyond it.

    >>> [*allowed([0.01, 0.1], 1, 2.0)], [*allowed([0.1], -1, 1.2)]
    ([1.0, 10.0], [0.0316228, 0.01])
    """
    end = grid[-1 if side > 0 else 0]
    own = onwards(grid[::side], side * ALONE)
    return itertools.takewhile(lambda rate: abs(_decades(end, rate)) <= most + SAME, own)


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


def _step(grid: Sequence[float], alone: float) -> float:
    """Decades from one rate beyond a grid to the next."""
    if len(grid) == 1:
        return alone
    # Rates are rounded, so the more steps it is measured over the better.
    start, n = (grid[0], len(grid) - 1) if _even(grid) else (grid[-2], 1)
    decades = _decades(start, grid[-1]) / n
    size = min(max(abs(decades), LEAST_STEP), 1.0)
    per_decade = round(1 / size)  # so many, where the rates are rounded: an error of a step would add up
    return math.copysign(1 / per_decade if abs(size - 1 / per_decade) < ROUNDED else size, decades)


def _decades(start: float, end: float) -> float:
    """Decades from one rate to another, though they be so far apart that no number tells how many times it is."""
    times = end / start
    return math.log10(times) if 0 < times < math.inf else math.log10(end) - math.log10(start)


def _even(grid: Sequence[float]) -> bool:
    """Whether the grid is one that is even in the logarithm."""
    return len(grid) > 2 and [*map(tidy, np.geomspace(grid[0], grid[-1], len(grid)).tolist())] == [*grid]


def tidy(rate: float) -> float:
    """To six significant digits, as the grids of a sweep file."""
    return float(f"{rate:.6g}")
