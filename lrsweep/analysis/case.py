"""One setting as the advice sees it: its rows of the ranking, its fitted rate, and which of its rates train stably."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrsweep.analysis.fit import Fit
from lrsweep.analysis.ranking import RATE
from lrsweep.vocabulary import Array


@dataclass(frozen=True)
class Case:
    """One setting: its rows of the ranking by rate, each column an array (K,); `at` is the best rate's place.

    `rivals` is the doubt that other settings cast on it, if any.
    """

    columns: Mapping[str, Array]
    fit: Fit
    at: int
    lower_is_better: bool
    rivals: str = ""

    def best(self, column: str) -> Any:
        """What a column has for the best rate; nan where there is no such column."""
        return self.columns[column][self.at] if column in self.columns else math.nan

    @property
    def grid(self) -> list[float]:
        """The rates tried, ascending."""
        return [float(rate) for rate in self.columns[RATE]]

    @property
    def finished(self) -> int:
        """The seeds that finished at the best rate; with none, there is no best rate."""
        return int(self.best("n_seeds") - self.best("n_lost"))

    @property
    def usable(self) -> list[float]:
        """The rates at which every seed finished."""
        return [float(rate) for rate in self.columns[RATE][self.columns["n_lost"] == 0]]

    @property
    def unstable(self) -> Array:
        """The rates at which a seed is lost or unstable; one that failed or was stopped says nothing about the rate."""
        unstable: Array = self.columns["n_shaky"] > self.columns["n_failed"] + self.columns["n_stopped"]
        return unstable

    @property
    def unknown(self) -> Array:
        """The rates at which every run failed, crashed or was stopped."""
        unknown: Array = self.columns["n_seeds"] == self.columns["n_failed"] + self.columns["n_stopped"]
        return unknown

    @property
    def stopped(self) -> Array:
        """The rates that were eliminated before their end."""
        stopped: Array = self.columns["n_stopped"] > 0
        return stopped

    @property
    def limit(self) -> int:
        """The place of the lowest unstable rate; behind the last where there is none."""
        return int(np.append(self.unstable, True).argmax())

    @property
    def stable(self) -> int | None:
        """The place of the highest rate known to train stably below every unstable one."""
        known = np.flatnonzero(~self.unknown[: self.limit])
        return int(known[-1]) if len(known) else None

    @property
    def tie_interval(self) -> list[float]:
        """The lowest and highest rate of the unbroken row of tied ones round the best."""
        others = np.flatnonzero(~self.columns["tied"])
        below, above = others[others < self.at], others[others > self.at]
        low = int(below[-1]) + 1 if len(below) else 0
        high = int(above[0]) - 1 if len(above) else len(self.grid) - 1
        return [self.grid[low], self.grid[high]]

    @property
    def diagnosis(self) -> str | None:
        """Of the best rate."""
        told = self.best("diagnosis")
        return told if isinstance(told, str) and self.finished else None
