"""How long each rate takes to get as far as the best one of its setting, and what a second best rate would have cost.

The target is within WITHIN of what the best rate ends with. It is sought on the mean over seeds of the objective's
curve, so in whole epochs; of objectives without a curve (the test metrics, F1) on that of the validation loss.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.curves import Read, Seeds, by_length, portions, ranking_rows
from lrsweep.analysis.ranking import RATE, lower_is_better, objective_column
from lrsweep.analysis.recommend import USELESS, brief
from lrsweep.vocabulary import FINISHED, Array, duration

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("epochs_to_target", "steps_to_target", "examples_to_target", "seconds_to_target", "seconds_mean")

WITHIN = 0.05
"""Of the value that the best rate ends with."""

LEAST = 0.01
"""Of a score: as close is close enough, where 5% of a score near 0 would be nothing."""

CURVES = ("val_loss", "val_accuracy", "val_r2", "train_loss")
"""Objectives that are noted by epoch."""


def cost(
    ranking: pd.DataFrame, runs: pd.DataFrame, read: Read, timings: pd.DataFrame, about: Mapping[str, Any]
) -> pd.DataFrame:
    """The columns COSTS of each row of the ranking: epochs, optimizer steps, examples seen and seconds of one run.

    nan where the target is not reached, which holds for every rate with a lost seed. Seconds are the share of a run's
    mean training time that these epochs are; `seconds_mean` is that time, nan where none was noted.
    """
    objective, (rows, bests) = objective_column(about), ranking_rows(ranking, runs, about)
    column = curve_of(objective)
    found = np.full((2, len(ranking)), np.nan)  # epochs, steps
    lengths, targets = np.full((2, len(ranking)), np.nan)
    for where, (means, steps) in _mean_curves(ranking, rows, bests, runs, read, column):
        own = where == bests[where]
        targets[where[own]] = _target(means[own], column, objective.startswith("best_"))
        target = targets[bests[where], None]  # nan where the best rate is lost
        reached = means <= target if lower_is_better(column) else means >= target
        first = reached.argmax(axis=1)
        found[:, where] = np.where(reached.any(axis=1), [first, steps[np.arange(len(where)), first]], np.nan)
        lengths[where] = means.shape[1] - 1
    seeds = Seeds(rows, len(ranking))
    seconds = seeds.mean(_seconds(runs, timings))
    n_train = seeds.mean(runs.reindex(columns=["n_train"])["n_train"].to_numpy(float))
    with np.errstate(invalid="ignore"):
        values = [*found, found[0] * n_train, found[0] / lengths * seconds, seconds]
    return ranking[[]].assign(**dict(zip(COSTS, values, strict=True)))


def curve_of(objective: str) -> str:
    """The column of curves.csv on which the target of an objective is sought.

    >>> curve_of("best_val_accuracy"), curve_of("val_macro_f1")
    ('val_accuracy', 'val_loss')
    """
    column = objective.removeprefix("best_")
    return column if column in CURVES else "val_loss"


def cost_sentences(rates: pd.DataFrame, objective: str) -> list[str]:
    """What the best rate of a setting cost, and what its neighbours would have; `rates` are its rows of the ranking.

    Empty where the best rate has lost seeds, or no curve: nothing can be said then; nor where it learned nothing, so
    that its untrained network is at the target.
    """
    rates = rates.sort_values(RATE)
    grid, epochs = rates[RATE].tolist(), rates["epochs_to_target"].tolist()
    at = rates["rank"].tolist().index(1)
    useless = "diagnosis" in rates and rates["diagnosis"].iloc[at] in USELESS
    if np.isnan(epochs[at]) or epochs[at] == 0 or useless:
        return []
    end = "best" if objective.startswith("best_") else "final"
    instead = "" if objective.removeprefix("best_") in CURVES else f" ({objective} has no curve)"
    use = f"At {brief(grid[at])} {curve_of(objective)}{instead} is within {WITHIN:.0%} of its {end} value"
    told = [f"{use} after {_paid(rates.iloc[at])}."]
    others = list(_neighbours(grid, epochs, at))
    if others:
        told.append(f"The {'; the '.join(others)}.")
    told_of = np.isfinite(epochs) | (rates["n_stopped"] > 0).to_numpy()
    missing = list(_missing(grid, told_of))
    if missing:
        does = "does" if (~told_of).sum() == 1 else "do"
        limit = f" in {_counted(int(rates['epochs'].iloc[at]), 'epoch')}" if "epochs" in rates else ""
        told.append(f"{' and '.join(missing)} {does} not get there{limit}.")
    return told


def _paid(row: Any) -> str:
    """What a rate took: epochs, examples, and seconds where they are known."""
    paid = f"{_counted(row['epochs_to_target'], 'epoch')} ({_counted(row['examples_to_target'], 'example')}"
    seconds = row["seconds_to_target"]
    return f"{paid}, {duration(seconds)})" if seconds > 0 else f"{paid})"


def _neighbours(grid: Sequence[float], epochs: Sequence[float], at: int) -> Iterator[str]:
    """The epochs that the next rates take, and the fastest where it is another one; where they get there."""
    reached = [i for i in range(len(grid)) if not np.isnan(epochs[i])]
    places = {"next rate below": at - 1} if at - 1 in reached else {}
    if at + 1 in reached:
        places["next above" if places else "next rate above"] = at + 1
    fastest = min(reached, key=epochs.__getitem__)
    if epochs[fastest] < min(epochs[i] for i in (at, *places.values())):
        places["fastest"] = fastest
    for name, i in places.items():
        longer = f" ({epochs[i] / epochs[at]:.2g} × as long)" if epochs[i] > epochs[at] > 0 else ""
        yield f"{name}, {brief(grid[i])}, takes {epochs[i]:.0f}{longer}"


def _missing(grid: Sequence[float], told_of: Array) -> Iterator[str]:
    """The unbroken rows of rates that neither get there nor were stopped before, which is told of by (K,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], told_of, [True]]).astype(int)))
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        ends = dict.fromkeys([brief(grid[first]), brief(grid[after - 1])])
        yield " to ".join(ends)


def _counted(number: float, noun: str) -> str:
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def _mean_curves(
    ranking: pd.DataFrame, rows: Array, bests: Array, runs: pd.DataFrame, read: Read, column: str
) -> Iterator[tuple[Array, Array]]:
    """Rows of the ranking (n,) without a lost seed, with their means over seeds of a curve and its steps (2, n, E + 1).

    Those of a setting come one after the other, from the best rate on. `rows` and `bests` are as of `ranking_rows`.
    """
    each = np.arange(len(ranking))
    turns = np.empty_like(each)  # when each row comes
    turns[np.lexsort((each, each != bests, bests))] = each
    whole = (ranking["n_lost"] == 0).to_numpy()[rows] & (runs["status"] == FINISHED).to_numpy()
    order = np.flatnonzero(whole)
    order = order[np.argsort(turns[rows[order]], kind="stable")]
    own, rows = runs.reindex(columns=["run_id", "epochs_done"]).iloc[order], rows[order]
    open_: dict[int, tuple[Array, int]] = {}  # the sums and seeds of a rate that goes on in the next portion
    nothing = np.empty(0, int)
    for part, after in itertools.pairwise([*portions(own), nothing]):
        goes_on = int(rows[after[0]]) if len(after) else -1
        for at, values in by_length(own, read, (column, "step"), [part]):
            where, number = np.unique(rows[at], return_inverse=True)
            sums, counts = np.zeros((2, len(where), values.shape[2])), np.bincount(number)
            for i in np.flatnonzero(np.isin(where, [*open_])).tolist():
                before, n = open_.pop(int(where[i]))
                sums[:, i] += before
                counts[i] += n
            for total, one in zip(sums, values, strict=True):
                np.add.at(total, number, one)
            if goes_on in where:
                last = int(np.searchsorted(where, goes_on))
                open_[goes_on] = sums[:, last], int(counts[last])
            ended = where != goes_on
            if ended.any():
                yield where[ended], sums[:, ended] / counts[ended, None]


def _target(means: Array, column: str, ever: bool) -> Array:
    """How far each curve (n, E + 1) has to have come: near its last epoch, or its best one; (n,)."""
    if lower_is_better(column):
        return (1 + WITHIN) * (means.min(axis=1) if ever else means[:, -1])
    ends = means.max(axis=1) if ever else means[:, -1]
    return ends - np.fmax(WITHIN * np.abs(ends), LEAST)


def _seconds(runs: pd.DataFrame, timings: pd.DataFrame) -> Array:
    """The seconds of each run, (len(runs),), nan where none were noted."""
    if "seconds" not in timings:
        return np.full(len(runs), np.nan)
    found = runs["run_id"].map(timings.set_index("run_id")["seconds"]).to_numpy(float)
    return np.where(found > 0, found, np.nan)
