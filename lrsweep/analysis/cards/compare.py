"""Comparisons over paired seeds: how much better one rate or setting is than another, and whether that can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.cards.findings import Standing
from lrsweep.analysis.ranking import LEVEL, SMALLEST, t_probability, t_quantile
from lrsweep.vocabulary import Array

WITHIN = 1.1
"""A rate is good while its loss, or the error 1 - score, is no more than this times that of its setting's best rate."""


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

    @property
    def sure(self) -> bool:
        """Whether it can be told from none, taken alone."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    def better(self, lower: bool) -> bool:
        """Whether it is in the good direction."""
        return self.mean < 0 if lower else self.mean > 0


def difference(ours: Array, theirs: Array) -> Difference | None:
    """Of two rows of comparable values, seed by seed: (S,), (S,); None where no seed finished in both.

    >>> round(difference(np.array([0.2, 0.4, 0.6]), np.array([0.1, 0.2, 0.3])).mean, 3)
    0.2
    """
    told = ours - theirs
    told = told[~np.isnan(told)]
    n = len(told)
    if n == 0:
        return None
    mean = float(told.sum()) / n
    if n == 1:
        return Difference(mean, None, None, n)
    error = math.sqrt(float(((told - mean) ** 2).sum()) / (n - 1) / n)
    half = t_quantile(n - 1) * error
    return Difference(mean, error, (mean - half, mean + half), n)


def at_best(ours: Standing, theirs: Standing) -> Difference | None:
    """Two settings, each at its own best rate, over common seeds; None where a seed is lost there, which is worst."""
    if ours.best is None or theirs.best is None or not np.isfinite([ours.objective, theirs.objective]).all():
        return None
    one, other = ours.profile, theirs.profile
    if len(one.seeds) == len(other.seeds) and (one.seeds == other.seeds).all():
        return difference(one.comparable[ours.best], other.comparable[theirs.best])
    _, here, there = np.intersect1d(one.seeds, other.seeds, assume_unique=True, return_indices=True)
    return difference(one.comparable[ours.best, here], other.comparable[theirs.best, there])


@dataclass(frozen=True)
class Price:
    """What a rate found elsewhere costs a setting: its `difference` to the setting's own best rate.

    `rate` is the one that was tried, the `nearest` to the wanted where that was not. `n_lost` counts the seeds that did
    not finish with it, but do with the best.
    """

    rate: float
    nearest: bool
    n_lost: int
    difference: Difference | None


def price(wanted: float, at: Standing) -> Price | None:
    """The price of a rate in a setting, None where no run of the setting finished."""
    if at.best is None:
        return None
    rates = at.profile.rates
    index = int(np.abs(np.log(rates / wanted)).argmin())
    comparable = at.profile.comparable
    lost = int((np.isnan(comparable[index]) & ~np.isnan(comparable[at.best])).sum())
    return Price(
        rate=float(rates[index]),
        nearest=not math.isclose(rates[index], wanted, rel_tol=1e-6),
        n_lost=lost,
        difference=difference(comparable[index], comparable[at.best]),
    )


def holm(p: Sequence[float]) -> list[float]:
    """p values that hold for all comparisons together. Source: Holm 1979.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, least = [1.0] * len(p), 0.0
    for i, index in enumerate(order):
        least = max(least, min(1.0, (len(p) - i) * p[index]))
        adjusted[index] = least
    return adjusted


def told(p: float) -> bool:
    """Whether a difference with this p value can be told from none."""
    return p < 1 - LEVEL


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


def good_range(standing: Standing, lower: bool) -> Range | None:
    """The unbroken range of good rates round the best one, None where no rate has all of its seeds."""
    return range_of(standing.profile.rates, errors(standing.means, lower), standing.steady)


def errors(means: Array, lower: bool) -> Array:
    """What has a ratio: a loss as it is, of a score (at most 1) what is missing to 1."""
    return np.maximum(means if lower else 1 - means, SMALLEST)


def range_of(rates: Array, error: Array, steady: Array) -> Range | None:
    """The rates round the best where the error is within WITHIN of its; (K,) each.

    Between two tried rates, the root of the error's logarithm above the best is taken to go straight, which is so for a
    parabola with its minimum at the best rate. Next to a rate that is not steady the range ends at the last that is.
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
            if not height[after] <= limit:
                reach = (limit - height[at]) / (height[after] - height[at])  # 0 where the next is infinitely bad
                return float(10 ** (x[at] + reach * (x[after] - x[at]))), False
            at = after
        return float(rates[at]), True

    (low, at_low), (high, at_high) = end(-1), end(1)
    return Range(low, high, (at_low, at_high))


def wider(ours: Standing, theirs: Standing, lower: bool) -> tuple[float, float] | None:
    """How many decades wider one setting's range is, and half the 95% interval of that: jackknife over the seeds.

    None where the seeds differ, are fewer than three, or leave no range. Source: Efron & Stein 1981.
    """
    one, other = ours.profile, theirs.profile
    n = len(one.seeds)
    if n < 3 or n != len(other.seeds) or (one.seeds != other.seeds).any():
        return None
    found = []
    for left_out in (None, *range(n)):
        widths = []
        for standing in (ours, theirs):
            values = standing.profile.values
            kept = values if left_out is None else np.delete(values, left_out, axis=1)
            own = range_of(standing.profile.rates, errors(kept.mean(axis=1), lower), standing.steady)
            widths.append(own.decades if own else math.nan)
        found.append(widths[0] - widths[1])
    if np.isnan(found).any():
        return None
    whole, partial = found[0], np.array(found[1:])
    error = math.sqrt((n - 1) / n * ((partial - partial.mean()) ** 2).sum())
    return float(whole), float(t_quantile(n - 1) * error)
