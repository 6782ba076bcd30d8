"""From the frames to arrays: the curves of runs that are equally long, and the row of the ranking of each run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE, setting_numbers
from lrsweep.vocabulary import Array

if TYPE_CHECKING:
    import pandas as pd


def by_length(runs: pd.DataFrame, curves: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    """For each length, the positions in `runs` (n,) of the runs whose curves have it, and the curves.

    Those are (len(columns), n, E + 1) float64 for E epochs, epoch 0 first, nan where the frame lacks the column.
    A run without a curve (its worker died) is in none of them, a curve without its run neither.
    """
    starts = np.flatnonzero(curves["epoch"].to_numpy() == 0)
    lengths = np.diff(starts, append=len(curves))
    positions = runs[["run_id"]].assign(at=np.arange(len(runs))).set_index("run_id")["at"]
    at = curves["run_id"].iloc[starts].map(positions).fillna(-1).astype(int).to_numpy()
    values = [
        curves[column].to_numpy(float) if column in curves else np.full(len(curves), np.nan) for column in columns
    ]
    for length in np.unique(lengths):
        mine = (lengths == length) & (at >= 0)
        rows = starts[mine, None] + np.arange(length)
        yield at[mine], np.stack([one[rows] for one in values])


def ranking_rows(ranking: pd.DataFrame, runs: pd.DataFrame, about: Mapping[str, Any]) -> Array:
    """The position in `ranking` of each run's setting and rate, (len(runs),)."""
    rows = ranking[[RATE]].assign(setting=setting_numbers(ranking, about), row=np.arange(len(ranking)))
    wanted = runs[[RATE]].assign(setting=setting_numbers(runs, about))
    return np.asarray(wanted.merge(rows, on=["setting", RATE], how="left")["row"])


def best_rows(ranking: pd.DataFrame, about: Mapping[str, Any]) -> Array:
    """The position in `ranking` of the best rate of each row's setting, (len(ranking),)."""
    numbers = np.broadcast_to(np.asarray(setting_numbers(ranking, about)), len(ranking))
    bests = np.zeros(numbers.max(initial=-1) + 1, int)
    first = np.flatnonzero(ranking["rank"] == 1)
    bests[numbers[first]] = first
    found: Array = bests[numbers]
    return found
