"""From tables and arrays to numbers, and what no model can be trained on."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lrsweep.vocabulary import Array, DataError, RawData, Task

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 10
MOST_INDICATORS = 50
"""Different values in a text column; more is a name or a free text, whose indicators would drown the other columns."""

MOST_INFERRED_CLASSES = 50
"""Different values up to which a whole-number target is taken for a class."""

MOST_CLASSES = 1000

Table = tuple[Array, Array]
"""`x` (N, …) and `y` (N,), numbers or (y only) text: what every reader returns."""


def from_frame(frame: pd.DataFrame, target: str) -> Table:
    """The target column, and the others as float64 columns in their order, text as one indicator column per value."""
    frame = frame.set_axis(frame.columns.map(str), axis="columns")
    names = list(frame.columns)
    if not frame.columns.is_unique:
        raise DataError(f"has several columns {listing(list(frame.columns[frame.columns.duplicated()]))}; rename them")
    if target not in names:
        raise DataError(f"has no target column {target!r}; it has {listing(names)}{did_you_mean(target, names)}")
    if len(names) == 1:
        raise DataError(f"has no column but its target {target!r}; add columns to predict it from")
    refuse("missing", names, frame.isna().sum())
    refuse("infinite", names, frame.isin([np.inf, -np.inf]).sum())
    y = column_values(frame[target], target)
    return np.column_stack([indicators(column_values(frame[n], n), n) for n in names if n != target]), y


def column_values(column: pd.Series, name: str) -> Array:
    """The values (N,): float64, or objects that are text. Raises DataError for anything else, dates for example."""
    from pandas import CategoricalDtype
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype, is_string_dtype

    if isinstance(column.dtype, CategoricalDtype) or is_bool_dtype(column) or is_string_dtype(column):
        return column.astype(str).to_numpy(dtype=object)
    if is_numeric_dtype(column) and not is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64)
    raise DataError(f"column {name!r} is {column.dtype}; turn it into numbers or text, or drop it")


def indicators(values: Array, name: str) -> Array:
    """Numbers as they are; text as (N, number of values) zeros and ones, the values in sorted order.

    >>> indicators(np.array(["red", "blue"], dtype=object), "colour")
    array([[0., 1.],
           [1., 0.]])
    """
    if values.dtype != object:
        return values
    different, codes = np.unique(values, return_inverse=True)
    if len(different) > MOST_INDICATORS:
        raise DataError(
            f"text column {name!r} has {len(different)} different values, more than {MOST_INDICATORS}; group or drop it"
        )
    return np.eye(len(different))[codes]


def checked(x: Array, y: Array, task: str | None) -> RawData:
    """What the reader returned as RawData. Raises DataError where no model can be trained on it."""
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"x is {x.shape} and y is {y.shape}; x must be (rows, columns) and y (rows,)")
    if len(y) < FEWEST_ROWS:
        raise DataError(f"has {len(y)} rows and needs {FEWEST_ROWS} at least; add rows")
    x = np.ascontiguousarray(x.reshape(len(x), -1))
    for what, is_so in (("missing", np.isnan), ("infinite", np.isinf)):
        refuse(what, (f"column {i}" for i in range(x.shape[1])), is_so(x).sum(axis=0))
        if y.dtype.kind == "f":
            refuse(what, ["the target"], [is_so(y).sum()])
    y, kind, classes = encoded(y, task)
    header = json.dumps([x.dtype.str, x.shape, y.dtype.str, y.shape, kind, classes]).encode()
    return RawData(x, y, kind, classes, fingerprint=short_hash(header, x.data, y.data))


def encoded(y: Array, task: str | None) -> tuple[Array, Task, tuple[str, ...]]:
    """The target as class indices (int64) with the classes' names, or as float64 without; with the task."""
    text = y.dtype.kind in "OU"
    whole = text or bool((y == np.floor(y)).all())
    values, codes = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"its target is always {values[0]}; add rows with another one")
    if task == "regression" or (task is None and not text and not (whole and len(values) <= MOST_INFERRED_CLASSES)):
        if text:
            raise DataError(f"its target is text ({values[0]!r}), so the task is not regression; drop the task")
        return y.astype(np.float64), "regression", ()
    if not whole:
        raise DataError("its target is not whole numbers, so the task is not classification; drop the task")
    if len(values) > MOST_CLASSES:
        raise DataError(f"its target has {len(values)} different values, more than {MOST_CLASSES}; group them")
    return codes.astype(np.int64), "classification", tuple(str(v) if text else str(int(v)) for v in values)


def short_hash(*chunks: bytes | memoryview) -> str:
    """First 16 hex digits of SHA-256 over the chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()[:16]


def refuse(what: str, names: Iterable[str], counts: Iterable[int]) -> None:
    """Raises DataError where a count is not zero, and names the columns."""
    found = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count]
    if found:
        raise DataError(f"has {what} values in {listing(found)}; fill them in, or drop the rows or columns")


def listing(words: list[str], most: int = 10) -> str:
    """The first words, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean width?`, or nothing.

    >>> did_you_mean("widht", ["width", "depth"])
    '; did you mean width?'
    """
    close = difflib.get_close_matches(word.lower()[:64], list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""
