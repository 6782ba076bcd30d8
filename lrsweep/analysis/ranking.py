"""Which rates are best, and which cannot be told from the best: runs in, a row per setting and rate out.

A *setting* is a combination of the columns that vary, but for the rate and the seed. A run that did not finish is
*lost*; it counts as worst, never as missing: one lost seed puts a rate behind every rate without.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.vocabulary import DIVERGED, FINISHED, Array, UsageError

if TYPE_CHECKING:  # frames come in and are worked on by their own methods; importing pandas takes half a second
    import pandas as pd

LEVEL = 0.95
"""Of the intervals over seeds and of the test for ties."""

SMALLEST = 1e-12
"""Losses below this are alike: float32 knows no smaller ones but 0, which has no logarithm."""

RATE = "learning_rate"
MEANS = ("val_loss", "val_accuracy", "val_r2", "test_accuracy", "test_r2")
"""Metrics averaged beside the objective, where the runs have them."""


def varying(about: Mapping[str, Any]) -> list[str]:
    """The columns that tell settings apart."""
    return [column for column in about["axes"] if column not in (RATE, "seed")]


def objective_column(about: Mapping[str, Any]) -> str:
    """The column of runs.csv that ranks the rates.

    >>> objective_column({"objective": "val_loss", "select": "best"})
    'best_val_loss'
    """
    objective = str(about["objective"])
    best = about["select"] == "best" and not objective.startswith("best_")
    return f"best_{objective}" if best else objective


def lower_is_better(column: str) -> bool:
    """Losses go down, everything else goes up."""
    return column.endswith("loss")


def rank(runs: pd.DataFrame, about: Mapping[str, Any]) -> pd.DataFrame:
    """A row per setting and rate, settings in order of appearance, then by rate; rank 1 is the best of its setting.

    Equal rates are ranked the lower first. With lost seeds `objective_mean` is infinitely bad, and the other means,
    which then do not exist, are nan; so are spread and interval with one seed.
    `tied`: the best, and the rates that paired differences over common seeds cannot tell from it. `n_lost` counts the
    diverged and all others that did not finish. Raises UsageError.
    """
    sign = 1 if lower_is_better(objective_column(about)) else -1
    means = [column for column in MEANS if column in runs]
    settings = [*about["settings"]]
    value = objective_values(runs, about)
    frame = runs[[*settings, RATE, "seed", *means]].assign(
        group=setting_numbers(runs, about),
        value=value,
        lost=value.isna(),
        diverged=runs["status"] == DIVERGED,
        shaky=value.isna() | ends_above_untrained(runs),
    )
    by = frame.groupby(["group", RATE])
    table = (
        by[settings]
        .first()
        .assign(
            n_seeds=by["lost"].size(),
            n_diverged=by["diverged"].sum(),
            n_lost=by["lost"].sum(),
            n_shaky=by["shaky"].sum(),
            objective_mean=by["value"].mean(),
            objective_std=by["value"].std(),
        )
    )
    order = table.assign(key=sign * table["objective_mean"]).sort_values(["group", "n_lost", "key", RATE])
    table["rank"] = order.groupby("group").cumcount() + 1
    table["tied"] = _tied(frame.assign(value=comparable(value, objective_column(about))), table)
    lost = table["n_lost"] > 0
    table["objective_mean"] = table["objective_mean"].mask(lost, sign * np.inf)
    table["objective_std"] = table["objective_std"].mask(lost)
    half = table["objective_std"] * standard_errors(table["n_seeds"])
    table["objective_low"], table["objective_high"] = table["objective_mean"] - half, table["objective_mean"] + half
    for column in means:
        table[f"{column}_mean"] = by[column].mean(skipna=False).mask(lost)
    statistics = ["objective_mean", "objective_std", "objective_low", "objective_high", *(f"{m}_mean" for m in means)]
    columns = [*settings, RATE, "rank", "tied", "n_seeds", "n_diverged", "n_lost", *statistics]
    return table.reset_index()[columns]


def ends_above_untrained(runs: pd.DataFrame) -> pd.Series[bool]:
    """Which runs end with a training loss above the untrained one's: unstable, although finite."""
    losses = runs.reindex(columns=["train_loss", "initial_loss"]).astype(float)
    return losses["train_loss"] > losses["initial_loss"]


def objective_values(runs: pd.DataFrame, about: Mapping[str, Any]) -> pd.Series[float]:
    """Each run's objective, nan where the run is lost. Raises UsageError where finished runs have no such column."""
    column = objective_column(about)
    finished = runs["status"] == FINISHED
    if column not in runs and finished.any():
        scores = ("_loss", "_accuracy", "_r2", "_f1")
        known = ", ".join(name for name in map(str, runs) if name.partition("@")[0].endswith(scores))
        raise UsageError(f"objective {column} is not a column of runs.csv; choose from {known}")
    values = runs.reindex(columns=[column])[column].astype(float)
    return values.where(finished & np.isfinite(values))


def comparable(values: pd.Series[float], column: str) -> pd.Series[float]:
    """What is subtracted when two rates are compared: scores as they are, losses by their logarithm, hence as ratios.

    Losses spread the more the larger they are: where three seeds end at 0.1 with one rate and at 10, 100 and 1000 with
    another, the plain differences cannot tell the two apart.
    """
    return values.clip(lower=SMALLEST).transform(np.log) if lower_is_better(column) else values


def setting_numbers(frame: pd.DataFrame, about: Mapping[str, Any]) -> Any:
    """The number of each row's setting, counted in order of appearance. Runs and their ranking agree on it."""
    columns = varying(about)
    if not columns or frame.empty:
        return 0
    return frame.groupby(columns, sort=False, dropna=False).ngroup()


def _tied(frame: pd.DataFrame, table: pd.DataFrame) -> Any:
    """Whether each row of the table is the best of its setting or cannot be told from it.

    The two-sided paired t test at LEVEL, over the seeds that finished at both; with one such seed only equals are tied.
    A rate at which more seeds are lost or unstable than at the best is told from it by that: their spread is so large
    that no test of means would do it.
    """
    best = table.reset_index().query("rank == 1")[["group", RATE]]
    reference = frame.merge(best, on=["group", RATE])[["group", "seed", "value"]]
    pairs = frame.merge(reference, on=["group", "seed"], suffixes=("", "_best"))
    pairs["difference"] = pairs["value"] - pairs["value_best"]
    found = pairs.groupby(["group", RATE])["difference"].agg(["count", "mean", "std"]).reindex(table.index)
    limit = (found["std"] * standard_errors(found["count"])).fillna(0)
    shaky = table["n_shaky"].where(table["rank"] == 1).groupby("group").transform("max")  # the best's
    return (found["mean"].abs() <= limit) & (table["n_shaky"] <= shaky)


def standard_errors(counts: Any) -> Array:
    """How far the 95% interval of a mean of n reaches, in standard deviations of its sample; nan for n < 2."""
    return np.array([t_quantile(int(n) - 1) / math.sqrt(n) if n >= 2 else math.nan for n in counts])


@functools.cache
def t_quantile(df: int) -> float:
    """Student's t: |t| stays below this with probability LEVEL.

    Bisection of the series for whole degrees of freedom, in θ = arctan(t / √df).
    Source: Abramowitz & Stegun 1964, 26.7.3 (odd) and 26.7.4 (even).

    >>> round(t_quantile(1), 3), round(t_quantile(2), 3), round(t_quantile(10), 3)
    (12.706, 4.303, 2.228)
    """
    powers = np.arange(1 + df % 2, df - 1, 2)  # of cos θ, after the first term
    factors = np.cumprod(np.concatenate([[1.0], powers / (powers + 1)]))

    def inside(theta: float) -> float:
        terms = float((factors * math.cos(theta) ** (2 * np.arange(len(factors)))).sum()) if df > 1 else 0.0
        if df % 2 == 0:
            return math.sin(theta) * terms
        return 2 / math.pi * (theta + math.sin(theta) * math.cos(theta) * terms)

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < LEVEL else (low, middle)
    return math.sqrt(df) * math.tan((low + high) / 2)
