"""The range test: from a ramp's losses to the rates that are worth a sweep, and how far to trust that.

Losses are smoothed without lag over log10 rate, each seed's for itself, and averaged over seeds. The interval rests on
two landmarks of that curve, where it has done half of its fall and where it is back at its start; how far it reaches
from them was chosen by tests/studies/ranges.py. Six published rules are told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lrsweep.analysis import range_rules
from lrsweep.vocabulary import Array, Scalar

RULES = tuple(range_rules.RULES)
"""The names of the rules, as JSON and ranges.csv have them."""

BANDWIDTH = 0.2
"""Decades: the deviation of the kernel that smooths a ramp."""

CEILING, FLOOR, TINY = 4.0, 1e-3, 1e-30
"""Times the loss at the start: beyond these a loss counts as these, so that an overflow does not reach its neighbours
through the smoothing, nor a loss of 0 through the logarithm. A loss that is not finite counts as the ceiling; a start
counts as TINY at least."""

START = 0.1
"""Share of the ramp whose loss is that of the start."""

RISEN = 2.0
"""Times its lowest loss before that a ramp without a fall must reach to be called diverged."""

FEWEST = 20
"""Steps of a ramp below which nothing is said."""

CLOSE = 3.0
"""Decades from the start of a ramp: where it diverges within these, the fall may be before it."""

LEAST_FALL, SURE, MEDIAN_TO_DEVIATION = 0.02, 4.0, 1.4826
"""How far a loss must fall: as a share of that at the start, and in standard errors of the smoothed curve, which are
told by medians, since a few steps of a ramp are of another kind than the others."""

FARTHER, LOWER = 10.0, 1.6
"""Where the interval starts: a run goes FARTHER times as far as the ramp did in half of its fall, distance being rate
times steps. And where it ends: at LOWER times the rate where the ramp's loss is back at its start, over the square root
of how many times longer the run is than the ramp's stay at a rate. Best constant rates go as one over the steps where
they only have to get far enough, and as one over their square root where noise limits them (Nemirovski et al. 2009,
Robust stochastic approximation). The ramp alone cannot know: from 5 to 80 epochs the best rates of nine settings fell
by 0.75 to 1.5 decades. Runs that are less than FARTHER times as long as the stay are beyond what this was chosen on:
theirs are the landmarks themselves, from half of the fall to where the loss is back, and are not to be trusted."""

SUGGESTED = 0.425
"""Where in the interval the suggestion is, as a share of its decades."""

LEAST_DECADES = 1.0
"""Of the interval: its upper end stands where the two cross."""

SEEDS_APART = 1.0
"""Decades between the suggestions of single seeds that are no agreement."""

Remedy = Literal["", "lower", "higher", "finer"]
"""What to do about a ramp that tells nothing: start it lower, end it higher, or give it more steps."""


@dataclass(frozen=True)
class Landmarks:
    """Of a smoothed ramp, in log10 rate: where half of its fall is done, and where the loss is back at its start.

    `back` is the end of a ramp whose loss does not come back; `rises` says whether it does.
    """

    half: float
    back: float
    rises: bool

    def interval(self, longer: float) -> tuple[float, float]:
        """The log10 rates that are worth a sweep for runs so much `longer` than the ramp's stay at a rate.

        However short they are, the lower end is not above `half`, nor the upper one above `back`.
        """
        high = self.back + min(0.0, math.log10(LOWER) - math.log10(longer) / 2)
        low = self.half + min(0.0, math.log10(FARTHER) - math.log10(longer))
        return min(low, high - LEAST_DECADES), high

    def suggestion(self, longer: float) -> float:
        """The log10 rate to start with."""
        low, high = self.interval(longer)
        return low + SUGGESTED * (high - low)


@dataclass(frozen=True)
class RangeTest:
    """What the ramps of one setting, or of one of its layer groups, say.

    `rates` (T,); `losses` (S, T) as they were met, nan where no longer finite; `smoothed` (S, T), nan from there on;
    `mean` (T,) over seeds, in which a lost seed counts as CEILING times its start. `interval` has two digits. `rules`
    are read off the mean; `seed_band` holds the suggestion and those of the seeds by themselves, None with fewer than
    two of these. Where there is nothing to suggest, `reason` says why and `remedy` what to do, and `interval` and
    `suggestion` are None; else `doubts` are sentences on what is not as it should be.
    """

    setting: Mapping[str, Scalar | None]
    layers: str
    rates: Array
    seeds: Sequence[int]
    losses: Array
    smoothed: Array
    mean: Array
    interval: tuple[float, float] | None
    suggestion: float | None
    rules: Mapping[str, float | None]
    disagreement_decades: float | None
    seed_band: tuple[float, float] | None
    reason: str
    doubts: tuple[str, ...] = ()
    landmarks: Landmarks | None = None
    remedy: Remedy = ""


def range_test(
    setting: Mapping[str, Scalar | None],
    rates: Array,
    losses: Array,
    seeds: Sequence[int],
    steps: float,
    layers: str = "",
) -> RangeTest:
    """What ramps over ascending rates (T,) with losses (S, T), one for each seed, say to runs of so many steps.

    The steps are counted at the peak rate, as `engine.ramp.steps_at_peak` does.
    """
    rates, losses = np.asarray(rates, np.float64), np.array(losses, np.float64)
    losses[np.logical_or.accumulate(~np.isfinite(losses), axis=1)] = np.nan
    nothing = np.full(len(rates), np.nan)
    ramps = RangeTest(
        setting, layers, rates, tuple(seeds), losses, np.full_like(losses, np.nan), nothing,
        interval=None, suggestion=None, rules=dict.fromkeys(RULES), disagreement_decades=None, seed_band=None,
        reason=unreadable(losses),
    )  # fmt: skip
    return ramps if ramps.reason else judged(ramps, steps)


def judged(ramps: RangeTest, steps: float) -> RangeTest:
    """The range test of ramps that have losses at all, for runs of so many steps."""
    x, starts = np.log10(ramps.rates), starts_of(ramps.losses)
    longer = steps / stay(x)
    heights = capped(ramps.losses, starts)
    noise = scatter(heights)
    curves = np.stack([smooth(x, row) for row in heights])  # (S, T)
    height = curves.mean(axis=0)
    smoothed = np.where(np.isnan(ramps.losses), np.nan, np.exp(curves) * starts[:, None])
    test = replace(ramps, smoothed=smoothed, mean=np.exp(height + np.log(starts).mean()))
    if told := hopeless(x, height, noise / math.sqrt(len(curves))):
        reason, remedy = told
        return replace(test, reason=reason, remedy=remedy)
    found, rules = landmarks(x, height), range_rules.suggestions(test.rates, test.mean)
    alone = [landmarks(x, row).suggestion(longer) for row in curves if hopeless(x, row, noise) is None]
    low, high = found.interval(longer)
    suggestion = found.suggestion(longer)
    return replace(
        test,
        interval=outward(10**low, 10**high, 10**found.back),
        suggestion=10**suggestion,
        rules=rules,
        disagreement_decades=apart(rules.values()),
        seed_band=(10 ** min(suggestion, *alone), 10 ** max(suggestion, *alone)) if len(alone) > 1 else None,
        doubts=tuple(doubts(x, found, longer, alone, len(curves))),
        landmarks=found,
    )


def stay(x: Array) -> float:
    """How far a ramp over log10 rates (T,) has gone when it gets to a rate, in steps at that rate: those of 1/e of it.

    >>> round(stay(np.linspace(-7, 1, 100)), 2)
    5.37
    """
    return float((len(x) - 1) / (x[-1] - x[0]) / math.log(10))


def outward(low: float, high: float, most: float) -> tuple[float, float]:
    """An interval with ends of two digits, that holds the given one as far as its upper end stays within the `most`.

    >>> outward(0.01234, 0.3341, 1.0), outward(0.01, 0.34, 0.34), outward(0.01, 9.96, 9.96)
    ((0.012, 0.34), (0.01, 0.34), (0.01, 9.9))
    """
    above = two_digits(high, math.ceil)
    return two_digits(low, math.floor), above if above <= most else two_digits(high, math.floor)


def two_digits(rate: float, towards: Callable[[float], int]) -> float:
    """The next rate of two digits, up or down; the rate itself where it is one."""
    unit = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{towards(round(rate / unit, 6)) * unit:.2g}")


def unreadable(losses: Array) -> str:
    """Why losses (S, T) are no ramp at all; empty if they are."""
    met = int(np.isfinite(losses).sum(axis=1).max(initial=0))
    if losses.shape[1] < FEWEST:
        return f"a ramp of {losses.shape[1]} steps is too short to tell: use at least {FEWEST}"
    return "" if met else "the loss is not finite from the first step on, before any rate acts: look at the data"


def starts_of(losses: Array) -> Array:
    """Each seed's loss at the start of its ramp, (S,): the median of the first tenth, as far as that is near the first.

    Of a seed that is not finite from the first step on it is that of the others.
    """
    first = losses[:, : first_steps(losses)]
    near = np.where(first <= CEILING * first[:, :1], first, np.nan)
    alive = ~np.isnan(first[:, 0])
    starts = np.full(len(losses), np.nanmedian(near[alive]))
    starts[alive] = np.nanmedian(near[alive], axis=1)
    return np.asarray(np.maximum(starts, TINY))


def first_steps(losses: Array) -> int:
    """How many of a ramp's losses (…, T) are those of its start."""
    return max(1, int(START * losses.shape[-1]))


def capped(losses: Array, starts: Array) -> Array:
    """The logarithms of losses (S, T) as shares of those at the start (S,), between FLOOR and CEILING."""
    shares = np.where(np.isnan(losses), np.inf, np.maximum(losses, TINY)) / starts[:, None]
    heights: Array = np.log(np.clip(shares, FLOOR, CEILING))
    return heights


def scatter(heights: Array) -> float:
    """The standard deviation of log losses (S, T) at a rate, from the median step between neighbours."""
    there = heights < math.log(CEILING)
    steps = np.abs(np.diff(heights, axis=1))[there[:, 1:] & there[:, :-1]]
    return float(np.median(steps)) * MEDIAN_TO_DEVIATION / math.sqrt(2) if len(steps) else 0.0


def smooth(x: Array, y: Array) -> Array:
    """y (T,) over ascending x (T,) by local linear regression with a Gaussian kernel: symmetric, so without lag.

    Source: Fan & Gijbels 1996, Local polynomial modelling and its applications.
    """
    return np.array([weight @ y[near] for near, weight in kernel(x)])


def kernel(x: Array) -> Iterator[tuple[slice, Array]]:
    """For each of ascending x (T,) the places near it, and the weights there whose sum of products is the smooth."""
    width = max(BANDWIDTH, float(np.diff(x).max()))
    low, high = np.searchsorted(x, x - 4 * width), np.searchsorted(x, x + 4 * width, side="right")
    for at, near in zip(x, map(slice, low, high), strict=True):
        u = x[near] - at
        weight = np.exp(-0.5 * (u / width) ** 2)
        s0, s1, s2 = weight.sum(), weight @ u, weight @ (u * u)
        yield near, (s2 - s1 * u) * weight / (s0 * s2 - s1 * s1)


def hopeless(x: Array, height: Array, noise: float) -> tuple[str, Remedy] | None:
    """Why nothing can be read off a smoothed ramp (T,), as logarithms above its start, and the remedy; None if it can.

    `noise` is the standard deviation of the logarithms at a rate.
    """
    first = first_steps(height)
    errors = noise * np.array([math.sqrt(weight @ weight) for _, weight in kernel(x)])
    needed = np.maximum(LEAST_FALL, SURE * np.hypot(errors, np.median(errors)))
    if (height < -needed)[first : range_rules.stopped(np.exp(height))].any():
        return None
    rises = height - np.minimum.accumulate(height) > math.log(RISEN)
    where = f"{10 ** x[rises.argmax()]:.3g}"
    if rises[: 2 * first].any():
        return f"the loss diverges at once, from {where} on: start the ramp lower", "lower"
    if rises.any():
        near = x[rises.argmax()] < x[0] + CLOSE
        said = f"the loss never falls by more than its noise before it diverges from {where} on"
        return f"{said}: {'start the ramp lower' if near else 'use more steps'}", "lower" if near else "finer"
    if (height[:first] > math.log(RISEN)).any():
        return "the loss falls with the first steps and no further: start the ramp lower", "lower"
    return f"the loss is flat: no rate up to {10 ** x[-1]:.3g} moves it by more than its noise; end higher", "higher"


def landmarks(x: Array, height: Array) -> Landmarks:
    """Those of a smoothed ramp (T,) that falls, as logarithms above its start over log10 rates (T,)."""
    share = np.exp(height)
    lowest = int(share[: range_rules.stopped(share)].argmin())
    half = crossing(x[lowest::-1], share[lowest::-1] - (1 + share[lowest]) / 2)  # from the lowest back, over no dip
    back = crossing(x[lowest:], share[lowest:] - 1)
    return Landmarks(float(x[0]) if half is None else half, float(x[-1]) if back is None else back, back is not None)


def crossing(x: Array, height: Array) -> float | None:
    """Where a height (T,) along x (T,) first reaches 0 from below, between two places; None where it does not."""
    if not (height >= 0).any():
        return None
    i = int((height >= 0).argmax())
    if i == 0:
        return float(x[0])
    share = -height[i - 1] / (height[i] - height[i - 1])
    return float(x[i - 1] + share * (x[i] - x[i - 1]))


def doubts(x: Array, found: Landmarks, longer: float, alone: Sequence[float], n_seeds: int) -> Iterator[str]:
    """What of a range test is not as it should be; `alone` are the suggestions of single seeds, in log10."""
    if not found.rises:
        yield f"the loss does not rise above its start up to {10 ** x[-1]:.3g}, so the upper end may be too low"
    if found.half < x[0] + 1:
        yield f"the loss falls from the first steps on, so the lower end is not seen: start below {10 ** x[0]:.3g}"
    if longer < FARTHER:
        has = f"the runs go {longer * stay(x):.3g} steps, and the ramp can tell of {FARTHER * stay(x):.0f} or more"
        yield f"{has}: the interval is extrapolated"
    if not x[0] <= found.suggestion(longer) <= x[-1]:
        yield "the suggestion lies outside of the ramp"
    if n_seeds == 1:
        yield "one seed tells nothing of how far others would agree"
    elif len(alone) < n_seeds:
        yield f"{n_seeds - len(alone)} of {n_seeds} seeds by themselves tell nothing"
    if alone and max(alone) - min(alone) > SEEDS_APART:
        yield f"the seeds' own suggestions lie {max(alone) - min(alone):.1f} decades apart"


def apart(rates: Iterable[float | None]) -> float | None:
    """Decades from the lowest to the highest of the rates that there are; None without any."""
    known = [rate for rate in rates if rate is not None]
    return math.log10(max(known) / min(known)) if known else None
