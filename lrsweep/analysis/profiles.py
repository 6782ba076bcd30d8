"""The objective of each setting by rate and seed, as arrays: what fits, comparisons and cards work on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE, by_setting, comparable, objective_column, objective_values, varying
from lrsweep.vocabulary import STOPPED, Array, Scalar

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Profile:
    """One setting: K rates, ascending, and S seeds.

    `values` (K, S) is the objective, `comparable` (K, S) what is subtracted when two rates are compared: of losses the
    logarithm. Both are nan where the run is lost or not there. `stopped` (K,) tells the rates of which runs were.
    """

    setting: Mapping[str, Scalar | None]
    rates: Array
    seeds: Array
    values: Array
    comparable: Array
    stopped: Array

    def at(self, places: Array) -> Profile:
        """The same with some of its rates only."""
        values, told, stopped = self.values[places], self.comparable[places], self.stopped[places]
        return Profile(self.setting, self.rates[places], self.seeds, values, told, stopped)


def profiles(runs: pd.DataFrame, about: Mapping[str, Any]) -> list[Profile]:
    """The profile of each setting, by the number that `setting_numbers` gives it."""
    values = objective_values(runs, about)
    told = comparable(values, objective_column(about))
    groups, columns = by_setting(runs, about), varying(about)
    firsts = runs[columns].iloc[[rows[0] for rows in groups]]
    settings = [as_in_the_file(firsts[column].tolist(), about["axes"][column]) for column in columns]
    rate, seed, objective, comparables = (np.asarray(one) for one in (runs[RATE], runs["seed"], values, told))
    stopped = (runs["status"] == STOPPED).to_numpy()
    found = []
    for number, rows in enumerate(groups):
        setting = {column: cells[number] for column, cells in zip(columns, settings, strict=True)}
        rates, at_rate = np.unique(rate[rows], return_inverse=True)
        seeds, at_seed = np.unique(seed[rows], return_inverse=True)
        own, alike = np.full((2, len(rates), len(seeds)), np.nan)
        own[at_rate, at_seed], alike[at_rate, at_seed] = objective[rows], comparables[rows]
        gone = np.bincount(at_rate, stopped[rows], len(rates)) > 0
        found.append(Profile(setting, rates, seeds, own, alike, gone))
    return found


def as_in_the_file(cells: Sequence[Any], values: Sequence[Scalar | None] | None) -> list[Scalar | None]:
    """A setting's cells as the sweep file has them, if these are its `values`; None: it has only one.

    A column of a frame turns 16 into 16.0 and nothing into nan.

    >>> as_in_the_file([16.0, float("nan")], [16, None])
    [16, None]
    """
    own = {value: value for value in (cells if values is None else values) if value == value}
    return [own.get(cell) for cell in cells]


def digits(value: Any, most: int = 6) -> Any:
    """A number as a document has it: with this many significant digits, and None where it is not finite.

    Further digits would differ between machines, as matrix products and logarithms do. Whole numbers, text, truth
    values and None stay as they are.

    >>> digits(0.1 + 0.2), digits(0.0123456, 4), digits(float("nan")), digits(12345678), digits("adam"), digits(None)
    (0.3, 0.01235, None, 12345678, 'adam', None)
    """
    if value is None or isinstance(value, str | int):
        return value
    return float(f"{value:.{most}g}") if math.isfinite(value) else None
