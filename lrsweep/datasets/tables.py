"""From tables and arrays to numbers, and what no model can be trained on."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from lrsweep.room import over_half_of_memory
from lrsweep.vocabulary import Array, DataError, RawData, Task, written

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 10
MOST_INDICATORS = 50
"""Different values in a text column; more is a name or a free text, whose indicators would drown the other columns."""

MOST_INFERRED_CLASSES = 50
"""Different values up to which a whole-number target is taken for a class."""

MOST_CLASSES = 1000

LARGEST = 1e38
"""Of a value: what lies beyond it float32 turns into infinity, whatever it is scaled by."""

CLOSEST = 1e-140
"""Of a column's lowest value and its highest, where they differ: the squares of what is closer have no digits left,
and even what one row in 10^18 has of its own stands out from SMALLEST of the split."""

LARGEST_WHOLE = 2**53
"""Of a whole number: beyond it float64 takes neighbours for one and the same."""

Table = tuple[Array, Array]
"""`x` (N, …) and `y` (N,), numbers or (y only) text: what every reader returns."""

DIGITS = r"(\d+|\d{1,3}(?P<gap>[,' ])\d{3}((?P=gap)\d{3})*|\d{1,3}(\.\d{3})+(?=,))"
NUMBER = re.compile(
    rf"\s*[-+]?[$€£¥]?\s*({DIGITS}([.,]\d*)?|\.\d+)(e[-+]?\d+)?\s*[%$€£¥]?\s*", re.IGNORECASE | re.ASCII
)
"""A number as people and programs write it: with thousands apart, a decimal comma, a percent sign, a currency's."""


def from_frame(frame: pd.DataFrame, target: str, marks: Callable[[list[int]], list[str]] = lambda _: []) -> Table:
    """The target column, and the others as float64 columns in their order, text as one indicator column per value.

    `marks` knows the texts that stand for what is missing in columns, by their numbers.
    """
    frame = frame.set_axis(frame.columns.map(str), axis="columns")
    names = list(frame.columns)
    told = [brief(name) for name in names]
    if not frame.columns.is_unique:
        raise DataError(f"has several columns {listing(list(compress(told, frame.columns.duplicated())))}; rename them")
    if target not in names:
        raise DataError(
            f"has no target column {brief(target)!r}; it has {listing(told)}{did_you_mean(target, names[:1000])}"
        )
    if len(names) == 1:
        raise DataError(f"has no column but its target {target!r}; add columns to predict it from")
    columns = numbers_and_text(frame, marks)
    y = columns.pop(names.index(target))
    return stacked(columns, [name for name in names if name != target]), y


def numbers_and_text(frame: pd.DataFrame, marks: Callable[[list[int]], list[str]]) -> list[Array]:
    """The columns' values (N,): float64, or objects that are text. Raises DataError for anything else.

    Numbers are taken at once: one by one, 100,000 columns of pandas' take a quarter of a minute.
    """
    plain = [isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in frame.dtypes]
    numbers = (frame if all(plain) else frame.loc[:, plain]).to_numpy(np.float64)
    counts = iter(np.isnan(numbers).sum(axis=0).tolist())
    columns = [*zip(frame.columns, plain, strict=True)]
    missing = [next(counts) if is_plain else absent(frame[name]) for name, is_plain in columns]
    if found := [i for i, count in enumerate(missing) if count]:
        refuse("missing", frame.columns, missing, marks(found))
    check_values(numbers, list(frame.columns[plain]))
    each = iter(numbers.T)
    taken = [next(each) if is_plain else column_values(frame[name], name) for name, is_plain in columns]
    for name, dtype, values in zip(frame.columns, frame.dtypes, taken, strict=True):
        if dtype.kind in "iu":
            refuse_long(f"column {brief(name)}", values)
    return taken


def refuse_long(what: str, values: Array) -> None:
    """Raises DataError where numbers that were whole may have lost digits as float64."""
    if np.abs(values).max(initial=0) > LARGEST_WHOLE:
        raise DataError(
            f"{what} has whole numbers beyond {LARGEST_WHOLE:,}, which lose digits; "
            "drop it if it names rows, or make its numbers smaller"
        )


def absent(column: pd.Series) -> int:
    """How many values of a column are missing, or blank."""
    return int((column.isna() | (column.astype(str).str.strip() == "")).sum())


def column_values(column: pd.Series, name: str) -> Array:
    """The values (N,): float64, or objects that are text. Raises DataError for anything else, dates for example."""
    from pandas import CategoricalDtype
    from pandas.api.types import infer_dtype, is_bool_dtype, is_complex_dtype, is_numeric_dtype, is_string_dtype

    if isinstance(column.dtype, CategoricalDtype) or is_bool_dtype(column):
        return column.astype(str).to_numpy(dtype=object)
    if is_string_dtype(column):
        values: Array = column.astype(str).to_numpy(dtype=object)
        refuse_half_numbers(values, name)
        return values
    if is_numeric_dtype(column) and not is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64)
    if infer_dtype(column) == "integer":  # too long for 64 bits
        refuse_long(f"column {brief(name)}", np.array([np.inf]))
    held = infer_dtype(column) if column.dtype == object else str(column.dtype)
    raise DataError(f"column {brief(name)!r} is {held}; turn it into numbers or text, or drop it")


def refuse_half_numbers(values: Array, name: str) -> None:
    """Raises DataError where text (N,) is numbers, beside a mark for missing ones or not as Python writes them."""
    different, counts = np.unique(values, return_counts=True)
    like = np.array([NUMBER.fullmatch(value) is not None for value in different], dtype=bool)
    if 2 * counts[like].sum() < len(values):
        return
    odd = [value for value in different[like] if not plain_number(value)]
    if others := different[~like].tolist() or odd:
        found = listing([repr(brief(value)) for value in others], 3)
        raise DataError(
            f"column {brief(name)} is text, though most of it is numbers, because of {found}; "
            "write numbers as in 1234.5 and fill in what is missing, or put a letter before each if they are names"
        )


def plain_number(text: str) -> bool:
    """Whether a text is a number as Python writes it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def stacked(columns: Sequence[Array], names: Sequence[str]) -> Array:
    """Columns of numbers and text as (N, D), text as one indicator column per value.

    Raises DataError where there would be too many of these, or no room for them.
    """
    different = {
        i: np.unique(values, return_inverse=True) for i, values in enumerate(columns) if values.dtype == object
    }
    for i, (found, _) in different.items():
        if len(found) > MOST_INDICATORS:
            raise DataError(
                f"text column {brief(names[i])!r} has {len(found)} different values, more than {MOST_INDICATORS}; "
                "group or drop it"
            )
    n_rows, n_columns = len(columns[0]), len(columns) + sum(len(found) - 1 for found, _ in different.values())
    refuse_too_large(
        f"{n_rows:,} rows of {n_columns:,} columns, one for each value of text, need", 8 * n_rows * n_columns
    )
    x = np.empty((n_rows, n_columns))
    at = 0
    for i, values in enumerate(columns):
        if i in different:
            found, codes = different[i]
            x[:, at : at + len(found)] = codes[:, None] == np.arange(len(found))
            at += len(found)
        else:
            x[:, at] = values
            at += 1
    return x


def refuse_too_large(what: str, n_bytes: float) -> None:
    """Raises DataError where there is no room in memory for what takes so many bytes."""
    if said := over_half_of_memory(what, n_bytes):
        raise DataError(f"{said}; take fewer rows or columns")


def checked(x: Array, y: Array, task: str | None) -> RawData:
    """What the reader returned as RawData. Raises DataError where no model can be trained on it."""
    check_shapes(x.shape, y.shape)
    if len(y) < FEWEST_ROWS:
        raise DataError(f"has {len(y)} rows and needs {FEWEST_ROWS} at least; add rows")
    x = np.ascontiguousarray(x.reshape(len(x), -1))
    if x.shape[1] == 0:
        raise DataError("x has no columns; add some to predict y from")
    check_values(x, [f"column {i}" for i in range(x.shape[1])])
    check_values(y[:, None], ["the target"])
    if (x == x[0]).all():
        raise DataError("has the same values in all rows but for the target; add columns to predict it from")
    y, kind, classes = encoded(y, task)
    return RawData(x, y, kind, classes, fingerprint_of(x, y, kind, classes))


def check_shapes(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    """Raises DataError where arrays of these shapes are no table and its target."""
    if len(x) < 2 or len(y) != 1 or x[0] != y[0]:
        told = f"x is {brief(str(x))} and y is {brief(str(y))}"
        raise DataError(f"{told}; x must be (rows, columns) and y (rows,)")


def check_values(values: Array, names: Sequence[str]) -> None:
    """Raises DataError where columns (N, D) of floats have values that are missing, infinite, too large or close."""
    if values.dtype.kind != "f" or not values.size:
        return
    low, high = values.min(axis=0), values.max(axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = high - low
        if (low >= -LARGEST).all() and (high <= LARGEST).all():  # NaN is not
            if found := list(compress(map(brief, names), (spread > 0) & (spread < CLOSEST))):
                raise DataError(f"has a spread below {CLOSEST:g} in {listing(found)}; rescale it")
            return
    for what, is_so in (("missing", np.isnan), ("infinite", np.isinf)):
        refuse(what, names, is_so(values).sum(axis=0))
    found = [brief(name) for name, *ends in zip(names, low, high, strict=True) if max(map(abs, ends)) > LARGEST]
    raise DataError(f"has values beyond ±{LARGEST:g} in {listing(found)}; rescale it")


def fingerprint_of(x: Array, y: Array, kind: str, classes: Sequence[str]) -> str:
    """What data is known by: it rests on all that is learned from."""
    header = json.dumps([x.dtype.str, x.shape, y.dtype.str, y.shape, kind, tuple(classes)]).encode()
    return short_hash(header, x.data, y.data)


def encoded(y: Array, task: str | None) -> tuple[Array, Task, tuple[str, ...]]:
    """The target as class indices (int64) with the classes' names, or as float64 without; with the task."""
    text = y.dtype.kind in "OU"
    whole = text or bool((y == np.floor(y)).all())
    values, codes = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"its target is always {brief(label(values[0]))}; add rows with another one")
    if task == "regression" or (task is None and not text and not (whole and len(values) <= MOST_INFERRED_CLASSES)):
        if text:
            raise DataError(f"its target is text ({brief(values[0])!r}), so the task is not regression; drop the task")
        return y.astype(np.float64), "regression", ()
    if not whole:
        raise DataError("its target is not whole numbers, so the task is not classification; drop the task")
    if len(values) > MOST_CLASSES:
        raise DataError(f"its target has {len(values)} different values, more than {MOST_CLASSES}; group them")
    if 2 * len(values) > len(y):
        remedy = "name another target, or group them" if text else "set task: regression, or group them"
        raise DataError(f"its target has {len(values)} classes in {len(y)} rows, most of them in one alone; {remedy}")
    if text and any(not value.strip() for value in values):
        refuse("missing", ["the target"], [sum(not value.strip() for value in y)])
    return codes.astype(np.int64), "classification", tuple(label(value) for value in values)


def label(value: float | str) -> str:
    """A value of the target as people write it."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else written(value)


def short_hash(*chunks: bytes | memoryview) -> str:
    """First 16 hex digits of SHA-256 over the chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()[:16]


def refuse(what: str, names: Iterable[str], counts: Iterable[int], marks: Sequence[str] = ()) -> None:
    """Raises DataError where a count is not zero, and names the columns and what marks such values in them."""
    found = [f"{brief(name)} ({count})" for name, count in zip(names, counts, strict=True) if count]
    if found:
        told = f", written {listing([repr(mark) for mark in marks], 5)}" if marks else ""
        word = f", or write another word where {marks[0]!r} means itself" if marks else ""
        raise DataError(f"has {what} values in {listing(found)}{told}; fill them in, or drop the rows or columns{word}")


def listing(words: Sequence[str], most: int = 10) -> str:
    """The first words, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def brief(word: str, most: int = 60) -> str:
    r"""A word at a length that a message can hold; one that could not be told from another by eye, in quotes.

    >>> brief("size"), brief(" y"), brief("a\x1b[0m"), brief("long" * 20, 6)
    ('size', "' y'", "'a\\x1b[0m'", 'longl…')
    """
    short = word if len(word) <= most else f"{word[: most - 1]}…"
    return short if short.isprintable() and short == short.strip() else repr(short)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean width?`, or nothing.

    >>> did_you_mean("widht", ["width", "depth"])
    '; did you mean width?'
    """
    close = difflib.get_close_matches(word.lower()[:64], list(choices), n=1)
    return f"; did you mean {brief(close[0])}?" if close else ""
