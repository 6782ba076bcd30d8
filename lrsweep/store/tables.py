"""Tables by column: what the database's rows become, in memory and as CSV."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import compress, groupby
from types import NoneType
from typing import Any, TypeVar

from lrsweep.vocabulary import CURVE_COLUMNS, Array, Scalar, plain

Key = TypeVar("Key")
Record = TypeVar("Record")

Columns = dict[str, list[Scalar | None]]
"""A table: the values of each column, all of one length. By column, since a dict for each of 100,000 rows takes ten
times the memory."""

Row = tuple[str | None, str | None, Mapping[str, Scalar | None]]
"""What is stored of a run beside its settings: status, reason and metrics."""

Decided = Mapping[str, Scalar | None]
"""A row of elimination.csv."""

NAMED = ("run_id", "status", "reason")
"""The columns of runs.csv before the settings."""

AFTER_TRAINING = ("learning_rate", "grad_norm", "update_ratio")
"""Columns of a curve that are empty at epoch 0."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the start of a formula, or skips before one."""

AT_ONCE = 1000
"""Rows that are taken together: one by one they take longer, and all at once more memory."""


def by_column(records: Iterable[Mapping[str, Scalar | None]], first: Iterable[str] = ()) -> Columns:
    """Records as columns: the `first` ones, then the others as they appear; None where a record is without one.

    >>> by_column([{"a": 1}, {"b": 2, "a": 3}], first=["c"])
    {'c': [None, None], 'a': [1, 3], 'b': [None, 2]}
    """
    columns: Columns = {column: [] for column in first}
    number = 0
    for keys, rows in alike(records, tuple):
        number = extend(columns, number, keys, [row.values() for row in rows])
    return columns


def alike(rows: Iterable[Record], key: Callable[[Record], Key]) -> Iterator[tuple[Key, list[Record]]]:
    """The rows in order, some at a time that have the same key."""
    for (_, same), group in groupby(enumerate(rows), lambda pair: (pair[0] // AT_ONCE, key(pair[1]))):
        yield same, [row for _, row in group]


def extend(columns: Columns, number: int, keys: Sequence[str], rows: Sequence[Iterable[Scalar | None]]) -> int:
    """Adds rows of values for these keys to columns that have so many rows already; returns how many they then have."""
    for column, values in zip(keys, zip(*rows, strict=True), strict=True):
        columns.setdefault(column, [None] * number).extend(values)
    number += len(rows)
    for own in columns.values():
        own += [None] * (number - len(own))
    return number


def run_columns(rows: Iterable[tuple[Any, ...]]) -> Columns:
    """runs.csv from run_id, status, reason, settings and metrics of runs, those not yet done left out.

    Their settings have columns all the same, so that these stay as a sweep goes on.
    """
    described: Columns = {column: [] for column in NAMED}
    measured: Columns = {}
    number = 0
    for (done, settings, metrics), group in alike(rows, lambda row: (row[1] is not None, (*row[3],), (*row[4],))):
        if done:
            extend(described, number, (*NAMED, *settings), [(*row[:3], *row[3].values()) for row in group])
            number = extend(measured, number, metrics, [row[4].values() for row in group])
        else:
            described |= {column: [None] * number for column in settings if column not in described}
    return described | measured


def csv_text(columns: Mapping[str, Sequence[Scalar | None]]) -> bytes:
    """CSV. Python writes the shortest text that reads back as the same float; None becomes empty."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(_cells, columns.values()), strict=True))
    return text.getvalue().encode()


def curve_bytes(curve: Array) -> bytes:
    """A curve as the database holds it."""
    return curve.astype("<f8", copy=False).tobytes()


def curve_of(stored: bytes) -> Array:
    """A curve (epochs_done + 1, len(CURVE_COLUMNS)), as it was stored."""
    import numpy as np

    return np.frombuffer(stored, "<f8").reshape(-1, len(CURVE_COLUMNS))


def curve_lines(columns: Sequence[str], curves: Iterable[tuple[str, Array]]) -> Iterator[str]:
    """Lines of CSV, made by hand: numbers need no quoting, and there are a hundred times as many as in runs.csv."""
    yield f"run_id,{','.join(columns)}\n"
    applies = [not column.startswith(AFTER_TRAINING) for column in columns[2:]]
    untrained = f"%s,%.0f,%.0f{''.join(',%r' if own else ',' for own in applies)}\n"
    line = f"%s,%.0f,%.0f{',%r' * len(applies)}\n"
    for run_id, curve in curves:
        for epoch, step, *rest in curve[:1].tolist():  # what follows from training does not apply
            yield untrained % (run_id, epoch, step, *compress(rest, applies))
        for start in range(1, len(curve), AT_ONCE):
            yield "".join([line % (run_id, *row) for row in curve[start : start + AT_ONCE].tolist()])


def _cells(values: Sequence[Scalar | None]) -> Iterable[Scalar | None]:
    """The values of a column as they stand in a CSV file."""
    return values if {*map(type, values)} <= {float, int, NoneType} else map(_cell, values)


@functools.lru_cache(maxsize=AT_ONCE, typed=True)
def _cell(value: Scalar | None) -> Scalar | None:
    """A value as it stands in a CSV file: text is kept from being read as a formula, and from steering a terminal that
    shows the file; booleans are spelled as in YAML.

    >>> _cell("=1+1"), _cell(-1.0), _cell(True)
    ("'=1+1", -1.0, 'true')
    """
    if isinstance(value, str):
        value = value if value.isprintable() else "\n".join(map(plain, value.split("\n")))
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(value).lower() if isinstance(value, bool) else value
