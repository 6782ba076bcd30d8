"""From the frames to arrays: the curves of runs that are equally long, and the row of the ranking of each run.

All curves of a sweep may be many gigabytes, so they are read a portion at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE, setting_numbers
from lrsweep.vocabulary import CURVE_COLUMNS, Array

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[Sequence[str]], "pd.DataFrame"]
"""From run_ids to the rows of curves.csv of these runs, a run's own together, epoch 0 first."""

PORTION = 400_000
"""Rows of curves that are read at a time, some 30 MB; a few times that are in use while they are measured."""


def portions(runs: pd.DataFrame, most: int | None = None) -> list[Array]:
    """The positions in `runs` in order, in portions whose curves have so many rows at most; a run's stay together."""
    done = runs.reindex(columns=["epochs_done"])["epochs_done"].to_numpy(float)
    rows = np.where(np.isnan(done), 0, done) + 1
    ends = np.cumsum(rows)
    number, start, found = 0, 0.0, []
    while number < len(rows):
        end = max(number + 1, int(np.searchsorted(ends, start + (most or PORTION), side="right")))
        found.append(np.arange(number, end))
        number, start = end, float(ends[end - 1])
    return found


def by_length(
    runs: pd.DataFrame, read: Read, columns: Sequence[str], parts: Sequence[Array] | None = None
) -> Iterator[tuple[Array, Array]]:
    """For each length in a portion, the positions in `runs` (n,) of the runs whose curves have it, and the curves.

    Those are (len(columns), n, E + 1) float64 for E epochs, epoch 0 first, nan where the frame lacks the column.
    A run without a curve (its worker died) is in none of them, a curve without its run neither.
    """
    ids = runs["run_id"]
    for part in portions(runs) if parts is None else parts:
        for at, values in _of_portion(ids.iloc[part], read, columns):
            yield part[at], values


def _of_portion(ids: pd.Series[str], read: Read, columns: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    curves = read(ids.tolist())
    starts = np.flatnonzero(curves["epoch"].to_numpy() == 0)
    lengths = np.diff(starts, append=len(curves))
    positions = ids.to_frame().assign(at=np.arange(len(ids))).set_index("run_id")["at"]
    at = curves["run_id"].iloc[starts].map(positions).fillna(-1).astype(int).to_numpy()
    values = [
        curves[column].to_numpy(float) if column in curves else np.full(len(curves), np.nan) for column in columns
    ]
    for length in np.unique(lengths):
        mine = (lengths == length) & (at >= 0)
        rows = starts[mine, None] + np.arange(length)
        yield at[mine], np.stack([one[rows] for one in values])


def at_epochs(runs: pd.DataFrame, read: Read, epochs: Array) -> pd.DataFrame:
    """The rows of some epochs of the curves of runs."""
    import pandas as pd

    read_some = (read(runs["run_id"].iloc[part].tolist()) for part in portions(runs))
    found = [curves[curves["epoch"].isin(epochs)] for curves in read_some]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["run_id", *CURVE_COLUMNS])


def ranking_rows(ranking: pd.DataFrame, runs: pd.DataFrame, about: Mapping[str, Any]) -> tuple[Array, Array]:
    """The position in `ranking` of each run's setting and rate, and of the best rate of each of its own rows.

    (len(runs),) and (len(ranking),).
    """
    rates, code = np.unique(ranking[RATE].to_numpy(float), return_inverse=True)
    numbers = np.broadcast_to(np.asarray(setting_numbers(ranking, about)), len(ranking))
    known = numbers * len(rates) + code
    wanted = np.asarray(setting_numbers(runs, about)) * len(rates) + np.searchsorted(rates, runs[RATE].to_numpy(float))
    order, first = np.argsort(known), np.flatnonzero(ranking["rank"] == 1)
    bests = np.zeros(numbers.max(initial=-1) + 1, int)
    bests[numbers[first]] = first
    return order[np.searchsorted(known, wanted, sorter=order)], bests[numbers]


def at_the_top(rates: Array, bests: Array) -> Array:
    """Whether each rate (n,) is the highest of several of its setting, which `bests` (n,) tells by its best rate's row.

    >>> at_the_top(np.array([0.1, 1.0, 0.1]), np.array([0, 0, 2]))
    array([False,  True, False])
    """
    tops = np.full(len(rates), -np.inf)
    np.maximum.at(tops, bests, rates)
    several = np.bincount(bests, minlength=len(rates)) > 1
    top: Array = (rates == tops[bests]) & several[bests]
    return top


class Seeds:
    """What runs measure, over the seeds of each rate. `rows` (len(runs),) are the runs' rates, numbers below `n`.

    Values are (len(runs),), nan where a run has none; what comes of them (n,), nan where no run of a rate has one.
    """

    def __init__(self, rows: Array, n: int) -> None:
        self.rows, self.n = rows, n
        self.counts = np.bincount(rows, minlength=n)
        order = np.argsort(rows, kind="stable")
        firsts = np.cumsum(self.counts) - self.counts
        self.places = np.empty(len(rows), int)
        self.places[order] = np.arange(len(rows)) - firsts[rows[order]]

    def apart(self, values: Array) -> Array:
        """The values by rate and seed, (n, S), filled up with nan."""
        table = np.full((self.n, max(1, self.counts.max(initial=0))), np.nan)
        table[self.rows, self.places] = values
        return table

    def count(self, flags: Array) -> Array:
        """How many seeds are flagged."""
        return np.bincount(self.rows[flags], minlength=self.n)

    def first(self, flags: Array, texts: Array) -> Array:
        """The text of each rate's first flagged seed, empty where there is none."""
        found, own = np.full(self.n, "", dtype=object), np.flatnonzero(flags)[::-1]
        found[self.rows[own]] = texts[own]
        return found

    def mean(self, values: Array) -> Array:
        """The means."""
        own = ~np.isnan(values)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.bincount(self.rows[own], values[own], self.n) / self.count(own)

    def median(self, values: Array) -> Array:
        """The medians.

        >>> Seeds(np.array([0, 1, 0, 0, 2]), 3).median(np.array([3.0, 5.0, 1.0, np.nan, np.nan]))
        array([ 2.,  5., nan])
        """
        table = np.sort(self.apart(values), axis=1)  # nan goes last
        own, each = (~np.isnan(table)).sum(axis=1), np.arange(self.n)
        found: Array = table[each, (own - 1) // 2] / 2 + table[each, own // 2] / 2
        return found

    def largest(self, values: Array) -> Array:
        """The maxima."""
        found: Array = np.fmax.reduce(self.apart(values), axis=1)
        return found
