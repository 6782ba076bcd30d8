"""From raw data to a run's data: the nested stratified split, the subset, the scaling."""

from __future__ import annotations

import numpy as np

from lrsweep.vocabulary import Array, Data, DataError, RawData, Run, Scalar

SPLIT_STREAM = 100
"""Spawn key of the split's random numbers, so that a `seed` equal to the `split_seed` draws other ones."""

SMALLEST = 1e-150
"""Standard deviation of a column that counts as constant."""


def data_key(run: Run) -> tuple[Scalar, ...]:
    """What of a run decides how its data is cut and scaled."""
    return (run.subset, run.validation, run.test, run.split_seed, run.standardize, run.precision)


def split_sizes(n_rows: int, run: Run) -> tuple[int, int, int]:
    """Rows for training (after the subset), validation and test. Raises DataError where a part would be empty."""
    n_val, n_test = round(run.validation * n_rows), round(run.test * n_rows)
    available = n_rows - n_val - n_test
    n_train = run.subset if isinstance(run.subset, int) else max(1, round(run.subset * available))
    if n_val < 1:
        raise DataError(f"{run.dataset}: validation {run.validation} of {n_rows} rows is no row; raise validation")
    if n_test < 1 and run.test > 0:
        raise DataError(f"{run.dataset}: test {run.test} of {n_rows} rows is no row; raise test, or set it to 0")
    if available < 1:
        raise DataError(
            f"{run.dataset}: validation {run.validation} and test {run.test} leave none of {n_rows} rows for training; "
            "lower them"
        )
    if n_train > available:
        raise DataError(f"{run.dataset}: subset {n_train} is more than the {available} training rows; lower subset")
    return n_train, n_val, n_test


def prepare(raw: RawData, run: Run) -> Data:
    """Split, cut to the run's subset, scaled and in the run's precision.

    The validation and test rows do not depend on the subset, and a smaller subset's rows are among a larger one's.
    Means and standard deviations come from the rows that the run trains on.
    Raises DataError where a part would be empty or a value is too large for the precision.
    """
    n_train, n_val, n_test = split_sizes(len(raw.y), run)
    strata = raw.y if raw.task == "classification" else np.zeros(len(raw.y), dtype=np.int64)
    test, val, train, _ = np.split(split_order(strata, run.split_seed), np.cumsum([n_test, n_val, n_train]))
    parts = (train, val, test)
    x_train, x_val, x_test = scaled(raw.x, parts, run)
    y_train, y_val, y_test = (
        [raw.y[rows] for rows in parts] if raw.task == "classification" else scaled(raw.y, parts, run)
    )
    return Data(x_train, y_train, x_val, y_val, x_test, y_test, raw.task, n_outputs=max(1, len(raw.classes)))


def split_order(strata: Array, seed: int) -> Array:
    """Row numbers (N,) in an order whose every contiguous segment holds the strata nearly in proportion.

    The i-th of a stratum's n rows, shuffled, goes to (i + 1/2) / n of the way.

    >>> strata = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    >>> strata[split_order(strata, seed=0)]
    array([0, 0, 1, 0, 0, 0, 0, 1, 0, 0])
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLIT_STREAM,))))
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.lexsort((random.random(len(place)), place))  # strata of one size tie everywhere


def scaled(values: Array, parts: tuple[Array, ...], run: Run) -> list[Array]:
    """The rows of each part, the first of which is the training part, in the run's precision and C-contiguous."""
    try:
        with np.errstate(over="raise", invalid="raise"):
            mean, std = mean_and_std(values[parts[0]]) if run.standardize else (0.0, 1.0)
            return [((values[rows] - mean) / std).astype(run.precision, order="C") for rows in parts]
    except FloatingPointError as error:
        raise DataError(
            f"{run.dataset}: a value is too large for {run.precision} ({error}); rescale the column"
        ) from error


def mean_and_std(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column in float64; 1 for a column that is constant, or as good as that.

    >>> mean_and_std(np.array([[0, 0.1], [2, 0.1], [4, 0.1]]))[1].round(3)
    array([1.633, 1.   ])
    """
    std = values.std(axis=0, dtype=np.float64)
    # Rounding can leave a constant column a std of 1e-17; the squares of a std below SMALLEST have no digits left.
    constant = (np.ptp(values, axis=0) == 0) | (std < SMALLEST)
    return values.mean(axis=0, dtype=np.float64), np.where(constant, 1.0, std)
