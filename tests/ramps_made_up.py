"""Ramps of a known form, and the range tests of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lrsweep.analysis.ranges import RangeTest, range_test
from lrsweep.vocabulary import Array

RATES = np.geomspace(1e-7, 10, 100)
X = np.log10(RATES)
STAY = 99 / 8 / math.log(10)
"""What a ramp goes until it gets to a rate, in steps at that rate: the sum of a geometric series of 99 steps over 8
decades is rate / (1 - 1/q), and nearly rate / ln q."""


def ramp_of(fall: float = -2.2, rise: float = -0.3, depth: float = 1.6) -> Array:
    """A loss (T,) from 2.3 that has done half of its fall at 10^fall and has come back at about 10^rise."""
    down = depth / (1 + np.exp(-4 * (X - fall)))
    return 2.3 - down + depth * 10 ** (2 * (X - rise))


def told_of(*losses: Array, steps: float = 300, **how: Any) -> RangeTest:
    """The range test of ramps, one for each seed."""
    return range_test({"width": 16}, RATES, np.stack(losses), range(len(losses)), steps, **how)


def noisy(losses: Array, seed: int, deviation: float = 0.1) -> Array:
    """The losses (T,) as batches tell them."""
    random = np.random.default_rng(seed)
    told: Array = losses * np.exp(deviation * random.standard_normal(losses.shape))
    return told
