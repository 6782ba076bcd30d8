"""How far to trust a range test: what short runs say to its suggestion, and what the ramps themselves leave open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lrsweep.analysis.ranges import RangeTest, outward
from lrsweep.vocabulary import Array

NEAR = 5.5
"""Factor within which the best of some short runs confirms a suggestion: half way from 3 to 10 times as high."""

BEYOND = 0.25
"""Decades by which the interval is widened beyond a better rate, a step of the grid, so that it is not at the edge."""

Trust = Literal["high", "low", "none"]


@dataclass(frozen=True)
class Confirmation:
    """What short runs say to a suggestion: whether they confirm it, None where they do not tell.

    Where they do not, `better` is the rate that did better, and `times` how many times the suggestion that is.
    """

    confirmed: bool | None
    better: float | None = None
    times: float | None = None


def confirmation(rates: Sequence[float], values: Array, suggestion: float, lower_is_better: bool) -> Confirmation:
    """Whether short real runs at rates round the suggestion, with values (K, S), confirm it.

    They do where the best mean is within a factor of NEAR of the suggestion, and do not where one farther off is better
    than all of these by more than its standard error; a rate that lost a seed is worse than all others.
    """
    heights = np.where(np.isfinite(values), values, np.inf) * (1 if lower_is_better else -1)
    heights = np.where(np.isfinite(heights), heights, np.inf)
    means = heights.mean(axis=1)
    near = np.abs(np.log10(np.asarray(rates) / suggestion)) <= math.log10(NEAR)
    if (means == means[0]).all() or not near.any():
        return Confirmation(None)
    best, own = int(means.argmin()), int(np.where(near, means, np.inf).argmin())
    if near[best]:
        return Confirmation(True)
    better = Confirmation(False, float(rates[best]), float(rates[best] / suggestion))
    if not np.isfinite(means[own]):
        return better
    difference = heights[own] - heights[best]
    error = difference.std(ddof=1) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return better if difference.mean() > error else Confirmation(None)


def widened(test: RangeTest, told: Confirmation | None) -> RangeTest:
    """The range test with an interval that holds the rate at which short runs did better, if they did."""
    if told is None or told.better is None or test.interval is None or test.landmarks is None:
        return test
    (low, high), step = test.interval, 10**BEYOND
    most = max(told.better, high, 10**test.landmarks.back)
    return replace(test, interval=outward(min(low, told.better / step), min(max(high, told.better * step), most), most))


def trust(test: RangeTest, told: Confirmation | None) -> tuple[Trust, str]:
    """How far to trust a range test, and why in a sentence; `told` is None where no short runs were made."""
    if test.suggestion is None:
        return "none", test.reason
    why = [*([said] if (said := words(test, told)) else []), *test.doubts]
    if why:
        return "low", "; ".join(why)
    return "high", "the loss falls and rises again, the seeds agree, and short runs confirm it"


def words(test: RangeTest, told: Confirmation | None) -> str:
    """What short runs have against a suggestion; empty if they confirm it."""
    if told is None:
        return "no short runs were made to confirm it"
    if told.better is None or told.times is None or test.interval is None:
        return "" if told.confirmed else "short runs do not tell whether it is good"
    end, word = (test.interval[1], "up") if told.times > 1 else (test.interval[0], "down")
    where = f"short runs did better at {told.times:.2g} times the suggestion, {told.better:.2g}"
    return f"{where}, so the interval reaches {word} to {end:.2g}"


def document(test: RangeTest, told: Confirmation | None) -> dict[str, Any]:
    """An entry of the JSON document of `find`."""
    how_far, reason = trust(test, told)
    return {
        "setting": {**test.setting, **({"layers": test.layers} if test.layers else {})},
        "interval": None if test.interval is None else list(test.interval),
        "suggestion": test.suggestion,
        "rules": dict(test.rules),
        "disagreement_decades": test.disagreement_decades,
        "seed_band": None if test.seed_band is None else list(test.seed_band),
        "confirmed": None if told is None else told.confirmed,
        "trust": how_far,
        "reason": reason,
    }
