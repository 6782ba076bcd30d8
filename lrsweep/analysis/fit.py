"""The fitted rate of a setting: the minimum of a parabola over log10 rate round the best, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrsweep.analysis.profiles import Profile
from lrsweep.vocabulary import Array


@dataclass(frozen=True)
class Fit:
    """`rate` and its 95% `interval`, None where they cannot be said, with the `reason`.

    `samples` (B,) are the log10 rates of the bootstrap over seeds, nan where a resample has no minimum; replicate b
    resamples the same positions of seeds in every setting with as many seeds.
    """

    rate: float | None
    interval: tuple[float, float] | None
    samples: Array
    reason: str = ""


def fit(profile: Profile, lower_is_better: bool) -> Fit:
    """The fitted rate of one setting."""
    return Fit(None, None, np.empty(0), "not fitted yet")
