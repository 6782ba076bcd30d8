"""The exponent of a power law, and how sure it is: over the seeds, and over the points that it goes through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrsweep.analysis.cards.standings import Standing
from lrsweep.analysis.fit import REPLICATES, resamples
from lrsweep.analysis.ranking import t_quantile
from lrsweep.vocabulary import Array

FLAT = 0.2
"""An exponent whose whole interval is nearer to 0 than this is flat: less than a factor of 1.15 per doubling."""

WIDEST = 4.0
"""An exponent whose interval is wider than this is not told: it leaves open even what a size times ten does."""

NORMAL = 1.959964
"""|z| stays below this with probability 0.95."""


@dataclass(frozen=True)
class Trend:
    """y goes with x to the power of `slope`, which lies in `interval` with 95%; both None where they cannot be said.

    `points` are the positions that it rests on, `reason` says why there is no slope or no interval. `fitted`: a rate's
    trend is that of the fitted rates, not of the best ones.
    """

    slope: float | None
    interval: tuple[float, float] | None
    points: tuple[int, ...]
    reason: str = ""
    fitted: bool = True

    @property
    def verdict(self) -> str:
        """`falls`, `rises` or `flat` where that can be told, `open` where the interval allows several, else `none`."""
        if self.slope is None or self.interval is None:
            return "none"
        low, high = self.interval
        if low > -FLAT and high < FLAT:
            return "flat"
        return "falls" if high < 0 else "rises" if low > 0 else "open"

    @property
    def advice(self) -> str:
        """What to do about it: as the verdict, but a small exponent is `flat`, even where it can be told from 0."""
        small = self.slope is not None and abs(self.slope) < FLAT
        return "flat" if self.verdict in ("falls", "rises") and small else self.verdict


def trend(x: Array, y: Array, replicates: Array | None, n_seeds: int, rough: Array | None = None) -> Trend:
    """The least-squares slope of log y over log x.

    x, y (n,) are base-10 logarithms; `replicates` (n, B) the same y from resampled seeds, with the seeds paired;
    `rough` (n,) the standard error of each y for being found on a grid, which seeds do not lessen.
    There are two errors: of the seeds, from the replicates, with Student's t at n_seeds - 1, and of the points, from
    their distance to the line, at n - 2. The seeds' error is in part in the points', and neither sees all of the other,
    so the larger one is the interval's; roughness comes on top, in squares. Where it is wider than
    WIDEST, neither slope nor interval is told.
    """
    points = tuple(range(len(x)))
    if len(x) < 2 or np.ptp(x) == 0:
        return Trend(None, None, points, "fewer than two points")
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope, n = float(weights @ y), len(x)
    halves = []
    if replicates is not None and n_seeds > 1:
        spread = float((weights @ replicates).std()) * math.sqrt(n_seeds / (n_seeds - 1))
        halves.append(t_quantile(n_seeds - 1) * spread)
    if n > 2:
        residuals = y - y.mean() - slope * (x - x.mean())
        halves.append(t_quantile(n - 2) * math.sqrt(float(residuals @ residuals) / (n - 2) * float(weights @ weights)))
    if not halves:
        return Trend(slope, None, points, "two points and too few seeds tell nothing about how sure that is")
    coarse = 0.0 if rough is None else NORMAL * math.sqrt(float(weights**2 @ rough**2))
    half = math.hypot(max(halves), coarse)
    if 2 * half > WIDEST:
        return Trend(None, None, points, f"the exponent's 95% interval is wider than {WIDEST:g}")
    return Trend(slope, (slope - half, slope + half), points)


def rate_trend(sizes: Sequence[float], members: Sequence[Standing], lower: bool) -> Trend:
    """How the best rate goes with a size: by the fitted rates, or by the best rates where one of them has no fit.

    The two are not mixed: where the loss is lopsided, they lie apart. A best rate at the edge of its grid is no more
    than a bound, and is left out.
    """
    kept = [i for i, member in enumerate(members) if member.bracketed]
    if len(kept) < 2:
        return Trend(None, None, tuple(kept), unknown(members))
    own = [members[i] for i in kept]
    fits = [member.fit.rate for member in own if member.fit.rate is not None]
    fitted = len(fits) == len(own)
    n_seeds = {len(member.profile.seeds) for member in own}
    samples = [member.fit.samples if fitted else best_rates(member, lower) for member in own]
    paired = len(n_seeds) == 1 and {len(one) for one in samples} == {REPLICATES}
    found = trend(
        x=np.log10([sizes[i] for i in kept]),
        y=np.log10(fits if fitted else [member.profile.rates[member.best] for member in own]),
        replicates=np.array(samples) if paired else None,
        n_seeds=min(n_seeds),
        rough=np.array([member.fit.grid_error if fitted else step(member) / math.sqrt(12) for member in own]),
    )
    return replace(found, points=tuple(kept), fitted=fitted)


def unknown(members: Sequence[Standing]) -> str:
    """Why too few sizes have a best rate that is no bound."""
    edge, dead = (sum(way) for way in zip(*((_at_edge(one), one.best is None) for one in members), strict=True))
    parts = [f"at {edge} of {len(members)} sizes the best rate is at the edge of its grid"] if edge else []
    parts += [f"at {dead} of {len(members)} sizes no run finished"] if dead else []
    return " and ".join(parts)


def _at_edge(member: Standing) -> bool:
    return member.best is not None and not member.bracketed


def best_rates(member: Standing, lower: bool) -> Array:
    """The log10 best rate of each resample of the seeds, (B,); empty with one seed."""
    values = member.profile.values
    if values.shape[1] < 2:
        return np.empty(0)
    means = resamples(values.shape[1]) @ (values if lower else -values).T
    found: Array = np.log10(member.profile.rates)[np.where(np.isnan(means), np.inf, means).argmin(axis=1)]
    return found


def step(member: Standing) -> float:
    """Decades between the best rate's neighbours, halved: the step of its grid. The best has both."""
    assert member.best is not None  # noqa: S101  for the type checker: a bracketed best is there
    low, high = member.profile.rates[member.best - 1], member.profile.rates[member.best + 1]
    return math.log10(high / low) / 2
