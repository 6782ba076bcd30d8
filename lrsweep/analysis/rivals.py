"""How many settings are as good as the best one, as far as their common seeds tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrsweep.analysis.profiles import Profile
from lrsweep.analysis.ranking import standard_errors
from lrsweep.vocabulary import Array


def rivals_doubt(found: Sequence[Profile], places: Sequence[int], lost: Array) -> str:
    """How many settings cannot be told from the first of those `found`; empty where all can.

    They are compared at the rates at `places`, each setting's own best; `lost` are the seeds that each lost there.
    """
    n, seeds = len(found) - 1, int((~np.isnan(found[0].comparable[places[0]])).sum())
    if not n or not seeds:
        return ""
    if seeds == 1:
        return "One seed cannot tell settings apart."
    many = untold(by_seed(found, places), lost)
    if many == n > 1:
        none = "Neither" if n == 2 else "None"
        return f"{none} of the {n} other settings can be told from this one by {seeds} seeds."
    what = "The other setting" if n == 1 else f"{many} of the {n} other settings"
    return f"{what} cannot be told from this one by {seeds} seeds." if many else ""


def untold(values: Array, lost: Array) -> int:
    """How many rows of comparable values (M, S) cannot be told from the first, by 95% intervals of paired differences.

    Each is judged by itself, without a correction for how many there are. A row that lost more seeds than the first,
    (M,), is told by that; one with less than two seeds in common with it is not told.

    >>> untold(np.array([[0.1, 0.2], [0.2, 0.1], [5.1, 5.2], [0.1, np.nan], [0.1, np.nan]]), np.array([0, 0, 0, 0, 1]))
    2
    """
    apart = values[1:] - values[0]
    known = ~np.isnan(apart)
    count = known.sum(axis=1)
    mean = np.where(known, apart, 0).sum(axis=1) / np.maximum(count, 1)
    squares = np.where(known, (apart - mean[:, None]) ** 2, 0).sum(axis=1)
    half = standard_errors(count) * np.sqrt(squares / np.maximum(count - 1, 1))  # nan with less than two seeds
    return int((~(np.abs(mean) > half) & (lost[1:] <= lost[0])).sum())


def by_seed(found: Sequence[Profile], places: Sequence[int]) -> Array:
    """What is compared at a rate of each profile, (M, S) over the seeds of the first; nan where a run is not there."""
    seeds = found[0].seeds
    values = np.full((len(found), len(seeds)), np.nan)
    for row, own, place in zip(values, found, places, strict=True):
        _, here, there = np.intersect1d(seeds, own.seeds, assume_unique=True, return_indices=True)
        row[here] = own.comparable[place, there]
    return values
