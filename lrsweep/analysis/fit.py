"""The fitted rate of a setting: the minimum of a parabola over log10 rate round the best, and how sure it is.

The window and the interval were chosen by tests/studies/redraws.py, against the minima of dense grids.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.profiles import Profile
from lrsweep.analysis.ranking import MOST_FREEDOM, SMALLEST, significant, t_quantile
from lrsweep.vocabulary import Array

REACH = 0.41
"""Decades to each side of the best rate that the parabola is fitted to: a neighbour at three or four rates per decade.
A wider window moves the minimum by the profile's lopsidedness, and is the surer of it the more seeds there are."""

MANY = 5
"""Rates within REACH of the best, itself included, from which on the window follows the parabola's minimum: of many
rates, each with its noise, the best is so by chance. A grid of up to four rates per decade has fewer."""

ROUNDS = 4
"""Times that the window follows: of 280 fits to 24 rates per decade and 5 seeds, 1% were then off by over 0.01 decades
from where it comes to rest, and 4% after two."""

NARROWER = (0.29, 0.2, 0.14)
"""Windows of less reach that are tried too where MANY rates are in them, so that rates which were added round the best
lessen the parabola's error."""

SURER = 0.8
"""A narrower window is taken where the interval is so many times shorter. Taking the shortest of all, which few seeds
make so by chance, the interval of 12 rates per decade held 94% of the true optima with 3 and 8 seeds, and 95% so."""

FAR = 1.51
"""Decades: the nearest neighbours are in the window too where they are no farther than this."""

LOPSIDED = 0.3
"""Times the window's reach in squares: the standard error of the parabola's minimum for being a parabola's. By Taylor's
theorem the third derivative moves the minimum with the square of the reach; how far was measured from one to twelve
rates per decade."""

STEEP = 4.6
"""Rates this much worse than the best have exploded, and are left out: losses 100 times as high, scores by 4.6."""

REPLICATES = 500
"""Resamples of the seeds: they tell their deviation to 3%."""

SAME = 1e-6
"""Decades: where the resamples differ by less, the seeds agree, as accuracies of few rows do, and tell no spread."""

REASONS = (
    "",
    "the best has no neighbour",
    "the objective does not bend upwards round the best",
    "the parabola's minimum lies outside of the rates that it is fitted to",
)
"""Why there is no minimum near the best rate, by the numbers of `minima`; of the first, `_alone` tells which holds."""


@dataclass(frozen=True)
class Fit:
    """`rate` and its 95% `interval`, None where they cannot be said, with the `reason`.

    `samples` (B,) are the log10 rates of the bootstrap over seeds: where a resample has no minimum, its best rate. They
    are empty where there is no interval. Replicate b resamples the same positions of seeds in every setting with as
    many seeds. They tell what other seeds would change, and no more: `grid_error`, in decades, is the standard error of
    taking the profile for a parabola, which more seeds do not lessen. The interval has both, and what is computed from
    several fitted rates must add it too, in squares. That is on the safe side for what fits with one window have in
    common. It holds for smooth minima: one whose curvature jumps, as where another layer limits training from there on,
    can lie beyond it.
    """

    rate: float | None
    interval: tuple[float, float] | None
    samples: Array
    reason: str = ""
    grid_error: float = 0.0


def fit(profile: Profile, lower_is_better: bool) -> Fit:
    """The fitted rate of one setting.

    Rates with a lost or missing seed are left out. The interval is rate · 10^±h, and ends where those rates do; h² is
    (t·s)² of the seeds and (1.96·`grid_error`)² of the parabola. The former is Student's t with the bootstrap's
    standard error s, corrected by √(n/(n-1)) for what resampling n seeds leaves out; percentile intervals are far too
    narrow for few seeds.
    Source: Hesterberg 2015, What teachers should know about the bootstrap, The American Statistician 69(4).
    """
    whole = np.asarray(np.isfinite(profile.values).all(axis=1))
    x, values = np.log10(profile.rates[whole]), profile.values[whole]
    if not len(x):
        return _none("no rate trained with all of its seeds")
    n = values.shape[1]
    height = heights(values, np.full((1, n), 1 / n), lower_is_better)
    found, why, reach = minima(x, height, REACH)
    if why[0]:
        best = height[0].argmin()
        at = int(np.flatnonzero(whole)[best])
        if at in (0, len(whole) - 1):
            return _none("the best is at the edge of those tried")
        steep = "the loss is over 100 times as high" if lower_is_better else f"the score is lower by over {STEEP}"
        alone = _alone(profile, whole, at, height[0] - height[0, best], steep)
        return _none(alone or REASONS[why[0]])
    centre, grid_error = float(found[0]), LOPSIDED * float(reach[0]) ** 2
    if n == 1:
        return Fit(10**centre, None, np.empty(0), "one seed does not tell how sure it is", grid_error)
    again = heights(values, resamples(n), lower_is_better)
    taken = _through(x, height, again, n, REACH)
    if np.ptp(taken.samples) < SAME:
        return Fit(10**centre, None, np.empty(0), "the seeds are too much alike to tell how sure it is", grid_error)
    for most in NARROWER:
        if (np.abs(x - taken.centre) <= most).sum() >= MANY:
            narrower = _through(x, height, again, n, most)
            taken = narrower if narrower.half < SURER * taken.half else taken
    ends = max(taken.centre - taken.half, float(x[0])), min(taken.centre + taken.half, float(x[-1]))
    return Fit(10**taken.centre, (10 ** ends[0], 10 ** ends[1]), taken.samples, grid_error=taken.grid_error)


@dataclass(frozen=True)
class _Parabola:
    """Its minimum, half of the interval, its own standard error, and the bootstrap's minima (B,), all in decades."""

    centre: float
    half: float
    grid_error: float
    samples: Array


def _through(x: Array, height: Array, again: Array, n: int, most: float) -> _Parabola:
    """The parabola of n seeds' `height` (1, K), and those of their resamples `again` (B, K)."""
    found, _, reach = minima(x, height, most)
    samples = minima(x, again, most)[0]
    grid_error = LOPSIDED * float(reach[0]) ** 2
    seeds = t_quantile(n - 1) * math.sqrt(n / (n - 1)) * float(samples.std())
    return _Parabola(float(found[0]), math.hypot(seeds, t_quantile(MOST_FREEDOM) * grid_error), grid_error, samples)


def _none(reason: str) -> Fit:
    return Fit(None, None, np.empty(0), reason)


def _alone(profile: Profile, whole: Array, at: int, height: Array, steep: str) -> str:
    """Why the best of the K rates, at `at`, has nothing to be fitted with on one of its sides; empty if it has.

    `whole` (K,) are the rates with all of their seeds, `height` (their number,) is how far above the best those are;
    `steep` says that this is too far.
    """
    x = np.log10(profile.rates)
    rise = np.full(len(x), np.nan)
    rise[whole] = height
    for side, step in (("below", -1), ("above", 1)):
        others = np.flatnonzero(whole & (step * (x - x[at]) > 0))[::step]  # the nearest first
        apart = np.abs(x[others] - x[at])
        near = others[(apart <= REACH) | ((np.arange(len(others)) == 0) & (apart <= FAR))]
        if abs(x[at + step] - x[at]) > FAR:
            return f"no rate within 1.5 decades {side} the best was tried"
        if not len(near):
            return f"just {side} the best, runs {'were stopped' if profile.stopped[at + step] else 'did not finish'}"
        if not (rise[near] <= STEEP).any():
            return f"just {side} the best, {steep}"
    return ""


def heights(values: Array, weights: Array, lower_is_better: bool) -> Array:
    """What the parabola is fitted to, low is good: (K, S), (B, S) -> (B, K); of losses the logarithm of the mean."""
    means = significant(weights @ values.T)
    return np.log(np.maximum(means, SMALLEST)) if lower_is_better else -means


@functools.lru_cache(maxsize=16)
def resamples(n: int) -> Array:
    """The share that each of n seeds has in each resample, (REPLICATES, n); the same at every call."""
    random = np.random.default_rng(np.random.SeedSequence([2015, n]))
    return random.multinomial(n, np.full(n, 1 / n), size=REPLICATES) / n


def minima(x: Array, y: Array, most: float) -> tuple[Array, Array, Array]:
    """The minimum near the best of each row: (K,), (B, K) -> (B,), (B,), (B,).

    Its log10 rate, the best where there is no minimum; the number of the REASONS why; and the window's reach. The
    parabola a + b·u + c·u² in u = x - best is that of least squares over the window; its minimum is at -b / 2c. Where
    MANY rates are near the best, the window then follows the minimum, with at `most` this reach.
    """
    best = y.argmin(axis=1)
    apart = x - x[:, None]  # (K, K)
    near = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x)))) == 1
    window = (np.abs(apart) <= most) | (near & (np.abs(apart) <= FAR))
    height = y - np.take_along_axis(y, best[:, None], axis=1)
    lowest, why, reach = _lowest(apart[best], height, window[best] & (height <= STEEP))
    centre = x[best] + np.where(why == 0, lowest, 0)
    [many] = np.nonzero((np.abs(apart) <= REACH).sum(axis=1)[best] >= MANY)
    for _ in range(ROUNDS if len(many) else 0):
        u = x - centre[many, None]
        inside = (np.abs(u) <= most) & (height[many] <= STEEP)
        lowest, missed, reached = _lowest(u, height[many], inside)
        well = (missed == 0) & (inside.sum(axis=1) >= MANY)
        rows = many[well]
        centre[rows] += lowest[well]
        why[rows], reach[rows] = 0, reached[well]
    return centre, why, reach


def _lowest(u: Array, height: Array, inside: Array) -> tuple[Array, Array, Array]:
    """The minimum of the parabola over what is inside, why there is none, and the reach: (B, K) each -> (B,) each."""
    low, high = np.where(inside, u, 0).min(axis=1), np.where(inside, u, 0).max(axis=1)
    b, c = parabola(u, np.where(inside, height, 0), inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        lowest = -b / (2 * c)
    outside = ~((low <= lowest) & (lowest <= high))
    why = np.select([(low == 0) | (high == 0), ~(c > 0), outside], [1, 2, 3], 0)
    return lowest, why, np.maximum(-low, high)


def parabola(u: Array, height: Array, inside: Array) -> tuple[Array, Array]:
    """The least-squares b and c of a + b·u + c·u² in each row, over what is inside: (B, K) three times -> (B,), (B,).

    Both come times the determinant of the normal equations, which is not negative, and 0 for fewer than three places.
    """
    powers = [inside.astype(float)]
    for _ in range(4):
        powers.append(powers[-1] * u)
    n, s1, s2, s3, s4 = (power.sum(axis=1) for power in powers)
    t0, t1, t2 = ((height * power).sum(axis=1) for power in powers[:3])
    uu, uv, vv = n * s2 - s1 * s1, n * s3 - s1 * s2, n * s4 - s2 * s2  # centred products of u and v = u²
    uy, vy = n * t1 - s1 * t0, n * t2 - s2 * t0
    return uy * vv - vy * uv, vy * uu - uy * uv
