"""Tables by column: what the database's rows become, in memory and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from lrsweep.vocabulary import Array, Scalar

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

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the start of a formula."""


def by_column(records: Iterable[Mapping[str, Scalar | None]], first: Iterable[str] = ()) -> Columns:
    """Records as columns: the `first` ones, then the others as they appear; None where a record is without one.

    >>> by_column([{"a": 1}, {"b": 2, "a": 3}], first=["c"])
    {'c': [None, None], 'a': [1, 3], 'b': [None, 2]}
    """
    columns: Columns = {column: [] for column in first}
    for number, record in enumerate(records):
        add_row(columns, number, record)
    return columns


def add_row(columns: Columns, number: int, record: Mapping[str, Scalar | None]) -> None:
    """Adds a record to columns that have so many rows already."""
    for column, value in record.items():
        try:
            columns[column].append(value)
        except KeyError:
            columns[column] = [*[None] * number, value]
    if len(record) < len(columns):
        for column in columns.keys() - record.keys():
            columns[column].append(None)


def run_columns(rows: Iterable[tuple[Any, ...]]) -> Columns:
    """runs.csv from run_id, status, reason, settings and metrics of runs, those not yet done left out.

    Their settings have columns all the same, so that these stay as a sweep goes on.
    """
    described: Columns = {column: [] for column in NAMED}
    measured: Columns = {}
    number = 0
    for *named, settings, metrics in rows:
        row = dict(zip(NAMED, named, strict=True)) | settings
        if row["status"] is None:
            described |= {column: [None] * number for column in row if column not in described}
        else:
            add_row(described, number, row)
            add_row(measured, number, metrics)
            number += 1
    return described | measured


def csv_text(columns: Mapping[str, Sequence[Scalar | None]]) -> bytes:
    """CSV. Python writes the shortest text that reads back as the same float; None becomes empty."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, values) for values in columns.values()), strict=True))
    return text.getvalue().encode()


def curve_lines(columns: Sequence[str], curves: Iterable[tuple[str, Array]]) -> Iterator[str]:
    """Lines of CSV, joined by hand: numbers need no quoting, and there are a hundred times as many as in runs.csv."""
    yield f"run_id,{','.join(columns)}\n"
    first = [not column.startswith(AFTER_TRAINING) for column in columns[2:]]
    for run_id, curve in curves:
        lines = [[f"{run_id},{epoch:.0f},{step:.0f}", *map(repr, rest)] for epoch, step, *rest in curve.tolist()]
        if lines:  # untrained: what follows from training does not apply
            lines[0][1:] = [value if applies else "" for value, applies in zip(lines[0][1:], first, strict=True)]
        yield "".join(f"{','.join(line)}\n" for line in lines)


def _cell(value: Scalar | None) -> Scalar | None:
    """A value as it stands in a CSV file: text is kept from being read as a formula, booleans are spelled as in YAML.

    >>> _cell("=1+1"), _cell(-1.0), _cell(True)
    ("'=1+1", -1.0, 'true')
    """
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(value).lower() if isinstance(value, bool) else value
