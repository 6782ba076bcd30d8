"""Comparisons over paired seeds: how much better one rate or setting is than another, and whether that can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.cards.standings import Board, Standing
from lrsweep.analysis.ranking import LEVEL, t_probability, t_quantile
from lrsweep.vocabulary import Array


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences of what is compared (of losses the logarithm) over `n` common seeds.

    `error` is the standard error of the mean, `interval` that of the mean at LEVEL, both None with one seed.
    """

    mean: float
    error: float | None
    interval: tuple[float, float] | None
    n: int

    @property
    def p(self) -> float:
        """Of the two-sided paired t test; 1 with one seed."""
        if not self.error:
            return 1.0 if self.error is None or self.mean == 0 else 0.0
        return 1 - t_probability(abs(self.mean) / self.error, self.n - 1)

    def better(self, lower: bool) -> bool:
        """Whether it is in the good direction."""
        return self.mean < 0 if lower else self.mean > 0


def difference(ours: Array, theirs: Array, resolution: float = 0.0) -> Difference | None:
    """Of two rows of comparable values, seed by seed: (S,), (S,); None where no seed finished in both.

    Values that come in steps of `resolution` are rounded, which alone gives their differences a standard deviation of
    resolution/√6: the spread is taken to be no less, since two seeds often differ by the same number of rows.

    >>> round(difference(np.array([0.2, 0.4, 0.6]), np.array([0.1, 0.2, 0.3])).mean, 3)
    0.2
    """
    apart = ours - theirs
    apart = apart[~np.isnan(apart)]
    n = len(apart)
    if n == 0:
        return None
    mean = float(apart.sum()) / n
    if n == 1:
        return Difference(mean, None, None, n)
    variance = max(float(((apart - mean) ** 2).sum()) / (n - 1), resolution**2 / 6)
    error = math.sqrt(variance / n)
    half = t_quantile(n - 1) * error
    return Difference(mean, error, (mean - half, mean + half), n)


def at_best(board: Board, ours: Standing, theirs: Standing) -> Difference | None:
    """Two settings, each at its own best rate, over common seeds; None where a seed is lost there, which is worst."""
    if ours.best is None or theirs.best is None or not (ours.whole and theirs.whole):
        return None
    one, other = ours.profile, theirs.profile
    here, there = one.comparable[ours.best], other.comparable[theirs.best]
    if len(one.seeds) != len(other.seeds) or (one.seeds != other.seeds).any():
        _, mine, yours = np.intersect1d(one.seeds, other.seeds, assume_unique=True, return_indices=True)
        here, there = here[mine], there[yours]
    return difference(here, there, board.resolution)


@dataclass(frozen=True)
class Price:
    """What a rate found elsewhere costs a setting: its `difference` to the setting's own best rate.

    `rate` is the one that was tried, the `nearest` to the wanted where that was not, or was dropped before its end; it
    may be the `same` as the best.
    Of the `n` seeds that finish with the best rate, `n_lost` do not with this one.
    """

    rate: float
    nearest: bool
    same: bool
    n: int
    n_lost: int
    difference: Difference | None


def price(board: Board, wanted: float, at: Standing) -> Price | None:
    """The price of a rate in a setting, None where no run of the setting finished."""
    if at.best is None:
        return None
    rates, comparable = at.profile.rates, at.profile.comparable
    index = int(np.where(at.profile.stopped, np.inf, np.abs(np.log(rates / wanted))).argmin())
    there = ~np.isnan(comparable[at.best])
    return Price(
        rate=float(rates[index]),
        same=index == at.best,
        nearest=not math.isclose(rates[index], wanted, rel_tol=1e-6),
        n=int(there.sum()),
        n_lost=int((np.isnan(comparable[index]) & there).sum()),
        difference=difference(comparable[index], comparable[at.best], 0.0 if index == at.best else board.resolution),
    )


def holm(p: Sequence[float], of: int = 0) -> list[float]:
    """p values that hold for all comparisons together. Source: Holm 1979.

    `of` is the number of comparisons where only the ones that are asked for are given.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])], [round(one, 3) for one in holm([0.01], of=3)]
    ([0.03, 0.06, 0.06], [0.03])
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, least = [1.0] * len(p), 0.0
    for i, index in enumerate(order):
        least = max(least, min(1.0, (max(of, len(p)) - i) * p[index]))
        adjusted[index] = least
    return adjusted


def significant(p: float) -> bool:
    """Whether a difference with this p value can be told from none."""
    return p < 1 - LEVEL
