"""The objective of each setting by rate and seed, as arrays: what fits, comparisons and cards work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE, by_setting, comparable, objective_column, objective_values, varying
from lrsweep.vocabulary import Array, Scalar

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Profile:
    """One setting: K rates, ascending, and S seeds.

    `values` (K, S) is the objective, `comparable` (K, S) what is subtracted when two rates are compared: of losses the
    logarithm. Both are nan where the run is lost or not there.
    """

    setting: Mapping[str, Scalar | None]
    rates: Array
    seeds: Array
    values: Array
    comparable: Array


def profiles(runs: pd.DataFrame, about: Mapping[str, Any]) -> list[Profile]:
    """The profile of each setting, by the number that `setting_numbers` gives it."""
    values = objective_values(runs, about)
    told = comparable(values, objective_column(about))
    columns = {column: runs[column].to_numpy() for column in varying(about)}
    rate, seed, objective, comparables = (np.asarray(one) for one in (runs[RATE], runs["seed"], values, told))
    found = []
    for rows in by_setting(runs, about):
        setting = {column: plain(cells[rows[0]], about["axes"][column]) for column, cells in columns.items()}
        rates, at_rate = np.unique(rate[rows], return_inverse=True)
        seeds, at_seed = np.unique(seed[rows], return_inverse=True)
        arrays = np.full((2, len(rates), len(seeds)), np.nan)
        arrays[:, at_rate, at_seed] = objective[rows], comparables[rows]
        found.append(Profile(setting, rates, seeds, *arrays))
    return found


def plain(value: Any, values: Any) -> Scalar | None:
    """The value as the sweep file has it: a column of a frame turns 16 into 16.0 and nothing into nan."""
    return next((own for own in values if own == value), None)
