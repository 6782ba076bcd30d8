"""The fitted rate of a setting: the minimum of a parabola over log10 rate round the best, and how sure it is.

The window, the interval and the number of resamples were chosen by tests/studies/redraws.py.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.profiles import Profile
from lrsweep.analysis.ranking import SMALLEST, t_quantile
from lrsweep.vocabulary import Array

REACH = 0.76
"""Decades to each side of the best rate that the parabola is fitted to: two neighbours at three rates per decade. A
narrower window leaves the fit to chance, a wider one moves it by the profile's lopsidedness."""

FAR = 1.51
"""Decades: the nearest neighbours are in the window too where they are no farther than this."""

STEEP = 4.6
"""Rates this much worse than the best have exploded, and are left out: losses 100 times as high, scores by 4.6."""

REPLICATES = 500
"""Resamples of the seeds: they tell their deviation to 3%."""

REASONS = (
    "",
    "next to the best, training breaks down, or no rate lies within 1.5 decades",
    "the objective does not bend upwards round the best",
    "the parabola's minimum lies outside of the rates that it is fitted to",
)
"""Why there is no minimum near the best rate, by the numbers of `minima`."""


@dataclass(frozen=True)
class Fit:
    """`rate` and its 95% `interval`, None where they cannot be said, with the `reason`.

    `samples` (B,) are the log10 rates of the bootstrap over seeds: where a resample has no minimum, its best rate. They
    are empty where there is no interval. Replicate b resamples the same positions of seeds in every setting with as
    many seeds.
    """

    rate: float | None
    interval: tuple[float, float] | None
    samples: Array
    reason: str = ""


def fit(profile: Profile, lower_is_better: bool) -> Fit:
    """The fitted rate of one setting.

    Rates with a lost or missing seed are left out. The interval is Student's t with the bootstrap's standard error,
    rate · 10^±t·s, s corrected by √(n/(n-1)) for what resampling n seeds leaves out, and ends where those rates do;
    percentile intervals are far too narrow for few seeds.
    Source: Hesterberg 2015, What teachers should know about the bootstrap, The American Statistician 69(4).
    """
    whole = ~np.isnan(profile.values).any(axis=1)
    x, values = np.log10(profile.rates[whole]), profile.values[whole]
    if not len(x):
        return _none("no rate trained with all of its seeds")
    n = values.shape[1]
    height = heights(values, np.full((1, n), 1 / n), lower_is_better)
    found, why = minima(x, height)
    if why[0]:
        at_edge = x[height[0].argmin()] in np.log10(profile.rates[[0, -1]])
        return _none("the best is at the edge of those tried" if at_edge else REASONS[why[0]])
    centre = float(found[0])
    if n == 1:
        return Fit(10**centre, None, np.empty(0), "one seed does not tell how sure the fitted rate is")
    samples, _ = minima(x, heights(values, resamples(n), lower_is_better))
    half = t_quantile(n - 1) * math.sqrt(n / (n - 1)) * float(samples.std())
    ends = max(centre - half, float(x[0])), min(centre + half, float(x[-1]))
    return Fit(10**centre, (10 ** ends[0], 10 ** ends[1]), samples)


def _none(reason: str) -> Fit:
    return Fit(None, None, np.empty(0), reason)


def heights(values: Array, weights: Array, lower_is_better: bool) -> Array:
    """What the parabola is fitted to, low is good: (K, S), (B, S) -> (B, K); of losses the logarithm of the mean."""
    means = weights @ values.T
    return np.log(np.maximum(means, SMALLEST)) if lower_is_better else -means


@functools.lru_cache(maxsize=16)
def resamples(n: int) -> Array:
    """The share that each of n seeds has in each resample, (REPLICATES, n); the same at every call."""
    random = np.random.default_rng(np.random.SeedSequence([2015, n]))
    return random.multinomial(n, np.full(n, 1 / n), size=REPLICATES) / n


def minima(x: Array, y: Array) -> tuple[Array, Array]:
    """The minimum near the best of each row: (K,), (B, K) -> (B,), (B,) log10 rates, and the numbers of REASONS.

    Where there is none, the rate is the best. The parabola a + b·u + c·u² in u = x - best is that of least squares over
    the window; its minimum is at -b / 2c.
    """
    best = y.argmin(axis=1)
    apart = x - x[:, None]  # (K, K)
    near = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x)))) == 1
    window = (np.abs(apart) <= REACH) | (near & (np.abs(apart) <= FAR))
    u, height = apart[best], y - np.take_along_axis(y, best[:, None], axis=1)
    inside = window[best] & (height <= STEEP)
    low, high = np.where(inside, u, 0).min(axis=1), np.where(inside, u, 0).max(axis=1)
    b, c = parabola(u, np.where(inside, height, 0), inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        lowest = -b / (2 * c)
    outside = ~((low <= lowest) & (lowest <= high))
    why = np.select([(low == 0) | (high == 0), ~(c > 0), outside], [1, 2, 3], 0)
    return x[best] + np.where(why == 0, lowest, 0), why


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
