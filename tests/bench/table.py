"""Rows by name, a column per optimizer and width, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from case import Case

LABEL, CELL = 48, 8

Cells = dict[tuple[str, int], float]
"""A row: numbers by optimizer and width."""


class Table:
    """Rows in the order in which they were first named; of several values for a cell the smallest stays."""

    def __init__(self, optimizers: Sequence[str], widths: Sequence[int]) -> None:
        self.optimizers, self.widths = optimizers, widths
        self.columns = [(optimizer, width) for optimizer in optimizers for width in widths]
        self.rows: dict[str, Cells] = {}

    def note(self, row: str, case: Case, value: float) -> None:
        """Sets a cell, or lowers it."""
        cells, column = self.rows.setdefault(row, {}), (case.optimizer, case.width)
        cells[column] = min(value, cells.get(column, value))

    def head(self) -> str:
        """The columns' names, in two lines."""
        groups = "".join(f"{name:>{CELL * len(self.widths)}}" for name in self.optimizers)
        return f"{'':{LABEL}}{groups}\n{'width':{LABEL}}" + "".join(f"{width:{CELL}}" for _, width in self.columns)

    def lines(self, form: str = "") -> Iterator[str]:
        """Every row; without a form, numbers have about three figures."""
        for row, cells in self.rows.items():
            yield self.line(row, {column: format(value, form or by_size(value)) for column, value in cells.items()})

    def ratio(
        self, label: str, over: str, under: str, word: str, targets: Mapping[str, Sequence[float]]
    ) -> Iterator[str]:
        """One row over another, and below it the target, if any: `word` is `at most` or `at least`."""
        above, below = self.rows.get(over, {}), self.rows.get(under, {})
        ratios = {column: round(above[column] / below[column], 2) for column in above.keys() & below.keys()}
        if ratios:
            yield self.line(label, {column: f"{ratio:.2f}" for column, ratio in ratios.items()})
        if ratios and word:
            texts = {}
            for optimizer, width in ratios:
                ratio, target = ratios[optimizer, width], targets[optimizer][self.widths.index(width)]
                met = ratio <= target if word == "at most" else ratio >= target
                texts[optimizer, width] = f"{'' if met else '! '}{target:.1f}"
            yield self.line(f"  {word}", texts)

    def line(self, label: str, texts: Mapping[tuple[str, int], str]) -> str:
        """A row; cells without a text stay empty."""
        cells = "".join(f"{texts.get(column, ''):>{CELL}}" for column in self.columns)
        return f"{label:{LABEL}}{cells}".rstrip()


def by_size(value: float) -> str:
    """A format with about three figures."""
    return ".2f" if value < 10 else ".1f" if value < 100 else ".0f"
