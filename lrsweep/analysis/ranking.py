"""Which rates are best, and which cannot be told from the best: runs in, a row per setting and rate out.

A *setting* is a combination of the columns that vary, but for the rate and the seed. A run that did not finish is
*lost*; it counts as worst, never as missing: one lost seed puts a rate behind every rate without. Of the lost ones, a
run that was *stopped*, because its rate was eliminated, might have come to any end: what that is worth is unknown.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.vocabulary import CRASHED, DIVERGED, FAILED, FINISHED, STOPPED, Array, UsageError

if TYPE_CHECKING:  # frames come in and are worked on by their own methods; importing pandas takes half a second
    import pandas as pd

LEVEL = 0.95
"""Of the intervals over seeds and of the test for ties."""

MOST_FREEDOM = 1000
"""Degrees of freedom beyond which Student's t is as good as normal."""

SMALLEST = 1e-12
"""Losses below this are alike: float32 knows no smaller ones but 0, which has no logarithm."""

ROUNDING = 1e-5
"""A training loss above the untrained one's by no more than this share has not moved: float32 sums it up no better."""

RATE = "learning_rate"
MEANS = (
    *("val_loss", "val_accuracy", "val_r2", "val_macro_f1"),
    *("test_loss", "test_accuracy", "test_r2", "max_grad_norm"),
)
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

    Rates with means that are equal to 12 digits are ranked the lower first. With lost seeds `objective_mean` is
    infinitely bad, and the other means, which then do not exist, are nan; so are spread and interval with one seed.
    `objective_std` is the plain deviation.
    `tied`: the best, and the rates that paired differences over common seeds cannot tell from it. Of the seeds,
    `n_lost` did not finish, `n_diverged` of them diverged, and `n_failed` failed or crashed, which says nothing about
    the rate, nor does it that `n_stopped` were stopped; `n_shaky` are lost or end above their untrained loss.
    Where the lost ones were stopped, `objective_mean` is nan. Among rates with as many lost, those with more of them
    stopped come first, of these those that got farther, `stopped_after` so many epochs, and then those that were better
    by then. That is 0 where they were dropped on a sample, and nan where none is stopped; what they were worth on the
    sample is not among the runs but among the decisions, so of these the lower rate comes first. Raises UsageError.
    """
    column = objective_column(about)
    sign = 1 if lower_is_better(column) else -1
    means = [mean for mean in MEANS if mean in runs]
    settings = [*about["settings"]]
    value, stopped = objective_values(runs, about), runs["status"] == STOPPED
    told = runs.reindex(columns=["epochs_done", column]).astype(float).where(stopped)
    frame = runs[[*settings, RATE, "seed", *means]].assign(
        group=setting_numbers(runs, about),
        value=value,
        stopped=stopped,
        after=told["epochs_done"].mask(stopped & told["epochs_done"].isna(), 0.0),
        so_far=sign * told[column],
        lost=value.isna(),
        diverged=runs["status"] == DIVERGED,
        failed=runs["status"].isin((FAILED, CRASHED)),
        shaky=value.isna() | ends_above_untrained(runs),
    )
    by = frame.groupby(["group", RATE])
    table = by[settings].first().assign(n_seeds=by["lost"].size())
    for count in ("diverged", "failed", "stopped", "lost", "shaky"):
        table[f"n_{count}"] = by[count].sum()
    table = table.assign(objective_mean=by["value"].mean(), objective_std=by["value"].std())
    table["stopped_after"] = by["after"].max()
    key = significant(sign * table["objective_mean"].to_numpy())
    order = table.assign(key=key, spared=-table["n_stopped"], early=-table["stopped_after"], so_far=by["so_far"].mean())
    order = order.sort_values(["group", "n_lost", "key", "spared", "early", "so_far", RATE])
    table["rank"] = order.groupby("group").cumcount() + 1
    table["tied"] = _tied(frame.assign(value=comparable(value, column)), table)
    lost, unknown = table["n_lost"] > 0, table["n_lost"] == table["n_stopped"]
    table["objective_mean"] = table["objective_mean"].mask(lost, np.where(unknown, np.nan, sign * np.inf))
    table["objective_std"] = table["objective_std"].mask(lost)
    half = table["objective_std"] * standard_errors(table["n_seeds"])
    low, high = interval(table["objective_mean"].to_numpy(), half.to_numpy(), column)
    table["objective_low"], table["objective_high"] = low, high
    for mean in means:
        table[f"{mean}_mean"] = by[mean].mean(skipna=False).mask(lost)
    counts = ["n_seeds", "n_diverged", "n_lost", "n_failed", "n_stopped", "n_shaky", "stopped_after"]
    statistics = ["objective_mean", "objective_std", "objective_low", "objective_high", *(f"{m}_mean" for m in means)]
    return table.reset_index()[[*settings, RATE, "rank", "tied", *counts, *statistics]]


def interval(mean: Array, half: Array, column: str) -> tuple[Array, Array]:
    """The 95% interval of a mean whose t interval reaches `half` to each side, within what the metric can be.

    Of a loss it is that of the logarithm, mean · e^±(half / mean): the mean is as many times above the lower end as it
    is below the upper one. It never reaches zero, and holds the true mean more often (tests/studies/redraws.py), since
    losses are lopsided.

    >>> low, high = interval(np.array([0.2]), np.array([0.2]), "val_loss")
    >>> low.round(3), high.round(3)
    (array([0.074]), array([0.544]))
    >>> interval(np.array([0.9]), np.array([0.2]), "val_accuracy")
    (array([0.7]), array([1.]))
    """
    if lower_is_better(column):
        ratio = np.exp(np.divide(half, mean, out=half.copy(), where=half > 0))  # equal seeds, all 0 perhaps: 1
        return mean / ratio, mean * ratio
    name = column.partition("@")[0]
    low = 0.0 if name.endswith(("_accuracy", "_f1")) else -np.inf
    high = 1.0 if name.endswith(("_accuracy", "_f1", "_r2")) else np.inf
    return np.maximum(mean - half, low), np.minimum(mean + half, high)


def ends_above_untrained(runs: pd.DataFrame) -> pd.Series[bool]:
    """Which runs end with a training loss above the untrained one's: unstable, although finite."""
    losses = runs.reindex(columns=["train_loss", "initial_loss"]).astype(float)
    return losses["train_loss"] > losses["initial_loss"] * (1 + ROUNDING)


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


def significant(values: Array, most: int = 12) -> Array:
    """Rounded to this many significant digits: sums that differ by their order alone become equal.

    >>> significant(np.array([0.1 + 0.2, 1234.5678, 0.0, np.inf, np.nan]), 3)
    array([3.00e-01, 1.23e+03, 0.00e+00,      inf,      nan])
    """
    size = np.abs(values)
    known = (size > 1e-290) & (size < np.inf)  # the scale is a number too
    scale = 10.0 ** (most - 1 - np.floor(np.log10(size, where=known, out=np.zeros_like(size))))
    return np.where(known, np.round(values * scale) / scale, values)


def setting_numbers(frame: pd.DataFrame, about: Mapping[str, Any]) -> Any:
    """The number of each row's setting, counted in order of appearance. Runs and their ranking agree on it."""
    columns = varying(about)
    if not columns or frame.empty:
        return 0
    return frame.groupby(columns, sort=False, dropna=False).ngroup()


def by_setting(frame: pd.DataFrame, about: Mapping[str, Any]) -> list[Array]:
    """The positions of each setting's rows in the runs or in their ranking, settings in order of appearance."""
    numbers = np.broadcast_to(np.asarray(setting_numbers(frame, about)), len(frame))
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(frame) else []


def _tied(frame: pd.DataFrame, table: pd.DataFrame) -> Array:
    """Whether each row of the table is the best of its setting or cannot be told from it.

    The two-sided paired t test at LEVEL over the seeds that finished at both, with the variance of the differences
    pooled over all rates from the best to this one: two to five seeds tell the variance of one difference so badly that
    rates several times worse would be tied. There is no correction for the number of rates, nor for the best being the
    best of these data: it would lengthen tie intervals by half. What that costs: of 7 rates that are truly equal, 10%
    are told from the best, and one or more of them in 42% of the sweeps, with 3, 5 or 8 seeds; the tie interval, which
    ends at the first, holds 80% of them, and 63% of 13. The best of real profiles, of which few rates are equal, is in
    it in 98% of the redraws of tests/studies/redraws.py, but for one data set where rare seeds fail.
    A rate at which more seeds are lost or unstable than at the best is told from it by that: their spread is so large
    that no test of means would do it.
    """
    best = table.reset_index().query("rank == 1")[["group", RATE]]
    reference = frame.merge(best, on=["group", RATE])[["group", "seed", "value"]]
    pairs = frame[["group", RATE, "seed", "value"]].merge(reference, on=["group", "seed"], suffixes=("", "_best"))
    pairs["difference"] = pairs["value"] - pairs["value_best"]
    found = pairs.groupby(["group", RATE])["difference"].agg(["count", "mean", "var"]).reindex(table.index)
    count, mean, variance = (found[name].to_numpy() for name in ("count", "mean", "var"))  # nan without a common seed
    rank_1 = table["rank"].to_numpy() == 1
    shaky = table["n_shaky"].where(rank_1).groupby("group").transform("max")  # the best's
    candidates = ((table["n_shaky"] <= shaky) & ((table["n_stopped"] == 0) | rank_1)).to_numpy()
    freedom = np.where(candidates & ~rank_1 & (count > 1), count - 1, 0)
    squares = np.where(freedom > 0, variance * freedom, 0)
    starts = np.flatnonzero(np.diff(table.index.get_level_values("group"), prepend=-1))
    for at, rows in zip(np.flatnonzero(rank_1), np.split(np.arange(len(table)), starts)[1:], strict=True):
        for sums in (freedom, squares):
            sums[rows] = from_best(sums[rows], at - rows[0])
    quantile = np.array([t_quantile(min(int(df), MOST_FREEDOM)) if df else 0 for df in freedom])
    limit: Array = quantile * np.sqrt(squares / np.maximum(freedom, 1) / np.maximum(count, 1))
    return np.asarray(candidates & (np.abs(mean) <= limit))


def from_best(values: Array, at: int) -> Array:
    """The sums of what lies between each place and `at`, both included.

    >>> from_best(np.array([1, 2, 0, 5, 6]), 2)
    array([ 3,  2,  0,  5, 11])
    """
    return np.concatenate([values[at::-1].cumsum()[:0:-1], values[at:].cumsum()])


def standard_errors(counts: Any) -> Array:
    """How far the 95% interval of a mean of n reaches, in standard deviations of its sample; nan for n < 2."""
    return np.array([t_quantile(int(n) - 1) / math.sqrt(n) if n >= 2 else math.nan for n in counts])


@functools.cache
def t_quantile(df: int) -> float:
    """Student's t: |t| stays below this with probability LEVEL. By bisection in θ = arctan(t / √df).

    >>> round(t_quantile(1), 3), round(t_quantile(2), 3), round(t_quantile(10), 3)
    (12.706, 4.303, 2.228)
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_probability(math.sqrt(df) * math.tan(middle), df) < LEVEL else (low, middle)
    return math.sqrt(df) * math.tan((low + high) / 2)


def t_probability(t: float, df: int) -> float:
    """Student's t: the probability that |t| stays below this, for whole degrees of freedom.

    Source: Abramowitz & Stegun 1964, 26.7.3 (odd) and 26.7.4 (even).

    >>> round(t_probability(4.303, 2), 4), t_probability(math.inf, 3)
    (0.95, 1.0)
    """
    theta = math.atan(t / math.sqrt(df))
    powers = np.arange(1 + df % 2, df - 1, 2)  # of cos θ, after the first term
    factors = np.cumprod(np.concatenate([[1.0], powers / (powers + 1)]))
    terms = float((factors * math.cos(theta) ** (2 * np.arange(len(factors)))).sum()) if df > 1 else 0.0
    if df % 2 == 0:
        return math.sin(theta) * terms
    return 2 / math.pi * (theta + math.sin(theta) * math.cos(theta) * terms)
