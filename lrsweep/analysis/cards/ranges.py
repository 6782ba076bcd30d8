"""The range of good rates of a setting, and how much wider one is than another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.cards.compare import Difference
from lrsweep.analysis.cards.standings import Board, Standing
from lrsweep.analysis.ranking import t_quantile
from lrsweep.vocabulary import Array

WITHIN = 1.1
"""A rate is good while its loss, or the error 1 - score, is no more than this times that of its setting's best rate."""


@dataclass(frozen=True)
class Range:
    """The good rates of a setting; `open` says on which sides the grid ends before they do."""

    low: float
    high: float
    open: tuple[bool, bool]

    @property
    def decades(self) -> float:
        """How wide it is; at least that, where it is open."""
        return math.log10(self.high / self.low)


def good_range(board: Board, standing: Standing) -> Range | None:
    """The unbroken range of good rates round the best one, None where no rate has all of its seeds."""
    return range_of(standing.profile.rates, board.errors(standing.means), standing.steady, standing.profile.stopped)


def range_of(rates: Array, error: Array, steady: Array, stopped: Array) -> Range | None:
    """The rates round the best where the error is within WITHIN of its; (K,) each.

    Between two tried rates, the root of the error's logarithm above the best is taken to go straight, which is so for a
    parabola with its minimum at the best rate. Next to a rate that is not steady the range ends at the last that is;
    next to one that was stopped it is open.
    """
    usable = steady & np.isfinite(error)
    if not usable.any():
        return None
    y = np.log(np.where(usable, error, np.inf))
    best = int(y.argmin())
    x, height, limit = np.log10(rates), np.sqrt(y - y[best]), math.sqrt(math.log(WITHIN))

    def end(step: int) -> tuple[float, bool]:
        at = best
        while 0 <= at + step < len(x):
            after = at + step
            if stopped[after]:
                break
            if not height[after] <= limit:
                reach = (limit - height[at]) / (height[after] - height[at])  # 0 where the next is infinitely bad
                return float(10 ** (x[at] + reach * (x[after] - x[at]))), False
            at = after
        return float(rates[at]), True

    (low, at_low), (high, at_high) = end(-1), end(1)
    return Range(low, high, (at_low, at_high))


def wider_by(board: Board, ours: Standing, theirs: Standing) -> Difference | None:
    """How many decades wider one setting's range is than another's: jackknife over the seeds.

    None where the seeds differ, are fewer than three, or leave no range. Source: Efron & Stein 1981.
    """
    one, other = ours.profile, theirs.profile
    n = len(one.seeds)
    if n < 3 or n != len(other.seeds) or (one.seeds != other.seeds).any():
        return None

    def gap(seeds: Array) -> float:
        found = [
            range_of(
                at.profile.rates,
                board.errors(at.profile.values[:, seeds].mean(axis=1)),
                at.steady,
                at.profile.stopped,
            )
            for at in (ours, theirs)
        ]
        widths = [own.decades if own else math.nan for own in found]
        return widths[0] - widths[1]

    every = np.arange(n)
    whole, partial = gap(every), np.array([gap(every[every != seed]) for seed in every])
    if not np.isfinite([whole, *partial]).all():
        return None
    error = math.sqrt((n - 1) / n * float(((partial - partial.mean()) ** 2).sum()))
    half = t_quantile(n - 1) * error
    return Difference(whole, error, (whole - half, whole + half), n)
